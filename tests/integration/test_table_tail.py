"""A row that is asked for again and again costs what was appended meanwhile, not the table."""

import time

import pytest
from confluent_kafka import Producer
from tests.conftest import Broker
from tests.integration.dead_letters_world import World, make_world

from hookstream.adapters.kafka.tables.tail import TableTail
from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import ConfigurationError, DependencyUnavailable

MANY = 300


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


PATIENCE = 60.0


def value(tail: TableTail) -> bytes | None:
    """The newest value, asked for again, as its callers do, while a busy broker does not answer in time."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            row = tail.newest()
        except DependencyUnavailable:
            if time.monotonic() >= end:
                raise
            continue
        return None if row is None else row.value


def problem(tail: TableTail) -> str:
    """Why it cannot be read, asked for again while a busy broker does not even say where it ends."""
    end = time.monotonic() + PATIENCE
    while True:
        with pytest.raises(DependencyUnavailable) as refused:
            tail.newest()
        if "did not return" not in str(refused.value) or time.monotonic() >= end:
            return str(refused.value)


def test_the_table_is_read_once_and_then_what_was_appended_since(world: World) -> None:
    jobs = world.names.jobs
    marks = [(f"job/0/{number}", b"{}") for number in range(MANY)]
    world.write(jobs, ("job", b"1"), *marks)
    tail = TableTail(world.client, jobs, "job")
    assert (value(tail), tail.read) == (b"1", MANY + 1)
    assert (value(tail), tail.read) == (b"1", MANY + 1)
    world.write(jobs, ("other", b"-"), ("job", b"2"), ("job", b"3"))
    assert (value(tail), tail.read) == (b"3", MANY + 4)
    world.write(jobs, ("other", b"-"))
    assert (value(tail), tail.read) == (b"3", MANY + 5)


class LateReader(TableTail):
    """Asks where the table ends, and reads it only after another row was appended."""

    def __init__(self, world: World, late: list[tuple[str, bytes]]) -> None:
        super().__init__(world.client, world.names.jobs, "job")
        self._world, self._late = world, late

    def _read_to(self, end: int) -> None:
        if self._late:
            self._world.write(self._world.names.jobs, self._late.pop(0))
        super()._read_to(end)


def test_a_row_that_comes_while_the_table_is_read_is_there_the_next_time(world: World) -> None:
    """An executor would go on from a row that is not the newest: of a job that was cancelled meanwhile, too."""
    world.write(world.names.jobs, ("job", b"1"))
    tail = LateReader(world, [("job", b"2"), ("job", b"3")])
    assert [value(tail) for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_row_that_was_removed_or_never_written_is_none(world: World) -> None:
    jobs = world.names.jobs
    tail = TableTail(world.client, jobs, "job")
    assert value(tail) is None
    world.write(jobs, ("job", b"1"))
    assert value(tail) == b"1"
    producer = Producer(world.client)
    producer.produce(jobs, None, "job")
    assert producer.flush(10) == 0
    assert value(tail) is None


def test_an_open_transaction_is_waited_for_and_what_it_aborts_does_not_count(world: World) -> None:
    jobs = world.names.jobs
    world.write(jobs, ("job", b"1"))
    tail = TableTail(world.client, jobs, "job", timeout=5.0)
    assert value(tail) == b"1"
    dying = Producer(world.client | {"transactional.id": f"{world.names.prefix}.job.job"})
    dying.init_transactions(20)
    dying.begin_transaction()
    dying.produce(jobs, b"2", "job")
    assert dying.flush(10) == 0
    assert "was not read to its end" in problem(tail)
    # Whoever opens the writer of a job ends what its holder left open.
    with JobWriter(world.client, f"{world.names.prefix}.job.job") as writer:
        assert value(tail) == b"1"
        writer.write([OutgoingRecord(jobs, b"job", b"3")])
    assert value(tail) == b"3"


def test_a_table_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(ConfigurationError, match="hookstream topics apply"):
        TableTail(world.client, f"{world.names.prefix}.nothing", "job").newest()
