"""Processes that write the tables side by side lose and double no write, whatever each of them meets."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from tests.conftest import ROOT, Broker
from tests.integration.definitions_world import World, make_console, make_world, settings_of

from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.equal_writer import EqualWriter
from hookstream.adapters.kafka.tables.writer import TableChange, TableTransactions
from hookstream.adapters.kafka.transactions import AppendedLate
from hookstream.adapters.tables.holds_and_skips import hold_key, read_hold
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.holds import set_hold
from hookstream.entry.admin.writing import EqualWriting, attempt_change
from hookstream.errors import ConfigurationError, DependencyUnavailable, ProducerFenced

CONSOLES = 3
KEY = hold_key(HoldKind.EVERYTHING, ALL)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return make_console(make_world(broker, prefix, capsys, monkeypatch))


def holds(world: World) -> list[Hold]:
    """Return every hold that was ever written, in the order of the log."""
    records = LogScan(world.client, world.names.subscriptions).read()
    return [
        read_hold(KEY, each.value) for each in records if each.key == KEY.encode() and each.value
    ]


def threads_now() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def until_written(world: World, count: int) -> None:
    """Wait until so many holds were written; each look makes clients, so there are few."""
    deadline = time.monotonic() + 300
    while len(holds(world)) < count:
        assert time.monotonic() < deadline, "the consoles write nothing"
        time.sleep(0.5)


@contextmanager
def consoles(world: World, each: int) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(  # noqa: S603  our own module
            [
                sys.executable,
                *("-m", "tests.integration.equal_writer_process", f"console-{number}"),
                *(world.client["bootstrap.servers"], world.names.prefix, str(each)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(CONSOLES)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            # Reads and closes its output.
            process.communicate()


def test_of_a_console_that_is_killed_each_write_is_made_or_is_not(world: World) -> None:
    with consoles(world, 1_000_000) as processes:
        until_written(world, 10)
        processes[0].kill()
        processes[1].kill()
        until_written(world, len(holds(world)) + 10)
    assert world.run("hold", "set", "everything", "--reason", "by hand").code == 0
    written = holds(world)
    assert [hold.revision for hold in written] == list(range(1, len(written) + 1))
    assert written[-1].reason == "by hand"
    # Each console's own writes are all there, in their order, up to where it was killed.
    for name in range(CONSOLES):
        own = [each.reason for each in written if each.reason.startswith(f"console-{name} ")]
        assert own == [f"console-{name} {number}" for number in range(len(own))]


@pytest.mark.filterwarnings("ignore:Producer abort_transaction failed:RuntimeWarning")
def test_a_console_that_is_overtaken_again_and_again_keeps_no_clients(world: World) -> None:
    """Each client has threads and connections of its own, which only its end gives back."""
    settings = settings_of(world)
    act = partial(set_hold, kind=HoldKind.EVERYTHING, name=ALL, reason="x")
    with EqualWriting(settings) as one, EqualWriting(settings) as other:
        threads = []
        for _ in range(8):
            one.attempt(act)
            other.attempt(act)
            threads.append(threads_now())
        deadline = time.monotonic() + 60
        while threads_now() > max(threads[:2]):
            assert time.monotonic() < deadline, threads
            time.sleep(0.1)


class Slow(list[OutgoingRecord]):
    """Records of which the second comes when a producer has learned that it is fenced."""

    def __init__(self, records: Sequence[OutgoingRecord], producer: Producer) -> None:
        super().__init__(records)
        self._producer = producer

    def __iter__(self) -> Iterator[OutgoingRecord]:
        first, *others = super().__iter__()
        yield first
        deadline = time.monotonic() + 60
        with suppress(KafkaException):
            while time.monotonic() < deadline:
                self._producer.produce(first.topic, b"{}", b"other")
                time.sleep(0.05)
        yield from others


def test_a_writer_that_learns_between_two_records_that_it_was_overtaken_is_fenced(
    world: World,
) -> None:
    """Its client then says of the second record no more than that it is broken."""
    names = world.names
    row = OutgoingRecord(names.subscriptions, b"row", b"{}")
    with TableTransactions(world.client, names.writer) as first:
        first.transact([row])
        with (
            TableTransactions(world.client, names.writer),
            pytest.raises(ProducerFenced, match="another writer took over"),
        ):
            first.transact(Slow([row, row], first._producer))  # noqa: SLF001
    assert not first.is_unknown


class Unanswered:
    """A producer whose next commit is not answered: it was made, or it never will be."""

    def __init__(self, producer: Producer, *, is_made: bool) -> None:
        self._producer = producer
        self._is_made = is_made

    def __getattr__(self, name: str) -> object:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout: float) -> None:
        if self._is_made:
            self._producer.commit_transaction(timeout)
        else:
            self._producer.flush(timeout)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))  # noqa: SLF001


def unanswered(tables: EqualWriter, *, is_made: bool) -> None:
    """Let the commit of the present producer, and of no later one, be unanswered."""
    writer = tables._writer  # noqa: SLF001
    assert writer is not None
    writer._producer = Unanswered(writer._producer, is_made=is_made)  # type: ignore[assignment]  # noqa: SLF001


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("overtaken", [False, True])
def test_a_write_whose_commit_is_not_answered_is_made_once(
    world: World, *, is_made: bool, overtaken: bool
) -> None:
    """Another producer with the same id ends the transaction, and the log shows how."""
    settings = settings_of(world)
    begun = []
    with EqualWriting(settings) as writing:
        act = partial(set_hold, kind=HoldKind.EVERYTHING, name=ALL)
        writing.attempt(partial(act, reason="first"))
        tables = writing._tables  # noqa: SLF001

        def again(writer: object) -> None:
            begun.append(1)
            act(writer, reason="second")  # type: ignore[arg-type]
            if len(begun) == 1:
                unanswered(tables, is_made=is_made)

        drop = tables._drop_writer  # noqa: SLF001

        def dropped() -> None:
            tables._drop_writer = drop  # type: ignore[method-assign]  # noqa: SLF001
            drop()
            if overtaken:
                attempt_change(settings, partial(act, reason="another's"))

        tables._drop_writer = dropped  # type: ignore[method-assign]  # noqa: SLF001
        writing.attempt(again)
        writing.attempt(partial(act, reason="third"))

    other = ["another's"] if overtaken else []
    between = ["second", *other] if is_made else [*other, "second"]
    written = holds(world)
    assert [hold.reason for hold in written] == ["first", *between, "third"]
    assert [hold.revision for hold in written] == list(range(1, len(written) + 1))
    assert len(begun) == (1 if is_made else 2)


def test_a_write_of_which_nothing_is_known_is_reported_so(world: World) -> None:
    tables = EqualWriter(
        world.client, world.names.writer, [world.names.subscriptions], world.names.subscriptions
    )
    tables.begin()
    unanswered(tables, is_made=True)

    def away() -> Sequence[object]:
        raise DependencyUnavailable("no broker")

    tables._begin = away  # type: ignore[method-assign,assignment]  # noqa: SLF001
    with pytest.raises(DependencyUnavailable, match="whether the change was written is not known"):
        tables.write([TableChange(world.names.subscriptions, KEY, b"{}")])
    tables.close()


def test_rows_that_are_appended_too_late_are_not_written_and_the_writer_goes_on(
    world: World,
) -> None:
    table = world.names.subscriptions
    tables = EqualWriter(world.client, world.names.writer, [table], table)
    tables.begin()
    now = tables.broker_now()
    with pytest.raises(AppendedLate) as late:
        tables.write([TableChange(table, KEY, b"{}")], append_by=now - 1_000)
    assert late.value.by >= 1_000
    tables.write([TableChange(table, KEY, None)], append_by=tables.broker_now() + 60_000)
    tables.close()
    assert [
        each.value for each in LogScan(world.client, table).read() if each.key == KEY.encode()
    ] == [None]


def test_only_what_needs_the_console_topic_names_it_where_it_is_missing(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    older = make_world(broker, prefix, capsys, monkeypatch)
    assert older.run("hold", "set", "everything", "--reason", "x").code == 0
    with pytest.raises(
        ConfigurationError, match=rf"{older.names.console}\. Create them: hookstream topics apply"
    ):
        attempt_change(settings_of(older), lambda writer: writer.session.console(), console=True)
