"""A partner or subscription is shown field by field, without secrets."""

from dataclasses import replace

import pytest

from hookstream.core.model.instant import SECOND
from hookstream.core.model.json import Json, json_text
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Basic,
    Batch,
    BodyFormat,
    ClientAuth,
    Endpoint,
    Grant,
    Limits,
    MutualTls,
    OAuth2,
    Partner,
    RetryPolicy,
    Secret,
    SigningSecret,
    Subscription,
)
from hookstream.core.planning.fields import differences, fields_of

FULL = Subscription(
    "orders",
    "acme",
    Endpoint(
        "https://acme.example/token",
        (SigningSecret("env:NEW", b"n" * 24), SigningSecret("env:OLD", b"o" * 24)),
        (("authorization", "Bearer hush"),),
        20_000,
    ),
    ("order.generated",),
    active_from=1,
    environments=("live", "test"),
    pattern={"data": {"total": [{"numeric": [">", 1]}]}},
    versions={"order.generated": "latest"},
    retry=RetryPolicy((), 86_400_000, frozenset({422, 400})),
    limits=Limits(8, 2.5, 3),
)


def test_a_subscription_is_shown_without_its_secrets() -> None:
    shown = {path: field.shown for path, field in fields_of(FULL, lambda _: "scrubbed").items()}
    assert shown == {
        "partner": "acme",
        "endpoint.url": "scrubbed",
        "endpoint.headers.authorization": "(not shown)",
        "endpoint.signing_secrets.env:NEW": "(not shown)",
        "endpoint.signing_secrets.env:OLD": "(not shown)",
        "endpoint.signing_secrets": "env:NEW, env:OLD",
        "endpoint.timeout": "20s",
        "event_types": "order.generated",
        "environments": "live, test",
        "pattern": '{"data": {"total": [{"numeric": [">", 1]}]}}',
        "versions.order.generated": "latest",
        "format": "standard",
        "content": "full",
        "retry.schedule": "(no retries)",
        "retry.expires_after": "24h",
        "retry.final_statuses": "400, 422",
        "limits.max_in_flight": "8",
        "limits.rate_limit": "2.5/s",
        "limits.weight": "3",
        "owner": "cli",
    }


def test_a_template_is_shown_as_text_and_its_secrets_by_their_names_alone() -> None:
    secret = Secret("env:ROUTING", b"hush-hush")
    templated = replace(
        FULL,
        endpoint=replace(FULL.endpoint, template_secrets=(("key", secret),)),
        format=BodyFormat.TEMPLATE,
        template={"routing_key": {"secret": "key"}, "text": "<$.id>"},
    )
    fields = fields_of(templated, str)
    assert fields["format"].shown == "template"
    assert fields["template"].shown == '{"routing_key": {"secret": "key"}, "text": "<$.id>"}'
    assert fields["template_secrets.key"].shown == "(not shown) env:ROUTING"
    assert "hush" not in " ".join(field.shown for field in fields.values())


def test_a_changed_value_of_a_templates_secret_is_a_difference() -> None:
    def having(value: bytes) -> Subscription:
        secrets = (("key", Secret("env:ROUTING", value)),)
        return replace(FULL, endpoint=replace(FULL.endpoint, template_secrets=secrets))

    (found,) = differences(having(b"old"), having(b"new"), str)
    assert found.path == "template_secrets.key"
    assert differences(having(b"old"), having(b"old"), str) == ()


def test_batches_are_shown_and_their_changes_are_differences() -> None:
    slow, quick = (replace(FULL, batch=Batch(100, wait)) for wait in (500, 0))
    found = differences(FULL, slow, str)
    assert [(each.path, each.before, each.after) for each in found] == [
        ("batch.max_events", None, "100"),
        ("batch.max_wait", None, "500ms"),
    ]
    found = differences(slow, quick, str)
    assert [(each.path, each.before, each.after) for each in found] == [
        ("batch.max_wait", "500ms", "0s")
    ]


def test_identity_at_an_endpoint_is_shown_by_kinds_and_names() -> None:
    hush = b"hush"
    endpoint = replace(
        FULL.endpoint,
        url="https://acme.example/",
        headers=(),
        url_secret=Secret("env:URL", hush),
        secret_headers=(("x-key", Secret("env:KEY", hush)),),
        credentials=OAuth2("https://login.example/t/1", "kim", Secret("file:s", hush), ("a", "b")),
        mtls=MutualTls(Secret("file:c.pem", hush), Secret("file:c.key", hush)),
        ca=Secret("file:ca.pem", hush),
    )
    fields = fields_of(replace(FULL, endpoint=endpoint), lambda url: url[:20])
    shown = {path: field.shown for path, field in fields.items() if path.startswith("endpoint")}
    assert {path: shown[path] for path in shown if "signing" not in path} == {
        "endpoint.url": "https://acme.example (not shown) env:URL",
        "endpoint.headers.x-key": "(not shown) env:KEY",
        "endpoint.auth.oauth2.token_url": "https://login.exampl",
        "endpoint.auth.oauth2.client_id": "kim",
        "endpoint.auth.oauth2.scopes": "a, b",
        "endpoint.auth.oauth2.client_secret": "(not shown) file:s",
        "endpoint.auth.mtls.certificate": "(not shown) file:c.pem",
        "endpoint.auth.mtls.key": "(not shown) file:c.key",
        "endpoint.ca": "(not shown) file:ca.pem",
        "endpoint.timeout": "20s",
    }
    hidden = Secret("env:S", hush)
    in_body = OAuth2("https://login.example/", "kim", hidden, client_auth=ClientAuth.BODY)
    fields = fields_of(replace(FULL, endpoint=replace(endpoint, credentials=in_body)), str)
    assert fields["endpoint.auth.oauth2.client_auth"].shown == "body"
    basic = replace(endpoint, credentials=Basic("kim", Secret("env:P", hush)))
    fields = fields_of(replace(FULL, endpoint=basic), str)
    assert fields["endpoint.auth.basic.username"].shown == "kim"
    assert fields["endpoint.auth.basic.password"].shown == "(not shown) env:P"


def test_a_partner_is_shown_with_its_grant() -> None:
    partner = Partner("acme", "Acme", Grant(("*",), ("live",), {"type": ["x"]}), owner="files")
    shown = {path: field.shown for path, field in fields_of(partner, str).items()}
    assert shown == {
        "name": "Acme",
        "grant.event_types": "*",
        "grant.environments": "live",
        "grant.pattern": '{"type": ["x"]}',
        "owner": "files",
    }


def test_of_a_partners_limits_those_are_shown_that_are_not_the_defaults() -> None:
    limits = PartnerLimits(subscriptions=3, timeout=20 * SECOND)
    partner = Partner("acme", "Acme", Grant(("*",), ("live",)), limits=limits)
    shown = {path: field.shown for path, field in fields_of(partner, str).items()}
    assert {path: text for path, text in shown.items() if path.startswith("limits.")} == {
        "limits.subscriptions": "3",
        "limits.timeout": "20s",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, "x"]}, '{"a": [1, 2.5, "x"]}'),
        ([None, True, False], "[null, true, false]"),
    ],
)
def test_json_is_shown_on_one_line(value: Json, text: str) -> None:
    assert json_text(value) == text


def test_what_only_python_takes_for_equal_is_a_difference_and_what_is_derived_is_none() -> None:
    one = replace(FULL, pattern={"data": {"n": [1]}})
    again = replace(one, revision=7, declared_at="orders.yaml:3", pattern={"data": {"n": [1]}})
    assert differences(one, again, str) == ()
    for other in (True, "1"):
        after = replace(again, pattern={"data": {"n": [other]}})
        assert [each.path for each in differences(one, after, str)] == ["pattern"]
    assert [each.path for each in differences(one, replace(again, pattern=None), str)] == [
        "pattern"
    ]
