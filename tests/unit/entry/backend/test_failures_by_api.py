"""Failure groups by command: a console has them, and the cluster says that it has none."""

import json

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import OUR_FAILURE, OUR_PAST_FAILURE, THEIR_FAILURE
from tests.doubles.faces import ApiFace, MemoryBackend, run

from hookstream.core.access.scopes import Scope
from hookstream.core.failures.groups import Actor, GroupState

SINCE = "Errors are counted since 2026-11-24 11:00:00Z"


def test_without_a_console_it_is_said_where_failure_groups_come_from() -> None:
    for line in (
        "list",
        "list --by-error",
        "show fg-1",
        "ack fg-1",
        "resolve fg-1",
        "reopen fg-1",
    ):
        said = run(MemoryBackend(ApiWorld()), "failures", *line.split())
        assert (said.code, said.out) == (2, "")
        assert "give --api URL before the command" in said.err


def test_groups_that_are_not_over_are_listed_with_what_was_seen_of_them() -> None:
    said = run(ApiFace(ApiWorld()), "failures", "list")
    head, *rows = said.out.splitlines()
    assert head.split() == [
        "group",
        "state",
        "subscription",
        "last",
        "errors",
        "deliveries",
        "error",
    ]
    assert {row.split()[0] for row in rows} == {OUR_FAILURE.id, THEIR_FAILURE.id}
    assert all(row.endswith("1           1  failed 503 (answered <n>)") for row in rows)
    assert said.err.splitlines() == [SINCE]


def test_filters_and_limits_apply_and_nothing_is_said_as_such() -> None:
    face = ApiFace(ApiWorld())
    for line, ids in (
        ("--subscription crm", {OUR_FAILURE.id}),
        ("--partner rival", {THEIR_FAILURE.id}),
        ("--subscription crm --state resolved", {OUR_PAST_FAILURE.id}),
        ("--outcome throttled", set()),
    ):
        said = run(face, "failures", "list", "--json", *line.split())
        assert {each["id"] for each in json.loads(said.out)} == ids
    assert len(json.loads(run(face, "failures", "list", "-n", "1", "--json").out)) == 1
    none = run(face, "failures", "list", "--outcome", "throttled")
    assert (none.out, none.err.splitlines()[0]) == ("", "No such failure group.")
    early = run(face, "failures", "list", "--since", "2026-11-20T00:00:00Z")
    assert "the console's index begins at" in early.err


def test_errors_are_summed_over_subscriptions_for_operators() -> None:
    face = ApiFace(ApiWorld())
    said = run(face, "failures", "list", "--by-error")
    [row] = said.out.splitlines()[1:]
    assert row.split()[:3] == ["2", "2", "2"]
    assert row.endswith("2           2  failed 503 (answered <n>)")
    [found] = json.loads(run(face, "failures", "list", "--by-error", "--json").out)
    assert found["states"] == {"open": 0, "acknowledged": 2, "resolved": 0, "reopened": 0}
    refused = run(face, "failures", "list", "--by-error", "--subscription", "crm")
    assert (refused.code, "--subscription" in refused.err) == (2, True)
    partner = run(ApiFace(ApiWorld(), Scope.PARTNER_READ), "failures", "list", "--by-error")
    assert partner.code == 2


def test_a_group_is_shown_with_its_newest_attempts() -> None:
    said = run(ApiFace(ApiWorld()), "failures", "show", OUR_FAILURE.id)
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines == [
        f"group {OUR_FAILURE.id}, revision 2",
        "state acknowledged since 2026-11-24 11:59:59Z by an operator (hush-operator)",
        "note hush-note",
        "subscription crm of acme",
        "error failed 503 (answered <n>)",
        "example answered 503",
        "seen 1970-01-01 00:00:01Z to 2026-11-24 11:59:59Z",
        "errors 1 of 1 delivery",
        "1970-01-01 00:00:01Z msg_ours #1 initial: failed 503 in 10us, retry at 1970-01-01 00:00:06Z",
    ]
    shown = json.loads(run(ApiFace(ApiWorld()), "failures", "show", OUR_FAILURE.id, "--json").out)
    assert (shown["id"], shown["count"], len(shown["attempts"])) == (OUR_FAILURE.id, 1, 1)
    absent = run(ApiFace(ApiWorld()), "failures", "show", "fg-nothing")
    assert (absent.code, "there is no failure group 'fg-nothing'" in absent.err) == (2, True)


def test_a_partner_sees_its_own_groups_without_operators_words() -> None:
    face = ApiFace(ApiWorld(), Scope.PARTNER_READ)
    [found] = json.loads(run(face, "failures", "list", "--json").out)
    assert (found["id"], found["actor"], found["by"], found["note"]) == (
        OUR_FAILURE.id,
        "operator",
        "",
        "",
    )
    assert "hush" not in run(face, "failures", "show", OUR_FAILURE.id).out


@pytest.mark.parametrize(
    ("act", "name", "after"),
    [
        ("ack", OUR_FAILURE.id, GroupState.ACKNOWLEDGED),
        ("resolve", OUR_FAILURE.id, GroupState.RESOLVED),
        ("reopen", OUR_PAST_FAILURE.id, GroupState.REOPENED),
    ],
)
def test_people_act_on_a_group_at_the_revision_that_they_saw(
    act: str, name: str, after: GroupState
) -> None:
    world = ApiWorld()
    face = ApiFace(world, Scope.PARTNER_MANAGE)
    late = run(face, "failures", act, name, "--if-revision", "1")
    assert (late.code, "is at revision 2, not 1" in late.err) == (2, True)
    said = run(face, "failures", act, name, "--note", "our proxy", "--if-revision", "2")
    assert (said.code, said.err) == (0, f"{name} of crm is {after}\n")
    group = world.services.failures().get(name)
    assert group is not None
    assert (group.state, group.actor, group.note) == (after, Actor.PARTNER, "our proxy")


def test_a_note_that_is_too_long_is_refused_before_anything_is_sent() -> None:
    face = ApiFace(ApiWorld())
    said = run(face, "failures", "ack", OUR_FAILURE.id, "--note", "x" * 501)
    assert (said.code, face.connection.sent) == (2, [])
