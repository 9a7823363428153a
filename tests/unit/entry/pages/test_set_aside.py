"""What pages show of dead letters and undecodable records, what they count before an act, and what acts ask for."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.clock import NOON
from tests.doubles.pages import Browser, PageReply, PagesWorld, logged_in

from hookstream.adapters.index.answers import AsideRecord
from hookstream.core.access.scopes import Scope
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.preview import BulkAct
from hookstream.core.redrive.summary import Group, Tally
from hookstream.entry.admin.surveys import Survey

LETTERS = "/ui/dead-letters"
UNDECODABLE = "/ui/undecodable"


def found(world: PagesWorld, records: int, of: str = "crm", **left_out: int) -> None:
    """Let every preview count so many records."""
    tally = Tally()
    for number in range(records):
        tally.add(Group(of, "expired"), NOON - 60_000 * number)
    world.api.services.found = Survey({0: 9}, tally, left_out)


async def asked(world: PagesWorld, reply: PageReply, browser: Browser) -> dict[str, Any]:
    """Return what the job was asked that a page leads to."""
    shown = await browser.follow(reply)
    assert shown.status == 200
    job = world.api.services.job(reply.headers["Location"].rpartition("/")[2])
    assert job is not None
    return {**job.asked, "rate": job.rate}


async def test_a_redrive_counts_first_and_takes_what_was_counted_at_the_rate_that_was_given(
    world: PagesWorld,
) -> None:
    found(world, 12, disabled=3)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/redrive?subscription=crm&reason=expired&since=2h")
    assert "Redrives 12 dead letters" in shown.text
    assert "Takes exactly these, and nothing newer." in shown.text
    assert "Left out, and still open: 3 (disabled)." in shown.text
    assert "hookstream dlq redrive --subscription crm --reason expired --since" in shown.text
    form = shown.form(f"{LETTERS}/redrive")
    job = await asked(world, await browser.submit(form, rate="2.5"), browser)
    selector = {"subscriptions": ["crm"], "reasons": ["expired"], "since": form.fields["of_since"]}
    assert (job["selector"], job["rate"]) == (selector, 2.5)
    assert [act for _, _, act in world.api.services.surveyed] == [BulkAct.REDRIVE] * 2
    assert world.api.services.up_to == [None, {0: 9}]


async def test_more_than_was_counted_is_not_redriven(world: PagesWorld) -> None:
    found(world, 12)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/redrive?subscription=crm")
    found(world, 13)
    refused = await browser.submit(shown.form(f"{LETTERS}/redrive"))
    assert (refused.status, "preview" in refused.text) == (422, True)


async def test_where_nothing_is_open_no_act_is_offered(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    for act in ("redrive", "purge"):
        shown = await browser.get(f"{LETTERS}/{act}?subscription=crm")
        assert "0 dead letters" in shown.text
        assert f"{LETTERS}/{act}" not in [each.action for each in shown.parsed.forms]


async def test_a_purge_asks_why_and_keeps_it(world: PagesWorld) -> None:
    found(world, 1)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/purge?place=0@7")
    assert "Purges 1 dead letter: they stay on their topic" in shown.text
    form = shown.form(f"{LETTERS}/purge")
    assert (await browser.submit(form, reason="")).status == 422
    again = await browser.get(f"{LETTERS}/purge?place=0@7")
    done = await browser.submit(again.form(f"{LETTERS}/purge"), reason="sent by mail")
    job = await asked(world, done, browser)
    assert (job["why"], job["selector"]) == ("sent by mail", {"positions": ["0@7"]})


async def test_a_partner_redrives_its_own_and_purges_nothing(world: PagesWorld) -> None:
    found(world, 4)
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    listed = await browser.get(LETTERS)
    assert f"{LETTERS}/purge" not in listed.html
    shown = await browser.get(f"{LETTERS}/redrive")
    assert "Takes what is open then." in shown.text
    done = await browser.submit(shown.form(f"{LETTERS}/redrive"))
    job = await asked(world, done, browser)
    assert (job["selector"]["partners"], "theirs" in job["selector"]["subscriptions"]) == (
        ["acme"],
        False,
    )
    foreign = await browser.get(f"{LETTERS}/redrive?subscription=theirs")
    absent = await browser.get(f"{LETTERS}/redrive?subscription=no-such-thing")
    assert (foreign.status, foreign.text) == (404, absent.text)


@pytest.mark.parametrize("rate", ["much", "-1", "0", "1e9", "9" * 400, "1.5.5"])
async def test_a_rate_that_is_none_is_refused_with_its_field(world: PagesWorld, rate: str) -> None:
    found(world, 2)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/redrive")
    refused = await browser.submit(shown.form(f"{LETTERS}/redrive"), rate=rate)
    assert (refused.status, "rate" in refused.text) == (422, True)


async def test_a_list_shows_what_is_open_unless_it_is_asked_for_all(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    assert "No dead letter matches the filters." in (await browser.get(LETTERS)).text
    for state in ("resolved", "all"):
        shown = await browser.get(f"{LETTERS}?state={state}")
        assert "msg_ours" in shown.text
        assert "purge-1, by hush-by" in shown.text
    assert (await browser.get(f"{LETTERS}?state=x")).status == 422


async def test_whoever_only_reads_is_led_to_no_act(world: PagesWorld) -> None:
    for scope in (Scope.OPERATOR_READ, Scope.PARTNER_READ):
        browser = await logged_in(world, world.api.tokens[scope])
        for path in (LETTERS, f"{LETTERS}?state=all"):
            shown = await browser.get(path)
            assert (shown.status, f"{LETTERS}/redrive" in shown.html) == (200, False)


async def test_what_is_selected_by_an_event_or_a_delivery_is_not_redriven_as_a_filter(
    world: PagesWorld,
) -> None:
    """A job has no such conditions: it would take more than the list shows."""
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    for query in ("event=e-1", "delivery=msg_ours"):
        assert f"{LETTERS}/redrive" not in (await browser.get(f"{LETTERS}?{query}")).html


async def test_a_record_is_shown_as_it_stands_on_its_topic_and_the_reading_is_noted(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/0@7")
    assert "hs-last-status503" in shown.text
    assert '"n": 1.10' in shown.text
    assert "aHVzaC12YWx1ZQ==" in shown.text
    assert [act for act, _, _ in world.api.services.uses][1:] == ["payload.read"]
    assert "data-live" not in shown.html


async def test_a_place_that_is_none_or_holds_nothing_is_refused(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    assert (await browser.get(f"{LETTERS}/nowhere")).status == 422
    assert (await browser.get(f"{LETTERS}/0@99")).status == 404


async def test_a_partner_reads_the_dead_letters_of_a_delivery_of_its_own(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = await browser.get("/ui/deliveries/msg_ours/dead-letters")
    assert (shown.status, "Dead letters of msg_ours" in shown.text) == (200, True)
    assert (await browser.get(f"{LETTERS}/0@7")).status == 404


async def test_undecodable_records_are_redriven_as_they_were_counted(world: PagesWorld) -> None:
    found(world, 3, of="hush-topic")
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    listed = await browser.get(f"{UNDECODABLE}?topic=hush-topic")
    assert f"{UNDECODABLE}/redrive?topic=hush-topic" in listed.html
    shown = await browser.get(f"{UNDECODABLE}/redrive?topic=hush-topic&reason=malformed&since=2h")
    assert "Redrives 3 undecodable records: each is identified, decoded and matched" in shown.text
    back = next(each["href"] for each in shown.attributes("a") if "topic=" in each["href"])
    assert (await browser.get(back)).status == 200
    done = await browser.submit(shown.form(f"{UNDECODABLE}/redrive"), rate="")
    job = await asked(world, done, browser)
    assert job["rate"] is None
    assert {source for source, _, _ in world.api.services.surveyed} == {RedriveSource.UNDECODABLE}
    assert (job["selector"]["topics"], job["selector"]["reasons"]) == (
        ["hush-topic"],
        ["malformed"],
    )


async def test_undecodable_records_are_grouped_and_one_says_what_decoding_it_comes_to_now(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    listed = await browser.get(UNDECODABLE)
    assert "Open undecodable records by topic and reason: 1" in listed.text
    assert "malformed" in listed.text
    shown = await browser.get(f"{UNDECODABLE}/0@7")
    assert "an event: a redrive delivers it" in shown.text
    assert f"{UNDECODABLE}/redrive" not in listed.html + shown.html


def dies(world: PagesWorld, *found: tuple[str, str, str]) -> None:
    """Let these dead letters be open, by their subscription, reason and last status."""
    kept = world.api.services.memory_index.dead
    for number, (subscription, reason, status) in enumerate(found):
        kept.append(
            AsideRecord(
                replace(
                    kept[0].summary,
                    position=Position(1, number),
                    delivery_id=f"msg_{number}",
                    subscription_id=subscription,
                    partner_id="rival" if subscription == "theirs" else "acme",
                    reason=reason,
                    last_status=status,
                ),
                None,
            )
        )
    del kept[: len(kept) - len(found)]


async def test_dead_letters_are_counted_by_reason_endpoint_or_status_and_lead_to_those_of_a_group(
    world: PagesWorld,
) -> None:
    dies(world, ("crm", "exhausted", "503"), ("crm", "expired", ""), ("theirs", "expired", "500"))
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    for group, named, names in (
        ("reason", "reason", ["expired", "exhausted"]),
        ("host", "endpoint", ["partner.example"]),
        ("status", "last status", ["500", "503"]),
    ):
        shown = await browser.get(f"{LETTERS}?group={group}")
        assert f"Open dead letters by {named}: 3" in shown.text
        to = [each["href"] for each in shown.attributes("a") if f"&{group}=" in each["href"]]
        assert to == [f"{LETTERS}?group={group}&{group}={name}" for name in names]
        assert "Given up" in (await browser.get(to[0])).text
    # The group of those that have no status is one, too, and leads nowhere.
    assert "none" in (await browser.get(f"{LETTERS}?group=status")).text


async def test_a_group_is_counted_within_the_other_filters(world: PagesWorld) -> None:
    dies(
        world, ("crm", "exhausted", "503"), ("crm", "expired", "503"), ("theirs", "expired", "500")
    )
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = await browser.get(f"{LETTERS}?group=status&reason=expired&status=503")
    assert "Open dead letters by last status: 2" in shown.text
    assert f"{LETTERS}?reason=expired&group=status&status=500" in [
        each["href"] for each in shown.attributes("a")
    ]


async def test_a_partners_groups_are_of_its_own_dead_letters(world: PagesWorld) -> None:
    dies(world, ("crm", "exhausted", "503"), ("theirs", "expired", "500"))
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    for group, named in (("reason", "reason"), ("host", "endpoint"), ("status", "last status")):
        shown = await browser.get(f"{LETTERS}?group={group}")
        assert f"Open dead letters by {named}: 1 " in shown.text
    assert (await browser.get(f"{LETTERS}?host=rival.example")).status == 200


async def test_what_a_host_and_a_status_select_is_redriven_by_the_subscriptions_there_now(
    world: PagesWorld,
) -> None:
    found(world, 5)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{LETTERS}/redrive?host=Partner.example&status=503&partner=acme")
    assert "hookstream dlq redrive --preview preview1-" in shown.text
    job = await asked(world, await browser.submit(shown.form(f"{LETTERS}/redrive")), browser)
    assert job["selector"]["statuses"] == ["503"]
    assert {"crm", "paused"} <= {*job["selector"]["subscriptions"]}
    nowhere = await browser.get(f"{LETTERS}/redrive?host=nowhere.example")
    assert (nowhere.status, "selector.hosts" in nowhere.text) == (422, True)


async def test_a_partner_redrives_by_a_host_what_is_its_own(world: PagesWorld) -> None:
    found(world, 5)
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(f"{LETTERS}/redrive?host=partner.example")
    job = await asked(world, await browser.submit(shown.form(f"{LETTERS}/redrive")), browser)
    assert "theirs" not in job["selector"]["subscriptions"]
    assert job["selector"]["partners"] == ["acme"]


async def test_what_a_list_has_is_kept_as_a_file_and_the_reading_is_noted(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    listed = await browser.get(f"{LETTERS}?state=all&subscription=crm")
    (to,) = [each["href"] for each in listed.attributes("a") if "download" in each]
    assert to == f"{LETTERS}/export?subscription=crm&state=all"
    file = await browser.get(to)
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert file.headers["Content-Disposition"] == 'attachment; filename="dead-letters.jsonl"'
    first, *letters, last = [json.loads(line) for line in file.html.splitlines()]
    assert (first["kind"], len(letters), last["letters"]) == ("export", 1, 1)
    assert ("dead_letters.exported", "crm") in [use[::2] for use in world.api.services.uses]
    head = await browser.send("HEAD", to)
    assert (head.status, head.html) == (200, "")
    assert (await browser.get(f"{LETTERS}/export?state=resolved")).status == 422
    assert "download" not in str((await browser.get(f"{LETTERS}?state=resolved")).attributes("a"))


async def test_a_file_that_is_refused_is_a_page_that_says_why(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    foreign = await browser.get(f"{LETTERS}/export?subscription=theirs")
    absent = await browser.get(f"{LETTERS}/export?subscription=no-such-thing")
    assert (foreign.status, foreign.text) == (404, absent.text)
    assert foreign.headers["Content-Type"] == "text/html; charset=utf-8"
    assert (await browser.get(f"{LETTERS}/export?host=nowhere.example")).status == 422


async def test_partners_know_nothing_of_undecodable_records(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    assert "ndecodable" not in (await browser.get("/ui/overview")).html
    for path in ("", "/0@7", "/redrive", "/purge"):
        assert (await browser.get(UNDECODABLE + path)).status == 404
