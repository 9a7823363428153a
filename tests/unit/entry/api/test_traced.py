"""One id leads from an answer to the log, the trace and operators' audit log, and to what was written."""

import pytest
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.requests import CutOff

ID = {"X-Request-Id": "inc-7.retry_2"}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ANY = {"If-Match": "*"}


async def test_an_answer_its_log_line_and_its_span_have_the_id_of_the_request(
    world: ApiWorld,
) -> None:
    answer = await world.send("GET", "/v1/me", headers={**ID, "traceparent": TRACEPARENT})
    assert answer.headers["X-Request-Id"] == "inc-7.retry_2"
    [span] = world.tracer.spans
    assert (span.name, span.parent, span.request_id) == (
        "GET /v1/me",
        TRACEPARENT,
        "inc-7.retry_2",
    )
    assert span.ended == {"error": None, "http.response.status_code": 200}
    [(_, event, fields)] = world.logger.lines
    assert (event, fields["request_id"], fields["trace_id"]) == (
        "api.request",
        "inc-7.retry_2",
        span.trace_id,
    )


async def test_a_problem_says_which_request_it_answers(world: ApiWorld) -> None:
    for method, path, status in (("PUT", "/v1/jobs", 405), ("GET", "/v1/jobs?limit=x", 422)):
        answer = await world.send(method, path, headers=ID)
        assert (answer.status, answer.json["request_id"]) == (status, "inc-7.retry_2")
    unnamed = await world.send("PUT", "/v1/jobs")
    assert unnamed.json["request_id"] == unnamed.headers["X-Request-Id"] == "request-1"


async def test_what_is_absent_says_so_without_the_requests_id_that_its_header_has(
    world: ApiWorld,
) -> None:
    answers = [await world.send("GET", "/v1/subscriptions/none") for _ in range(2)]
    assert [each.headers["X-Request-Id"] for each in answers] == ["request-1", "request-2"]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\nb", "é"])
async def test_an_id_that_is_not_plain_is_replaced(world: ApiWorld, given: str) -> None:
    answer = await world.send("GET", "/v1/me", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == "request-1"


async def test_whoever_has_no_token_makes_no_spans(world: ApiWorld) -> None:
    for path in ("/v1/me", "/v1/nothing"):
        await world.send("GET", path, token="", headers={"traceparent": TRACEPARENT})
    assert world.tracer.spans == []
    world.services.is_current = False
    assert (await world.send("GET", "/v1/me")).status == 503
    assert world.tracer.spans == []


async def test_a_span_fails_where_hookstream_does_and_not_where_the_client_does(
    world: ApiWorld,
) -> None:
    await world.send("GET", "/v1/subscriptions/none")
    world.services.dead_topic.fails_after = 0
    with pytest.raises(CutOff):
        await world.send("GET", "/v1/dead-letters/export")
    refused, cut_off = world.tracer.spans
    assert refused.ended == {"error": None, "http.response.status_code": 404}
    assert cut_off.ended == {"error": "cut_off", "http.response.status_code": 200}


async def test_what_a_request_writes_names_it(world: ApiWorld) -> None:
    operations = world.settings.topics_names.operations
    await world.send("POST", "/v1/subscriptions/crm/pause", headers={**ID, **ANY})
    body = {"kind": "endpoint", "name": "crm", "reason": "it burns"}
    await world.send("POST", "/v1/holds", body, headers=ID)
    events = [each.value or b"" for each in world.tables.records if each.topic == operations]
    assert len(events) == 2
    for event in events:
        assert b"token tok-admin-" in event
        assert b", request inc-7.retry_2" in event


async def test_a_job_says_to_operators_who_asked_for_it_and_with_which_request(
    world: ApiWorld,
) -> None:
    token = world.tokens[Scope.PARTNER_MANAGE]
    since = {"since": "2026-11-23T00:00:00Z"}
    path = "/v1/subscriptions/crm/replays"
    started = await world.send("POST", path, since, token=token, headers=ID)
    assert "asked_by" not in started.json
    shown = await world.send("GET", f"/v1/jobs/{started.json['id']}")
    assert shown.json["asked_by"].startswith("token tok-partner-manage-")
    assert shown.json["asked_by"].endswith(", request inc-7.retry_2")
