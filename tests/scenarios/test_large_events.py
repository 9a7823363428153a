"""Large events are decoded, matched and rendered beside the event loop; small ones never are."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tests.doubles.codec import JsonCodec
from tests.doubles.endpoint import status
from tests.scenarios.world import EVENT_TYPE, World

from hookstream.core.model.event import LARGE, Event, Identified, Undecodable
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.subscription import Grant, Partner, UnreadableSubscription
from hookstream.pipeline.engine import Ports

T = TypeVar("T")
MANY_TESTS: list[Json] = [{"suffix": f"-{n}"} for n in range(300)]


class WatchedOffload:
    """An Offload that knows whether it computes now."""

    def __init__(self) -> None:
        self.computes = False
        self.runs = 0
        self.before: Callable[[], None] = lambda: None

    async def run(self, compute: Callable[[], T]) -> T:
        self.runs += 1
        self.before()
        self.computes = True
        try:
            return compute()
        finally:
            self.computes = False


class WatchedCodec(JsonCodec):
    """Notes for each step whether it ran beside the event loop."""

    def __init__(self, offload: WatchedOffload) -> None:
        super().__init__({EVENT_TYPE: 1})
        self._offload = offload
        self.steps: list[tuple[str, bool]] = []

    def decode(
        self,
        identified: Identified,
        record: Record,
        origin: Origin | None = None,
        event_id: str = "",
    ) -> Event | Undecodable:
        self.steps.append(("decode", self._offload.computes))
        return super().decode(identified, record, origin, event_id)

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        self.steps.append(("document", self._offload.computes))
        return super().document(event, version)

    def encode(self, value: Json) -> bytes:
        self.steps.append(("encode", self._offload.computes))
        return super().encode(value)


def watched(world: World) -> tuple[WatchedOffload, WatchedCodec]:
    """Have a world's workers compute under watch."""
    offload = WatchedOffload()
    codec = WatchedCodec(offload)

    def altered(ports: Ports) -> Ports:
        return replace(ports, offload=offload, codec=codec)

    world.altered = altered
    return offload, codec


async def test_every_step_of_a_large_event_runs_beside_the_event_loop() -> None:
    async with World() as world:
        _, codec = watched(world)
        world.subscribe("crm", pattern={"data": {"colour": ["red"]}})
        world.subscribe("shop")
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e1", data={"colour": "red", "load": LARGE + 1})
        world.publish("e2", data={"colour": "blue", "load": LARGE + 1})
        await world.until(world.settled)

        assert (world.accepted("crm"), world.accepted("shop")) == ({"e1": 1}, {"e1": 1, "e2": 1})
        assert {step for step, _ in codec.steps} == {"decode", "document", "encode"}
        assert all(beside for _, beside in codec.steps)
        # From the event topic twice, from the tier once; each is rendered once a record.
        assert [step for step, _ in codec.steps].count("decode") == 3
        assert [step for step, _ in codec.steps].count("encode") == 3


async def test_a_small_event_never_leaves_the_event_loop() -> None:
    async with World() as world:
        offload, codec = watched(world)
        world.subscribe("crm", pattern={"data": {"colour": ["red"]}})
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e1", data={"colour": "red", "load": LARGE})
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert offload.runs == 0
        assert codec.steps


async def test_a_filter_of_many_comparisons_is_evaluated_beside_the_event_loop() -> None:
    async with World() as world:
        offload, _ = watched(world)
        world.subscribe("crm", pattern={"data": {"name": MANY_TESTS}})
        await world.worker()
        world.publish("e1", data={"name": "a-299", "load": 10})
        await world.until(world.settled)
        light = offload.runs
        world.publish("e2", data={"name": "b-299", "load": 500})
        await world.until(lambda: world.accepted("crm") == {"e1": 1, "e2": 1})

        assert (light, offload.runs > 0) == (0, True)


async def test_a_grant_of_many_comparisons_is_evaluated_beside_the_event_loop() -> None:
    async with World() as world:
        offload, codec = watched(world)
        grant = Grant(("*",), ("*",), pattern={"data": {"name": MANY_TESTS}})
        world.directory.put_partner(Partner("acme", "Acme", grant))
        world.subscribe("crm")
        await world.worker()
        world.publish("e1", data={"name": "a-299", "load": 500})
        world.publish("e2", data={"name": "nobody's", "load": 500})
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert offload.runs > 0
        assert [beside for step, beside in codec.steps if step != "decode"] == [True] * 3


async def test_requests_that_change_while_a_large_event_is_matched_are_evaluated_as_they_are() -> (
    None
):
    async with World() as world:
        offload, _ = watched(world)
        world.subscribe("crm")
        changes = iter(["shop", "mill"])

        def change() -> None:
            name = next(changes, None)
            if name is not None:
                world.subscribe(name)

        await world.worker()
        offload.before = change
        world.publish("e1", data={"load": LARGE + 1})
        await world.until(world.settled)

        assert all(world.accepted(name) == {"e1": 1} for name in ("crm", "shop", "mill"))


async def test_requests_that_change_all_the_time_do_not_keep_an_event_from_being_matched() -> None:
    async with World() as world:
        offload, _ = watched(world)
        readable = world.subscribe("crm")
        offload.before = lambda: world.directory.put_subscription(readable)
        await world.worker()
        world.publish("e1", data={"load": LARGE + 1})
        await world.until(world.settled)
        assert world.accepted("crm") == {"e1": 1}


async def test_a_large_event_of_an_unreadable_subscription_is_matched_beside_the_loop() -> None:
    async with World() as world:
        _, codec = watched(world)
        readable = world.subscribe("crm", pattern={"data": {"colour": ["red"]}})
        world.directory.put_subscription(
            UnreadableSubscription("crm", "acme", readable.event_types, 0, (), "a newer release")
        )
        await world.worker()
        world.publish("e1", data={"colour": "red", "load": LARGE + 1})
        world.publish("e2", data={"colour": "blue", "load": LARGE + 1})
        await world.until(lambda: len(world.tier_writes()) >= 2)

        world.directory.put_subscription(replace(readable, revision=2))
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert all(beside for _, beside in codec.steps)


class BoundingCodec(WatchedCodec):
    """Knows a bound of an event's work until it counts, and of another version a multiple of that."""

    def load(self, identified: Identified, record: Record) -> int:
        del identified, record
        return LARGE // 2

    def counted(self, event: Event) -> int:
        del event
        return LARGE // 10

    def load_at(self, event: Event, version: int) -> int:
        del version
        return 4 * event.load


async def test_a_small_event_at_another_version_never_leaves_the_event_loop() -> None:
    async with World() as world:
        offload = WatchedOffload()
        codec = BoundingCodec(offload)
        codec.publish(EVENT_TYPE, 2)
        world.altered = lambda ports: replace(ports, offload=offload, codec=codec)
        world.directory.put_subscription(replace(world.subscribe("crm"), versions={EVENT_TYPE: 2}))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert offload.runs == 0
