"""The rig of every experiment: a folder, a broker, a receiver and workers, all of which end."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installation import ROOT

from chaos.cast import Endpoint, write_cast
from chaos.load import Load, event_topics
from chaos.receipts import Receiver
from chaos.stage import PREFIX, Filed, Stage, Terms
from chaos.topics import Topics
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java

_SESSION = 9.0
"""Seconds until a killed broker's session expires, as Kafka has it by default; see `BrokerProcess`."""


@dataclass(slots=True, frozen=True)
class Rig:
    """What an experiment is made with."""

    broker: BrokerProcess
    receiver: Receiver
    stage: Stage
    load: Load
    topics: Topics
    cast: list[Endpoint]


@dataclass(slots=True, frozen=True)
class Plan:
    """What an experiment needs of its rig."""

    cast: list[Endpoint]
    filed: Callable[[int], Filed]
    terms: Terms
    workers: int
    seed: int
    partitions: int = 3
    cycle: float = 40.0
    """Seconds from one failure of an endpoint to its next, if it flaps."""
    member_session: float = 6.0
    """Seconds without heartbeats until a member of a group loses its partitions; Kafka's default is 45."""


@contextmanager
def rig(plan: Plan, folder: Path | None) -> Iterator[Rig]:
    """Start everything but the load; whatever happens, it is all ended.

    Args:
        plan: What is requested.
        folder: Where everything that is written stays; None: a temporary one, which goes again
            unless the run fails.
    """
    signal.signal(signal.SIGTERM, _end)
    java = find_java()
    libs = fetch_kafka(ROOT / ".cache" / "kafka", say)
    kept = folder or Path(tempfile.mkdtemp(prefix="hookstream-chaos-"))
    kept.mkdir(parents=True, exist_ok=True)
    say(f"a broker, {len(plan.cast)} endpoints and {plan.workers} workers in {kept}")
    sessions = {"group.consumer.session.timeout.ms": str(round(plan.member_session * 1_000))}
    with BrokerProcess(
        libs, java, data=kept / "broker", session=_SESSION, settings=sessions
    ) as broker:
        stage = Stage(kept, broker.bootstrap_servers, plan.terms, plan.workers)
        write_cast(plan.cast, kept, stage.port, cycle=plan.cycle)
        with Receiver(kept) as receiver:
            load = Load(stage.servers, PREFIX, plan.seed)
            topics = Topics(stage.servers, PREFIX, event_topics(PREFIX))
            try:
                load.create_topics(plan.partitions)
                stage.prepare(plan.cast, plan.filed)
                stage.start_all()
                yield Rig(broker, receiver, stage, load, topics, plan.cast)
            finally:
                stage.kill_all()
    if folder is None:
        shutil.rmtree(kept, ignore_errors=True)


def _end(number: int, _: object) -> None:
    """Leave by the same doors as always, so that everything is ended on the way."""
    raise SystemExit(128 + number)


def say(text: str) -> None:
    """Print the progress."""
    print(f"… {text}", file=sys.stderr, flush=True)


def machine() -> dict[str, object]:
    """Return what the figures were taken on, and how busy it was."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cores": os.cpu_count(), "cpu": model, "load_average": os.getloadavg()}
