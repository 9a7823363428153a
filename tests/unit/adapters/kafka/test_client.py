"""A lasting problem is logged once, and so is its end; a partition without a leader is queried again."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from tests.doubles.clock import LoopClock
from tests.doubles.seeing import RememberingLogger

from hookstream.adapters.kafka.client import (
    LogPosition,
    Trouble,
    admin_client,
    ask_offsets,
    bounded,
    consumer_properties,
    lasting,
    producer_properties,
    transactional_properties,
)
from hookstream.errors import DependencyUnavailable


async def test_a_lasting_problem_is_logged_once_and_its_end_once() -> None:
    logger = RememberingLogger()
    trouble = Trouble("tables.stale", logger, LoopClock())
    for _ in range(100):
        trouble.lasts("no answer")
        await asyncio.sleep(1)

    trouble.over()
    trouble.over()

    assert logger.lines == [
        ("warning", "tables.stale", {"seconds": 30, "detail": "no answer"}),
        ("info", "tables.stale_over", {"seconds": 100}),
    ]


async def test_a_short_problem_is_not_logged() -> None:
    logger = RememberingLogger()
    trouble = Trouble("tables.stale", logger, LoopClock())
    for _ in range(5):
        trouble.lasts("no answer")
        await asyncio.sleep(20)
        trouble.over()

    assert logger.lines == []


LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Recovering(AdminClient):
    """A client whose broker is not a leader yet, for so many queries; then it answers `offset`.

    Its log ends at `end`, or where nothing else is said at `offset`.
    """

    def __init__(self, *errors: int, offset: int = 7, end: int | None = None) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.errors = list(errors)
        self.offset = offset
        self.end = offset if end is None else end
        self.looked = 0

    def list_offsets(  # type: ignore[override]
        self, asked: Mapping[TopicPartition, OffsetSpec], **_: object
    ) -> dict[TopicPartition, Future[SimpleNamespace]]:
        answers = {}
        error = self.errors.pop(0) if self.errors else None
        for place, spec in asked.items():
            offset = self.end if spec is LATEST else self.offset
            answer = answers[place] = Future[SimpleNamespace]()
            if error is None:
                answer.set_result(SimpleNamespace(offset=offset))
            else:
                answer.set_exception(KafkaException(KafkaError(error)))
        return answers

    def list_topics(self, *_: object, **__: object) -> None:  # type: ignore[override]
        self.looked += 1


@pytest.mark.parametrize(
    "error",
    [KafkaError._NOENT, KafkaError.FENCED_LEADER_EPOCH, KafkaError.LEADER_NOT_AVAILABLE],  # noqa: SLF001
)
def test_a_restarted_broker_is_queried_until_it_leads(error: int) -> None:
    """Frozen or killed, it has to register again; the client must query for it, or never finds it."""
    admin = Recovering(error, error)

    found = ask_offsets(admin, [("t", 0)], "latest", 1.0, "the ends")

    assert (found, admin.looked) == ({("t", 0): 7}, 2)


NOON = 1_795_521_600_000


@pytest.mark.parametrize(
    ("where", "offset"), [("latest", -1001), ("latest", -1), ("earliest", -1001), (NOON, -1001)]
)
def test_an_offset_that_no_broker_gave_is_no_answer(where: LogPosition, offset: int) -> None:
    """The client returned -1001 for an end while its link was cut: old tables counted as current."""
    with pytest.raises(DependencyUnavailable, match="did not return the ends within 1 s"):
        ask_offsets(Recovering(offset=offset), [("t", 0)], where, 1.0, "the ends")


def test_a_time_after_the_last_record_is_the_end_of_the_log() -> None:
    found = ask_offsets(Recovering(offset=-1, end=9), [("t", 0)], NOON, 1.0, "the offsets")
    assert found == {("t", 0): 9}


def test_a_permanent_error_is_not_retried() -> None:
    admin = Recovering(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException):
        ask_offsets(admin, [("t", 0)], "latest", 1.0, "the ends")


@pytest.mark.parametrize(
    "name", ["socket.timeout.ms", "message.timeout.ms", "delivery.timeout.ms"]
)
def test_a_timeout_that_is_set_for_all_clients_is_no_obstacle_to_a_transaction(name: str) -> None:
    """The library refuses one that is longer than the transaction's, and no command could write."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": "127.0.0.1:1"}
    client |= {"log_level": 0, name: 60_000}

    properties = transactional_properties(client, "writer", 5_000)

    assert (properties[name], properties["transaction.timeout.ms"]) == (5_000, 5_000)
    Producer(properties)


def test_a_shorter_timeout_stays_as_it_is() -> None:
    client = {"bootstrap.servers": "127.0.0.1:1", "socket.timeout.ms": "3000"}

    assert transactional_properties(client, "writer", 5_000)["socket.timeout.ms"] == "3000"


def test_a_client_that_lost_its_broker_reconnects_twice_a_second_by_default() -> None:
    """Nothing is sent before the tables are queried again: a timeout of ten seconds would be ten without work."""
    name = "reconnect.backoff.max.ms"
    assert consumer_properties({}, "g", None)[name] == 500
    assert producer_properties({}, None)[name] == 500
    assert consumer_properties({name: 9_000}, "g", None)[name] == 9_000
    assert producer_properties({name: 9_000}, None)[name] == 9_000


def test_a_client_connects_to_a_broker_soon_after_learning_its_address() -> None:
    """Half of its first pause is between the two: 50 ms for each client of each command by default."""
    name = "reconnect.backoff.ms"
    assert consumer_properties({}, "g", None)[name] == 20
    assert producer_properties({}, None)[name] == 20
    assert consumer_properties({name: 9_000}, "g", None)[name] == 9_000
    assert producer_properties({name: 9_000}, None)[name] == 9_000


def test_a_reader_that_knows_its_end_waits_for_a_fetch_only_shortly() -> None:
    name = "fetch.wait.max.ms"
    assert consumer_properties(bounded({}), "g", None)[name] == 10
    assert consumer_properties(bounded({name: 700}), "g", None)[name] == 700


def test_a_reader_that_stays_at_its_ends_asks_less_often_while_there_is_nothing() -> None:
    name = "fetch.wait.max.ms"
    assert consumer_properties(lasting({}), "g", None)[name] == 500
    assert consumer_properties(lasting({}, 250), "g", None)[name] == 250
    assert consumer_properties(lasting({name: 70}), "g", None)[name] == 70


def test_a_longer_first_pause_before_a_client_connects_again_is_taken() -> None:
    """The library refuses a default longest pause below a configured first one."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": "127.0.0.1:1"}
    client |= {"log_level": 0, "reconnect.backoff.ms": 1_000}

    Producer(producer_properties(client, None))
    Consumer(consumer_properties(client, "g", None)).close()
    admin_client(client)
