"""What an endpoint answers to a batch: each member goes its own way from there."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.doubles.batch_bodies import event_ids
from tests.doubles.endpoint import Behaviour, Switch, hang, refuse_connections, status
from tests.scenarios.batching import attempts, audit, batching, named, sent, starts
from tests.scenarios.test_health import granted_operations
from tests.scenarios.test_words import ABORT, DISABLE, NOTHING_LEFT
from tests.scenarios.world import World

from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.record import header_text
from hookstream.core.model.subscription import Batch


async def test_an_accepted_batch_completes_every_member_and_counts_each() -> None:
    async with World() as world:
        batching(world, "crm")
        await world.worker()
        world.publish(*named(7))
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        assert attempts(world, "crm") == {
            each: [(1, "delivered", "complete")] for each in named(7)
        }
        assert {each["batch_id"] for each in audit(world, "crm")} == {request.header("webhook-id")}
        assert world.metrics.outcomes == {"delivered": 7}
        assert len(world.metrics.latencies) == 7
        assert [each.delivery.event_id for each in world.logger.attempts] == named(7)
        assert world.tier_writes() == []


FAILURES: dict[str, tuple[Behaviour, str]] = {
    "status": (status(500), "failed"),
    "unlisted": (status(404), "failed"),
    "timeout": (hang(), "failed"),
    "connect": (refuse_connections(), "failed"),
    "throttled": (status(429), "throttled"),
    "unavailable": (status(503, retry_after="1"), "throttled"),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_after_any_other_failure_each_member_is_retried_by_its_own_schedule(
    kind: str,
) -> None:
    """Two members are at different steps when their batch fails."""
    behaviour, outcome = FAILURES[kind]
    async with World() as world:
        batching(
            world, "crm", max_wait=500, schedule=(5 * SECOND, 30 * SECOND), timeout=2 * SECOND
        )
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        await world.worker()
        world.publish("old")
        await world.until(lambda: len(starts(world, "crm")) == 1, step=0.01)
        switch.behaviour = behaviour
        await asyncio.sleep(5.1)
        world.publish("new")
        await world.until(lambda: len(starts(world, "crm")) == 2, step=0.01)
        assert sorted(sent(world, "crm")[1]) == ["new", "old"]
        await asyncio.sleep(2.2)
        switch.behaviour = status(204)
        await world.until(world.settled)

        _, failed_at, new_at, old_at = starts(world, "crm")
        assert 5 <= new_at - failed_at < 10
        assert 30 <= old_at - failed_at < 40
        assert sent(world, "crm")[2:] == [["new"], ["old"]]
        assert attempts(world, "crm") == {
            "old": [(1, "failed", "retry"), (2, outcome, "retry"), (3, "delivered", "complete")],
            "new": [(1, outcome, "retry"), (2, "delivered", "complete")],
        }
        assert world.dead() == []


async def test_a_member_at_the_end_of_its_schedule_is_dead_lettered_for_a_failure_of_its_batch() -> (
    None
):
    async with World() as world:
        batching(world, "crm", schedule=())
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e0", "e1")
        await world.until(world.settled)

        assert len(sent(world, "crm")) == 1
        assert sorted(world.dead()) == [
            ("crm", "e0", "attempts_exhausted"),
            ("crm", "e1", "attempts_exhausted"),
        ]


async def test_a_410_to_a_batch_disables_and_dead_letters_every_member() -> None:
    async with World() as world:
        granted_operations(world)
        batching(world, "crm")
        world.subscribe("watch", event_types=("endpoint.disabled",))
        world.endpoints.script("crm", status(410))
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(world.settled)

        assert len(sent(world, "crm")) == 1
        assert sorted(world.dead()) == [("crm", f"e{n}", "gone") for n in range(3)]
        row = world.health()["crm/disabled"]
        assert row is not None
        assert row["reason"] == "gone"
        assert {each["disposition"] for each in audit(world, "crm")} == {"dead_letter"}
        assert {data["reason"] for _, data in world.published("endpoint.disabled")} == {"gone"}


@pytest.mark.parametrize("code", [204, 500])
@pytest.mark.parametrize("words", [DISABLE, ABORT], ids=["disable", "abort-message"])
async def test_a_request_in_the_answer_to_a_batch_is_ignored(code: int, words: object) -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.script("crm", status(code, words=words), status(204))  # type: ignore[arg-type]
        await world.worker()
        world.publish("e0", "e1")
        await world.until(world.settled)

        assert world.accepted("crm") == {"e0": 1, "e1": 1}
        assert world.dead() == []
        assert "crm/disabled" not in world.health()


async def test_a_request_in_the_answer_to_a_batch_of_one_is_ignored_too() -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.script("crm", status(500, words=DISABLE), status(204, words=DISABLE))
        await world.worker()
        world.publish("e0")
        await world.until(world.settled)

        assert world.accepted("crm") == {"e0": 1}
        assert world.dead() == []
        assert "crm/disabled" not in world.health()


async def test_nothing_left_of_a_limit_rests_a_lane_with_batches() -> None:
    async with World() as world:
        batching(world, "crm", max_events=5, max_wait=0, max_in_flight=1)
        world.endpoints.script("crm", status(204, words=NOTHING_LEFT), status(204))
        await world.worker()
        world.publish(*named(40))
        await world.until(world.settled)

        first, second, *_ = starts(world, "crm")
        assert 30 <= second - first < 36
        assert world.accepted("crm") == dict.fromkeys(named(40), 1)
        assert world.health() == {}


async def test_a_retry_after_rests_a_lane_with_batches_and_no_member_is_retried_before() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(SECOND,) * 3)
        world.endpoints.script("crm", status(429, retry_after="20"), status(204))
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(world.settled)

        first, *later = starts(world, "crm")
        assert min(later) - first >= 20
        assert world.accepted("crm") == dict.fromkeys(named(3), 1)


async def test_a_breaker_that_is_open_probes_with_one_batch_and_loses_nothing() -> None:
    async with World() as world:
        batching(world, "crm", max_events=20, schedule=(5 * SECOND, MINUTE, 5 * MINUTE))
        switch = Switch(refuse_connections())
        world.endpoints.script("crm", switch)
        worker = await world.worker()
        for _ in range(12):
            world.publish(*named(25, f"at{asyncio.get_running_loop().time():.0f}-"))
            await asyncio.sleep(2)
        assert len(worker.engine.lanes.open_breakers) == 1
        during = Counter(round(at) // 10 for at in starts(world, "crm"))
        assert max(during.values()) <= 10
        assert world.endpoints.peak_in_flight["crm"] <= 8
        switch.behaviour = status(204)
        await world.until(world.settled)

        assert len(world.accepted("crm")) == 300
        assert set(world.accepted("crm").values()) == {1}
        assert world.dead() == []
        assert len(worker.engine.lanes.open_breakers) == 0


async def test_a_failing_batch_is_one_failure_of_its_endpoint_and_one_of_each_member() -> None:
    """A breaker counts requests: one batch that fails does not open it."""
    async with World() as world:
        batching(world, "crm", max_events=50)
        world.endpoints.script("crm", status(500), status(204))
        worker = await world.worker()
        world.publish(*named(50))
        await world.until(lambda: len(world.tier_writes()) == 50)

        assert len(worker.engine.lanes.open_breakers) == 0
        assert world.metrics.outcomes == {"failed": 50}
        steps = {header_text(each.headers, "hs-attempt") for each in world.tier_writes()}
        assert steps == {"1"}
        await world.until(world.settled)
        assert world.accepted("crm") == dict.fromkeys(named(50), 1)


async def test_members_may_meet_any_others_at_their_next_attempt() -> None:
    async with World() as world:
        small = batching(world, "crm", max_events=2, max_wait=500, schedule=(5 * SECOND,) * 3)
        world.endpoints.script("crm", status(500), status(500), status(204))
        await world.worker()
        world.publish("a0", "a1")
        await asyncio.sleep(0.2)
        world.publish("b0", "b1")
        await world.until(lambda: len(starts(world, "crm")) == 2, step=0.01)
        world.directory.put_subscription(replace(small, batch=Batch(10, 500)))
        await world.until(world.settled)

        requests = world.endpoints.to("crm")
        assert event_ids(requests[0].post) == ["a0", "a1"]
        assert event_ids(requests[1].post) == ["b0", "b1"]
        assert sorted(e for each in requests[2:] for e in event_ids(each.post)) == [
            "a0",
            "a1",
            "b0",
            "b1",
        ]
        assert len(requests) == 3
