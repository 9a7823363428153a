"""What the page of replays counts before one begins, and what it begins."""

import pytest
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.replay.survey import ReplaySurvey

NEW = "/ui/replays/new"
REPLAY = "/ui/replays"
ASKED = f"{NEW}?subscription=crm&since=2h"


async def test_nothing_is_counted_before_it_is_said_what(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    for query in ("", "?subscription=crm", "?since=2h", "?subscription=%20&since=2h"):
        assert (await browser.get(NEW + query)).status == 200
    assert world.api.services.counted == []


async def test_an_operator_replays_exactly_what_was_counted(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(f"{ASKED}&event_types=pricing.completed")
    for text in (
        "Delivers 43 events of the past to crm again",
        "Exactly the counted events are delivered.",
        "And 3 whose type is known only when they are replayed.",
        "Retention has deleted part of that time",
        "printprice.hush/3 from offset 4 to 9: retention took them",
        "hookstream replay start crm --preview",
    ):
        assert text in shown.text
    (counted,) = world.api.services.counted
    assert counted.event_types == {"pricing.completed"}
    done = await browser.submit(shown.form(REPLAY), rate="2.5")
    assert done.status == 303, done.text
    job = world.api.services.job(done.headers["Location"].rpartition("/")[2])
    assert job is not None
    assert (job.kind, job.rate, job.total) == ("replay", 2.5, 43)
    again = await browser.submit(shown.form(REPLAY), rate="2.5")
    assert again.headers["Location"] == done.headers["Location"]


async def test_a_partner_replays_its_own_and_no_more_than_was_counted(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(ASKED)
    assert "No more than that are delivered." in shown.text
    assert "Not granted" not in shown.text
    done = await browser.submit(shown.form(REPLAY))
    job = world.api.services.job(done.headers["Location"].rpartition("/")[2])
    assert job is not None
    assert (job.asked["subscription"], job.asked["most_events"]) == ("crm", 43)
    foreign = await browser.get(ASKED.replace("crm", "theirs"))
    absent = await browser.get(ASKED.replace("crm", "no-such-thing"))
    assert (foreign.status, foreign.text) == (404, absent.text)


async def test_where_nothing_was_recorded_no_replay_is_offered(world: PagesWorld) -> None:
    world.api.services.replay = ReplaySurvey({})
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get(ASKED)
    assert "0 events" in shown.text
    assert REPLAY not in [each.action for each in shown.parsed.forms]


@pytest.mark.parametrize(
    ("query", "field"),
    [("since=yesterday", "since"), ("since=1h&until=2h", "since"), ("since=2h&until=x", "until")],
)
async def test_an_interval_that_is_none_is_refused_with_its_field(
    world: PagesWorld, query: str, field: str
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    refused = await browser.get(f"{NEW}?subscription=crm&{query}")
    assert (refused.status, field in refused.text) == (422, True)


async def test_whoever_only_reads_is_not_led_there(world: PagesWorld) -> None:
    for scope in (Scope.OPERATOR_READ, Scope.PARTNER_READ):
        browser = await logged_in(world, world.api.tokens[scope])
        assert NEW not in (await browser.get("/ui/jobs")).html
