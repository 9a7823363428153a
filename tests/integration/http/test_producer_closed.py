"""Who sends an event while its producer is closed gets an error that says so, and not a cancellation."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.doubles.logger import BookkeepingLogger
from tests.doubles.schemas import event_schema, field

from hookstream import producer as kit
from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemClock
from hookstream.errors import DependencyUnavailable, InputRefused
from hookstream.producer import BlockingProducer, EventProducer

pytestmark = pytest.mark.real_time

NOBODY = "127.0.0.1:1"
TREE = event_schema(field("a", "int"))


@pytest.fixture(autouse=True)
def closed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "_CLOSE_SECONDS", 0.1)


def producer(sending: Callable[[], None] = lambda: None) -> EventProducer:
    def start_span(_: str, __: str | None) -> None:
        sending()

    client = {"log_level": 0}
    return EventProducer(NOBODY, client=client, schemas=[TREE], start_span=start_span)


async def test_a_send_that_the_close_of_its_producer_overtakes_is_to_be_sent_again() -> None:
    """It ended by a CancelledError, which a task group swallows: the event was lost in silence."""
    with pytest.RaisesGroup(
        pytest.RaisesExc(DependencyUnavailable, match="with the same event_id")
    ):
        async with asyncio.TaskGroup() as tasks, producer() as open_one:
            tasks.create_task(open_one.send("thing.done", {"a": 1}, entity_id="e"))
            await asyncio.sleep(0)


async def test_a_send_after_the_close_is_refused() -> None:
    async with producer() as closed:
        pass
    with pytest.raises(InputRefused, match="is not open"):
        await closed.send("thing.done", {"a": 1}, entity_id="e")


def test_a_thread_whose_send_is_overtaken_is_to_send_it_again_and_later_ones_are_refused() -> None:
    begun = threading.Event()
    with ThreadPoolExecutor() as threads:
        with BlockingProducer(producer(begun.set)) as blocking:
            sent = threads.submit(blocking.send, "thing.done", {"a": 1}, entity_id="e")
            assert begun.wait(10)
        with pytest.raises(DependencyUnavailable, match="with the same event_id"):
            sent.result(10)
    with pytest.raises(InputRefused, match="is not open"):
        blocking.send("thing.done", {"a": 1}, entity_id="e")


async def test_who_waits_for_tables_whose_reader_is_closed_gets_an_error() -> None:
    client: ClientSettings = {"bootstrap.servers": NOBODY, "log_level": 0}
    reader = TableReader(client, ["t"], lambda _: None, BookkeepingLogger(), SystemClock())
    reader.start()

    with pytest.RaisesGroup(pytest.RaisesExc(DependencyUnavailable, match="not followed")):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader.read_to_end(30.0))
            await asyncio.sleep(0)
            await reader.close()
