"""Creating a subscription and changing its fields: what is sent, what stays as it was typed, what differs."""

import json
from dataclasses import replace

import pytest
from tests.doubles.pages import Form, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import Subscription

EDIT = "/ui/subscriptions/crm/edit"
NEW = "/ui/new-subscription"


def row(world: PagesWorld, name: str = "crm") -> Subscription:
    found = world.api.services.state().current.subscriptions[name]
    assert isinstance(found, Subscription)
    return found


def filled(form: Form, **fields: str) -> Form:
    return replace(form, fields={**form.fields, **fields})


async def test_only_what_was_changed_in_the_form_is_changed(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.get(EDIT)
    assert "hush" not in shown.html
    before = row(world)
    pattern = '{"data": {"currency": ["EUR"], "breaks": {"quantity": [{"numeric": [">", 2]}]}}}'
    form = filled(
        shown.form(EDIT), pattern=pattern, rate_limit="2.5", environments="production\r\n"
    )
    done = await browser.follow(await browser.submit(form))
    assert "It was changed" in done.text
    after = row(world)
    assert after.pattern == json.loads(pattern)
    assert (after.limits.rate_limit, after.environments) == (2.5, ("production",))
    assert after.endpoint.url == before.endpoint.url
    assert [each.id for each in after.endpoint.secrets] == ["generated"]
    assert after.event_types == before.event_types
    again = (await browser.get(EDIT)).form(EDIT)
    gone = await browser.submit(filled(again, pattern="", rate_limit="", environments=""))
    assert gone.status == 303
    assert (row(world).pattern, row(world).limits.rate_limit, row(world).environments) == (
        None,
        None,
        None,
    )


async def test_a_url_that_is_left_empty_stays_and_another_replaces_it(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(EDIT)).form(EDIT)
    offset = world.api.tables.offset
    nothing = await browser.follow(await browser.submit(form))
    assert ("Nothing was changed" in nothing.text, world.api.tables.offset) == (True, offset)
    await browser.submit(filled(form, url="https://other.example/in"))
    assert row(world).endpoint.url == "https://other.example/in"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("pattern", "{"),
        ("pattern", "[" * 100_000),
        ("pattern", '{"data": {"no_such": ["x"]}}'),
        ("event_types", ""),
        ("event_types", "quote.requested"),
        ("url", "ftp://partner.example"),
        ("timeout", "soon"),
        ("max_in_flight", "many"),
        ("rate_limit", "nan"),
    ],
)
async def test_what_is_refused_names_its_field_and_stays_as_it_was_typed(
    world: PagesWorld, field: str, text: str
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(EDIT)).form(EDIT)
    before = world.api.tables.offset
    refused = await browser.submit(filled(form, **{field: text}))
    assert (refused.status, field in refused.text) == (422, True), refused.text
    assert refused.form(EDIT).fields[field] == text
    assert world.api.tables.offset == before


async def test_a_change_of_somebody_else_is_shown_beside_what_was_typed(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(EDIT)).form(EDIT)
    meanwhile = replace(
        row(world),
        limits=replace(row(world).limits, max_in_flight=7),
        revision=row(world).revision + 1,
    )
    world.api.add(meanwhile)
    refused = await browser.submit(filled(form, timeout="9s"))
    assert refused.status == 409
    assert "Changes since this form was shown" in refused.text
    assert "Requests in flight at most" in refused.text
    offered = refused.form(EDIT)
    assert (offered.fields["max_in_flight"], offered.fields["timeout"]) == ("7", "9s")
    assert row(world).revision == meanwhile.revision
    done = await browser.submit(offered)
    assert done.status == 303
    assert (row(world).limits.max_in_flight, row(world).endpoint.timeout) == (7, 9_000)


@pytest.mark.parametrize("scope", [Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE])
async def test_the_form_of_what_files_own_is_offered_to_nobody_and_refused_if_it_is_sent(
    world: PagesWorld, scope: Scope
) -> None:
    path = "/ui/subscriptions/filed/edit"
    browser = await logged_in(world, world.api.tokens[scope])
    shown = await browser.get(path)
    assert path not in [each.action for each in shown.parsed.forms]
    # It was offered before files took it over.
    form = replace((await browser.get(EDIT)).form(EDIT), action=path)
    refused = await browser.submit(filled(form, timeout="9s"))
    assert (refused.status, "owned_by_files" in refused.text) == (409, True)
    assert path not in [each.action for each in refused.parsed.forms]
    for page in (shown, refused):
        assert ("core" in page.html) == (scope is Scope.OPERATOR_WRITE)


async def test_a_partner_creates_one_of_its_own_and_sees_its_secret_once(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    form = (await browser.get(NEW)).form(NEW)
    assert {"partner", "id"}.isdisjoint(form.fields)
    form = filled(
        form,
        url="https://partner.example/in",
        event_types="pricing.completed\norder.generated",
        partner="rival",
    )
    made = await browser.submit(form)
    assert "whsec_" in made.text
    (new,) = [
        each.id
        for each in world.api.services.state().current.subscriptions.values()
        if each.id.startswith("acme.")
    ]
    assert row(world, new).event_types == ("pricing.completed", "order.generated")
    again = await browser.submit(form)
    assert ("whsec_" in again.text, "it is not stored" in again.text) == (False, True)
    assert f"/ui/subscriptions/{new}" in again.html


async def test_an_operator_says_whose_it_is_and_what_was_typed_stays(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    form = (await browser.get(f"{NEW}?partner=acme")).form(NEW)
    assert form.fields["partner"] == "acme"
    form = filled(form, partner="", id="billing", url="https://b.example/in", event_types="*")
    refused = await browser.submit(form)
    assert (refused.status, "partner" in refused.text) == (422, True)
    offered = refused.form(NEW)
    assert offered.fields["url"] == "https://b.example/in"
    made = await browser.submit(filled(offered, partner="acme"))
    assert "Subscription billing" in made.text
    assert row(world, "billing").partner_id == "acme"
