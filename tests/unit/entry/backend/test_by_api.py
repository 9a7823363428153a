"""What a command prints that has no cluster beside it in memory: of the index, and of jobs that it begins."""

import json
from dataclasses import replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import purged_letter
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, run
from tests.doubles.lives import FIRST

from hookstream.adapters.index.answers import IndexedAttempt
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs import lease
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.summary import Group
from hookstream.entry.admin.audit import AuditSelection
from hookstream.entry.admin.surveys import Survey

SINCE = "2026-11-20T00:00:00Z"


class Counted(ApiWorld):
    """A console whose survey finds two dead letters."""

    def __init__(self) -> None:
        super().__init__()
        found = Survey({0: 7}, left_out={"gone is deleted: a worker would cancel them": 1})
        for at in (self.services.now() - 5_000, self.services.now()):
            found.tally.add(Group("crm", "exhausted"), at)
        self.services.found = found


def test_attempts_are_listed_the_oldest_first_with_what_the_window_leaves_out() -> None:
    said = run(ApiFace(ApiWorld()), "attempts", "list", "--since", SINCE, "-n", "1", "--json")
    [entry] = map(json.loads, said.out.splitlines())
    assert (entry["delivery_id"], entry["origin"]["offset"]) == ("msg_ours", 40)
    assert said.err.splitlines() == [
        "1 of 2 attempts",
        "the console's index begins at 2026-11-24 11:00:00Z: earlier entries are not known",
    ]


def test_names_that_are_asked_for_together_are_all_listed() -> None:
    face = ApiFace(ApiWorld())
    line = "attempts list --subscription crm --subscription theirs --json"
    said = run(face, *line.split(), "--since", SINCE)
    assert len(said.out.splitlines()) == 2
    unknown = run(face, "attempts", "list", "--subscription", "crn")
    assert (unknown.code, "there is no subscription 'crn'" in unknown.err) == (2, True)


def test_a_delivery_shows_where_it_waits_and_what_can_be_done() -> None:
    said = run(ApiFace(ApiWorld()), "deliveries", "show", "msg_ours", "--json")
    shown = json.loads(said.out)
    [waits] = shown["pending"]
    assert (waits["reason"], waits["deferrals"], waits["last"]) == ("held", 2, "failed 503")
    assert [each["kind"] for each in shown["moments"]] == ["attempt", "dead_letter"]
    assert (shown["subscription"]["state"], bool(shown["can_be_done"])) == ("active", True)
    absent = run(ApiFace(ApiWorld()), "deliveries", "show", "msg_absent")
    assert (absent.code, "'msg_absent' within its window" in absent.err) == (2, True)


def test_deliveries_are_counted_and_listed_as_far_as_the_window_reaches() -> None:
    said = run(ApiFace(ApiWorld()), "deliveries", "list", "--since", SINCE, "--json")
    listed = json.loads(said.out)
    assert (listed["total"], listed["not_read"]) == (2, None)
    assert {each["delivery_id"] for each in listed["deliveries"]} == {"msg_ours", "msg_theirs"}
    assert "the console's index begins at 2026-11-24 11:00:00Z" in said.err


def test_dead_letters_are_listed_with_who_purged_them() -> None:
    said = run(ApiFace(ApiWorld()), "dlq", "list", "--all", "--json")
    listed = json.loads(said.out)
    assert (listed["open"], listed["purged"], len(listed["letters"])) == (0, 2, 2)
    assert listed["letters"][0]["purged"] == {
        "by": "hush-by",
        "why": "hush-why",
        "at": "2026-11-24T12:00:00.000Z",
    }


def test_a_partner_lists_dead_letters_whose_places_it_does_not_see() -> None:
    world = ApiWorld()
    again = purged_letter(replace(FIRST, delivery_id="msg_other"))
    world.services.memory_index.dead.append(again)
    said = run(ApiFace(world, Scope.PARTNER_READ), "dlq", "list", "--all", "--json")
    found = [each["delivery_id"] for each in json.loads(said.out)["letters"]]
    assert sorted(found) == ["msg_other", "msg_ours"]
    assert "hush" not in said.out


def test_statistics_say_what_is_not_counted() -> None:
    said = run(ApiFace(ApiWorld()), "stats", "crm", "--json")
    assert (said.code, set(json.loads(said.out)["counts"]) >= {"held", "replays", "tests"}) == (
        0,
        True,
    )


@pytest.mark.parametrize("kind", ["dlq", "undecodable"])
def test_a_redrive_counts_asks_and_follows_its_job(kind: str) -> None:
    world = Counted()
    said = run(ApiFace(world), kind, "redrive", "--yes", "--json", "--rate", "5")
    document = json.loads(said.out)
    assert (said.code, document["letters"], document["job"]["state"]) == (0, 2, "done")
    assert document["left_out"] == [
        {"why": "gone is deleted: a worker would cancel them", "letters": 1}
    ]
    [job] = [each for each in world.services.jobs() if each.kind == "redrive"]
    source = "dead-letters" if kind == "dlq" else "undecodable"
    assert (job.asked["topic"], job.rate, job.done) == (source, 5.0, 7)
    listed = json.loads(run(ApiFace(world), kind, "jobs", "--json").out)
    assert [each["id"] for each in listed] == [job.id]


@pytest.mark.parametrize(
    ("scope", "after"),
    [
        (Scope.OPERATOR_WRITE, "redrive-first"),
        (Scope.PARTNER_MANAGE, "another job, which works on the same records"),
    ],
)
def test_a_redrive_that_waits_for_its_turn_says_so_and_is_followed(
    scope: Scope, after: str
) -> None:
    world = Counted()
    asked: JsonObject = {"topic": "dead-letters", "selector": {}, "ends": {}}
    first = Job("redrive-first", "redrive", asked, NOON)
    offer = world.services.offer_job
    offer(lease.held(first, "hush", NOON), lambda _: (), None)
    # As a console writes it: for any executor.
    world.services.offer_job = lambda job, *more: offer(lease.handed_back(job, NOON), *more)  # type: ignore[method-assign]
    said = run(ApiFace(world, scope), "dlq", "redrive", "--yes")
    assert (said.code, f"waits: for its turn, after {after}" in said.err) == (0, True), said
    assert "Redrove 7 dead letters as redrive-" in said.out


def test_a_dry_run_begins_nothing() -> None:
    world = Counted()
    said = run(ApiFace(world), "dlq", "redrive", "--subscription", "crm", "--dry-run", "--json")
    document = json.loads(said.out)
    assert (said.code, document["letters"], document["job"]) == (0, 2, None)
    assert [each for each in world.services.jobs() if each.kind == "redrive"] == []
    assert world.services.surveyed[0][1] == {"subscriptions": ["crm"]}


def test_a_purge_is_kept_with_its_reason() -> None:
    world = Counted()
    said = run(ApiFace(world), "dlq", "purge", "0@7", "--because", "sent by mail", "--yes")
    assert (said.code, "Purged 7 dead letters as purge-" in said.out) == (0, True), said
    [job] = [each for each in world.services.jobs() if each.kind == "purge"]
    assert (job.asked["why"], job.asked["selector"]) == ("sent by mail", {"positions": ["0@7"]})


def test_a_partner_redrives_its_own_and_cannot_purge() -> None:
    world = Counted()
    partner = ApiFace(world, Scope.PARTNER_MANAGE)
    assert run(partner, "dlq", "redrive", "--subscription", "crm", "--yes").code == 0
    [job] = [each for each in world.services.jobs() if each.kind == "redrive"]
    assert job.asked["selector"] == {"subscriptions": ["crm"], "partners": ["acme"]}
    refused = run(partner, "dlq", "purge", "--because", "no", "--yes")
    assert (refused.code, "operator:write" in refused.err) == (2, True)


def test_a_delivery_is_sent_again_once_it_was_confirmed() -> None:
    world = ApiWorld()
    said = run(ApiFace(world), "deliveries", "resend", "msg_ours", "--yes", "--json")
    sent = json.loads(said.out)
    assert (said.code, sent["job_id"], sent["pending_before"]) == (0, "resend-1", 1)
    assert "A run of msg_ours is pending: why held" in said.err


def test_a_job_that_another_executor_finished_first_is_no_failure_of_the_command() -> None:
    """A console may finish the replay of a gap before the command that wrote it looks at it."""
    world = ApiWorld()
    job = replace(world.services.jobs()[0], state=JobState.DONE)
    world.tables.put(world.services.settings.topics_names.jobs, job.id, job.encode())
    for more in ((), ("--rate", "5")):
        said = run(ApiFace(world), "jobs", "resume", job.id, *more)
        assert (said.code, said.out) == (0, f"{job.id} is done: 0 done\n")


def recorded(face: ApiFace, name: str, at: int, **more: object) -> None:
    """Let the index have another attempt, the newest."""
    index = face.connection.world.services.memory_index
    entry = replace(FIRST, delivery_id=name, started_at=at, **more)  # type: ignore[arg-type]
    index.found_attempts.insert(0, IndexedAttempt(entry, at, 0, at))


def test_attempts_are_followed_and_each_is_there_once_whenever_it_becomes_known() -> None:
    face = ApiFace(ApiWorld())
    since = NOON + 60_000
    recorded(face, "msg_1", since)
    said: list[str] = []
    following = face.attempts.followed(AuditSelection(since=since), said.append)
    assert next(following).delivery_id == "msg_1"
    recorded(face, "msg_2", since + 9_000)
    # Of another partition: it was recorded before, and is known now.
    recorded(face, "msg_3", since + 8_000)
    found = [next(following).delivery_id for _ in range(2)]
    recorded(face, "msg_4", since + 9_000)
    found.append(next(following).delivery_id)
    assert found == ["msg_3", "msg_2", "msg_4"]
    assert (face.slept, said) == ([1.0, 1.0], [])
    # What is older than a few seconds is not asked for again.
    assert "since=2026-11-24T12%3A01%3A04" in face.connection.sent[-1][1]


def test_what_limits_followed_attempts_is_said_once() -> None:
    face = ApiFace(ApiWorld())
    said: list[str] = []
    following = face.attempts.followed(AuditSelection(since=0), said.append)
    for number in range(3):
        recorded(face, f"msg_{number}", NOON + number)
        next(following)
    assert said == [
        "the console's index begins at 2026-11-24 11:00:00Z: earlier entries are not known"
    ]


def test_a_delivery_is_shown_as_far_as_it_happened_in_a_window() -> None:
    face = ApiFace(ApiWorld())
    whole = json.loads(run(face, "attempts", "show", "msg_ours", "--json").out)
    part = run(face, "attempts", "show", "msg_ours", "--since", "1970-01-01T00:00:02Z", "--json")
    assert [each["kind"] for each in whole["moments"]] == ["attempt", "dead_letter"]
    assert [each["kind"] for each in json.loads(part.out)["moments"]] == ["dead_letter"]
    assert "earlier entries are not known" in part.err
    before = ("--until", "1970-01-01T00:00:00Z")
    nothing = run(face, "attempts", "show", "msg_ours", *before)
    assert (nothing.code, "may still wait for its first attempt" in nothing.err) == (2, True)
    pending = run(face, "deliveries", "show", "msg_ours", *before)
    assert (pending.code, "to send it again" in pending.out) == (0, True), pending
    answers = face.connection.world.services.memory_index.answers
    answers["msg_ours"] = replace(answers["msg_ours"], pending=())
    nothing = run(face, "deliveries", "show", "msg_ours", *before)
    assert (nothing.code, "between --since and --until" in nothing.err) == (2, True), nothing


def test_dead_letters_are_counted_by_the_hosts_of_their_endpoints() -> None:
    for scope, hosts in ((Scope.ADMIN, [2]), (Scope.PARTNER_READ, [1])):
        line = "dlq list --all --group-by host --json"
        said = run(ApiFace(ApiWorld(), scope), *line.split())
        groups = json.loads(said.out)["groups"]
        assert [each["host"] for each in groups] == ["partner.example"], said
        assert [each["letters"] for each in groups] == hosts


def test_a_new_rate_of_a_job_that_somebody_works_on_is_not_set() -> None:
    world = ApiWorld()
    job = Job("replay-held", "replay", {"subscription": "crm"}, NOON)
    held = replace(lease.held(job, "hush", NOON), asked_by="ann@desk")
    world.services.offer_job(held, lambda _: (), None)
    said = run(ApiFace(world), "jobs", "resume", "replay-held", "--rate", "5")
    assert (said.code, "Another process took it over" in said.err) == (1, True), said
    kept = world.services.job("replay-held")
    assert kept is not None
    assert replace(kept, written_at=0) == held
