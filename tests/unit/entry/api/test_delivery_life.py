"""A delivery's life over the API: for its partner the same, without places, tiers, workers and operators' words."""

import json
from dataclasses import replace

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import waiting_run
from tests.doubles.clock import NOON
from tests.doubles.lives import DEATH, FIRST

from hookstream.adapters.tables.holds_and_skips import hold_key, write_hold
from hookstream.core.access.scopes import Scope
from hookstream.core.audit.history import DeliveryHistory, Purge
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import to_rfc3339

OURS = replace(
    FIRST,
    delivery_id="msg_ours",
    started_at=NOON - 9_000,
    next_due_at=NOON - 6_000,
    trace_id="c0ffee" * 5 + "00",
    worker="hush-worker",
)


def put(world: ApiWorld, **changes: object) -> None:
    """Let the index answer with these for our delivery."""
    answers = world.services.memory_index.answers
    answers["msg_ours"] = replace(answers["msg_ours"], **changes)  # type: ignore[arg-type]


def hold(world: ApiWorld) -> None:
    held = Hold(HoldKind.EVENT_TYPE, FIRST.event_type, NOON, "hush-reason", "hush-operator")
    names = world.settings.topics_names
    world.tables.put(names.subscriptions, hold_key(held.kind, held.name), write_hold(held))


async def shown(world: ApiWorld, scope: Scope = Scope.ADMIN) -> dict:  # type: ignore[type-arg]
    reply = await world.send("GET", "/v1/deliveries/msg_ours", token=world.tokens[scope])
    assert reply.status == 200, reply.content
    return reply.json  # type: ignore[no-any-return]


async def test_an_operator_sees_each_step_with_its_place_and_the_tier_of_now(
    world: ApiWorld,
) -> None:
    put(world, history=DeliveryHistory("msg_ours", (OURS,), ()))
    timeline = (await shown(world))["timeline"]
    kinds = [each["kind"] for each in timeline]
    assert kinds == ["published", "matched", "attempt", "wait", "wait"]
    assert (timeline[-1]["tier"], timeline[-1]["reason"]) == ("hush-tier", "held")
    assert (timeline[-1]["is_now"], timeline[-1]["deferrals"]) == (True, 2)
    attempt = next(each for each in timeline if each["kind"] == "attempt")
    assert attempt["attempt"]["worker"] == "hush-worker"


async def test_a_partner_sees_its_delivery_without_what_operators_keep_to_themselves(
    world: ApiWorld,
) -> None:
    hold(world)
    job = Job("replay-1", "replay", {}, NOON, state=JobState.DONE, asked_by="hush-asker")
    names = world.settings.topics_names
    world.tables.put(names.jobs, job.id, job.encode())
    purged = replace(
        DEATH, place="1@9", purge=Purge(NOON, "purge-1", "1@9", "hush-by", "hush-why")
    )
    replayed = replace(OURS, job_id="replay-1", trigger="replay")
    put(world, history=DeliveryHistory("msg_ours", (OURS, replayed), (purged,)))

    found = await shown(world, Scope.PARTNER_READ)
    assert "hush" not in json.dumps(found)
    assert "t-3@40" not in json.dumps(found)
    assert {"began", "purged", "wait"} <= {each["kind"] for each in found["timeline"]}
    assert found["next"]["stopped_by"] == found["next"]["reason"] == "suspended"
    assert found["next"]["remedy"] == "none"

    seen = await shown(world)
    assert (seen["next"]["stopped_by"], seen["next"]["remedy"]) == ("held", "clear-hold")
    began = next(each for each in seen["timeline"] if each["kind"] == "began")
    assert began["by"] == "hush-asker"


async def test_copies_are_one_entry_and_said(world: ApiWorld) -> None:
    copy = replace(OURS, started_at=OURS.started_at + 9)
    put(world, history=DeliveryHistory("msg_ours", (copy,), ()), unmerged=(OURS, copy))
    timeline = (await shown(world))["timeline"]
    assert [each["copies"] for each in timeline if each["kind"] == "attempt"] == [2]


async def test_what_comes_next_follows_from_the_subscription_as_it_is(world: ApiWorld) -> None:
    waits = waiting_run(OURS)
    delivery = replace(waits.delivery, deferred_reason=None, deferred_since=None)
    put(world, pending=(replace(waits, delivery=delivery),))
    coming = (await shown(world))["next"]
    assert (coming["coming"], coming["attempt"], coming["reason"]) == ("attempt", 2, "retry")

    await world.send("POST", "/v1/subscriptions/crm/pause", headers={"If-Match": "*"})
    world.tables.now += 60_000
    coming = (await shown(world))["next"]
    assert (coming["coming"], coming["stopped_by"], coming["remedy"]) == (
        "stopped",
        "paused",
        "resume",
    )


async def test_what_was_sent_is_the_last_request_and_says_what_changed_since(
    world: ApiWorld,
) -> None:
    put(world, history=DeliveryHistory("msg_ours", (OURS,), ()))
    for scope in (Scope.ADMIN, Scope.PARTNER_READ):
        sent = (await shown(world, scope))["sent"]
        named = {each["name"]: (each["value"], each["source"]) for each in sent["headers"]}
        assert named["webhook-id"] == ("msg_ours", "audit")
        assert named["webhook-signature"] == ("(signed with the secret generated)", "today")
        assert (sent["attempt"], sent["changed_at"]) == (1, to_rfc3339(NOON))
    put(world, history=DeliveryHistory("msg_ours", (), (DEATH,)))
    assert (await shown(world))["sent"] is None


async def test_a_payload_says_where_it_is_from_and_which_version_was_sent(
    world: ApiWorld,
) -> None:
    put(world, history=DeliveryHistory("msg_ours", (replace(OURS, started_at=NOON + 1),), ()))
    reply = await world.send("GET", "/v1/deliveries/msg_ours/payload")
    found = reply.json
    assert (found["changed_since"], found["changed_at"], found["source"]) == (
        False,
        None,
        "origin",
    )
    newer = replace(OURS, started_at=NOON + 1, event_version=2)
    put(world, history=DeliveryHistory("msg_ours", (newer,), ()))
    reply = await world.send("GET", "/v1/deliveries/msg_ours/payload")
    found = reply.json
    assert (found["changed_since"], found["version_sent"], found["version"]) == (True, 2, 1)
