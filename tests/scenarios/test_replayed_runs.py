"""A replay is a life of its own of a delivery that is known already: same id, own attempts, own end."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.codec import json_value
from tests.doubles.endpoint import Switch, status
from tests.scenarios.batching import batching
from tests.scenarios.batching import sent as batches_sent
from tests.scenarios.replaying import (
    JOB,
    a_run,
    audited,
    grant_ever,
    lives,
    redrive,
    replay,
    sent,
    write,
)
from tests.scenarios.world import EVENT_TYPE, EVENTS, TIERS, World

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import DAY, MINUTE, SECOND
from hookstream.core.model.record import Record, header_text
from hookstream.core.model.subscription import (
    Gap,
    Grant,
    HeldGrant,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.pipeline.engine_rules import EngineRules


async def test_a_replay_and_the_live_delivery_of_one_event_are_in_flight_together() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(204, after=3))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)

        replay(world, "crm", "e1")
        await world.until(world.settled)

        first, second = world.endpoints.to("crm")
        assert second.at - first.at < 3
        assert first.header("webhook-id") == second.header("webhook-id")
        assert sent(world, "crm") == [("initial", None), ("replay", JOB)]
        assert set(lives(world, "crm")) == {
            (None, "initial", 1, "complete"),
            (JOB, "replay", 1, "complete"),
        }


async def test_attempts_are_numbered_within_a_run_which_a_dead_letter_and_its_redrive_keep() -> (
    None
):
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        switch = Switch(status(503))
        world.endpoints.script("crm", switch)
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.dead()) == 1)

        replay(world, "crm", "e1")
        await world.until(lambda: len(world.dead()) == 2)
        switch.behaviour = status(204)
        redrive(world)
        await world.until(world.settled)

        runs = lives(world, "crm")
        assert [life for life in runs if life[0] is None] == [
            (None, "initial", 1, "retry"),
            (None, "retry", 2, "dead_letter"),
            (None, "redrive", 3, "complete"),
        ]
        assert [life for life in runs if life[0] == JOB] == [
            (JOB, "replay", 1, "retry"),
            (JOB, "replay", 2, "dead_letter"),
            (JOB, "redrive", 3, "complete"),
        ]
        letters = world.broker.records(world.topics.dead_letters)
        assert [header_text(each.headers, "hs-job") for each in letters] == [None, JOB]
        # A receiver that deduplicates must not drop what the redrive of a replay sends.
        assert sorted(sent(world, "crm")[-2:], key=str) == [("redrive", JOB), ("redrive", None)]


async def test_schedule_and_expiry_count_from_the_replay_and_not_from_the_event() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,) * 3, expires_after=MINUTE)
        world.publish("e1")
        await asyncio.sleep(120)
        world.endpoints.script("crm", status(503), status(503), status(204))
        await world.worker()
        await world.until(world.settled)
        await asyncio.sleep(120)

        world.endpoints.script("crm", status(503), status(503), status(204))
        replay(world, "crm")
        await world.until(world.settled)

        assert world.dead() == []
        assert [life[:3] for life in lives(world, "crm")[3:]] == [
            (JOB, "replay", 1),
            (JOB, "replay", 2),
            (JOB, "replay", 3),
        ]


async def test_copies_are_merged_within_a_run_and_never_over_two() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,) * 3)
        world.publish("e1")
        world.endpoints.script("crm", *[status(503)] * 3, status(204))
        await world.worker()
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)

        for job in ("replay-1", "replay-2", "replay-2"):
            replay(world, "crm", job=job)
        await world.until(world.settled)

        # The second copy of the second job waits beside the first: one of them goes on.
        assert world.metrics.merged == 1
        ended = [life for life in lives(world, "crm") if life[3] == "complete"]
        assert sorted(ended, key=str) == [
            ("replay-1", "replay", 2, "complete"),
            ("replay-2", "replay", 2, "complete"),
            (None, "retry", 2, "complete"),
        ]


async def test_a_replay_is_granted_by_the_grant_of_then_and_of_today_or_by_todays_if_an_operator_says_so() -> (
    None
):
    async with World() as world:
        world.publish("e1")
        await asyncio.sleep(60)
        now = world.clock.now()
        grant = Grant(("*",), ("*",))
        none = Grant(("order.*",), ("*",))
        history = (HeldGrant(none, 0), HeldGrant(grant, now - 5))
        world.directory.put_partner(
            Partner("acme", "Acme", grant, now - 5, previous_grant=none, history=history)
        )
        world.subscribe("crm", active_from=now)
        await world.worker()
        await asyncio.sleep(1)

        replay(world, "crm", job="replay-1")
        replay(world, "crm", job="replay-2", as_granted_today=True)
        await world.until(world.settled)

        assert lives(world, "crm") == [
            ("replay-1", "replay", 0, "dead_letter"),
            ("replay-2", "replay", 1, "complete"),
        ]
        assert world.dead() == [("crm", "e1", "not_granted")]


async def test_a_narrower_grant_holds_for_what_a_replay_wrote_before_it() -> None:
    async with World() as world:
        world.publish("e1")
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(503))
        await world.worker()
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        replay(world, "crm", as_granted_today=True)
        await world.until(lambda: len(world.endpoints.to("crm")) == 2)

        world.directory.put_partner(Partner("acme", "Acme", Grant(("order.*",), ("*",))))
        await world.until(world.settled)

        assert len(world.endpoints.to("crm")) == 2
        assert world.dead() == [("crm", "e1", "not_granted")] * 2


# Events that cannot be identified when they are replayed.


def unidentified(world: World, name: str, record: Record | None = None, *, job: str = JOB) -> None:
    """Do what a replay job does with an event whose schema nobody has published, of now or of before."""
    record = record or late_record(world)
    subscription = world.directory.subscriptions[name]
    now = world.clock.now()
    write(world, a_run(world, job).unidentified(record, record.origin, subscription, now=now))


def late_record(world: World) -> Record:
    return world.broker.append(EVENTS, json_value(EVENT_TYPE, "late", version=2))


def narrowed(subscription: Subscription, **changes: object) -> Subscription:
    return replace(subscription, **changes)  # type: ignore[arg-type]


async def test_an_event_whose_schema_comes_later_reaches_the_one_subscription_of_the_replay() -> (
    None
):
    """Its active interval is not asked: a replay is deliberate about the past."""
    async with World() as world:
        grant_ever(world)
        late = late_record(world)
        await asyncio.sleep(1)
        now = world.clock.now()
        world.subscribe("crm", active_from=now)
        world.subscribe("other", active_from=now)
        gap = Gap(0, now + DAY, "paused")
        world.directory.put_subscription(replace(world.subscribe("gap"), gaps=(gap,)))
        await asyncio.sleep(1)
        unidentified(world, "crm", late)
        unidentified(world, "gap", late, job="replay-2")
        await world.worker()
        await asyncio.sleep(60)
        assert world.endpoints.to("crm") == []

        world.codec.publish(EVENT_TYPE, 2)
        await world.until(world.settled)

        assert lives(world, "crm") == [(JOB, "replay", 1, "complete")]
        assert lives(world, "gap") == [("replay-2", "replay", 1, "complete")]
        assert sent(world, "crm") == [("replay", JOB)]
        assert world.endpoints.to("other") == []


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({"pattern": {"data": {"colour": ["red"]}}}, "cancel"),
        ({"event_types": ("order.generated",)}, "cancel"),
        ({"environments": ("staging",)}, "cancel"),
        ({"state": SubscriptionState.DELETED}, "cancel"),
        ({"partner_id": "nobody"}, "dead_letter"),
    ],
)
async def test_an_event_that_the_one_subscription_does_not_get_ends_and_is_audited(
    changes: dict[str, object], ended: str
) -> None:
    """So a job can count what is still out."""
    async with World() as world:
        grant_ever(world)
        subscription = world.subscribe("crm")
        unidentified(world, "crm")
        world.directory.put_subscription(narrowed(subscription, **changes))
        await world.worker()
        await asyncio.sleep(60)

        world.codec.publish(EVENT_TYPE, 2)
        await world.until(world.settled)

        # The live record was for everybody: none of these changes lets it match either.
        assert lives(world, "crm") == [(JOB, "replay", 0, ended)]
        assert world.endpoints.to("crm") == []


async def test_an_event_for_one_subscription_waits_while_that_is_paused_held_unreadable_or_absent() -> (
    None
):
    async with World() as world:
        grant_ever(world)
        world.codec.publish(EVENT_TYPE, 2)
        late = late_record(world)
        await asyncio.sleep(1)
        subscription = world.subscribe("crm", active_from=world.clock.now())
        await asyncio.sleep(1)
        unidentified(world, "crm", late)
        await world.worker()
        paused = Gap(world.clock.now() - 1, None, "paused")
        unreadable = UnreadableSubscription("crm", "acme", ("*",), 0, (), "a newer release")
        hold = Hold(HoldKind.ENDPOINT, "crm", 0, "a deploy")

        world.directory.drop_subscription("crm")
        await asyncio.sleep(60)
        world.directory.put_subscription(unreadable)
        await asyncio.sleep(60)
        world.directory.put_subscription(
            replace(subscription, state=SubscriptionState.PAUSED, gaps=(paused,))
        )
        await asyncio.sleep(120)
        world.directory.holds.put(hold)
        world.directory.put_subscription(replace(subscription, revision=3))
        await asyncio.sleep(60)
        assert world.endpoints.to("crm") == []
        world.directory.holds.drop(HoldKind.ENDPOINT, "crm")
        await world.until(world.settled)

        assert lives(world, "crm") == [(JOB, "replay", 1, "complete")]


async def test_an_undecodable_event_of_a_replay_is_set_aside_for_its_one_subscription() -> None:
    rules = EngineRules(tiers=TIERS, unknown_schema_grace=MINUTE)
    async with World(rules=rules) as world:
        world.subscribe("crm", active_from=world.clock.now() + DAY)
        unidentified(world, "crm")
        world.subscribe("other", active_from=world.clock.now() + DAY)
        await world.worker()
        await asyncio.sleep(180)

        [fresh, aside] = world.broker.records(world.topics.undecodable)

        assert header_text(fresh.headers, "hs-job") is None
        names = ("hs-reason", "hs-job", "hs-only-subscription")
        assert [header_text(aside.headers, name) for name in names] == [
            "unknown_schema",
            JOB,
            "crm",
        ]


async def test_a_replay_to_a_subscription_that_could_not_be_read_is_filtered_when_it_can() -> None:
    async with World() as world:
        grant_ever(world)
        world.publish("e1", data={"colour": "blue"})
        world.publish("e2", data={"colour": "red"})
        await asyncio.sleep(1)
        world.subscribe(
            "crm", pattern={"data": {"colour": ["red"]}}, active_from=world.clock.now()
        )
        await asyncio.sleep(1)
        await world.worker()

        replay(world, "crm", filter_asked=False)
        await world.until(world.settled)

        found = {each["event_id"]: each["disposition"] for each in audited(world, "crm")}
        assert found == {"e1": "cancel", "e2": "complete"}


# Batches.


async def test_a_batch_has_members_of_one_run() -> None:
    async with World() as world:
        batching(world, "crm", max_events=4)
        world.endpoints.script("crm", status(204, after=0.5))
        world.publish(*(f"e{number}" for number in range(6)))
        await world.worker()
        await world.until(world.settled)

        for number in range(6):
            replay(world, "crm", f"e{number}", job=f"replay-{number % 2}")
        world.publish("live-1", "live-2")
        await world.until(world.settled)

        found = [
            (each.header("hookstream-replay"), set(ids))
            for each, ids in zip(
                world.endpoints.to("crm"), batches_sent(world, "crm"), strict=True
            )
        ]
        of_jobs = {
            job: set().union(*(ids for of, ids in found if of == job))
            for job in {of for of, _ in found}
        }
        assert of_jobs == {
            None: {f"e{number}" for number in range(6)} | {"live-1", "live-2"},
            "replay-0": {"e0", "e2", "e4"},
            "replay-1": {"e1", "e3", "e5"},
        }
        assert len(audited(world, "crm")) == 14
        assert world.dead() == []


async def test_a_refused_batch_of_a_replay_is_searched_while_live_ones_are_delivered() -> None:
    async with World() as world:
        grant_ever(world)
        batching(world, "crm", max_events=8, schedule=())
        world.publish(*(f"e{number}" for number in range(8)))
        await world.worker()
        await world.until(world.settled)
        world.endpoints.script("crm", status(422), status(422, after=1), status(204))

        replay(world, "crm")
        await world.until(lambda: len(world.endpoints.to("crm")) >= 3)
        world.publish("live")
        await world.until(world.settled)

        by_job = {each.header("hookstream-replay") for each in world.endpoints.to("crm")}
        assert by_job == {None, JOB}
        assert world.accepted("crm")["live"] == 1
        assert sum(world.accepted("crm").values()) == 8 + 1 + 8
        assert world.dead() == []


# The lane.


async def test_live_deliveries_are_attempted_before_all_replays_that_wait_in_their_lane() -> None:
    async with World() as world:
        grant_ever(world)
        world.publish(*(f"e{number}" for number in range(40)))
        world.subscribe("crm", max_in_flight=1, active_from=world.clock.now() + 1)
        world.endpoints.script("crm", status(204, after=0.01))
        await world.worker()
        await asyncio.sleep(1)
        replay(world, "crm")
        await world.until(lambda: len(world.endpoints.to("crm")) == 5)

        world.publish("live-1", "live-2", "live-3")
        await world.until(world.settled)

        triggers = [trigger for trigger, _ in sent(world, "crm")]
        last = max(place for place, trigger in enumerate(triggers) if trigger == "initial")
        assert triggers.count("initial") == 3
        # What was in flight, or had its turn already, came first.
        assert last <= 12
        assert len(triggers) == 43


async def test_replays_that_wait_in_a_lane_never_defer_its_live_deliveries() -> None:
    async with World() as world:
        grant_ever(world)
        world.publish(*(f"e{number}" for number in range(300)))
        later = world.clock.now() + 1
        world.subscribe("crm", max_in_flight=2, active_from=later)
        world.subscribe("neighbour", active_from=later)
        world.endpoints.script("crm", status(204, after=0.2))
        await world.worker()
        await asyncio.sleep(1)
        replay(world, "crm")
        began = asyncio.get_running_loop().time()

        for number in range(40):
            # Every other event matches both: no lane is alone.
            world.publish(f"live-{number}")
            await asyncio.sleep(0.5)
        await world.until(world.settled)

        live = [
            each for each in world.endpoints.to("crm") if each.header("hookstream-replay") is None
        ]
        waits = [each.at - began - 0.5 * number for number, each in enumerate(live)]
        assert len(live) == 40
        assert max(waits) < 1
        assert world.metrics.deferrals["lane_full"] > 0
        deferred = [
            each for each in world.tier_writes() if header_text(each.headers, "hs-deferred-reason")
        ]
        assert deferred
        assert {header_text(each.headers, "hs-job") for each in deferred} == {JOB}
        assert sum(world.accepted("crm").values()) == 340


async def test_live_deliveries_that_wait_for_a_slot_are_taken_before_replays_that_do() -> None:
    """An outage ends: what is live has waited as long, and goes first."""
    async with World() as world:
        grant_ever(world)
        world.publish(*(f"e{number}" for number in range(60)))
        later = world.clock.now() + 1
        world.subscribe("crm", max_in_flight=1, rate_limit=4, active_from=later)
        world.subscribe("neighbour", active_from=later)
        await world.worker()
        await asyncio.sleep(1)
        replay(world, "crm")
        await asyncio.sleep(3)

        world.publish(*(f"live-{number}" for number in range(20)))
        await world.until(world.settled)

        triggers = [trigger for trigger, _ in sent(world, "crm")]
        assert triggers.count("initial") == 20
        live = [place for place, trigger in enumerate(triggers) if trigger == "initial"]
        assert live[-1] - live[0] < 25
        assert len(triggers) == 80


async def test_headers_of_ours_on_an_event_topic_mean_nothing_in_any_life_of_its_deliveries() -> (
    None
):
    def value(text: str) -> bytes:
        return text.encode()

    forged = (
        ("hs-job", value("forged")),
        ("hs-only-subscription", value("crm")),
        ("hs-subscription-id", value("crm")),
        ("hs-partner-id", value("acme")),
        ("hs-granted-today", value("yes")),
        ("hs-trigger", value("test")),
        ("hs-reason", value("malformed")),
        ("hs-attempt", value("9")),
        ("hs-origin-topic", value("elsewhere")),
        ("HS-JOB", value("forged")),
        ("hookstream-replay", value("forged")),
    )
    async with World() as world:
        for name in ("crm", "other"):
            world.subscribe(name, schedule=(5 * SECOND,))
            world.endpoints.script(name, Switch(status(500)))
        world.publish("e1", headers=forged)
        await world.worker()
        await world.until(lambda: len(world.broker.records(world.topics.dead_letters)) == 2)

        ours = world.broker.records(world.topics.dead_letters) + world.tier_writes()
        assert {header_text(each.headers, "hs-job") for each in ours} == {None}
        assert {header_text(each.headers, "hs-only-subscription") for each in ours} == {None}
        assert {header_text(each.headers, "hs-granted-today") for each in ours} == {None}
        assert {header_text(each.headers, "HS-JOB") for each in ours} == {None}
        for name in ("crm", "other"):
            found = lives(world, name)
            assert len(found) > 1
            assert {(job, trigger) for job, trigger, _, _ in found} == {
                (None, "initial"),
                (None, "retry"),
            }
            assert {replayed for _, replayed in sent(world, name)} == {None}
