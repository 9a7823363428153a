"""What every measurement of a worker runs on: a broker, nginx, and a folder with an installation."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installation import ROOT
from benchmarks.load import Load
from benchmarks.sink import Sink, nginx_path
from benchmarks.stage import EVENT_TOPIC, Stage
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java


@dataclass(slots=True, frozen=True)
class Rig:
    """One run's processes and files."""

    stage: Stage
    sink: Sink
    load: Load
    broker_pid: int


@contextmanager
def rig_on(core: int | None, compression: str = "none", java: Sequence[str] = ()) -> Iterator[Rig]:
    """Start broker and sink on a core, with a stage in a folder that goes again.

    Args:
        core: Whatever this process starts inherits it; None: it may use all of this process's.
        compression: Of the load's batches.
        java: Further options of Java for the broker.
    """
    if core is not None:
        os.sched_setaffinity(0, {core})
    nginx_path()
    binary = find_java()
    libs = fetch_kafka(ROOT / ".cache" / "kafka", say)
    folder = Path(tempfile.mkdtemp(prefix="hookstream-bench-"))
    broker = BrokerProcess(libs, binary, quick=False, options=java)
    try:
        say("a broker and nginx")
        with broker, Sink(folder) as sink:
            stage = Stage(folder, broker.bootstrap_servers)
            load = Load(stage.servers, EVENT_TOPIC, ROOT / "schemas", compression)
            try:
                yield Rig(stage, sink, load, broker.pid or 0)
            finally:
                stage.stop_worker()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    """Print the progress."""
    print(f"… {text}", file=sys.stderr, flush=True)


def cores() -> tuple[int, int]:
    """Return the core of the worker and that of everything else."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) == 1:
        say("one core only: worker, broker and nginx share it, so the figures are too high")
    return usable[0], usable[-1]
