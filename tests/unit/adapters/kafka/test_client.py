"""A lasting problem is logged once, and so is its end; clients have the properties that they need."""

import asyncio

import pytest
from confluent_kafka import Consumer, Producer
from tests.doubles.clock import LoopClock
from tests.doubles.seeing import RememberingLogger

from hookstream.adapters.kafka.client import (
    LastingFailure,
    admin_client,
    bounded,
    consumer_properties,
    lasting,
    producer_properties,
    transactional_properties,
)


async def test_a_lasting_problem_is_logged_once_and_its_end_once() -> None:
    logger = RememberingLogger()
    failure = LastingFailure("tables.stale", logger, LoopClock())
    for _ in range(100):
        failure.lasts("no answer")
        await asyncio.sleep(1)

    failure.over()
    failure.over()

    assert logger.lines == [
        ("warning", "tables.stale", {"seconds": 30, "detail": "no answer"}),
        ("info", "tables.stale_over", {"seconds": 100}),
    ]


async def test_a_short_problem_is_not_logged() -> None:
    logger = RememberingLogger()
    failure = LastingFailure("tables.stale", logger, LoopClock())
    for _ in range(5):
        failure.lasts("no answer")
        await asyncio.sleep(20)
        failure.over()

    assert logger.lines == []


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

    # Each raises otherwise.
    Producer(producer_properties(client, None))
    Consumer(consumer_properties(client, "g", None)).close()
    admin_client(client)
