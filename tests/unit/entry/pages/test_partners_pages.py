"""What pages show of partners, their tokens and the catalogue, and what they change."""

from tests.doubles.pages import Browser, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.access.tokens import ApiToken


def live_tokens(world: PagesWorld) -> list[ApiToken]:
    return [each for each in world.api.services.tokens("acme") if each.revoked is None]


async def test_a_token_is_made_for_a_partner_and_shown_once(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/partners/acme")
    form = shown.form("/ui/partners/acme/tokens")
    made = await browser.submit(form, scope="partner:read", label="their CI")
    text = next(word for word in made.text.split() if word.startswith("hs_"))
    caller = world.api.services.caller(text)
    assert caller is not None
    assert (caller.scope, caller.partner_id) == (Scope.PARTNER_READ, "acme")
    again = await browser.submit(form, scope="partner:read", label="their CI")
    assert "it is not stored" in again.text
    assert text not in again.text
    assert [each.label for each in live_tokens(world)].count("their CI") == 1
    listed = await browser.get("/ui/partners/acme")
    assert "their CI" in listed.text


async def test_a_partner_revokes_a_token_of_its_own_and_makes_none(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get("/ui/partners/acme")
    assert [each.action for each in shown.parsed.forms if "tokens" in each.action] == []
    token = await browser.get("/ui/tokens/tok-ours")
    assert "Revokes 1 token, tok-ours" in token.text
    done = await browser.follow(await browser.submit(token.form("/ui/tokens/tok-ours/revoke")))
    assert "tok-ours is revoked" in done.text
    assert "tok-ours" not in [each.id for each in live_tokens(world)]


async def test_limits_are_changed_at_the_revision_that_was_shown(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    form = (await browser.get("/ui/partners/acme")).form("/ui/partners/acme/limits")
    stale = (await browser.get("/ui/partners/acme")).form("/ui/partners/acme/limits")
    assert form.fields["subscriptions"] == "20"
    done = await browser.submit(form, subscriptions="7", timeout="12s")
    assert done.status == 303
    partner = world.api.services.state().current.partners["acme"]
    assert (partner.limits.subscriptions, partner.limits.timeout) == (7, 12_000)
    late = await browser.submit(stale, subscriptions="8")
    assert (late.status, partner.limits.subscriptions) == (409, 7)


async def test_a_limit_that_is_no_number_is_refused_with_its_field(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    form = (await browser.get("/ui/partners/acme")).form("/ui/partners/acme/limits")
    for wrong in ("many", "-1", "9" * 5_000):
        refused = await browser.submit(form, subscriptions=wrong)
        assert (refused.status, "subscriptions" in refused.text) == (422, True)


async def test_the_catalogue_shows_each_field_of_a_body(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = await browser.get("/ui/catalogue/pricing.completed")
    assert "data.breaks[].unit_price" in shown.text
    assert "ISO 4217 code of every amount here." in shown.text


async def test_a_version_that_there_is_not_is_absent(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    for query in ("version=9", "version=1&against=9", "version=%2e%2e"):
        shown = await browser.get(f"/ui/catalogue/pricing.completed?{query}")
        assert shown.status == 404, query


async def test_a_link_is_made_for_a_partner_shown_once_and_opens_its_pages(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/partners/acme/access")
    form = shown.form("/ui/partners/acme/access/links")
    made = await browser.submit(form, scope="partner:read")
    (url,) = [word for word in made.text.split() if "/ui/portal/" in word]
    again = await browser.submit(form, scope="partner:read")
    assert ("it is not stored" in again.text, url in again.text) == (True, False)
    theirs = Browser(world)
    path = url[url.index("/ui/portal/") :]
    button = (await theirs.get(path)).form("")
    button.action = path
    opened = await theirs.follow(await theirs.submit(button))
    assert "partner acme" in opened.text


async def test_all_sessions_of_a_partner_are_ended_at_once(world: PagesWorld) -> None:
    theirs = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    shown = await browser.get("/ui/partners/acme/access")
    assert "Ends 2 sessions and revokes 1 link of acme" in shown.text
    done = await browser.follow(await browser.submit(shown.form("/ui/partners/acme/access/end")))
    assert "2 sessions are ended, 1 links revoked" in done.text
    assert (await theirs.get("/ui/overview")).status == 303
