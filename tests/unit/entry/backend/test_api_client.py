"""The client of the API: what it sends, what it repeats, and how a problem is said and ends a command."""

import json
from collections.abc import Mapping

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, run

from hookstream.adapters.http.api_connection import ApiReply
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import DAY
from hookstream.entry.backend.api.client import error_of
from hookstream.errors import (
    AccessRefused,
    ConfigurationError,
    Conflict,
    Contended,
    DependencyUnavailable,
    HookstreamError,
    InputRefused,
)


def problem(
    status: int, reason: str, headers: dict[str, str] | None = None, **more: object
) -> ApiReply:
    document = {"type": "urn:x", "title": "A title", "status": status, "reason": reason, **more}
    return ApiReply(status, headers or {}, json.dumps(document).encode())


def failing(face: ApiFace, reply: ApiReply, times: int) -> list[str]:
    """Let the API answer so often with something else; return the methods that were then sent."""
    asked: list[str] = []

    def before(method: str, _: str) -> ApiReply | None:
        asked.append(method)
        return reply if len(asked) <= times else None

    face.connection.before = before
    return asked


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (problem(401, "unauthenticated", detail="no"), AccessRefused, "no"),
        (
            problem(403, "forbidden", field="endpoint.ca", detail="no"),
            AccessRefused,
            "endpoint.ca: no",
        ),
        (problem(404, "not_found"), InputRefused, "A title"),
        (
            problem(409, "conflict", detail="d", remedy="read it again"),
            Conflict,
            "d: read it again",
        ),
        (problem(409, "conflict", {"retry-after": "1"}, detail="d"), Contended, "d"),
        (problem(409, "owned_by_files", detail="d"), Conflict, "d"),
        (
            problem(
                422,
                "invalid",
                problems=[{"field": "a", "detail": "b"}, {"field": "c", "detail": "d"}],
            ),
            InputRefused,
            "a: b; c: d",
        ),
        (problem(503, "misconfigured", detail="no ring"), ConfigurationError, "no ring"),
        (problem(503, "unavailable", {"retry-after": "5"}), DependencyUnavailable, "A title"),
        (
            problem(500, "internal", request_id="r-1"),
            DependencyUnavailable,
            "A title (the console's log has it as request r-1)",
        ),
        (
            ApiReply(502, {}, b"<html>"),
            DependencyUnavailable,
            "the API answered 502, and no problem document",
        ),
    ],
)
def test_a_problem_is_the_error_of_its_family_in_words(
    reply: ApiReply, kind: type[HookstreamError], text: str
) -> None:
    error = error_of(reply)
    assert (type(error), str(error)) == (kind, text)


def test_what_the_api_asks_to_repeat_is_repeated_with_the_same_key() -> None:
    face = ApiFace(ApiWorld())
    asked = failing(face, problem(503, "unavailable", {"retry-after": "3"}), 2)
    said = run(face, "subscriptions", "pause", "crm", "--no-wait")
    assert (said.code, asked) == (0, ["POST"] * 3)
    assert face.slept == [3.0, 3.0]
    keys = {headers["Idempotency-Key"] for _, _, headers in face.connection.sent}
    assert len(keys) == 1
    run(face, "subscriptions", "pause", "crm", "--no-wait")
    assert len({headers["Idempotency-Key"] for _, _, headers in face.connection.sent}) == 2


def test_repeating_ends_after_a_minute() -> None:
    face = ApiFace(ApiWorld())
    failing(face, problem(503, "unavailable", {"retry-after": "25"}, detail="no brokers"), 99)
    said = run(face, "subscriptions", "list")
    assert (said.code, said.err, face.slept) == (1, "hookstream: no brokers\n", [25.0, 25.0])


def test_what_might_be_done_twice_is_not_repeated_after_503() -> None:
    face = ApiFace(ApiWorld())
    gone = problem(503, "unavailable", {"retry-after": "1"})
    asked = failing(face, gone, 1)
    assert run(face, "subscriptions", "delete", "crm", "--yes").code == 1
    assert asked == ["DELETE"]
    # 429 says that nothing was done.
    asked = failing(face, problem(429, "too_many_requests", {"retry-after": "1"}), 1)
    assert run(face, "subscriptions", "delete", "crm", "--yes").code == 0
    assert asked == ["DELETE", "DELETE"]


@pytest.mark.parametrize(("option", "sent"), [((), "*"), (("--if-revision", "1"), '"1"')])
def test_a_change_says_for_which_revision_it_is(option: tuple[str, ...], sent: str) -> None:
    face = ApiFace(ApiWorld())
    assert run(face, "subscriptions", "pause", "crm", "--no-wait", *option).code == 0
    assert [headers["If-Match"] for _, _, headers in face.connection.sent] == [sent]


def test_another_revision_is_refused_as_on_the_cluster_with_a_remedy() -> None:
    face = ApiFace(ApiWorld())
    said = run(face, "subscriptions", "pause", "crm", "--if-revision", "9")
    assert said.code == 2
    assert said.err == ("hookstream: subscription 'crm' is at revision 1, not 9: read it again\n")


def test_a_list_is_read_to_its_end_page_by_page() -> None:
    world = ApiWorld()
    for number in range(450):
        world.token(Scope.PARTNER_READ, "acme", token_id=f"tok-{number:04d}")
    face = ApiFace(world)
    said = run(face, "tokens", "list", "--json")
    assert len(json.loads(said.out)) == 450 + 8
    assert len(face.connection.sent) == 3


def test_a_partner_sees_its_things_without_what_only_operators_see() -> None:
    face = ApiFace(ApiWorld(), Scope.PARTNER_MANAGE)
    shown = run(face, "subscriptions", "show", "crm", "--json")
    assert (shown.code, json.loads(shown.out)["id"]) == (0, "crm")
    assert json.loads(run(face, "jobs", "show", "replay-ours", "--json").out)["holder"] == ""
    for line in (
        "attempts list --since 2020-01-01T00:00:00Z",
        "deliveries show msg_ours",
        "dlq list",
    ):
        said = run(face, *line.split())
        assert (said.code, "hush" in said.out + said.err) == (0, False), said
    absent = run(face, "subscriptions", "show", "theirs")
    assert (absent.code, absent.err) == (2, "hookstream: Not found\n")
    held = run(face, "hold", "list")
    assert (held.code, "operator:read" in held.err) == (2, True)


def test_a_held_subscription_is_suspended_to_its_partner() -> None:
    world = ApiWorld()
    assert run(ApiFace(world), "hold", "set", "partner", "acme", "--reason", "hush").code == 0
    listed = run(ApiFace(world, Scope.PARTNER_READ), "subscriptions", "list")
    assert "suspended" in listed.out
    assert "hush" not in listed.out


def test_a_command_waits_until_its_change_is_in_effect_by_the_apis_clock() -> None:
    world = ApiWorld()
    face = ApiFace(world)
    send = face.connection.send

    def dated(
        method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        found = send(method, target, headers, body)
        with_date = {**found.headers, "date": "Tue, 24 Nov 2026 12:00:00 GMT"}
        return ApiReply(found.status, with_date, found.body)

    face.connection.send = dated  # type: ignore[method-assign]
    assert world.services.now() == NOON
    assert run(face, "subscriptions", "pause", "crm").code == 0
    assert face.slept == [pytest.approx(2.01)]


@pytest.mark.parametrize(
    "line",
    [
        "topics plan",
        "check folder --schemas folder",
    ],
)
def test_what_the_api_has_no_counterpart_of_is_refused(line: str) -> None:
    said = run(ApiFace(ApiWorld()), *line.split())
    assert said.code == 2
    assert "works on the cluster itself, not through the API: omit --api" in said.err


def test_a_token_in_a_token_field_is_not_sent() -> None:
    world = ApiWorld()
    face = ApiFace(world)
    text = world.token(Scope.PARTNER_READ, "acme", NOON + DAY)
    said = run(face, "tokens", "revoke", text)
    assert (said.code, face.connection.sent, text in said.err) == (2, [], False)


def test_ctrl_c_leaves_a_job_to_whoever_works_on_it() -> None:
    world = ApiWorld()
    face = ApiFace(world)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    face.api.sleep = interrupted
    line = "replay start crm --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z --yes"
    said = run(face, *line.split())
    assert (said.code, "is not finished: 0 done" in said.err) == (1, True), said
    assert "hookstream jobs resume replay-" in said.err
