"""The tables on a real broker: what a reader stood at, and who may write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.client import ClientSettings, admin_client
from hookstream.adapters.kafka.tables.log import TableCopy, TableRecord, read_tables
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.adapters.system import SystemClock
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.record import TopicPartition as Place
from hookstream.errors import ConfigurationError, InputRefused, InvariantBroken, ProducerFenced

Client = dict[str, str | int | float | bool]


@pytest.fixture
def client(broker: Broker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


@pytest.fixture
def table(client: Client, prefix: str) -> str:
    return make_table(client, f"{prefix}.subscriptions")


def make_table(client: Client, name: str, partitions: int = 1) -> str:
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    topic = NewTopic(name, partitions, 1, config=config)
    admin = AdminClient(client)  # its futures end with it
    for made in admin.create_topics([topic]).values():
        made.result(30)
    return name


class CollectedRows:
    """What a reader returned."""

    def __init__(self) -> None:
        self.records: list[TableRecord] = []

    def __call__(self, records: Sequence[TableRecord]) -> None:
        self.records.extend(records)

    @property
    def rows(self) -> list[tuple[str, bytes | None]]:
        return [(record.key, record.value) for record in self.records]


@pytest.fixture
def collected() -> CollectedRows:
    return CollectedRows()


@pytest.fixture
async def reader(
    client: Client, table: str, collected: CollectedRows
) -> AsyncIterator[TableReader]:
    reader = TableReader(client, [table], collected, BookkeepingLogger(), SystemClock())
    reader.start()
    yield reader
    await reader.close()


@pytest.fixture
def open_transaction(client: Client, prefix: str) -> Iterator[Producer]:
    """A foreign writer, whose transactions stay open until it ends them."""
    producer = Producer(client | {"transactional.id": f"{prefix}.other"})
    producer.init_transactions(10)
    yield producer
    producer.close()


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a broker sets no asyncio.Event
            await asyncio.sleep(0.02)


def test_what_is_read_behind_the_end_that_was_asked_for_is_kept(
    client: Client, table: str
) -> None:
    """A copy that stays would lose it: nothing is read twice."""
    with writer(client, table) as tables:
        tables.write([TableChange(table, f"row-{number}", b"{}") for number in range(3)])
    at = Place(table, 0)
    copy = TableCopy(client, [table])
    with copy._opened() as log:  # noqa: SLF001
        while not copy.tables[table]:
            copy._read_to(log, {at: 1}, past_open=True)  # noqa: SLF001
        assert len(copy.tables[table]) == log.next[at] == 3


def test_a_copy_of_a_table_requests_nothing_between_two_readings(
    client: Client, table: str
) -> None:
    """Its clients stay, and each reading goes on where the one before ended."""
    copy = TableCopy(client, [table])
    for number in range(3):
        with writer(client, table) as tables:
            tables.write([TableChange(table, f"row-{number}", b"{}")])
        assert [record.key for record in copy.read_on()] == [f"row-{number}".encode()]
        assert copy._log is not None  # noqa: SLF001
        # The client requests what is assigned to it, and nothing else.
        assert copy._log._consumer.assignment() == []  # noqa: SLF001
    assert copy.read_on() == []
    copy.close()


def test_a_table_that_was_made_again_between_two_readings_is_noticed_though_it_is_shorter(
    client: Client, table: str
) -> None:
    copy = TableCopy(client, [table])
    with writer(client, table) as tables:
        tables.write([TableChange(table, f"row-{number}", b"{}") for number in range(3)])
    assert len(copy.read_on()) == 3
    admin = AdminClient(client)
    for deleted in admin.delete_topics([table]).values():
        deleted.result(30)
    make_table(client, table)
    with pytest.raises(InvariantBroken, match="was created again or truncated"):
        copy.read_on()
    copy.close()
    assert copy.read_on() == []
    copy.close()


def writer(client: Client, table: str) -> TableWriter:
    return TableWriter(client, f"{table}.writer", [table], table, timeout=30)


async def test_a_table_is_read_to_its_end_and_followed(
    client: Client, table: str, reader: TableReader, collected: CollectedRows
) -> None:
    await asyncio.to_thread(_write, client, table, [("a", b"1"), ("b", b"2")])
    await reader.read_to_end(30)
    assert collected.rows == [("a", b"1"), ("b", b"2")]

    await asyncio.to_thread(_write, client, table, [("a", None)])
    await eventually(lambda: len(collected.rows) == 3)

    assert collected.rows[-1] == ("a", None)
    assert reader.reached(table, collected.records[-1].offset)
    assert not reader.reached(table, collected.records[-1].offset + 10)


def _write(client: Client, table: str, rows: list[tuple[str, bytes | None]]) -> None:
    with writer(client, table) as one:
        one.write([TableChange(table, key, value) for key, value in rows])


async def test_an_empty_table_is_read_to_its_end(
    reader: TableReader, collected: CollectedRows
) -> None:
    await reader.read_to_end(30)

    assert reader.current()
    assert collected.rows == []


async def test_a_transaction_marker_at_a_table_s_end_does_not_keep_it_from_being_current(
    client: Client, table: str, reader: TableReader
) -> None:
    """The marker has an offset and is never returned: counting records would wait for ever."""
    await asyncio.to_thread(_write, client, table, [("a", b"1")])

    await reader.read_to_end(30)

    assert reader.current()


async def test_a_table_that_ends_with_a_marker_is_current_before_a_fetch_has_found_nothing(
    client: Client, table: str, collected: CollectedRows
) -> None:
    """A fetch waits for 55 seconds here: the client says only after it that it is at an end."""
    patient = client | {"fetch.wait.max.ms": 55_000}
    reader = TableReader(patient, [table], collected, BookkeepingLogger(), SystemClock())
    reader.start()
    try:
        await reader.read_to_end(30)
        await asyncio.to_thread(_write, client, table, [("a", b"1")])

        await reader.read_to_end(40)

        assert collected.rows == [("a", b"1")]
    finally:
        await reader.close()


async def test_an_aborted_transaction_at_a_table_s_end_does_not_keep_it_from_being_current(
    open_transaction: Producer, table: str, reader: TableReader, collected: CollectedRows
) -> None:
    await reader.read_to_end(30)
    open_transaction.begin_transaction()
    open_transaction.produce(table, key=b"a", value=b"1")
    open_transaction.flush()
    open_transaction.abort_transaction(5)

    await reader.read_to_end(30)

    assert collected.rows == []
    assert reader.current()


async def test_an_open_transaction_makes_a_table_not_current(
    open_transaction: Producer, table: str, reader: TableReader, collected: CollectedRows
) -> None:
    """Its rows are not visible yet: matching against the table would be too early."""
    await reader.read_to_end(30)
    assert reader.current()
    open_transaction.begin_transaction()
    open_transaction.produce(table, key=b"a", value=b"1")
    open_transaction.flush()

    await eventually(lambda: not reader.current())
    assert reader.age() > 1
    open_transaction.commit_transaction(30)
    await eventually(reader.current)

    assert collected.rows == [("a", b"1")]


async def test_a_missing_table_is_refused_with_the_remedy(client: Client, prefix: str) -> None:
    reader = TableReader(
        client, [f"{prefix}.none"], CollectedRows(), BookkeepingLogger(), SystemClock()
    )
    reader.start()

    with pytest.raises(ConfigurationError, match=f"{prefix}.none. Create them: hookstream topics"):
        await reader.read_to_end(30)
    await reader.close()


async def test_a_record_that_cannot_be_taken_ends_the_reader(client: Client, table: str) -> None:
    """A silently skipped row would be a subscription that never matches."""

    def refuse(_: Sequence[TableRecord]) -> None:
        raise ValueError("no")

    logger = BookkeepingLogger()
    reader = TableReader(client, [table], refuse, logger, SystemClock())
    reader.start()
    await asyncio.to_thread(_write, client, table, [("a", b"1")])

    async with asyncio.timeout(5):
        await asyncio.wait([reader.failed])
    assert "ValueError('no')" in str(reader.failed.exception())
    assert not reader.current()
    await reader.close()


def test_a_writer_sees_the_table_and_its_own_writes(client: Client, table: str) -> None:
    _write(client, table, [("a", b"1"), ("b", b"2"), ("c", b"3")])

    with writer(client, table) as second:
        second.write([TableChange(table, "a", None), TableChange(table, "b", b"4")])
        seen = {key: row.value for key, row in second.snapshot[table].items()}

    assert seen == {"b": b"4", "c": b"3"}
    stored = read_tables(client, [table], timeout=30)
    assert {key: row.value for key, row in stored[table].items()} == seen


def test_records_of_other_topics_are_written_with_the_rows(
    client: Client, table: str, prefix: str
) -> None:
    operations = make_table(client, f"{prefix}.operations", partitions=3)
    with writer(client, table) as one:
        one.write(
            [TableChange(table, "a", b"1")],
            [OutgoingRecord(operations, b"k", b"v", [("h", b"1")])],
        )

        assert set(one.snapshot) == {table}


def test_an_older_writer_is_fenced_and_writes_nothing(client: Client, table: str) -> None:
    with writer(client, table) as older, writer(client, table) as newer:
        newer.write([TableChange(table, "a", b"newer")])

        with pytest.raises(ProducerFenced):
            older.write([TableChange(table, "a", b"older")])

    rows = read_tables(client, [table], timeout=30)[table]
    assert [row.value for row in rows.values()] == [b"newer"]


def test_what_a_dead_writer_left_open_is_undone_before_the_next_one_reads(
    client: Client, table: str
) -> None:
    dead = Producer(client | {"transactional.id": f"{table}.writer"})
    dead.init_transactions(10)
    dead.begin_transaction()
    dead.produce(table, key=b"a", value=b"half")
    dead.flush()

    with writer(client, table) as next_one:
        assert next_one.snapshot == {table: {}}


def test_a_row_that_is_too_large_is_refused_and_the_writer_continues(
    client: Client, table: str
) -> None:
    with writer(client, table) as one:
        with pytest.raises(InputRefused, match="larger than its topic takes"):
            one.write([TableChange(table, "a", b"1"), TableChange(table, "b", bytes(2_000_000))])
        one.write([TableChange(table, "c", b"1")])

        assert list(one.snapshot[table]) == ["c"]


def test_the_brokers_time_is_read_without_leaving_a_row(client: Client, table: str) -> None:
    with writer(client, table) as one:
        before = SystemClock().now()
        reported = one.broker_now()

        assert before - 1000 <= reported <= SystemClock().now() + 1000
        assert read_tables(client, [table], timeout=30) == {table: {}}


def test_a_table_of_several_partitions_is_refused(client: Client, prefix: str) -> None:
    name = make_table(client, f"{prefix}.wide", partitions=2)

    with pytest.raises(ConfigurationError, match="has 2 partitions"):
        read_tables(client, [name], timeout=30)


class Blind(AdminClient):
    """A client that keeps believing that partitions have no leader, as one did after a freeze."""

    def list_offsets(  # type: ignore[override]
        self, asked: Iterable[TopicPartition], **_: object
    ) -> dict[TopicPartition, Future[object]]:
        answers: dict[TopicPartition, Future[object]] = {}
        for place in asked:
            answers[place] = Future()
            answers[place].set_exception(KafkaException(KafkaError(KafkaError._NOENT)))  # noqa: SLF001
        return answers


class Hasty(SystemClock):
    """A clock by which a reader's timeouts end ten times as soon."""

    def monotonic(self) -> float:
        return 10 * super().monotonic()


async def test_a_reader_whose_client_finds_no_leader_any_more_takes_another(
    client: Client, table: str, collected: CollectedRows
) -> None:
    """It would report that for a quarter of an hour, long after the broker's restart."""
    made: list[AdminClient] = []

    def admin(settings: ClientSettings) -> AdminClient:
        made.append(admin_client(settings) if made else Blind(dict(settings)))
        return made[-1]

    reader = TableReader(client, [table], collected, BookkeepingLogger(), Hasty(), admin=admin)
    reader.start()
    try:
        await reader.read_to_end(30)
    finally:
        await reader.close()

    assert len(made) == 2
