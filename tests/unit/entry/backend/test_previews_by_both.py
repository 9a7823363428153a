"""What a redrive, purge or replay would take is counted and fixed alike on the cluster and through the API."""

import io
import json
from dataclasses import replace

import click
import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_previews import TOPIC_ID
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Gap, SubscriptionState
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct, read_preview
from hookstream.core.redrive.summary import Group
from hookstream.core.replay.extent import Extent, OffsetSpan
from hookstream.core.replay.preview import read_replay_preview
from hookstream.core.replay.survey import TypeCount
from hookstream.entry.admin.surveys import Survey

FROM, TO = "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"
REPLAY = f"replay start crm --from {FROM} --to {TO}"


def world(records: int = 2) -> ApiWorld:
    made = ApiWorld()
    found = Survey({0: 7, 1: 3}, left_out={"gone is deleted: a worker would cancel them": 1})
    for _ in range(records):
        found.tally.add(Group("crm", "exhausted"), made.services.now() - 5_000)
    made.services.found = found
    return made


@pytest.mark.parametrize(
    "line",
    [
        "dlq redrive --dry-run",
        "dlq redrive --dry-run --json",
        "dlq redrive --dry-run --subscription crm --since 2026-11-20T00:00:00Z --json",
        "dlq redrive 0@3 1@2 --dry-run --json",
        "dlq redrive",
        "undecodable redrive --dry-run",
        "undecodable redrive --dry-run --topic orders --json",
        "dlq purge --dry-run",
        "dlq purge --dry-run --reason gone --json",
        "undecodable purge --dry-run --json",
        f"{REPLAY} --dry-run",
        f"{REPLAY} --dry-run --json",
        f"{REPLAY} --dry-run --json --event-type pricing.completed --as-granted-today",
        REPLAY,
        f"{REPLAY} --event-type order.generated --dry-run",
    ],
)
def test_what_would_be_taken_is_shown_alike_by_both(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(backend: MemoryBackend | ApiFace) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        return run(backend, *line.split()).alike

    on_cluster, by_api = said(MemoryBackend(world())), said(ApiFace(world()))
    assert _topic_named(by_api) == _topic_named(on_cluster)
    assert on_cluster.out or on_cluster.err


def _topic_named(said: Said) -> Said:
    """Return it with the words of the API for the topic."""
    out, err = said.out, said.err
    for topic, words in (
        ("hookstream.dead-letters", "dead letters"),
        ("hookstream.undecodable", "undecodable records"),
    ):
        out, err = out.replace(topic, words), err.replace(topic, words)
    return Said(out, err, said.code)


def job_of(made: ApiWorld, kind: str) -> Job:
    [job] = [
        each
        for each in made.services.jobs()
        if each.kind == kind and each.id not in ("replay-ours", "replay-others")
    ]
    return job


@pytest.mark.parametrize("first", [MemoryBackend, ApiFace])
@pytest.mark.parametrize("kind", ["dlq", "undecodable"])
@pytest.mark.parametrize("act", ["redrive", "purge"])
def test_what_one_counted_the_other_takes_and_nothing_newer(
    first: type[MemoryBackend | ApiFace], kind: str, act: str
) -> None:
    made, reason = world(), "gone" if kind == "dlq" else "tombstone"
    dry = run(first(made), kind, act, "--dry-run", "--reason", reason, "--json")
    token = json.loads(dry.out)["preview"]
    later = world()
    later.services.topic_ends = lambda _: TopicEnds({0: 999}, TOPIC_ID)  # type: ignore[method-assign, assignment]
    more = ("--because", "sent by mail") if act == "purge" else ()
    said = run(ApiFace(later), kind, act, "--preview", token, "--yes", *more)
    assert said.code == 0, said
    job = job_of(later, act)
    assert job.asked["selector"] == {"reasons": [reason]}
    assert (job.asked["ends"], job.asked["topic_id"]) == ({"0": 7, "1": 3}, TOPIC_ID)
    # Counted for the command, and again when it begins: up to the ends of the preview.
    assert later.services.up_to == [{0: 7, 1: 3}, {0: 7, 1: 3}]


def test_without_a_token_too_exactly_what_was_counted_is_taken() -> None:
    made = world()
    made.services.topic_ends = lambda _: TopicEnds({0: 999}, "0f" * 16)  # type: ignore[method-assign, assignment]
    assert run(ApiFace(made), "dlq", "redrive", "--yes").code == 0
    asked = job_of(made, "redrive").asked
    assert (asked["ends"], asked["topic_id"]) == ({"0": 7, "1": 3}, TOPIC_ID)


def token_of(made: ApiWorld, act: BulkAct = BulkAct.REDRIVE) -> str:
    preview = made.services.preview(
        RedriveSource.DEAD_LETTERS, act, {"reasons": ["gone"]}, made.services.found
    )
    token = preview.token()
    assert token is not None
    return token


def test_a_preview_of_something_else_is_refused() -> None:
    made = world()
    redrive = ("dlq", "redrive", "--yes", "--preview")
    elsewhere = replace(read_preview(token_of(made)), topic_id="0f" * 16).token()
    assert elsewhere is not None
    for token, why in (
        ("x", "begins with preview1-"),
        (token_of(made)[:-3], "copy it whole"),
        (token_of(made, BulkAct.PURGE), "is of a purge"),
        (elsewhere, "of another topic"),
    ):
        said = run(ApiFace(made), *redrive, token)
        assert (said.code, why in said.err) == (2, True), said
    other = run(ApiFace(made), *redrive, token_of(made), "--subscription", "crm")
    assert (other.code, "has other conditions" in other.err) == (2, True), other
    assert [each for each in made.services.jobs() if each.kind == "redrive"] == []


async def test_more_than_was_counted_is_not_taken() -> None:
    made = world()
    token = token_of(made)
    made.services.found = world(3).services.found
    said = run(ApiFace(made), "dlq", "redrive", "--yes", "--preview", token)
    assert (said.code, "3 would be taken now" in said.err) == (2, True)
    answer = await made.send("POST", "/v1/redrives", {"selector": {}, "preview": token})
    assert (answer.status, "3 would be taken now" in answer.json["detail"]) == (422, True)


async def test_a_preview_whose_conditions_cannot_be_read_is_refused() -> None:
    made = world()
    odd = replace(read_preview(token_of(made)), selector={"nonsense": ["x"]}).token()
    answer = await made.send("POST", "/v1/redrives", {"selector": {}, "preview": odd})
    assert (answer.status, answer.json["field"]) == (422, "preview")


@pytest.mark.parametrize("first", [MemoryBackend, ApiFace])
def test_a_replay_takes_the_offsets_that_were_counted(
    first: type[MemoryBackend | ApiFace],
) -> None:
    made = world()
    token = json.loads(run(first(made), *REPLAY.split(), "--dry-run", "--json").out)["preview"]
    later = world()
    said = run(ApiFace(later), "replay", "start", "crm", "--preview", token, "--yes")
    assert said.code == 0, said
    job = job_of(later, "replay")
    assert (job.total, job.asked["since"]) == (43, "2026-11-20T00:00:00.000Z")
    assert read_replay_preview(token).extent == made.services.extent
    assert json.dumps(made.services.extent.document()) in json.dumps(job.reached)


async def test_a_preview_of_another_replay_is_refused() -> None:
    made = world()
    token = json.loads(run(ApiFace(made), *REPLAY.split(), "--dry-run", "--json").out)["preview"]
    for name, more in (
        ("crm", {"until": "2026-11-22T00:00:00Z"}),
        ("crm", {"event_types": ["pricing.completed"]}),
        ("crm", {"preview": token[:-4]}),
        ("crm", {"most_events": 5}),
        ("filed", {}),
    ):
        body = {"since": FROM, "until": TO, "preview": token, **more}
        answer = await made.send("POST", f"/v1/subscriptions/{name}/replays", body)
        field = "most_events" if "most_events" in more else "preview"
        assert (answer.status, answer.json["field"]) == (422, field), answer.content
    assert len([each for each in made.services.jobs() if each.kind == "replay"]) == 2


def test_a_partner_learns_what_it_would_get_and_no_place() -> None:
    made = world()
    partner = ApiFace(made, Scope.PARTNER_MANAGE)
    said = run(partner, *REPLAY.split(), "--dry-run")
    assert (said.code, "hush" in said.out + said.err) == (0, False), said
    assert said.out.splitlines()[0].startswith("43 events from 2026-11-20")
    assert "quote.requested" not in said.out
    assert "--preview" not in said.out
    redrive = run(partner, "dlq", "redrive", "--dry-run", "--json")
    assert json.loads(redrive.out)["preview"] is None
    for line in ("dlq redrive --yes", f"{REPLAY} --yes"):
        assert run(partner, *line.split()).code == 0
    refused = run(partner, "dlq", "redrive", "--yes", "--preview", token_of(made))
    assert (refused.code, "preview: this field is for operators" in refused.err) == (2, True)


def paused_world(events: int) -> ApiWorld:
    made = world()
    crm = made.services.state().current.subscriptions["crm"]
    start = made.services.now() - 60_000
    made.add(
        replace(crm, state=SubscriptionState.PAUSED, gaps=(Gap(start, None, "paused"),))  # type: ignore[arg-type]
    )
    made.services.replay.by_type = {"pricing.completed": TypeCount(events)}
    made.services.replay.unidentified = 0
    return made


def test_the_events_of_a_gap_are_counted_before_it_is_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = run(ApiFace(paused_world(5)), "subscriptions", "resume", "crm", "--no-wait")
    assert (few.code, "5 events so far in the gap from" in few.err) == (0, True), few
    many = paused_world(1_001)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(click.Abort):
        run(ApiFace(many), "subscriptions", "resume", "crm", "--no-wait")
    assert many.services.state().current.subscriptions["crm"].gaps[0].end is None


async def test_a_preview_that_names_a_topic_without_events_is_refused() -> None:
    made = world()
    at = TopicPartition("hookstream.partners", 0)
    made.services.extent = Extent({at.topic: "0" * 32}, {at: OffsetSpan(0, 9)})
    token = json.loads(run(ApiFace(made), *REPLAY.split(), "--dry-run", "--json").out)["preview"]
    body = {"since": FROM, "until": TO, "preview": token}
    answer = await made.send("POST", "/v1/subscriptions/crm/replays", body)
    assert (answer.status, answer.json["field"]) == (422, "preview")
    assert "names hookstream.partners" in answer.json["detail"]


def test_an_extent_of_nothing_is_a_preview_too() -> None:
    made = world()
    made.services.extent = Extent()
    said = run(ApiFace(made), *REPLAY.split(), "--dry-run", "--json")
    assert read_replay_preview(json.loads(said.out)["preview"]).extent == Extent()
