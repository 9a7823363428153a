"""Real brokers for tests, with their logs in memory where the machine has enough of it."""

import contextlib
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java

ROOT = Path(__file__).parent.parent
_MEMORY = Path("/dev/shm")  # noqa: S108  each broker makes its own folder there
_ENOUGH = 4 << 30
"""Bytes that must be free there: a container often has 64 MB."""

_UNVERIFIED = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote")
"""Java takes Kafka's classes as they are: to verify those outside the archive is a tenth of a start's CPU."""

_SHARED = {
    "broker.session.timeout.ms": "30000",
    "broker.heartbeat.interval.ms": "5000",
    "num.network.threads": "1",
    "num.io.threads": "2",
}
_ROOMY = ("-Xms256m", "-Xmn160m", "-XX:+UseTransparentHugePages")

_FORK = get_context("fork")
_PATIENCE = 15
"""Seconds for the broker to list its topics."""


def a_broker(
    settings: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> BrokerProcess:
    """Return a broker that does not run yet, with a temporary log."""
    libs, java = _kafka()
    return BrokerProcess(
        libs, java, settings=settings, scratch=scratch(), options=(*_UNVERIFIED, *options)
    )


def a_shared_broker() -> BrokerProcess:
    """Return a broker that no test kills or freezes.

    Its session therefore need not expire soon. On a busy machine it may come to run only after the two
    seconds that other brokers have, and be fenced for that. So it need not say twice a second that it
    lives either, which is 40 % of the CPU of a broker at rest. With few threads and room for what is young it took
    29 s of CPU for 447 tests in place of 38 (one run each).
    """
    return a_broker(_SHARED, _ROOMY)


@contextlib.contextmanager
def a_broker_elsewhere() -> Iterator[str]:
    """Run the broker that tests share as long as the block runs, from a process of its own; return its address.

    The client that sees the broker start has threads, and a process that has threads must not be forked.
    """
    near, far = Pipe()
    process = _FORK.Process(target=_hold, args=(near, far))
    process.start()
    far.close()
    try:
        held = near.recv()
        if isinstance(held, Exception):
            raise held
        yield held
    finally:
        near.close()
        process.join()


def _hold(near: Connection, far: Connection) -> None:
    near.close()
    # Of whoever runs the tests, which close what is on the broker first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with a_shared_broker() as broker:
            far.send(broker.bootstrap_servers)
            with contextlib.suppress(EOFError):
                far.recv()
    except Exception as error:  # noqa: BLE001  the other process raises it
        far.send(error)


class LeftTopics:
    """Deletes what tests leave on a broker that they share.

    Each listing of topics has all that there are, and so costs the broker and the client more with every
    test.
    """

    def __init__(self, servers: str) -> None:
        """Connect on first use."""
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def delete(self, prefix: str) -> None:
        """Have the topics deleted whose names start with a prefix; nothing waits for that.

        A broker that does not answer on a busy machine keeps them: they cost it time, and no test fails.
        """
        with contextlib.suppress(KafkaException):
            found = self._admin.list_topics(timeout=_PATIENCE).topics
            names = [name for name in found if name.startswith(prefix)]
            if names:
                self._admin.delete_topics(names)


@cache
def scratch() -> Path | None:
    """Return the folder for temporary logs; None for the system's.

    A disk costs each new partition four fsyncs, 4 ms of CPU and more of waiting.
    """
    enough = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH
    return _MEMORY if enough else None


@cache
def _kafka() -> tuple[Path, str]:
    return fetch_kafka(ROOT / ".cache" / "kafka", print), find_java()
