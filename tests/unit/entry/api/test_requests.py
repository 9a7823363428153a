"""What a request says is bounded and strict; what is repeated is not done again; cursors say nothing."""

import ipaddress
import json
from typing import Any, cast

import msgspec
import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.unit.entry.api.expectations import NEW

from hookstream.adapters.exact_json import parse_exact
from hookstream.core.access.scopes import Scope
from hookstream.core.model.number import read_number, whole_as_int
from hookstream.entry.api.dispatch import LARGEST_READ_AT_ONCE
from hookstream.entry.api.exact import plain
from hookstream.entry.api.problems import FieldProblem, ProblemKind, RequestRefused
from hookstream.entry.api.requests import LARGEST_BODY
from hookstream.entry.api.transport import client_address

PARTNER = Scope.PARTNER_MANAGE
SAME = {"X-Request-Id": "the-same"}
"""Of requests whose answers are compared to the byte."""


async def test_a_repeated_request_is_answered_as_the_first_without_its_secret(
    world: ApiWorld,
) -> None:
    key = {"Idempotency-Key": "first"}
    token = world.tokens[PARTNER]
    first = await world.send("POST", "/v1/subscriptions", NEW, token=token, headers=key)
    again = await world.send("POST", "/v1/subscriptions", NEW, token=token, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.etag, again.headers["Location"]) == (first.etag, first.headers["Location"])
    assert first.json["generated"]
    assert again.json == {**first.json, "generated": []}
    listed = await world.send("GET", "/v1/subscriptions", token=token)
    assert [each["id"] for each in listed.json["items"]].count(
        first.json["subscription"]["id"]
    ) == 1


async def test_a_key_belongs_to_one_request_and_one_token(world: ApiWorld) -> None:
    key = {"Idempotency-Key": "first"}
    await world.send("POST", "/v1/subscriptions", NEW, token=world.tokens[PARTNER], headers=key)
    other = {**NEW, "content": "thin"}
    answer = await world.send(
        "POST", "/v1/subscriptions", other, token=world.tokens[PARTNER], headers=key
    )
    assert (answer.status, answer.json["reason"]) == (422, "key_reused")
    rival = await world.send("POST", "/v1/subscriptions", NEW, token=world.rival, headers=key)
    assert (rival.status, rival.json["subscription"]["partner"]) == (201, "rival")


async def test_what_was_refused_is_not_kept_for_its_key(world: ApiWorld) -> None:
    key = {"Idempotency-Key": "first"}
    bad = {**NEW, "event_types": ["no.such"]}
    answer = await world.send("POST", "/v1/subscriptions", bad, headers=key)
    assert answer.status == 422
    again = await world.send("POST", "/v1/subscriptions", bad, headers=key)
    assert (again.status, "Idempotency-Replayed" in again.headers) == (422, False)


async def test_a_list_goes_on_where_its_cursor_says(world: ApiWorld) -> None:
    for number in range(5):
        world.add(subscription(f"many-{number}"))
    token, found, path = world.tokens[PARTNER], [], "/v1/subscriptions?limit=2"
    cursor = ""
    while True:
        page = (await world.send("GET", path + cursor, token=token)).json
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == sorted(["crm", "filed", *(f"many-{number}" for number in range(5))])


async def test_a_cursor_of_another_partner_list_or_filter_is_answered_as_any_text(
    world: ApiWorld,
) -> None:
    for number in range(3):
        world.add(subscription(f"many-{number}"))
    path = "/v1/subscriptions?limit=1"
    cursor = (await world.send("GET", path, token=world.tokens[PARTNER])).json["next"]
    others = [
        await world.send("GET", f"{path}&cursor={cursor}", token=world.rival, headers=SAME),
        await world.send("GET", f"{path}&cursor={cursor}", headers=SAME),
        *[
            await world.send("GET", other, token=world.tokens[PARTNER], headers=SAME)
            for other in (
                f"/v1/event-types?cursor={cursor}",
                f"{path}&cursor=nonsense",
                f"{path}&cursor={cursor[:-4]}AAAA",
            )
        ],
    ]
    assert {(each.status, each.content) for each in others} == {(400, others[0].content)}
    assert others[0].json["reason"] == "invalid_cursor"


async def test_a_foreign_subscription_in_a_filter_is_as_an_absent_one(world: ApiWorld) -> None:
    for path in ("deliveries", "attempts", "pending", "dead-letters", "dead-letters/counts"):
        answers = [
            await world.send(
                "GET",
                f"/v1/{path}?subscription={name}",
                token=world.tokens[PARTNER],
                headers=SAME,
            )
            for name in ("theirs", "nobodys")
        ]
        assert {each.status for each in answers} == {404}
        assert answers[0].content == answers[1].content


async def test_a_foreign_subscription_in_a_body_is_as_an_absent_one(world: ApiWorld) -> None:
    for path in ("redrives", "dead-letters/preview"):
        answers = [
            await world.send(
                "POST",
                f"/v1/{path}",
                {"selector": {"subscriptions": [name]}},
                token=world.tokens[PARTNER],
                headers=SAME,
            )
            for name in ("theirs", "nobodys")
        ]
        assert {each.status for each in answers} == {404}
        assert answers[0].content == answers[1].content


async def test_a_partners_redrive_takes_its_own_dead_letters_alone(world: ApiWorld) -> None:
    answer = await world.send(
        "POST", "/v1/redrives", {"selector": {"reasons": ["expired"]}}, token=world.tokens[PARTNER]
    )
    assert answer.status == 202
    job = world.services.job(answer.json["id"])
    assert job is not None
    assert job.asked["selector"] == {
        "partners": ["acme"],
        "reasons": ["expired"],
        "subscriptions": ["crm", "filed"],
    }
    assert answer.json["asked"] == {}


@pytest.mark.parametrize("field", ["partner", "id", "limits.weight", "endpoint.ca"])
async def test_a_partner_sets_no_field_of_operators(world: ApiWorld, field: str) -> None:
    values: dict[str, Any] = {
        "partner": {"partner": "acme"},
        "id": {"id": "mine"},
        "limits.weight": {"limits": {"weight": 1}},
        "endpoint.ca": {"endpoint": {**NEW["endpoint"], "ca": {"value": "x"}}},
    }
    body = {**NEW, **values[field]}
    answer = await world.send("POST", "/v1/subscriptions", body, token=world.tokens[PARTNER])
    assert (answer.status, answer.json["field"]) == (403, field)


async def test_what_files_own_is_changed_there_but_not_its_state(world: ApiWorld) -> None:
    path, any_ = "/v1/subscriptions/filed", {"If-Match": "*"}
    for method, body in (("PATCH", {"content": "thin"}), ("DELETE", None)):
        answer = await world.send(method, path, body, headers=any_)
        assert (answer.status, answer.json["reason"]) == (409, "owned_by_files")
        assert "core" in answer.json["detail"]
        partners = await world.send(method, path, body, headers=any_, token=world.tokens[PARTNER])
        assert (partners.status, partners.json["reason"]) == (409, "owned_by_files")
        assert "subscription filed" in partners.json["detail"]
        assert "core" not in str(partners.json)
    for act, body in (("pause", None), ("resume", {}), ("rotate-secret", {})):
        answer = await world.send("POST", f"{path}/{act}", body, headers=any_)
        assert answer.status == 200, answer.content
    assert (await world.send("GET", path)).json["declared_at"] == "subscriptions/hush.yaml:3"
    assert (await world.send("POST", f"{path}/release", headers=any_)).status == 200
    assert (await world.send("GET", path)).json["declared_at"] is None
    assert (await world.send("PATCH", path, {"content": "thin"}, headers=any_)).status == 200


async def test_a_partners_limits_bind_what_it_makes_and_not_what_operators_make(
    world: ApiWorld,
) -> None:
    limits = {"limits": {"subscriptions": 2}}
    await world.send("PATCH", "/v1/partners/acme", limits, headers={"If-Match": "*"})
    own = await world.send("POST", "/v1/subscriptions", NEW, token=world.tokens[PARTNER])
    assert (own.status, own.json["reason"]) == (422, "limit_exceeded")
    operators = await world.send("POST", "/v1/subscriptions", {**NEW, "partner": "acme"})
    assert operators.status == 201


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"x" * (LARGEST_BODY + 1), {}, 413),
        (b"{", {}, 400),
        (b"[]", {}, 422),
        (b"", {}, 422),
        (b'{"event_types": [1], "event_types": []}', {}, 400),
        (b"[" * 200 + b"]" * 200, {}, 400),
        (b"\xff", {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    world: ApiWorld, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await world.send("POST", "/v1/subscriptions", content=content, headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    ("size", "runs"), [(LARGEST_READ_AT_ONCE, 2), (LARGEST_READ_AT_ONCE + 1, 3), (LARGEST_BODY, 3)]
)
async def test_a_body_that_takes_long_to_read_is_not_read_on_the_event_loop(
    world: ApiWorld, size: int, runs: int
) -> None:
    content = json.dumps({"wait": 0}).encode().ljust(size)
    answer = await world.send("POST", "/v1/subscriptions/crm/test", content=content)
    # The handler and the answer have threads in any case.
    assert (answer.status, world.threads.runs) == (200, runs)


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "7", f"{2**63 - 1}", f"{-(2**63)}", f"{2**63}", "9" * 90, "1.5", "1e3", "true"],
)
def test_a_number_of_a_body_is_as_exact_as_its_text(text: str) -> None:
    found = plain(cast("dict[str, object]", parse_exact(b'{"x": [%s]}' % text.encode())))["x"]
    known: object = True if text == "true" else whole_as_int(read_number(text))
    assert (found, repr(found)) == ([known], repr([known]))


async def test_paths_methods_and_queries_are_bounded(world: ApiWorld) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/" + "x" * 3_000, 414),
        ("GET", "/v1/jobs?kind=" + "x" * 9_000, 414),
        ("PUT", "/v1/jobs", 405),
        ("GET", "/v1/subscriptions/%ff", 400),
        ("GET", "/v1/jobs?state=running&state=done", 422),
        ("GET", "/v1/jobs?limit=1000", 422),
    ):
        answer = await world.send(method, path)
        assert answer.status == status, (path, answer.content)
    assert (await world.send("PUT", "/v1/jobs")).headers["Allow"] == "GET"


async def test_the_clients_request_id_is_kept_if_it_is_plain(world: ApiWorld) -> None:
    answer = await world.send("GET", "/v1/me", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1"
    answer = await world.send("GET", "/v1/me", headers={"X-Request-Id": "a\nb"})
    assert answer.headers["X-Request-Id"].startswith("request-")


async def test_a_defect_is_answered_with_the_requests_id_alone(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("hush-0123")

    monkeypatch.setattr(world.services, "jobs", broken)
    world.fails_at_defects = False
    answers = [await world.send("GET", "/v1/jobs") for _ in range(2)]
    assert [answer.status for answer in answers] == [500, 500]
    assert answers[0].json["request_id"] == answers[0].headers["X-Request-Id"]
    assert b"hush" not in answers[0].content
    defects = [fields for _, event, fields in world.logger.lines if event == "api.defect"]
    assert [each["stack"] is None for each in defects] == [False, True]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(
    peer: str, forwarded: str, address: str
) -> None:
    trusted = [ipaddress.ip_network("10.0.0.0/8")]
    assert client_address(peer, forwarded, trusted) == address


async def test_what_waits_and_is_in_no_list_is_said_with_the_list(world: ApiWorld) -> None:
    world.services.memory_index.beyond = 1_234
    for scope, count in ((Scope.OPERATOR_READ, 1_234), (Scope.PARTNER_READ, 1)):
        answer = await world.send("GET", "/v1/pending", token=world.tokens[scope])
        assert (answer.status, answer.json["only_counted"]) == (200, count)
    world.services.memory_index.beyond = 0
    answer = await world.send("GET", "/v1/pending", token=world.tokens[Scope.PARTNER_READ])
    assert answer.json["only_counted"] == 0


_HALF = "\ud800"
_LINE = json.dumps({"type": _HALF, "entity_id": "x", "environment": "production", "data": {}})


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        pytest.param(
            "/v1/holds",
            {"kind": "partner", "name": "acme", "reason": _HALF},
            "reason",
            id="a reason",
        ),
        pytest.param(
            "/v1/definitions/apply",
            {"definitions": [], "marks": {_HALF: ""}},
            "marks['\\ud800']",
            id="a name",
        ),
        pytest.param(
            "/v1/events",
            {"topic_prefix": "printprice.", "events": [_HALF]},
            "events[0]",
            id="a list",
        ),
        pytest.param(
            "/v1/schema-files/plan",
            {"files": [{"path": _HALF, "text": "{}"}]},
            "files[0].path",
            id="a path",
        ),
    ],
)
async def test_a_text_with_half_of_a_surrogate_pair_is_refused_by_its_place(
    world: ApiWorld, path: str, body: object, where: str
) -> None:
    answer = await world.send("POST", path, body)
    assert (answer.status, answer.json["reason"]) == (400, "malformed")
    assert answer.json["field"] == where


async def test_no_half_of_a_surrogate_pair_in_a_line_keeps_the_answer_back(
    world: ApiWorld,
) -> None:
    # Other events of the request may be published: whoever gets no answer sends them again.
    body = {"topic_prefix": "another.", "events": [_LINE]}
    answer = await world.send("POST", "/v1/events", body)
    assert (answer.status, answer.json["sent"]) == (200, 0)
    assert "\\ud800" in answer.json["refused"][0]["why"]


def test_a_problem_is_sent_whatever_its_text_has() -> None:
    refused = RequestRefused(
        ProblemKind.INVALID, _HALF, field=_HALF, problems=(FieldProblem(_HALF, _HALF),)
    )
    assert msgspec.json.encode(refused.document()).count(b"\\\\ud800") == 4


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/definitions/plan", {"definitions": []}),
        ("/v1/definitions/apply", {"definitions": [], "marks": {}}),
        ("/v1/schema-files/plan", {"files": [{"path": "a.b/v1.avsc", "text": "{}"}]}),
        (
            "/v1/schema-files/publish",
            {"files": [{"path": "a.b/v1.avsc", "text": "{}"}], "mark": ""},
        ),
    ],
)
async def test_few_requests_at_a_time_read_files_or_definitions(
    world: ApiWorld, path: str, body: object
) -> None:
    # Each may keep a thread for seconds: whoever sends many must not take all of them.
    with world.services.large_body(), world.services.large_body():
        refused = await world.send("POST", path, body)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    assert (await world.send("POST", path, body)).status in (200, 409, 422)
