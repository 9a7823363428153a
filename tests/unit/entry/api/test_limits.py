"""A partner's limits over the API: what is used up is refused with the figure, the reason and the remedy."""

from dataclasses import replace
from typing import Any

from tests.doubles.api import ApiReply, ApiWorld
from tests.doubles.api_records import ACME

from hookstream.adapters.tables.rows import write_partner
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import REDRIVE, Job, JobState
from hookstream.core.jobs.lease import handed_back, held
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.surveys import Survey

REPLAYS = "/v1/subscriptions/crm/replays"
SINCE = {"since": "2026-11-23T00:00:00Z"}


def limited(world: ApiWorld, **limits: int) -> None:
    partner = replace(ACME, limits=replace(ACME.limits, **limits))
    world.tables.put(world.settings.topics_names.partners, partner.id, write_partner(partner))
    world.services.state()


async def replay(world: ApiWorld, token: str = "", **body: Any) -> ApiReply:  # noqa: ANN401  JSON
    token = token or world.tokens[Scope.PARTNER_MANAGE]
    return await world.send("POST", REPLAYS, {**SINCE, **body}, token=token)


def ended(world: ApiWorld, job_id: str, done: int, state: JobState = JobState.DONE) -> None:
    job = world.services.job(job_id)
    assert job is not None
    put(world, replace(job, done=done, state=state, revision=job.revision + 1))


def put(world: ApiWorld, job: Job) -> None:
    world.tables.put(world.settings.topics_names.jobs, job.id, job.encode())


async def test_a_partners_replay_may_have_what_is_left_of_its_day_and_no_more(
    world: ApiWorld,
) -> None:
    limited(world, replayed_events_a_day=100)
    first = await replay(world)
    assert (first.status, first.json["asked"]["most_events"]) == (202, 100)
    ended(world, first.json["id"], 30)
    second = await replay(world)
    assert second.json["asked"]["most_events"] == 70
    ended(world, second.json["id"], 70, JobState.INCOMPLETE)
    refused = await replay(world)
    assert (refused.status, refused.json["reason"]) == (429, "too_many_requests")
    assert "too_many_replayed_events" in refused.json["detail"]
    assert "100 were" in refused.json["detail"]
    assert "most_events" in refused.json["remedy"]
    assert int(refused.headers["Retry-After"]) > 0
    # Operators are not bound.
    assert (await replay(world, world.tokens[Scope.ADMIN])).status == 202


async def test_a_partner_that_asks_for_fewer_events_has_the_rest_for_another_replay(
    world: ApiWorld,
) -> None:
    limited(world, replayed_events_a_day=100, running_jobs=3)
    assert (await replay(world, most_events=60)).status == 202
    assert (await replay(world, most_events=41)).status == 429
    assert (await replay(world)).json["asked"]["most_events"] == 40
    assert (await replay(world)).status == 429


async def test_what_another_console_started_meanwhile_counts(world: ApiWorld) -> None:
    """It is looked at again in the partner's turn, when no other console starts anything of it."""
    limited(world, replayed_events_a_day=100, running_jobs=1)
    caught_up = world.services.caught_up

    def then() -> None:
        asked: JsonObject = {"subscription": "crm", "most_events": 100}
        put(world, Job("replay-elsewhere", "replay", asked, world.tables.now))
        caught_up()

    world.services.caught_up = then  # type: ignore[method-assign]  # another console comes between
    refused = await replay(world)
    assert (refused.status, refused.json["reason"]) == (422, "limit_exceeded")
    assert "too_many_running_jobs" in refused.json["detail"]


async def test_a_job_that_failed_is_resumed_within_the_limits_alone(world: ApiWorld) -> None:
    limited(world, replayed_events_a_day=100, running_jobs=1)
    first = await replay(world)
    ended(world, first.json["id"], 10, JobState.FAILED)
    path, token = f"/v1/jobs/{first.json['id']}/resume", world.tokens[Scope.PARTNER_MANAGE]
    second = await replay(world)
    assert (await world.send("POST", path, token=token)).status == 422
    ended(world, second.json["id"], 90)
    assert (await world.send("POST", path, token=token)).status == 429
    assert (await world.send("POST", path)).status == 200


async def test_of_two_partners_redrives_the_second_waits_for_its_turn(
    world: ApiWorld,
) -> None:
    """Its partner sees that it waits, and of whose job nothing but its own."""
    ours, now = world.tokens[Scope.PARTNER_MANAGE], world.services.now()
    first, theirs, second = (
        Job(
            f"redrive-{number}",
            REDRIVE,
            {"topic": "dead-letters", "selector": {"partners": [partner]}, "ends": {}},
            now + number,
        )
        for number, partner in enumerate(("acme", "rival", "acme"))
    )
    for job in (held(first, "a console", now), handed_back(theirs, now), handed_back(second, now)):
        put(world, job)

    async def waits(job_id: str, token: str | None = None) -> tuple[bool, str | None]:
        shown = (await world.send("GET", f"/v1/jobs/{job_id}", token=token)).json
        return shown["waits"], shown["waits_for"]

    assert await waits(first.id) == (False, None)
    for each, whose in ((theirs, None), (second, None), (second, ours)):
        assert await waits(each.id, whose or world.tokens[Scope.OPERATOR_READ]) == (True, first.id)
    assert await waits(theirs.id, world.rival) == (True, None)
    put(world, first.ended(JobState.DONE))
    assert (await waits(theirs.id), await waits(second.id)) == ((False, None), (True, theirs.id))
    assert await waits(second.id, ours) == (True, None)


async def test_a_preview_is_paid_for_before_more_is_read(world: ApiWorld) -> None:
    limited(world, scanned_records_a_second=10)
    world.services.found = Survey({0: 7}, scanned=100)
    token = world.tokens[Scope.PARTNER_MANAGE]
    body: JsonObject = {"selector": {}}
    path = "/v1/dead-letters/preview"
    assert (await world.send("POST", path, body, token=token)).status == 200
    for method, other in (
        ("POST", path),
        ("GET", "/v1/deliveries/msg_ours/payload"),
        ("GET", "/v1/subscriptions/crm/events"),
        ("GET", "/v1/dead-letters/export"),
    ):
        sent = body if method == "POST" else None
        refused = await world.send(method, other, sent, token=token)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "9"), other
    # What is in tables and in the index costs nothing, and nobody else waits.
    assert (await world.send("GET", "/v1/dead-letters", token=token)).status == 200
    assert (await world.send("POST", path, body, token=world.rival)).status == 200
    assert (await world.send("POST", path, body)).status == 200
    world.services.monotonic += 9
    assert (await world.send("POST", path, body, token=token)).status == 200
