"""The pages of deliveries: one life in order, what was sent, the body on demand, and sending it again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.clock import NOON
from tests.doubles.index import WINDOW
from tests.doubles.lives import DEATH, FIRST
from tests.doubles.pages import Browser, PageReply, PagesWorld, logged_in

from hookstream.adapters.index.answers import DeliveryAnswer, IndexedAttempt
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.delivery.identity import batch_id
from hookstream.entry.api.requests import ApiRequest, ApiResponse
from hookstream.entry.pages.asking import DispatchesApi

PAGE = "/ui/deliveries/msg_ours"
FAILED = replace(
    FIRST,
    delivery_id="msg_ours",
    started_at=NOON - 9_000,
    next_due_at=NOON - 6_000,
    duration_us=1_250_000,
    trace_id="c0ffee" * 5 + "00",
    worker="worker-1",
    response_excerpt="<b>try later</b>\u202e",
)
DELIVERED = replace(
    FAILED,
    attempt=2,
    started_at=NOON - 6_000,
    outcome="delivered",
    status=204,
    disposition="complete",
    reason=None,
    error=None,
    next_due_at=None,
    response_excerpt=None,
)


class NotingApi:
    """An API that notes the queries that it is sent."""

    def __init__(self, dispatcher: DispatchesApi) -> None:
        self._dispatcher = dispatcher
        self.queries: list[str] = []

    async def answer(
        self, request: ApiRequest, identify: Callable[[], Caller | None] | None = None
    ) -> ApiResponse:
        self.queries.append(request.query)
        return await self._dispatcher.answer(request, identify)


def put(world: PagesWorld, *entries: Any, **changes: Any) -> None:  # noqa: ANN401  fields of the answer
    history = DeliveryHistory("msg_ours", entries, changes.pop("deaths", ()))
    answer = DeliveryAnswer(history, (), "crm", "acme", WINDOW)
    world.api.services.memory_index.answers["msg_ours"] = replace(answer, **changes)


async def of(world: PagesWorld, scope: Scope = Scope.ADMIN) -> Browser:
    return await logged_in(world, world.api.tokens[scope])


def steps(shown: PageReply) -> list[str]:
    """Return the text of each step of a timeline, which is one ordered list."""
    [ordered] = list(shown.html.split("<ol")[1:])
    items = ordered.partition("</ol>")[0].split("<li")[1:]
    return [replace(shown, html=f"<li{each}").text for each in items]


async def test_a_life_is_one_ordered_list_from_its_event_to_its_end(world: PagesWorld) -> None:
    put(world, FAILED, DELIVERED)
    shown = await (await of(world)).get(PAGE)
    assert steps(shown) == [
        "1970-01-01 00:00:00 UTC Event published At t-3@40",
        (
            "2026-11-24 11:59:51 UTC Attempt 1 failed 503 Trigger initial Then retry (status) Took 1.2 s"
            " Trace c0ffeec0ffeec0ffeec0ffeec0ffee00 Worker worker-1"
            r" The start of the answer <b>try later</b>\u202e"
        ),
        "2026-11-24 11:59:52 UTC Waited Reason retry Until 2026-11-24 11:59:54 UTC",
        (
            "2026-11-24 11:59:54 UTC Attempt 2 delivered 204 Trigger initial Took 1.2 s"
            " Trace c0ffeec0ffeec0ffeec0ffeec0ffee00 Worker worker-1"
        ),
        "2026-11-24 11:59:55 UTC Completed",
    ]
    [ordered] = shown.attributes("ol")
    assert ordered["aria-labelledby"] == "timeline"


async def test_it_is_kept_current_while_something_follows_and_not_after_its_end(
    world: PagesWorld,
) -> None:
    browser = await of(world)
    kept = [each for each in (await browser.get(PAGE)).attributes("section") if each]
    assert kept == [{"data-live": f"{PAGE}?live=live", "data-every": "5"}]
    put(world, FAILED, DELIVERED)
    shown = await browser.get(PAGE)
    assert [each for each in shown.attributes("section") if each] == []
    assert "Nothing follows: the endpoint accepted it." in shown.text


async def test_a_wait_is_marked_as_the_step_of_now(world: PagesWorld) -> None:
    shown = await (await of(world)).get(PAGE)
    [now] = [each for each in shown.attributes("li") if each.get("aria-current") == "step"]
    assert now["class"] == "busy now"
    assert steps(shown)[-1].endswith(
        "Waits Reason held Until now 2026-11-24 12:00:00 UTC In hush-tier Deferred 2 times"
    )


async def test_a_delivery_that_was_not_attempted_yet_is_shown_by_its_wait(
    world: PagesWorld,
) -> None:
    waits = world.api.services.memory_index.answers["msg_ours"].pending
    put(world, pending=waits)
    shown = await (await of(world)).get(PAGE)
    assert [each.partition("UTC ")[2][:7] for each in steps(shown)] == [
        "Event p",
        "Matched",
        "Waits R",
    ]
    assert "No request of it is recorded." in shown.text
    assert "pricing.completed e-1" in shown.text


async def test_a_delivery_of_which_only_a_dead_letter_is_known_is_shown(
    world: PagesWorld,
) -> None:
    put(world, deaths=(DEATH,))
    for scope in (Scope.ADMIN, Scope.PARTNER_READ):
        shown = await (await of(world, scope)).get(PAGE)
        [only] = steps(shown)
        assert "Dead-lettered Reason attempts_exhausted" in only


async def test_a_step_with_several_copies_shows_their_number(world: PagesWorld) -> None:
    put(world, FAILED, unmerged=(FAILED, replace(FAILED, started_at=NOON - 8_900)))
    [first] = [each for each in steps(await (await of(world)).get(PAGE)) if "Attempt 1" in each]
    assert "Copies 2 records: the attempt was repeated after a crash" in first


async def test_a_trace_leads_where_the_setting_says(world: PagesWorld) -> None:
    put(world, replace(FAILED, trace_id='x"/&?'))
    browser = await of(world)
    assert "trace.example" not in (await browser.get(PAGE)).html
    around = replace(world.site._around, trace_url="https://trace.example/t/{trace_id}?a=1&b=2")  # noqa: SLF001
    world.site._around = around  # noqa: SLF001
    links = [each for each in (await browser.get(PAGE)).attributes("a") if "trace" in each["href"]]
    assert links == [
        {"href": "https://trace.example/t/x%22%2F%26%3F?a=1&b=2", "rel": "noreferrer"}
    ]
    partner = await of(world, Scope.PARTNER_MANAGE)
    assert "trace.example" not in (await partner.get(PAGE)).html


async def test_a_partner_sees_the_same_life_without_places_workers_and_traces(
    world: PagesWorld,
) -> None:
    put(world, FAILED, DELIVERED)
    shown = await (await of(world, Scope.PARTNER_READ)).get(PAGE)
    assert steps(shown) == [
        "1970-01-01 00:00:00 UTC Event published",
        (
            "2026-11-24 11:59:51 UTC Attempt 1 failed 503 Trigger initial Then retry (status) Took 1.2 s"
            r" The start of the answer <b>try later</b>\u202e"
        ),
        "2026-11-24 11:59:52 UTC Waited Reason retry Until 2026-11-24 11:59:54 UTC",
        "2026-11-24 11:59:54 UTC Attempt 2 delivered 204 Trigger initial Took 1.2 s",
        "2026-11-24 11:59:55 UTC Completed",
    ]


async def test_what_was_sent_says_what_is_known_by_the_audit_log_and_what_by_today(
    world: PagesWorld,
) -> None:
    put(world, FAILED, DELIVERED)
    text = (await (await of(world)).get(PAGE)).text
    assert "POST (path not shown) HTTP/1.1" in text
    assert "webhook-id msg_ours the audit log" in text
    assert "webhook-signature (signed with the secret generated) the current subscription" in text
    assert "The subscription changed since, at 2026-11-24 12:00:00 UTC" in text


async def test_a_body_is_read_only_by_who_asks_for_it_and_that_is_in_the_audit_log(
    world: PagesWorld,
) -> None:
    browser = await of(world)
    shown = await browser.get(PAGE)
    assert [act for act, *_ in world.api.services.uses if act == "payload.read"] == []
    [link] = [each for each in shown.attributes("a") if each["href"].endswith("/payload")]
    body = await browser.get(link["href"])
    assert "As it would be rendered today" in body.text
    assert [
        (act, subject) for act, _, subject in world.api.services.uses if act != "session.began"
    ] == [("payload.read", "msg_ours")]


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        (Scope.ADMIN, True),
        (Scope.OPERATOR_READ, False),
        (Scope.PARTNER_MANAGE, True),
        (Scope.PARTNER_READ, False),
    ],
)
async def test_who_may_send_it_again_is_shown_what_that_does_and_its_lines(
    world: PagesWorld,
    scope: Scope,
    may: bool,  # noqa: FBT001  a parameter
) -> None:
    shown = await (await of(world, scope)).get(PAGE)
    assert ("Sends 1 delivery to crm again" in shown.text) is may
    if may:
        assert "1 run of it is pending already: the endpoint may get it twice." in shown.text
        assert "hookstream deliveries resend msg_ours --reason WHY" in shown.text
        assert 'curl --fail-with-body -X POST "$HOOKSTREAM_API__URL"/v1/deliveries/' in shown.text
        assert "reason" in shown.form(f"{PAGE}/resend").fields
        boxes = [
            each["name"] for each in shown.attributes("input") if each.get("type") == "checkbox"
        ]
        assert boxes == (["as_granted_today"] if scope is Scope.ADMIN else [])


async def test_it_is_sent_again_once_however_often_the_button_is_pressed(
    world: PagesWorld,
) -> None:
    browser = await of(world, Scope.PARTNER_MANAGE)
    form = (await browser.get(PAGE)).form(f"{PAGE}/resend")
    del form.fields["reason"]
    done = await browser.submit(form, reason="their outage is over")
    jobs = world.api.tables.offset
    again = await browser.submit(form, reason="their outage is over")
    assert (done.status, again.status, world.api.tables.offset) == (303, 303, jobs)
    job = world.api.services.job("resend-1")
    assert job is not None
    assert job.asked["reason"] == "their outage is over"
    assert "It is sent again, in a run of its own: resend-1." in (await browser.follow(done)).text


async def test_after_it_was_sent_again_it_is_kept_current_until_the_run_is_seen(
    world: PagesWorld,
) -> None:
    browser = await of(world)
    put(world, FAILED, DELIVERED)
    watched = f"{PAGE}?run=resend-1"
    kept = [each for each in (await browser.get(watched)).attributes("section") if each]
    assert kept == [{"data-live": f"{watched}&live=live", "data-every": "5"}]
    put(world, FAILED, DELIVERED, replace(DELIVERED, job_id="resend-1", started_at=NOON))
    assert not any((await browser.get(watched)).attributes("section"))


async def test_what_cannot_be_sent_again_offers_no_form(world: PagesWorld) -> None:
    put(world, replace(DELIVERED, trigger="test", job_id="test-1", disposition="cancel"))
    shown = await (await of(world)).get(PAGE)
    assert "Send it again" not in shown.text
    assert "hookstream subscriptions test crm" in shown.text


async def test_a_dead_letter_says_how_it_is_redriven(world: PagesWorld) -> None:
    dead = replace(FAILED, disposition="dead_letter", next_due_at=None)
    put(world, dead, deaths=(replace(DEATH, at=NOON, attempt=1, origin="t-3@40"),))
    shown = await (await of(world)).get(PAGE)
    assert (
        "No further attempt follows automatically. Its dead letter can be redriven" in shown.text
    )
    assert "hookstream dlq redrive 3@7" in shown.text
    partner = await (await of(world, Scope.PARTNER_MANAGE)).get(PAGE)
    assert "3@7" not in partner.text


async def test_the_id_of_a_batch_leads_to_its_members(world: PagesWorld) -> None:
    batch = batch_id(["msg_ours"])
    found = world.api.services.memory_index.found_attempts
    found.append(IndexedAttempt(replace(FAILED, batch_id=batch), NOON, 0, 9))
    shown = await (await of(world)).get(f"/ui/deliveries/{batch}")
    assert [each["href"] for each in shown.attributes("a") if "msg_" in each["href"]] == [PAGE]
    missing = await (await of(world)).get(f"/ui/deliveries/{batch_id(['msg_x'])}")
    assert missing.status == 404


async def test_a_webhook_id_leads_from_the_list_to_its_delivery(world: PagesWorld) -> None:
    browser = await of(world)
    shown = await browser.get("/ui/deliveries?delivery=+msg_ours+&state=")
    assert shown.headers["Location"] == PAGE
    assert (await browser.follow(shown)).status == 200
    hostile = await browser.get("/ui/deliveries?delivery=..%2F..%2Fx%3Fy")
    assert hostile.headers["Location"] == "/ui/deliveries/..%2F..%2Fx%3Fy"


async def test_the_list_keeps_its_filters_in_the_address(world: PagesWorld) -> None:
    browser = await of(world)
    query = "state=pending&subscription=crm&partner=acme&since=2026-11-23T00%3A00%3A00Z"
    shown = await browser.get(f"/ui/deliveries?{query}")
    [search] = [each for each in shown.parsed.forms if each.action == "/ui/deliveries"]
    assert {name: value for name, value in search.fields.items() if value} == {
        "state": "pending",
        "subscription": "crm",
        "partner": "acme",
        "since": "2026-11-23T00:00:00Z",
    }
    assert "msg_ours" in shown.text
    assert "msg_theirs" not in shown.text
    noting = NotingApi(world.api.dispatcher)
    world.site._dispatcher = noting  # noqa: SLF001
    assert (await browser.get("/ui/deliveries?since=2h")).status == 200
    assert noting.queries == ["since=2026-11-24T10%3A00%3A00.000Z"]
    refused = await browser.get("/ui/deliveries?since=yesterday")
    assert (refused.status, "since" in refused.text) == (422, True)
