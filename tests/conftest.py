"""What all tests share: Hypothesis profiles, the real broker, markers that follow from the folder."""

import asyncio
import gc
import os
import secrets
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import fastavro.schema
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings
from hypothesis.internal.entropy import deterministic_PRNG
from tests import spread
from tests.doubles.virtual_time import Ties, VirtualTimeLoop, ties
from tests.real_broker import LeftTopics, a_broker, a_broker_elsewhere, a_shared_broker, scratch
from tests.units import order

from hookstream.adapters.avro import published
from hookstream.adapters.avro.accelerator import implementation
from hookstream.adapters.dev.broker import BrokerProcess

ROOT = Path(__file__).parent.parent
REAL_TIME = (ROOT / "tests" / "integration", ROOT / "tests" / "e2e")
ON_KAFKA = (*REAL_TIME, ROOT / "tests" / "contracts", ROOT / "tests" / "fuzz")
NO_KAFKA = tuple(ROOT / "tests" / "integration" / folder for folder in ("http", "pages"))
"""What of these has real sockets, and no broker."""
KAFKA_ONLY = (*REAL_TIME, ROOT / "tests" / "fuzz" / "test_fuzz.py")
"""Where every test is on Kafka, but for those of `NO_KAFKA`."""
IN_MEMORY = tuple(
    ROOT / "tests" / folder
    for folder in ("scenarios", "unit", "properties", "architecture", "compatibility")
)

# Hypothesis looks through all objects there are when it first runs a property: once, while there are few.
with deterministic_PRNG():
    pass

# The suite must give the same results on every run; a deeper search is `--hypothesis-profile=search`.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("ci")

# fastavro computes the table of this checksum again for each schema: a tenth of the CPU of tests/unit.
vars(published)["fingerprint"] = lru_cache(4_096)(fastavro.schema.fingerprint)


class _Closed(sqlite3.Connection):
    """A database that somebody must close: Python notices the others from 3.13 on only."""

    def __del__(self) -> None:
        """Warn where it is open still, which fails the test that runs."""
        # One that was closed has no count of changes any more.
        with suppress(sqlite3.ProgrammingError):
            left = f"unclosed database after {self.total_changes} changes"
            warnings.warn(left, ResourceWarning, stacklevel=2, source=self)


if sys.version_info < (3, 13):
    vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=_Closed)

# What is made while collecting stays: with rounds every 700 objects, Python's default, garbage collection took 15 %
# of the CPU of collecting.
gc.set_threshold(200_000, 10, 10)

# pytest-asyncio gets the current loop before each test's own: it would get a new one that
# is never closed, and its warning fails whichever test the garbage collector runs in.
asyncio.set_event_loop(None)

_SERVERS = "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"
_STARTS_A_BROKER = ("broker", "class_archive", "kafka_jars")

_PATIENCE = 300
"""Seconds for a test in memory: some simulate hours of a worker or read all code, on a shared machine."""
_PATIENCE_ON_KAFKA = 400
"""Seconds for a test on a broker: the first of a run starts it. What a test claims has bounds of its own."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answers."""

    bootstrap_servers: str


_spread: list[Broker] = []
"""The broker that the processes of a spread run share."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.register(spread)
    parser.addoption(
        "--ties",
        default="first",
        help="which timer of one instant fires first on virtual time: first (made), last, or a seed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have files in memory: a disk costs each file of an index that is opened a millisecond of CPU for its fsyncs.

    What has processes on Kafka has its files on the disk, where people have them.
    """
    memory = scratch()
    if config.option.markexpr != "not kafka" or memory is None or "TMPDIR" in os.environ:
        return
    # Some tests run programs that they write.
    if not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(memory)
        tempfile.tempdir = None


def pytest_report_header() -> str:
    chosen = implementation()
    return f"avro: {chosen.name} ({chosen.because})"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run one broker for the processes of a run that is spread.

    A broker takes 1.2 s of CPU to start and stop, and as long as it is new what it does costs it more.
    """
    config = session.config
    if not spread.is_spread(session) or not _is_on_kafka(config) or _SERVERS in os.environ:
        return (yield)
    with a_broker_elsewhere() as servers:
        _spread.append(Broker(servers))
        return (yield)


def _is_on_kafka(config: pytest.Config) -> bool:
    """Return whether a run may have tests on the shared broker."""
    asked = [(ROOT / each.partition("::")[0]).resolve() for each in config.args]
    return config.option.markexpr != "not kafka" and any(
        _within(path, ON_KAFKA) or any(_within(folder, (path,)) for folder in ON_KAFKA)
        for path in asked
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by its folder what needs real time and the real broker, so that no file can forget to."""
    for item in items:
        if _within(item.path, IN_MEMORY):
            item.add_marker(pytest.mark.timeout(_PATIENCE))
        if item.get_closest_marker("kafka") and not _within(item.path, ON_KAFKA):
            raise pytest.UsageError(f"{item.nodeid}: no target of the Makefile runs it on Kafka")
        if _within(item.path, REAL_TIME):
            item.add_marker("real_time")
            if not _within(item.path, NO_KAFKA):
                item.add_marker("kafka")
                if item.get_closest_marker("timeout") is None:
                    item.add_marker(pytest.mark.timeout(_PATIENCE_ON_KAFKA))
    items.sort(key=order)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import what would only be deselected: it takes each process of a run more than a second."""
    on_kafka_only = _within(collection_path, KAFKA_ONLY) and not (
        _within(collection_path, NO_KAFKA)
        or any(folder.is_relative_to(collection_path) for folder in NO_KAFKA)
    )
    return True if on_kafka_only and config.option.markexpr == "not kafka" else None


@cache
def _within(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def pytest_collection_finish() -> None:
    """Take what stays for the whole run out of the garbage collector's rounds, and have short ones from now on.

    Most of what a test leaves in circles is young. Freed every 5,000 objects it is still in the processor's caches:
    every 200,000, tests took 2 to 6 % more CPU. What survived a round is
    looked at again every 250,000.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50, 10)


class _Loops:
    """Makes each asynchronous test's loop: virtual time, or the real one where I/O is real."""

    def __init__(self) -> None:
        self.real = False
        """Whether the test that is being set up has real I/O."""
        self.ties: Ties = ties("first")
        self.troubles: list[str] = []
        """Unhandled exceptions that the last virtual loop was notified of."""

    def __call__(self) -> asyncio.AbstractEventLoop:
        if self.real:
            return asyncio.SelectorEventLoop()
        loop = VirtualTimeLoop(self.ties)
        self.troubles = loop.troubles
        return loop


_loops = _Loops()


def pytest_asyncio_loop_factories() -> dict[str, _Loops]:
    return {"loops": _loops}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # Only here are the marks of a parameter known: one test may run in memory and on a broker.
    _loops.real = item.get_closest_marker("real_time") is not None
    callspec = getattr(item, "callspec", None)
    given = {} if callspec is None else callspec.params
    _loops.ties = ties(given.get("each_order", item.config.getoption("--ties")))


@pytest.fixture(params=["first", "last", "7"])
def each_order() -> None:
    """Run a test once with each order of the timers of one instant."""


@pytest.fixture(autouse=True, scope="session")
def never_blocking() -> Iterator[None]:
    """Fail a test in which hookstream blocks the event loop: every endpoint would wait with it."""
    # The broker is started by a fixture, which may run while a loop does; no product code does that.
    of_fixtures = [f"hookstream.adapters.dev.{name}" for name in _STARTS_A_BROKER]
    with blockbuster_ctx("hookstream", excluded_modules=of_fixtures):
        yield


@pytest.fixture(autouse=True)
def nothing_forgotten() -> Iterator[None]:
    """Fail a test that leaves an exception unhandled."""
    _loops.troubles = []
    yield
    assert _loops.troubles == []


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A real Apache Kafka: the one named in the environment or shared by a spread run, else one of our own."""
    with ExitStack() as stack:
        if _SERVERS in os.environ:
            found = Broker(os.environ[_SERVERS])
        elif _spread:
            found = _spread[0]
        else:
            found = Broker(stack.enter_context(a_shared_broker()).bootstrap_servers)
        _left.append(LeftTopics(found.bootstrap_servers))
        stack.callback(_left.clear)
        yield found


@pytest.fixture
def own_broker() -> Iterator[BrokerProcess]:
    """A broker that a test may kill or freeze, while all other tests continue with theirs.

    Of this test alone: on a busy machine one that was frozen may stay fenced for a minute.
    """
    with a_broker() as process:
        yield process


_left: list[LeftTopics] = []
"""Of the broker that tests share, while it runs."""


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix for topics and groups that no other test has, on a broker that all tests share.

    The topics are deleted when the test has ended.
    """
    prefix = f"t{secrets.token_hex(5)}"
    yield prefix
    for topics in _left:
        topics.delete(prefix)
