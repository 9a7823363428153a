"""Real brokers for tests, with their logs in memory where the machine has enough of it."""

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java

ROOT = Path(__file__).parent.parent
_MEMORY = Path("/dev/shm")  # noqa: S108  each broker makes its own folder there
_ENOUGH = 4 << 30
"""Bytes that must be free there: a container often has 64 MB."""


def a_broker(settings: Mapping[str, str] | None = None) -> BrokerProcess:
    """Return a broker that does not run yet, with a temporary log."""
    libs, java = _kafka()
    return BrokerProcess(libs, java, settings=settings, scratch=scratch())


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
