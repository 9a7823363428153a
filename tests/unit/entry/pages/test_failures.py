"""What pages show of failure groups, and what somebody says of one there."""

from tests.doubles.api_records import OUR_FAILURE, OUR_PAST_FAILURE, THEIR_FAILURE
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.failures.groups import Actor, GroupState

FAILURES = "/ui/failures"
ONE = f"{FAILURES}/{OUR_FAILURE.id}"


async def test_a_list_has_what_is_not_resolved_unless_it_is_asked_for_more(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = (await browser.get(FAILURES)).html
    assert [each.id in shown for each in (OUR_FAILURE, THEIR_FAILURE, OUR_PAST_FAILURE)] == [
        True,
        True,
        False,
    ]
    assert OUR_PAST_FAILURE.id in (await browser.get(f"{FAILURES}?state=resolved")).html
    every = (await browser.get(f"{FAILURES}?state=all&partner=acme")).html
    assert [each.id in every for each in (OUR_FAILURE, THEIR_FAILURE, OUR_PAST_FAILURE)] == [
        True,
        False,
        True,
    ]
    assert (await browser.get(f"{FAILURES}?state=x")).status == 422


async def test_a_partner_resolves_a_group_with_a_note_and_reopens_it(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(ONE)
    assert "A later error reopens it." in shown.text
    assert f"hookstream failures resolve {OUR_FAILURE.id} --note WHY" in shown.text
    assert f"{ONE}/acknowledge" not in [each.action for each in shown.parsed.forms]
    done = await browser.submit(shown.form(f"{ONE}/resolve"), note="our proxy is mended")
    after = await browser.follow(done)
    assert "It is resolved: a later error reopens it" in after.text
    assert "our proxy is mended" in after.text
    group = world.api.services.failures().get(OUR_FAILURE.id)
    assert group is not None
    assert (group.state, group.actor) == (GroupState.RESOLVED, Actor.PARTNER)
    again = await browser.follow(await browser.submit(after.form(f"{ONE}/reopen"), note=""))
    assert "It is open again" in again.text


async def test_what_somebody_else_changed_meanwhile_is_not_changed(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    stale = (await browser.get(ONE)).form(f"{ONE}/resolve")
    await browser.submit((await browser.get(ONE)).form(f"{ONE}/resolve"), note="mended")
    late = await browser.submit(stale, note="too old a page")
    assert late.status == 409
    assert "too old a page" not in (await browser.get(ONE)).text


async def test_whoever_only_reads_may_say_nothing(world: PagesWorld) -> None:
    for scope in (Scope.OPERATOR_READ, Scope.PARTNER_READ):
        browser = await logged_in(world, world.api.tokens[scope])
        shown = await browser.get(ONE)
        posts = [each.action for each in shown.parsed.forms if each.method == "post"]
        assert (shown.status, posts) == (200, ["/ui/logout"])


async def test_operators_see_errors_summed_and_a_partner_is_not_led_there(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = await browser.get(f"{FAILURES}/by-error")
    assert f"{FAILURES}/by-error" in (await browser.get(FAILURES)).html
    assert "answered <n>" in shown.text
    partner = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    assert "by-error" not in (await partner.get(FAILURES)).html
