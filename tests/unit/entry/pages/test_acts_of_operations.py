"""What acts on pages say before they do it, what they do, and where they lead."""

from tests.doubles.pages import PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import REDRIVE, Job, JobState
from hookstream.core.jobs.lease import handed_back, held
from hookstream.core.model.json import JsonObject


async def test_a_job_is_cancelled_by_a_button_that_said_what_stays(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get("/ui/jobs/replay-ours")
    assert "Ends the job, whichever executor runs it. 0 are done and stay done" in shown.text
    assert "hookstream jobs cancel replay-ours" in shown.text
    done = await browser.follow(await browser.submit(shown.form("/ui/jobs/replay-ours/cancel")))
    assert "replay-ours is cancelled: its finished steps are kept" in done.text
    job = world.api.services.job("replay-ours")
    assert job is not None
    assert job.state is JobState.CANCELLED
    assert [each.action for each in done.parsed.forms if "jobs" in each.action] == []


async def test_a_job_that_waits_for_its_turn_leads_to_the_one_that_it_waits_for(
    world: PagesWorld,
) -> None:
    services = world.api.services
    now = services.now()
    asked: JsonObject = {"topic": "dead-letters", "selector": {}, "ends": {}}
    for job in (
        held(Job("redrive-1", REDRIVE, asked, now), "a console", now),
        handed_back(Job("redrive-2", REDRIVE, asked, now + 1), now),
    ):
        world.api.tables.put(services.settings.topics_names.jobs, job.id, job.encode())
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    for path in ("/ui/jobs/redrive-2", "/ui/jobs"):
        assert "waits for redrive-1" in (await browser.get(path)).text
    shown = await browser.get("/ui/jobs/redrive-2")
    assert "It continues automatically when it is its turn" in shown.text
    assert "/ui/jobs/redrive-1" in [each.get("href") for each in shown.attributes("a")]


async def test_whoever_may_only_read_is_offered_no_act(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    for path in ("/ui/jobs/replay-ours", "/ui/holds", "/ui/partitions/printprice.pricing/0"):
        shown = await browser.get(path)
        posts = [each.action for each in shown.parsed.forms if each.method == "post"]
        assert (shown.status, posts) == (200, ["/ui/logout"])


async def test_a_hold_says_what_it_stops_asks_why_and_is_set_and_cleared(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    asked = await browser.get("/ui/holds/new?kind=partner&name=acme")
    assert "Stops every endpoint of partner acme; subscriptions: 3." in asked.text
    set_ = await browser.submit(asked.form("/ui/holds"), reason="its endpoint is moved")
    held = await browser.follow(set_)
    assert "Partner acme is held: workers stop within two seconds" in held.text
    assert "its endpoint is moved" in held.text
    forms = [
        each
        for each in held.parsed.forms
        if each.action == "/ui/holds/clear" and each.fields["name"] == "acme"
    ]
    cleared = await browser.follow(await browser.submit(forms[0], reason="it has moved"))
    assert "Partner acme is no longer held" in cleared.text
    assert "its endpoint is moved" not in cleared.text


async def test_a_hold_of_something_without_its_name_is_asked_for_again(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    again = await browser.follow(await browser.get("/ui/holds/new?kind=partner&name=%20"))
    assert "Give the id or name of a partner" in again.text


async def test_a_hold_of_what_does_not_exist_is_refused_before_it_is_offered(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    for kind in ("partner", "endpoint", "event-type"):
        asked = await browser.get(f"/ui/holds/new?kind={kind}&name=nobody")
        assert (asked.status, "/ui/holds" in [each.action for each in asked.parsed.forms]) == (
            404,
            False,
        )


async def test_the_same_form_twice_acts_once(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    asked = await browser.get("/ui/holds/new?kind=everything")
    form = asked.form("/ui/holds")
    await browser.submit(form, reason="a drill")
    before = world.api.tables.offset
    again = await browser.submit(form, reason="a drill")
    assert (again.status, world.api.tables.offset) == (303, before)


async def test_an_offset_that_is_no_number_is_refused_with_its_field(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/partitions/printprice.pricing/0")
    form = shown.form("/ui/partitions/printprice.pricing/0/skip")
    for text in ("", "x", "-1", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 4301):
        refused = await browser.submit(form, offset=text, reason="it cannot be read")
        assert (refused.status, "offset" in refused.text) == (422, True), text


async def test_a_partition_is_started_where_it_was_looked_at(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/partitions/printprice.pricing/0")
    form = shown.form("/ui/partitions/printprice.pricing/0/start")
    assert form.fields["revision"]
    moved = await browser.submit(form, at="latest", reason="its records are gone", revision='"77"')
    assert (moved.status, "it is not at 77" in moved.text) == (409, True)
    done = await browser.submit(form, at="latest", reason="its records are gone")
    assert (done.status, done.headers["Location"]) == (303, "/ui/partitions/printprice.pricing/0")
