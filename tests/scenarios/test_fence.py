"""Whatever raises while a record is processed, at most its partition stops, and every delivery completes."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.endpoint import status
from tests.doubles.raising import Raising
from tests.scenarios.world import EVENTS, Worker, World

from hookstream.core.model.instant import SECOND
from hookstream.core.model.outcome import Answer
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import SubscriptionState
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.errors import DependencyUnavailable, InvariantBroken, ProducerFenced
from hookstream.pipeline.engine import Ports
from hookstream.pipeline.ports import Post

HERE = TopicPartition(EVENTS, 0)


class UnexpectedError(Exception):
    """Raised where no exception is expected."""


def not_text() -> Exception:
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def break_(
    world: World,
    port: str,
    method: str,
    error: Callable[[], Exception] = UnexpectedError,
    when: Callable[[int], bool] = lambda _: True,
) -> list[Raising]:
    """Have a method of a port raise in every worker that is started from now on."""
    broken: list[Raising] = []
    before = world.altered

    def altered(outside: Ports) -> Ports:
        outside = before(outside)
        broken.append(Raising(getattr(outside, port), method, error, when))
        there: dict[str, Any] = {port: broken[-1]}
        return replace(outside, **there)

    world.altered = altered
    return broken


async def ended(worker: Worker) -> BaseException:
    """Wait until a worker's process ends by an exception, and return what ended it."""
    while worker.task is None or not worker.task.done():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    error = worker.task.exception()
    assert error is not None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


# Which part is to blame.


async def test_a_stopped_partition_that_comes_back_is_logged_as_stopped_at_once() -> None:
    """What failed before it went may sleep for another minute."""
    for partition in (0, 1):
        async with World(partitions=2) as world:
            world.subscribe("crm")
            break_(world, "codec", "document")
            first = await world.worker()
            world.publish("e1", partition=partition)
            await asyncio.sleep(66)
            here = TopicPartition(EVENTS, partition)
            other = await world.worker()
            await asyncio.sleep(2)
            if here in first.engine.events.owned:
                continue
            await other.terminate()
            before = world.logger.events("error").count("partition.stopped")
            await asyncio.sleep(5)
            assert here in first.engine.events.owned
            assert world.logger.events("error").count("partition.stopped") > before
            return
    raise AssertionError("neither partition moved")


async def test_a_renderer_that_always_raises_sends_nothing_to_undecodable_and_stops_partitions() -> (
    None
):
    async with World(partitions=2) as world:
        world.subscribe("crm")
        break_(world, "codec", "document")
        worker = await world.worker()
        world.publish("e1", partition=0)
        world.publish("e2", partition=1)

        await asyncio.sleep(300)

        assert worker.engine.events.blocked == 2
        assert world.broker.records(world.topics.undecodable) == []
        assert world.dead() == []
        assert world.endpoints.requests == []
        assert set(world.broker.commits["hookstream"].values()) == {0}


async def test_an_unlisted_exception_of_the_codec_is_our_defect_and_the_stream_resumes_once_fixed() -> (
    None
):
    async with World() as world:
        world.subscribe("crm")
        break_(world, "codec", "decode", TypeError, lambda call: call <= 3)
        worker = await world.worker()
        world.publish("e1", "e2")
        await asyncio.sleep(0.5)
        assert worker.engine.events.blocked == 1

        await world.until(world.settled, within=30)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}
        assert worker.engine.events.blocked == 0
        assert world.broker.records(world.topics.undecodable) == []
        [stack] = [f for _, event, f in world.logger.lines if event == "defect.found"]
        assert "TypeError" in str(stack["stack"])


@pytest.mark.parametrize(
    ("method", "reason"), [("identify", "not_framed"), ("decode", "malformed")]
)
async def test_a_listed_exception_before_the_match_is_the_records_fault(
    method: str, reason: str
) -> None:
    async with World() as world:
        world.subscribe("crm")
        break_(world, "codec", method, not_text, lambda call: call == 1)
        worker = await world.worker()
        world.publish("e1", "e2")

        await world.until(world.settled, within=30)

        assert worker.engine.events.blocked == 0
        assert world.metrics.set_aside == {reason: 1}
        assert world.accepted("crm") == {"e2": 1}


@pytest.mark.parametrize("method", ["document", "encode"])
async def test_a_listed_exception_from_the_match_on_is_a_dead_letter_of_that_delivery_alone(
    method: str,
) -> None:
    async with World() as world:
        world.subscribe("crm")
        broken = break_(
            world, "codec", method, lambda: OverflowError("year 10000"), lambda call: call == 1
        )
        await world.worker()
        world.publish("e1", "e2")

        await world.until(world.settled, within=30)

        assert broken[0].raised == 1
        assert world.dead() == [("crm", "e1", "not_renderable")]
        assert world.accepted("crm") == {"e2": 1}


@pytest.mark.parametrize(
    "error", [InvariantBroken, ProducerFenced, DependencyUnavailable, MemoryError]
)
async def test_errors_that_could_lose_a_delivery_pass_the_fence(error: type[Exception]) -> None:
    async with World() as world:
        world.subscribe("crm")
        break_(world, "codec", "decode", error)
        worker = await world.worker(joined=False)
        world.publish("e1")

        assert isinstance(await ended(worker), error)

        assert world.broker.commits["hookstream"][HERE] == 0


@pytest.mark.parametrize("port_and_method", [("agreement", "look"), ("events", "commit")])
async def test_what_is_done_every_second_ends_the_process_if_it_fails_three_times_in_a_row(
    port_and_method: tuple[str, str],
) -> None:
    async with World() as world:
        world.subscribe("crm")
        broken = break_(world, *port_and_method)
        worker = await world.worker(joined=False)
        world.publish("e1", "e2")
        while worker.task is None or not worker.task.done():
            world.publish("e3")  # so that there is something to commit
            await asyncio.sleep(0.9)

        error = await ended(worker)

        assert isinstance(error, InvariantBroken)
        assert "failed 3 times in a row" in str(error)
        assert broken[0].raised == 3


async def test_what_fails_twice_in_a_row_and_then_succeeds_goes_on() -> None:
    async with World() as world:
        world.subscribe("crm")
        broken = break_(world, "agreement", "look", when=lambda call: call % 3 != 0)
        worker = await world.worker()

        await asyncio.sleep(60)

        assert broken[0].raised == 40
        assert worker.task is not None
        assert not worker.task.done()


@pytest.mark.parametrize("error", [InvariantBroken, ProducerFenced, DependencyUnavailable])
async def test_an_error_that_passes_the_fence_ends_the_process_out_of_a_timer_too(
    error: type[Exception],
) -> None:
    async with World() as world:
        break_(world, "agreement", "look", error, when=lambda call: call == 5)
        worker = await world.worker(joined=False)

        assert isinstance(await ended(worker), error)


async def test_three_partitions_that_one_line_stops_within_a_minute_end_the_process() -> None:
    async with World(partitions=3) as world:
        world.subscribe("crm")
        break_(world, "codec", "decode")
        worker = await world.worker(joined=False)
        for partition in range(3):
            world.publish(f"e{partition}", partition=partition)

        error = await ended(worker)

        assert isinstance(error, InvariantBroken)
        assert "stopped 3 partitions within a minute" in str(error)
        assert world.broker.records(world.topics.undecodable) == []


async def test_partitions_that_stop_more_than_a_minute_apart_do_not_end_the_process() -> None:
    async with World(partitions=4) as world:
        world.subscribe("crm")
        broken = break_(world, "codec", "decode", when=lambda _: True)
        worker = await world.worker()
        for partition in range(3):
            world.publish(f"e{partition}", partition=partition)
            await asyncio.sleep(61)

        assert broken[0].raised > 3
        assert worker.engine.events.blocked == 3


# What stops and what continues.


async def test_other_partitions_continue_while_one_is_stopped() -> None:
    async with World(partitions=2) as world:
        world.subscribe("crm")
        break_(world, "codec", "decode", when=lambda call: call == 1 or call > 30)
        worker = await world.worker()
        world.publish("e1", partition=0)
        await asyncio.sleep(0.5)
        world.publish(*(f"f{n}" for n in range(20)), partition=1)

        await world.until(lambda: len(world.accepted("crm")) >= 20, within=5)

        assert worker.engine.events.blocked <= 1


async def test_a_record_that_could_not_be_decoded_can_be_skipped() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.codec.publish("pricing.completed", 2)
        break_(world, "codec", "decode", when=lambda call: call != 2)
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(0.5)
        assert worker.engine.events.blocked == 1

        worker.skips.skip(HERE, 0, world.clock.now())
        world.altered = lambda outside: outside

        await world.until(world.settled, within=3)
        assert worker.engine.events.blocked == 0
        [logged] = [f for _, event, f in world.logger.lines if event == "partition.skipped"]
        assert (logged["topic"], logged["partition"], logged["offset"]) == (EVENTS, 0, 0)


async def test_a_start_skips_the_record_that_a_defect_stops() -> None:
    async with World() as world:
        world.subscribe("crm")
        break_(world, "codec", "decode", when=lambda call: call < 50)
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(0.5)

        worker.events.start_partition(
            HERE, "latest", blocked=worker.engine.events.is_blocked(HERE)
        )

        await world.until(world.settled, within=5)
        assert worker.engine.events.blocked == 0
        assert world.broker.records(world.topics.undecodable) == []


async def test_a_stopped_record_is_not_delivered_twice_to_those_that_have_it() -> None:
    """The match broke after the first subscription: it must not receive the event again."""
    async with World() as world:
        for name in ("a", "b", "c"):
            world.subscribe(name)
        # One for each delivery's state, then a failure at the second one's offer.
        break_(world, "directory", "status", when=lambda call: call in (2, 3, 4))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled, within=60)

        assert [world.accepted(name) for name in ("a", "b", "c")] == [{"e1": 1}] * 3


async def test_stopped_deliveries_take_no_credit_from_others() -> None:
    async with World(partitions=2) as world:
        world.subscribe("crm")
        world.rules = replace(world.rules, max_deliveries=5)
        break_(world, "codec", "encode", when=lambda call: call <= 20)
        worker = await world.worker()
        world.publish(*(f"e{n}" for n in range(10)), partition=0)
        await asyncio.sleep(0.5)
        assert worker.engine.budget.room > 0

        await world.until(world.settled, within=300)

        assert len(world.accepted("crm")) == 10


async def test_refusals_that_cannot_be_written_take_no_credit_from_others() -> None:
    """As many of one record as there is credit for: each is retried repeatedly."""
    async with World(partitions=2) as world:
        for number in range(9):
            world.subscribe(f"s{number}", pattern={"data": {"a": ["b"]}})
        world.subscribe("crm")
        world.rules = replace(world.rules, max_deliveries=5)
        break_(world, "codec", "document", lambda: OverflowError("year 10000"), (1).__eq__)
        break_(world, "own_records", "attempt")
        worker = await world.worker()
        world.publish("e1", partition=0)
        await asyncio.sleep(200)
        assert worker.engine.budget.room > 0
        world.publish("e2", partition=1)
        await asyncio.sleep(2)

        assert "e2" in {json.loads(each.post.body)["id"] for each in world.endpoints.to("crm")}


async def test_stopped_deliveries_that_cannot_be_cancelled_take_no_credit_from_others() -> None:
    async with World(partitions=2) as world:
        for number in range(8):
            world.subscribe(f"s{number}")
        world.rules = replace(world.rules, max_deliveries=5)
        break_(world, "codec", "encode", when=lambda call: call <= 8)
        break_(world, "own_records", "attempt")
        worker = await world.worker()
        world.publish("e1", partition=0)
        await asyncio.sleep(0.5)
        for number in range(8):
            found = world.directory.subscriptions[f"s{number}"]
            world.directory.put_subscription(replace(found, state=SubscriptionState.DELETED))  # type: ignore[arg-type]
        await asyncio.sleep(200)

        assert worker.engine.budget.room > 0


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_gap_that_cannot_be_raised_is_raised_later_and_nothing_is_committed_before(
    failures: int,
) -> None:
    async with World() as world:
        world.subscribe("crm")
        broken = break_(world, "own_records", "log_gap", when=lambda call: call <= failures)
        world.publish("e0", "e1", "e2")
        world.broker.delete_before(HERE, 2)
        world.broker.commit("hookstream", {HERE: CommitPosition(0)})
        await world.worker()
        await asyncio.sleep(0.9)
        assert broken[0].calls == 1
        assert world.broker.commits["hookstream"][HERE] == 0

        await world.until(world.settled, within=60)

        assert broken[0].calls == failures + 1
        assert len(world.published("log.gap")) == 1
        assert world.accepted("crm") == {"e2": 1}


async def test_a_step_that_succeeds_while_the_worker_shuts_down_starts_no_attempt() -> None:
    async with World(partitions=2) as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(204, after=10))
        break_(world, "codec", "decode", when=lambda call: 2 <= call <= 3)
        worker = await world.worker()
        world.publish("e1", partition=0)
        await asyncio.sleep(0.5)
        world.publish("e2", partition=1)
        await asyncio.sleep(0.5)
        assert len(world.endpoints.requests) == 1

        assert await worker.terminate()

        assert len(world.endpoints.requests) == 1
        await world.worker()
        await world.until(world.settled, within=60)
        assert world.accepted("crm") == {"e1": 1, "e2": 1}


async def test_a_log_that_cannot_be_written_changes_nothing() -> None:
    async with World() as world:
        world.subscribe("crm")
        break_(world, "codec", "decode", when=lambda call: call == 1)
        break_(world, "logger", "error")
        await world.worker()
        world.publish("e1")

        await world.until(world.settled, within=30)

        assert world.accepted("crm") == {"e1": 1}


# After the request.


async def test_an_attempt_that_cannot_be_accounted_for_counts_as_failed_and_no_start_repeats_it() -> (
    None
):
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND, 5 * SECOND))
        break_(world, "own_records", "attempt")
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(2)
        assert len(world.endpoints.to("crm")) == 1
        await worker.kill()
        for _ in range(3):
            worker = await world.worker()
            await asyncio.sleep(0.5)
            assert worker.engine.events.blocked == 0
            await worker.kill()
        assert len(world.endpoints.to("crm")) == 1

        await world.worker()

        await world.until(world.settled, within=60)
        assert len(world.endpoints.to("crm")) == 3
        assert world.dead() == [("crm", "e1", "attempts_exhausted")]


async def broken_answer(_: Post) -> Answer:
    """Raise in the sender, when the request was sent."""
    await asyncio.sleep(0.01)
    raise UnexpectedError


@pytest.mark.parametrize("found", ["at once", "with the answer"])
async def test_a_defect_after_the_request_is_not_counted_against_the_endpoint(
    found: str,
) -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,) * 3)
        if found == "with the answer":
            world.endpoints.script("crm", broken_answer, status(204))
        else:
            break_(world, "sender", "begin", when=lambda call: call == 1)
        worker = await world.worker()
        world.publish("e1")

        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"e1": 1}
        assert [line.outcome.kind for line in world.logger.attempts[:1]] == ["internal_error"]  # type: ignore[union-attr]
        assert world.health() == {}
        assert len(worker.engine.lanes.open_breakers) == 0


# Every port, every call.

CALLS = [
    ("codec", "identify"),
    ("codec", "decode"),
    ("codec", "latest"),
    ("codec", "document"),
    ("codec", "encode"),
    ("directory", "has_subscribers"),
    ("directory", "match"),
    ("directory", "status"),
    ("directory", "granted"),
    ("directory", "is_disabled"),
    ("sink", "write"),
    ("sender", "begin"),
    ("own_records", "attempt"),
    ("own_records", "dead_lettered"),
    ("own_records", "failing"),
    ("own_records", "disabled"),
    ("own_records", "endpoint_disabled"),
    ("own_records", "healthy"),
    ("metrics", "records"),
    ("metrics", "attempt"),
    ("metrics", "delivered"),
    ("metrics", "deferral"),
    ("metrics", "undecodable"),
    ("tracer", "process"),
    ("logger", "attempt"),
    ("logger", "info"),
    ("logger", "warning"),
    ("chance", "fraction"),
    ("health", "failed"),
    ("health", "succeeded"),
    ("tables", "current"),
]


@pytest.mark.parametrize(("port", "method"), CALLS, ids=[".".join(call) for call in CALLS])
async def test_wherever_a_port_raises_once_every_delivery_completes(
    port: str, method: str
) -> None:
    raised = 0
    for nth in range(1, 7):
        async with World() as world:
            for name in ("crm", "shop", "dead", "gone"):
                world.subscribe(name, schedule=(5 * SECOND, 5 * SECOND))
            world.endpoints.script("gone", status(410))
            world.endpoints.script("shop", status(500), status(204))
            world.endpoints.script("dead", status(500))
            broken = break_(world, port, method, when=nth.__eq__)
            await world.worker()
            world.publish("e1", "e2")
            world.broker.append(EVENTS, b"junk", key=b"k")

            await world.until(world.settled, within=900)

            raised += broken[0].raised
            assert set(world.accepted("crm")) == set(world.accepted("shop")) == {"e1", "e2"}
            dead = [(who, event) for who, event, _ in world.dead()]
            assert sorted(each for each in dead if each[0] != "gone") == [
                ("dead", "e1"),
                ("dead", "e2"),
            ]
            # The second one may be matched once its endpoint is disabled: then it is not expected.
            assert set(dead) - {("gone", "e2")} >= {("gone", "e1")} or ("gone", "e2") in dead
            assert len(world.broker.records(world.topics.undecodable)) == 1
            # One request more than the schedule has, if the first one could not be counted.
            assert len(world.endpoints.to("crm")) <= 3
            assert len(world.endpoints.to("shop")) <= 4
    assert raised, "the call is never made: the test would show nothing"
