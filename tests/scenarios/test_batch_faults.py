"""Whatever interrupts a batch, each of its members is settled once, and none pays for another."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.doubles.batch_bodies import refuse
from tests.doubles.codec import JsonCodec
from tests.doubles.endpoint import Switch, hang, status
from tests.scenarios.batching import attempts, audit, batching, named, sent
from tests.scenarios.test_fence import CALLS, UnexpectedError, break_
from tests.scenarios.world import EVENT_TYPE, EVENTS, TIERS, World

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Event
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import SECOND
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Disposition, Refused
from hookstream.core.model.record import Record, TopicPartition
from hookstream.pipeline.engine import EngineRules, Ports
from hookstream.pipeline.ports import WriteRefused

SLOW = status(204, after=5)


def publish_over(world: World, partitions: int, events: list[str]) -> None:
    """Append events to the partitions in turn."""
    for number, each in enumerate(events):
        world.publish(each, partition=number % partitions)


# Partitions.


@pytest.mark.parametrize("answer", [204, 500, 400])
async def test_a_batch_in_flight_settles_the_members_whose_partition_stays(answer: int) -> None:
    """What moves meanwhile is attempted once more by its new owner, at most."""
    async with World(partitions=2) as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 3)
        switch = Switch(status(answer, after=2))
        world.endpoints.script("crm", switch)
        await world.worker()
        events = named(8)
        publish_over(world, 2, events)
        await world.until(lambda: len(sent(world, "crm")) == 1, step=0.01)
        switch.behaviour = status(204, after=0.02)
        second = await world.worker()
        await world.until(world.settled)

        assert len(second.engine.events.owned) == 1
        accepted = world.accepted("crm")
        assert accepted.keys() == set(events)
        [moved] = second.engine.events.owned
        stayed = events[1 - moved.partition :: 2]
        assert {accepted[each] for each in stayed} == {1}
        assert set(accepted.values()) <= {1, 2}
        assert world.dead() == []


async def test_a_search_goes_on_with_the_members_whose_partition_stays() -> None:
    async with World(partitions=2) as world:
        batching(world, "crm", max_events=16)
        world.endpoints.script("crm", refuse(400, {"e4", "e5"}, after=0.3))
        await world.worker()
        events = named(16)
        publish_over(world, 2, events)
        await world.until(lambda: len(sent(world, "crm")) == 3, step=0.01)
        second = await world.worker()
        await world.until(world.settled)

        assert len(second.engine.events.owned) == 1
        accepted = world.accepted("crm")
        assert accepted.keys() == set(events) - {"e4", "e5"}
        [moved] = second.engine.events.owned
        stayed = set(events[1 - moved.partition :: 2]) - {"e4", "e5"}
        assert {accepted[each] for each in stayed} == {1}
        assert {event for _, event, _ in world.dead()} == {"e4", "e5"}


async def test_what_waits_for_a_batch_is_dropped_with_its_partition() -> None:
    async with World(partitions=2) as world:
        batching(world, "crm", max_wait=500)
        first = await world.worker()
        publish_over(world, 2, named(8))
        await asyncio.sleep(0.2)
        second = await world.worker()
        await world.until(world.settled, within=10)

        assert world.accepted("crm") == dict.fromkeys(named(8), 1)
        assert first.engine.budget.room == second.engine.budget.room
        assert len(sent(world, "crm")) == 2


async def test_partitions_that_move_ten_times_repeat_only_what_was_in_flight() -> None:
    async with World(partitions=4) as world:
        batching(world, "crm", max_events=6, schedule=(5 * SECOND,) * 8, max_in_flight=2)
        world.endpoints.script("crm", refuse(422, {"e7", "e40"}, after=0.1))
        await world.worker()
        for move in range(5):
            publish_over(world, 4, named(80)[move * 16 : (move + 1) * 16])
            second = await world.worker()
            await asyncio.sleep(4)
            assert await second.terminate()
        await world.until(world.settled)

        accepted = world.accepted("crm")
        assert accepted.keys() == set(named(80)) - {"e7", "e40"}
        assert {event for _, event, _ in world.dead()} == {"e40", "e7"}
        for each in ("e7", "e40"):
            numbers = [number for number, _, _ in attempts(world, "crm")[each]]
            assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))


async def test_a_killed_worker_loses_no_member_and_repeats_only_what_was_unsettled() -> None:
    async with World(partitions=2) as world:
        batching(world, "crm", max_events=4, max_in_flight=1)
        world.endpoints.script("crm", status(204, after=1))
        worker = await world.worker()
        publish_over(world, 2, named(12))
        await asyncio.sleep(2.9)
        unsettled = set(sent(world, "crm")[2])
        await worker.kill()
        world.endpoints.script("crm", status(204))
        await world.worker()
        await world.until(world.settled)

        accepted = world.accepted("crm")
        assert accepted.keys() == set(named(12))
        requested = [event for each in sent(world, "crm") for event in each]
        assert {each for each in named(12) if requested.count(each) > 1} <= unsettled | {
            event for each in sent(world, "crm")[1:2] for event in each
        }


# Shutdown.


async def test_a_worker_that_shuts_down_ends_its_batch_and_hands_back_what_waits() -> None:
    async with World() as world:
        batching(world, "crm", max_events=4, max_in_flight=1)
        world.endpoints.script("crm", SLOW)
        worker = await world.worker()
        world.publish(*named(10))
        await asyncio.sleep(1)

        assert await worker.terminate()

        assert len(sent(world, "crm")) == 1
        assert world.accepted("crm") == dict.fromkeys(named(4), 1)
        assert world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)] == 4
        await world.worker()
        await world.until(world.settled)
        assert world.accepted("crm") == dict.fromkeys(named(10), 1)


async def test_a_worker_that_shuts_down_waits_for_no_batch_to_fill() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=500)
        worker = await world.worker()
        world.publish("e0")
        await asyncio.sleep(0.2)

        assert await worker.terminate()

        assert sent(world, "crm") == []
        await world.worker()
        await world.until(world.settled)
        assert world.accepted("crm") == {"e0": 1}


async def test_a_worker_that_shuts_down_in_a_search_loses_nobody_and_counts_every_attempt() -> (
    None
):
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", refuse(400, {"e5"}, after=0.5))
        worker = await world.worker()
        world.publish(*named(8))
        await world.until(lambda: len(sent(world, "crm")) == 3, step=0.01)

        assert await worker.terminate()

        await world.worker()
        await world.until(world.settled)
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 5), 1)
        assert world.dead() == [("crm", "e5", "attempts_exhausted")]


async def test_a_batch_that_outlasts_the_drain_settles_nothing() -> None:
    async with World() as world:
        batching(world, "crm", timeout=60 * SECOND)
        world.endpoints.script("crm", hang(), status(204))
        worker = await world.worker()
        world.publish(*named(3))
        await world.until(lambda: len(sent(world, "crm")) == 1, step=0.01)

        assert not await worker.terminate()

        assert audit(world, "crm") == []
        await world.worker()
        await world.until(world.settled)
        assert world.accepted("crm") == dict.fromkeys(named(3), 1)
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


# Withheld.


def stale(world: World) -> Callable[[], None]:
    """Let the tables be out of date; return what ends that."""
    world.tables.stale = True
    return lambda: setattr(world.tables, "stale", False)


def short(world: World) -> Callable[[], None]:
    """Let the process lack descriptors; return what ends that."""
    world.endpoints.short = True
    return lambda: setattr(world.endpoints, "short", False)


@pytest.mark.parametrize("want", [stale, short])
async def test_members_of_a_batch_that_is_withheld_return_in_their_order_and_count_nothing(
    want: Callable[[World], Callable[[], None]],
) -> None:
    async with World() as world:
        batching(world, "crm", max_events=4, max_in_flight=1)
        world.endpoints.connects_after["crm"] = 1.0
        await world.worker()
        world.publish(*named(6))
        await asyncio.sleep(0.5)
        enough = want(world)
        await asyncio.sleep(20)
        assert sent(world, "crm") == []
        enough()
        await world.until(world.settled, within=20)

        # What waits beside them may be deferred meanwhile, which promises no order.
        withheld, others = sent(world, "crm")
        assert withheld == ["e0", "e1", "e2", "e3"]
        assert sorted(others) == ["e4", "e5"]
        assert attempts(world, "crm") == {
            each: [(1, "delivered", "complete")] for each in named(6)
        }


async def test_a_member_that_is_held_while_connecting_is_not_sent_and_the_others_are() -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.connects_after["crm"] = 1.0
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(0.5)
        world.directory.holds.put(Hold(HoldKind.ENDPOINT, "crm", world.clock.now(), "stop"))
        await asyncio.sleep(10)
        held = sent(world, "crm")
        world.directory.holds.drop(HoldKind.ENDPOINT, "crm")
        await world.until(world.settled)

        assert held == []
        assert world.accepted("crm") == {"e0": 1, "e1": 1}
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


async def test_a_search_waits_for_tables_that_are_not_current_and_then_goes_on() -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.script("crm", refuse(400, {"e5"}, after=0.2))
        await world.worker()
        world.publish(*named(8))
        await world.until(lambda: len(sent(world, "crm")) == 2, step=0.01)
        world.tables.stale = True
        await asyncio.sleep(30)
        before = len(sent(world, "crm"))
        world.tables.stale = False
        await world.until(lambda: len(world.accepted("crm")) == 7, within=3, step=0.01)

        assert before == 2
        assert len(sent(world, "crm")) <= 5
        assert len(world.tier_writes()) <= 1


# Defects of ours.


async def test_a_defect_in_the_rendering_of_one_member_stops_its_partition_alone() -> None:
    async with World(partitions=2) as world:
        batching(world, "crm")
        broken = BrokenFor({"e1"})
        world.altered = lambda outside: replace(outside, codec=broken)
        worker = await world.worker()
        publish_over(world, 2, named(4))
        await asyncio.sleep(10)

        assert worker.engine.events.blocked == 1
        assert world.accepted("crm") == dict.fromkeys(["e0", "e2", "e3"], 1)
        assert world.dead() == []
        broken.events.clear()
        await world.until(world.settled, within=70)
        assert world.accepted("crm") == dict.fromkeys(named(4), 1)
        assert worker.engine.events.blocked == 0
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


class BrokenFor(JsonCodec):
    """A codec that raises for some events."""

    def __init__(self, events: set[str]) -> None:
        super().__init__({EVENT_TYPE: 1})
        self.events = events

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        if event.event_id in self.events:
            raise UnexpectedError
        return super().document(event, version)


async def test_a_defect_behind_the_request_is_a_failed_attempt_of_every_member() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 3)
        break_(world, "sender", "send", when=lambda call: call == 1)
        worker = await world.worker()
        world.publish(*named(3))
        await world.until(world.settled, within=60)

        assert worker.engine.events.blocked == 0
        assert world.accepted("crm") == dict.fromkeys(named(3), 1)
        assert attempts(world, "crm") == {
            each: [(1, "failed", "retry"), (2, "delivered", "complete")] for each in named(3)
        }
        assert world.health() == {}
        assert len(worker.engine.lanes.open_breakers) == 0


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_member_that_cannot_be_accounted_for_is_retried_and_the_others_are_complete(
    nth: int,
) -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 3)
        break_(world, "own_records", "attempt", when=nth.__eq__)
        await world.worker()
        world.publish(*named(3))
        await world.until(world.settled, within=60)

        accepted = world.accepted("crm")
        assert accepted.keys() == set(named(3))
        assert sum(accepted.values()) == 4


async def test_an_attempt_of_a_member_that_is_never_accounted_for_is_repeated_by_no_start() -> (
    None
):
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 5 * SECOND))
        break_(world, "own_records", "attempt")
        worker = await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(2)
        assert len(sent(world, "crm")) == 1
        await worker.kill()
        worker = await world.worker()
        await asyncio.sleep(0.8)
        assert worker.engine.events.blocked == 0
        assert len(sent(world, "crm")) == 1
        await world.until(world.settled, within=60)

        assert sorted(world.dead()) == [
            ("crm", "e0", "attempts_exhausted"),
            ("crm", "e1", "attempts_exhausted"),
        ]


@pytest.mark.parametrize(("port", "method"), CALLS, ids=[".".join(call) for call in CALLS])
async def test_wherever_a_port_raises_once_every_member_completes(port: str, method: str) -> None:
    raised = 0
    for nth in range(1, 7):
        async with World(partitions=2) as world:
            for name in ("crm", "shop", "dead", "gone", "picky"):
                batching(world, name, max_events=2, schedule=(5 * SECOND,) * 3)
            world.endpoints.script("gone", status(410))
            world.endpoints.script("shop", status(500), status(204))
            world.endpoints.script("dead", status(500))
            world.endpoints.script("picky", refuse(400, {"e1"}))
            broken = break_(world, port, method, when=nth.__eq__)
            await world.worker()
            publish_over(world, 2, named(4))
            world.broker.append(EVENTS, b"junk", key=b"k")

            await world.until(world.settled, within=900)

            raised += broken[0].raised
            assert set(world.accepted("crm")) == set(world.accepted("shop")) == set(named(4))
            assert set(world.accepted("picky")) == {"e0", "e2", "e3"}
            dead = {(who, event) for who, event, _ in world.dead() if who != "gone"}
            assert dead == {*(("dead", each) for each in named(4)), ("picky", "e1")}
            assert len(world.broker.records(world.topics.undecodable)) == 1
            # One request more than there are batches, if the first one could not be counted.
            assert max(world.accepted("crm").values()) <= 2
            assert sum(world.accepted("crm").values()) <= 4 + 2
    assert raised, "the call is never made: the test would show nothing"


async def test_a_tier_that_refuses_one_member_stops_its_partition_alone() -> None:
    """A dead letter that cannot be written stops the partition of its member, and no other member's."""
    async with World(partitions=2) as world:
        batching(world, "crm", schedule=())
        world.endpoints.script("crm", refuse(422, {"e1"}))
        world.broker.refuse(world.topics.dead_letters, WriteRefused("not now", too_large=False))
        worker = await world.worker()
        publish_over(world, 2, named(4))
        await asyncio.sleep(10)

        assert worker.engine.events.blocked == 1
        assert world.accepted("crm") == dict.fromkeys(["e0", "e2", "e3"], 1)
        world.broker.refuse(world.topics.dead_letters, None)
        await world.until(world.settled, within=70)
        assert world.dead() == [("crm", "e1", "attempts_exhausted")]


# Bounds and traces.


async def test_credit_comes_back_for_every_member_however_it_ends() -> None:
    async with World() as world:
        batching(world, "crm", max_events=8, schedule=(5 * SECOND,))
        world.endpoints.script("crm", refuse(400, {"e3", "e11"}))
        worker = await world.worker(EngineRules(tiers=TIERS, max_deliveries=20))
        room = worker.engine.budget.room
        world.publish(*named(60))
        world.publish("x", data={"not_renderable": True})
        await world.until(world.settled)

        assert worker.engine.budget.room == room
        assert len(world.accepted("crm")) == 58


@dataclass
class RememberedSpan:
    """A span that remembers how it ended."""

    name: str
    trace_id: str
    span_id: str
    ended: list[str | None] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def decoded(self, event_type: str, event_id: str) -> None:
        """Nothing of it is asked here."""

    def decided(self, disposition: Disposition) -> None:
        assert not self.ended, "a span that has ended takes no more attributes"
        self.decisions.append(disposition.name)

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        del attributes
        self.ended.append(error)


class RememberingTracer:
    """Samples every trace and remembers its spans."""

    def __init__(self) -> None:
        self.spans: list[RememberedSpan] = []

    def _made(self, name: str, trace_id: str) -> RememberedSpan:
        self.spans.append(RememberedSpan(name, trace_id, f"{len(self.spans):016x}"))
        return self.spans[-1]

    def process(
        self, record: Record, traceparent: str | None, group: str, state: object = None
    ) -> RememberedSpan:
        del traceparent, group, state
        return self._made("process", f"{record.partition:016x}{record.offset:016x}")

    def post(
        self, parent: RememberedSpan, url: str, delivery: Delivery, attempt: int
    ) -> RememberedSpan:
        del url, delivery
        return self._made(f"post {attempt}", parent.trace_id)

    def send(
        self, parent: RememberedSpan, topic: str, delivery: Delivery, disposition: Disposition
    ) -> RememberedSpan:
        del topic, delivery, disposition
        return self._made("send", parent.trace_id)

    def cancel(
        self, parent: RememberedSpan, delivery: Delivery, disposition: Disposition
    ) -> RememberedSpan:
        del delivery, disposition
        return self._made("cancel", parent.trace_id)


@pytest.mark.parametrize("answer", [204, 500, 400])
async def test_every_span_of_a_batch_ends_once(answer: int) -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(answer), status(204))
        tracer = RememberingTracer()

        def traced(outside: Ports) -> Ports:
            return replace(outside, tracer=tracer)  # type: ignore[arg-type]

        world.altered = traced
        await world.worker()
        world.publish(*named(4))
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(named(4), 1)
        assert any(span.name.startswith("post") for span in tracer.spans)
        assert {len(span.ended) for span in tracer.spans} == {1}
        posts = [span.decisions for span in tracer.spans if span.name.startswith("post")]
        assert posts.count(["complete"]) == 4
        assert {len(decisions) for decisions in posts} == {1}
        processed = {span.trace_id for span in tracer.spans if span.name == "process"}
        assert {span.trace_id for span in tracer.spans} == processed


async def test_a_span_of_a_batch_that_is_withheld_ends_too() -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.connects_after["crm"] = 1.0
        tracer = RememberingTracer()
        world.altered = lambda outside: replace(outside, tracer=tracer)  # type: ignore[arg-type]
        await world.worker()
        world.publish(*named(3))
        await asyncio.sleep(0.5)
        world.tables.stale = True
        await asyncio.sleep(5)
        world.tables.stale = False
        await world.until(world.settled)

        assert {len(span.ended) for span in tracer.spans} == {1}
        assert any(span.ended == ["withheld"] for span in tracer.spans)
