"""What a file can say of a subscription can be said in its forms; secrets go in and never come out."""

import json
from dataclasses import replace

import pytest
from tests.doubles.api_records import subscription
from tests.doubles.pages import Browser, Form, PageReply, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import (
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    ClientAuth,
    Content,
    Endpoint,
    Limits,
    OAuth2,
    RetryPolicy,
    Secret,
    SigningScheme,
    Subscription,
)

EDIT = "/ui/subscriptions/crm/edit"
NEW = "/ui/new-subscription"
TYPED = "typed-" + 20 * "s"
"""Secret material that somebody types."""


def row(world: PagesWorld, name: str = "crm") -> Subscription:
    found = world.api.services.state().current.subscriptions[name]
    assert isinstance(found, Subscription)
    return world.api.services.opened_state().current.subscriptions[name]  # type: ignore[return-value]


async def opened(
    world: PagesWorld, path: str = EDIT, *, scope: Scope = Scope.PARTNER_MANAGE
) -> tuple[Browser, Form]:
    browser = await logged_in(world, world.api.tokens[scope])
    return browser, (await browser.get(path)).form(path)


async def sent(browser: Browser, form: Form, **fields: str) -> PageReply:
    return await browser.submit(replace(form, fields={**form.fields, **fields}))


async def changed(world: PagesWorld, **fields: str) -> Subscription:
    browser, form = await opened(world)
    done = await sent(browser, form, **fields)
    assert done.status == 303, done.text
    return row(world)


def beside(reply: PageReply, field: str) -> str:
    """Return what is said beside a field."""
    [found] = [
        each
        for tag in ("input", "textarea", "select")
        for each in reply.attributes(tag)
        if each.get("name") == field
    ]
    assert found.get("aria-describedby") == f"wrong-{field}", (field, reply.text)
    start = reply.html.index(f'id="wrong-{field}">')
    return reply.html[start:].partition(">")[2].partition("<")[0]


async def test_versions_body_retries_and_limits_are_changed_each_by_itself(
    world: PagesWorld,
) -> None:
    after = await changed(
        world,
        versions="pricing.completed latest",
        format="cloudevents",
        content="thin",
        batch_events="20",
        batch_wait="100ms",
        schedule="1s, 5s 1m",
        expires_after="2d",
        final_statuses="400 422",
    )
    assert after.versions == {"pricing.completed": "latest"}
    assert (after.format, after.content) == (BodyFormat.CLOUDEVENTS, Content.THIN)
    assert after.batch == Batch(20, 100)
    assert after.retry == RetryPolicy((1_000, 5_000, 60_000), 172_800_000, frozenset({400, 422}))
    again = await changed(
        world, versions="", batch_events="", batch_wait="", final_statuses="", schedule=""
    )
    assert "latest" not in again.versions.values()
    assert (again.batch, again.format) == (None, BodyFormat.CLOUDEVENTS)
    assert again.retry == replace(RetryPolicy(), expires_after=172_800_000)
    assert again.limits == Limits()


async def test_headers_keep_their_values_by_their_names_and_secret_ones_too(
    world: PagesWorld,
) -> None:
    first = await changed(
        world, headers="x-tenant: north: 1\nx-old: yes", secret_headers=f"x-key: {TYPED}"
    )
    assert dict(first.endpoint.headers) == {"x-tenant": "north: 1", "x-old": "yes"}
    [(name, secret)] = first.endpoint.secret_headers
    assert (name, secret.text) == ("x-key", TYPED)
    _, form = await opened(world)
    assert (form.fields["headers"], form.fields["secret_headers"]) == ("x-tenant\nx-old", "x-key")
    second = await changed(world, headers="x-tenant\nx-new: 2")
    assert dict(second.endpoint.headers) == {"x-tenant": "north: 1", "x-new": "2"}
    assert second.endpoint.secret_headers == ((name, secret),)
    third = await changed(world, secret_headers="")
    assert third.endpoint.secret_headers == ()
    assert dict(third.endpoint.headers) == {"x-tenant": "north: 1", "x-new": "2"}


async def test_requests_identify_themselves_by_what_was_chosen_until_something_else_is(
    world: PagesWorld,
) -> None:
    bearer = await changed(world, auth="bearer", bearer_token=TYPED)
    assert isinstance(bearer.endpoint.credentials, Bearer)
    assert bearer.endpoint.credentials.token.text == TYPED
    kept = await changed(world, timeout="9s")
    assert kept.endpoint.credentials == bearer.endpoint.credentials
    basic = (
        await changed(world, auth="basic", basic_username="me", basic_password=TYPED)
    ).endpoint
    assert isinstance(basic.credentials, Basic)
    assert (basic.credentials.username, basic.credentials.password.text) == ("me", TYPED)
    oauth2 = await changed(
        world,
        auth="oauth2",
        oauth2_token_url="https://login.example/token",
        oauth2_client_id="us",
        oauth2_client_secret=TYPED,
        oauth2_scopes="a b",
        oauth2_client_auth="body",
    )
    found = oauth2.endpoint.credentials
    assert isinstance(found, OAuth2)
    assert (found.token_url, found.client_id) == ("https://login.example/token", "us")
    assert (found.scopes, found.client_auth) == (("a", "b"), ClientAuth.BODY)
    assert (await changed(world, auth="none")).endpoint.credentials is None


async def test_a_url_may_be_a_secret_as_a_whole(world: PagesWorld) -> None:
    after = await changed(world, url=f"https://other.example/{TYPED}", url_is_secret="1")
    assert after.endpoint.url == "https://other.example/"
    assert after.endpoint.target == f"https://other.example/{TYPED}"
    assert (await changed(world, timeout="9s")).endpoint.url_secret is not None


async def test_a_template_is_a_document_or_a_ready_one_and_has_its_secrets_by_name(
    world: PagesWorld,
) -> None:
    ready = await changed(world, format="template", template='"slack"')
    assert ready.format is BodyFormat.TEMPLATE
    assert ready.template is not None
    own = '{"key": {"secret": "key"}, "n": 1.50}'
    after = await changed(world, template=own, template_secrets=f"key: {TYPED}")
    [(name, secret)] = after.endpoint.template_secrets
    assert (name, secret.text) == ("key", TYPED)
    kept = await changed(world, timeout="9s")
    assert kept.endpoint.template_secrets == after.endpoint.template_secrets
    plain = await changed(world, format="standard", template="", template_secrets="")
    assert (plain.template, plain.endpoint.template_secrets) == (None, ())


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"schedule": "5s soon"}, "schedule", "duration"),
        ({"expires_after": "never"}, "expires_after", "never"),
        ({"final_statuses": "400 often"}, "final_statuses", "Expected int"),
        ({"versions": "pricing.completed 99"}, "versions", "99"),
        ({"versions": "pricing.completed"}, "versions", "a version"),
        ({"format": "template"}, "template", "is missing"),
        ({"template": "{"}, "template", "not JSON"),
        ({"batch_events": "1"}, "batch_events", "2"),
        ({"batch_wait": "10ms"}, "batch_events", "is missing"),
        ({"batch_events": "2", "batch_wait": "9s"}, "batch_wait", "9s"),
        ({"headers": "host: x"}, "headers", "host"),
        ({"headers": "x-new"}, "headers", "a name and a value"),
        ({"auth": "bearer"}, "bearer_token", "is missing"),
        ({"auth": "basic", "basic_password": TYPED}, "basic_username", "name"),
        ({"auth": "bearer", "bearer_token": TYPED, "basic_username": "me"}, "auth", "choose"),
        ({"bearer_token": TYPED}, "auth", "choose"),
        ({"auth": "mtls", "mtls_certificate": TYPED}, "mtls_key", "is missing"),
        ({"url_is_secret": "1"}, "url", "is missing"),
        ({"rate_limit": "-1"}, "rate_limit", "-1"),
        ({"pattern": '{"data": {"no_such": ["x"]}}'}, "pattern", "no_such"),
    ],
    ids=lambda each: str(each)[:60],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_written(
    world: PagesWorld, fields: dict[str, str], field: str, words: str
) -> None:
    browser, form = await opened(world)
    before = world.api.tables.offset
    refused = await sent(browser, form, **fields)
    assert refused.status == 422
    assert words in beside(refused, field), refused.text
    assert world.api.tables.offset == before
    assert TYPED not in refused.html
    for name, text in fields.items():
        if text != TYPED and not name.endswith("is_secret"):
            assert refused.form(EDIT).fields[name] == text


async def test_no_secret_that_was_typed_is_shown_again_whatever_else_is_refused(
    world: PagesWorld,
) -> None:
    secrets = {
        "secret_headers": f"x-key: {TYPED}",
        "template_secrets": f"key: {TYPED}",
        "bearer_token": TYPED,
        "mtls_certificate": TYPED,
        "mtls_key": TYPED,
        "ca": TYPED,
    }
    browser, form = await opened(world, scope=Scope.OPERATOR_WRITE)
    refused = await sent(browser, form, auth="bearer", timeout="soon", **secrets)
    assert (refused.status, TYPED in refused.html) == (422, False)
    world.api.add(replace(row(world), revision=row(world).revision + 1))
    conflict = await sent(browser, form, auth="bearer", **secrets)
    assert (conflict.status, TYPED in conflict.html) == (409, False)
    new, empty = await opened(world, NEW, scope=Scope.OPERATOR_WRITE)
    refused = await sent(
        new, empty, partner="acme", signing="given", signing_values=TYPED, **secrets
    )
    assert (refused.status, TYPED in refused.html) == (422, False)


async def test_a_new_one_is_all_that_was_said(world: PagesWorld) -> None:
    browser, form = await opened(world, NEW, scope=Scope.OPERATOR_WRITE)
    made = await sent(
        browser,
        form,
        partner="acme",
        id="billing",
        url="https://partner.example/billing",
        event_types="pricing.completed",
        environments="production",
        pattern='{"data": {"currency": ["EUR"]}}',
        versions="pricing.completed 1",
        timeout="5s",
        headers="x-a: 1",
        secret_headers=f"x-b: {TYPED}",
        signing="v1 v1a",
        auth="bearer",
        bearer_token=TYPED,
        content="thin",
        batch_events="10",
        schedule="1m",
        expires_after="1d",
        final_statuses="422",
        max_in_flight="4",
        rate_limit="0.5",
        weight="3",
    )
    assert (made.status, "whsec_" in made.text, "whpk_" in made.text) == (200, True, True)
    assert TYPED not in made.html
    found = row(world, "billing")
    assert found.pattern == json.loads('{"data": {"currency": ["EUR"]}}')
    assert (found.environments, found.versions) == (("production",), {"pricing.completed": 1})
    assert found.endpoint.timeout == 5_000
    assert (found.endpoint.headers, found.endpoint.secret_headers[0][1].text) == (
        (("x-a", "1"),),
        TYPED,
    )
    assert {each.scheme for each in found.endpoint.secrets} == {*SigningScheme}
    assert isinstance(found.endpoint.credentials, Bearer)
    assert (found.content, found.batch) == (Content.THIN, Batch(10))
    assert found.retry == RetryPolicy((60_000,), 86_400_000, frozenset({422}))
    assert found.limits == Limits(4, 0.5, 3)


async def test_a_new_one_may_be_pulled_or_signed_by_given_secrets(world: PagesWorld) -> None:
    browser, form = await opened(world, NEW)
    pulled = await sent(browser, form, pull="1", event_types="pricing.completed")
    assert pulled.status == 200, pulled.text
    given = "whsec_" + 43 * "A" + "="
    signed = await sent(
        browser,
        (await browser.get(NEW)).form(NEW),
        url="https://partner.example/x",
        event_types="pricing.completed",
        signing="given",
        signing_values=given,
    )
    assert (signed.status, given in signed.html) == (200, False)
    mine = [
        each
        for each in world.api.services.opened_state().current.subscriptions.values()
        if isinstance(each, Subscription) and each.id.startswith("acme.")
    ]
    assert sorted(each.endpoint.is_pull for each in mine) == [False, True]
    [given_one] = [each for each in mine if not each.endpoint.is_pull]
    assert [each.key for each in given_one.endpoint.secrets] == [bytes(32)]


async def test_what_is_pulled_is_asked_only_for_what_it_has(world: PagesWorld) -> None:
    world.api.add(
        replace(
            subscription("pulled"),
            endpoint=Endpoint("", row(world).endpoint.secrets, is_pull=True),
        )
    )
    path = "/ui/subscriptions/pulled/edit"
    browser, form = await opened(world, path)
    assert {"url", "headers", "auth", "schedule", "max_in_flight"}.isdisjoint(form.fields)
    done = await sent(browser, form, format="cloudevents")
    assert done.status == 303, done.text
    assert row(world, "pulled").format is BodyFormat.CLOUDEVENTS


async def test_authorities_are_operators_who_can_take_them_away(world: PagesWorld) -> None:
    endpoint = replace(row(world).endpoint, ca=Secret("value-1", b"pem"))
    world.api.add(replace(row(world), endpoint=endpoint, revision=row(world).revision + 1))
    _, partners = await opened(world)
    assert {"ca", "weight"}.isdisjoint(partners.fields)
    browser, form = await opened(world, scope=Scope.OPERATOR_WRITE)
    assert (await sent(browser, form, ca_gone="1")).status == 303
    assert row(world).endpoint.ca is None
