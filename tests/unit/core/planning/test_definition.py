"""A definition is read strictly: what it declares, or every problem with its path."""

from dataclasses import replace

import pytest

from hookstream.core.delivery.address import origin
from hookstream.core.delivery.bodies.template import secrets_in
from hookstream.core.delivery.signing import header_problem, parse_secret, write_secret
from hookstream.core.model.instant import DAY, SECOND
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.partner_limits import DEFAULT_PARTNER_LIMITS, PartnerLimits
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Content,
    Endpoint,
    Grant,
    Limits,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    Subscription,
)
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.declared import (
    UNNAMED,
    DeclaredSecret,
    DeclaredSubscription,
    SigningKey,
)
from hookstream.core.planning.definition import read_partner, read_subscription
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.secret_fields import SecretSource

KEY = bytes(range(24))
SIGNS = write_secret(KEY).encode()


def secret_key(source: SecretSource, name: str) -> bytes | str:
    if (source, name) == ("env", "ROUTING"):
        return b"material"
    found = (source, name) in (("env", "ORDERS"), ("file", "orders.key"))
    return SIGNS if found else "is not set"


READY: JsonObject = {"text": "<$.type>"}
RULES = DefinitionRules(
    url_problem=lambda url: None if url.startswith("https://") else "must be https",
    header_problem=header_problem,
    pattern_problem=lambda pattern: "data: unknown operator" if "bad" in pattern else None,
    templates=TemplateRules({"slack": READY}, secrets_in),
    signing_key=lambda material: SigningKey(parse_secret(material.decode())),
    origin=origin,
    tls_problem=lambda _: None,
)
LEAST: JsonObject = {
    "id": "orders",
    "partner": "acme",
    "endpoint": {"url": "https://acme.example/h", "signing_secrets": [{"env": "ORDERS"}]},
    "event_types": ["order.generated"],
}
FULL: JsonObject = {
    "id": "orders",
    "partner": "acme",
    "endpoint": {
        "url": "https://acme.example/h",
        "headers": {"X-Team": "print"},
        "signing_secrets": [
            {"env": "ORDERS"},
            {"file": "orders.key"},
            {"generate": True},
            {"generate": "spring"},
        ],
        "timeout": "20s",
    },
    "event_types": ["order.generated", "pricing.*"],
    "environments": ["live"],
    "pattern": {"data": {"total": [{"numeric": [">", 100]}]}},
    "versions": {"order.generated": 2, "pricing.completed": "latest"},
    "format": "standard",
    "content": "full",
    "retry": {"schedule": ["5s", "30m"], "expires_after": "2d", "final_statuses": [422, 400]},
    "limits": {"max_in_flight": 8, "rate_limit": 50, "weight": 3},
}


def problems(document: Json, *, partner: bool = False) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def report(path: str, why: str) -> None:
        found.append((path, why))

    if partner:
        read_partner(document, RULES, report)
    else:
        read_subscription(document, RULES, secret_key, report)
    return found


def refuse(path: str, why: str) -> None:
    raise AssertionError((path, why))


def endpoint(**fields: Json) -> JsonObject:
    return {**LEAST, "endpoint": {**LEAST["endpoint"], **fields}}  # type: ignore[dict-item]


def test_the_least_subscription_has_defaults_for_the_rest() -> None:
    assert read_subscription(LEAST, RULES, secret_key, refuse) == DeclaredSubscription(
        Subscription(
            id="orders",
            partner_id="acme",
            endpoint=Endpoint("https://acme.example/h", ()),
            event_types=("order.generated",),
            active_from=0,
        ),
        (DeclaredSecret("env:ORDERS", KEY),),
    )


def test_signing_secrets_of_both_schemes_are_read() -> None:
    given = SigningKey(KEY, SigningScheme.V1A, "whpk_")
    listed: list[Json] = [
        {"env": "ORDERS"},
        {"generate": True, "scheme": "v1a"},
        {"scheme": "v1a", "generate": "spring"},
        {"generate": "autumn", "scheme": "v1"},
    ]
    endpoint: JsonObject = {"url": "https://acme.example/h", "signing_secrets": listed}
    document: JsonObject = {**LEAST, "endpoint": endpoint}
    rules = replace(RULES, signing_key=lambda _: given)
    assert read_subscription(document, rules, secret_key, refuse).secrets == (
        DeclaredSecret("env:ORDERS", KEY, SigningScheme.V1A, "whpk_"),
        DeclaredSecret(UNNAMED, None, SigningScheme.V1A),
        DeclaredSecret("spring", None, SigningScheme.V1A),
        DeclaredSecret("autumn", None, SigningScheme.V1),
    )


def test_every_field_of_a_subscription_is_read() -> None:
    assert read_subscription(FULL, RULES, secret_key, refuse) == DeclaredSubscription(
        Subscription(
            id="orders",
            partner_id="acme",
            endpoint=Endpoint(
                "https://acme.example/h", (), (("x-team", "print"),), timeout=20 * SECOND
            ),
            event_types=("order.generated", "pricing.*"),
            active_from=0,
            environments=("live",),
            pattern={"data": {"total": [{"numeric": [">", 100]}]}},
            versions={"order.generated": 2, "pricing.completed": "latest"},
            retry=RetryPolicy((5_000, 1_800_000), 2 * DAY, frozenset({400, 422})),
            limits=Limits(8, 50.0, 3),
        ),
        (
            DeclaredSecret("env:ORDERS", KEY),
            DeclaredSecret("file:orders.key", KEY),
            DeclaredSecret(UNNAMED, None),
            DeclaredSecret("spring", None),
        ),
    )


@pytest.mark.parametrize("body_format", [BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS])
@pytest.mark.parametrize("content", Content)
def test_a_shared_format_and_its_content_are_read(
    body_format: BodyFormat, content: Content
) -> None:
    document: JsonObject = {**LEAST, "format": body_format.value, "content": content.value}
    row = read_subscription(document, RULES, secret_key, refuse).row
    assert (row.format, row.content, row.template) == (body_format, content, None)


def templated(**fields: Json) -> JsonObject:
    return {**LEAST, "format": "template", **fields}


def test_a_template_is_read_with_its_secrets() -> None:
    template: Json = {"routing_key": {"secret": "key"}, "text": "<$.data.order_number>"}
    document = templated(template=template, template_secrets={"key": {"env": "ROUTING"}})
    row = read_subscription(document, RULES, secret_key, refuse).row
    assert (row.format, row.template) == (BodyFormat.TEMPLATE, template)
    assert row.endpoint.template_secrets == (("key", Secret("env:ROUTING", b"material")),)


def test_a_ready_template_is_named_and_read_as_its_document() -> None:
    found = read_subscription(templated(template="slack"), RULES, secret_key, refuse)
    assert found.row.template == READY


KEYED: Json = {"a": {"secret": "key"}}


@pytest.mark.parametrize(
    ("fields", "path", "why"),
    [
        ({}, "template", "is missing: a document, or the name of a ready one (slack)"),
        (
            {"template": "slak"},
            "template",
            "there is no ready template 'slak' (did you mean slack",
        ),
        ({"template": 7}, "template", "must be a mapping or a list"),
        ({"template": {"a": ["<$.x"]}}, "template.a[0]", "<$.x is no path"),
        ({"template": ["<$.x"]}, "template[0]", "<$.x is no path"),
        ({"template": {}, "content": "thin"}, "content", "a template says itself what the body"),
        ({"template": KEYED}, "template_secrets", "lacks key, which the template names"),
        (
            {"template": {}, "template_secrets": {"key": {"env": "ROUTING"}}},
            "template_secrets.key",
            "the template does not name it",
        ),
        (
            {"template": KEYED, "template_secrets": {"key": {"env": "OTHER"}}},
            "template_secrets.key",
            "is not set",
        ),
        (
            {"template": KEYED, "template_secrets": {"key": {"generate": True}}},
            "template_secrets.key",
            "must be {env: NAME} or {file: PATH}: hookstream does not generate it",
        ),
        (
            {"template": KEYED, "template_secrets": {"key": "hush"}},
            "template_secrets.key",
            "must be {env: NAME} or {file: PATH}, not text",
        ),
        (
            {"template": {}, "template_secrets": {"a key": {"env": "ROUTING"}}},
            "template_secrets",
            "'a key' is not a secret's name",
        ),
    ],
)
def test_what_is_wrong_with_a_template_is_reported_with_its_path(
    fields: JsonObject, path: str, why: str
) -> None:
    found = problems(templated(**fields))
    assert found[0][0] == path
    assert why in found[0][1]


@pytest.mark.parametrize("body_format", [BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS])
@pytest.mark.parametrize("content", Content)
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"max_events": 100, "max_wait": "200ms"}, Batch(100, 200)),
        ({"max_events": 1_000, "max_wait": "0s"}, Batch(1_000, 0)),
        ({"max_events": 2}, Batch(2, 500)),
    ],
)
def test_batches_are_read_in_every_format_that_makes_them(
    body_format: BodyFormat, content: Content, written: Json, meant: Batch
) -> None:
    shape: JsonObject = {"format": body_format.value, "content": content.value, "batch": written}
    assert read_subscription({**LEAST, **shape}, RULES, secret_key, refuse).row.batch == meant


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        (9, [("batch", "must be a mapping, not the number 9 (quote it, if text is meant)")]),
        ({}, [("batch.max_events", "is missing: 2 to 1000")]),
        (
            {"max_events": 1, "max_wait": "1s"},
            [
                ("batch.max_events", "must be 2 to 1000, not 1"),
                ("batch.max_wait", "must be 0s to 500ms, not 1s"),
            ],
        ),
        ({"max_events": 1_001}, [("batch.max_events", "must be 2 to 1000, not 1001")]),
        (
            {"max_events": 9, "max_wait": 200},
            [
                (
                    "batch.max_wait",
                    "must be a duration such as 5s, not the number 200 (quote it, if text is meant)",
                )
            ],
        ),
        (
            {"max_event": 9, "max_events": 9},
            [("batch.max_event", "there is no such field (did you mean max_events?)")],
        ),
    ],
)
def test_what_is_wrong_with_batches_is_reported_with_its_path(
    batch: Json, found: list[tuple[str, str]]
) -> None:
    assert problems({**LEAST, "batch": batch}) == found


def test_batches_of_a_template_are_refused() -> None:
    assert problems(templated(template={}, batch={"max_events": 9})) == [
        ("batch", "needs the format standard or cloudevents: a template makes no batches")
    ]


def test_every_field_of_a_partner_is_read() -> None:
    document: JsonObject = {
        "id": "acme",
        "name": "Acme Print",
        "grant": {"event_types": ["*"], "environments": ["live"], "pattern": {"type": ["x"]}},
    }
    assert read_partner(document, RULES, refuse) == Partner(
        "acme", "Acme Print", Grant(("*",), ("live",), {"type": ["x"]})
    )


def test_the_limits_of_a_partner_are_read_and_have_defaults() -> None:
    document: JsonObject = {
        "id": "acme",
        "name": "Acme",
        "grant": {"event_types": ["*"], "environments": ["*"]},
        "limits": {"subscriptions": 50, "timeout": "20s", "replayed_events_a_day": 0},
    }
    assert read_partner(document, RULES, refuse).limits == PartnerLimits(
        subscriptions=50, timeout=20 * SECOND, replayed_events_a_day=0
    )
    del document["limits"]
    assert read_partner(document, RULES, refuse).limits == DEFAULT_PARTNER_LIMITS


def test_what_is_wrong_with_a_partners_limits_is_named() -> None:
    document: JsonObject = {
        "id": "acme",
        "name": "Acme",
        "grant": {"event_types": ["*"], "environments": ["*"]},
        "limits": {"weight": 0, "timeout": "5m", "running_jobs": "1", "subscription": 3},
    }
    assert problems(document, partner=True) == [
        ("limits.weight", "must be 1 to 100, not 0"),
        ("limits.timeout", "must be 1s to 1m, not 5m"),
        ("limits.running_jobs", "must be a whole number, not '1'"),
        ("limits.subscription", "there is no such field (did you mean subscriptions?)"),
    ]


def test_an_operators_grant_is_marked_as_such() -> None:
    grant: JsonObject = {"event_types": ["log.gap"], "environments": ["*"], "operator": True}
    document: JsonObject = {"id": "ops", "name": "Operations", "grant": grant}
    assert read_partner(document, RULES, refuse).grant.operator
    grant["operator"] = "yes"
    assert problems(document, partner=True) == [
        ("grant.operator", "must be true or false, not 'yes'")
    ]


def test_all_problems_are_reported_at_once() -> None:
    """A file's problems must not be reported one by one."""
    document: JsonObject = {
        "id": "Orders",
        "endpiont": {},
        "event_types": [],
        "retry": {"schedul": ["5s"]},
    }
    assert problems(document) == [
        (
            "id",
            "'Orders' is not an id: lower-case letters, digits, `.`, `_`, `-`, 80 at most",
        ),
        ("partner", "is missing"),
        ("endpoint", "is missing"),
        ("event_types", "must have 1 to 100 items, not 0"),
        ("retry.schedul", "there is no such field (did you mean schedule?)"),
        ("endpiont", "there is no such field (did you mean endpoint?)"),
    ]


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_document_that_is_not_a_mapping_is_refused(document: Json) -> None:
    assert problems(document)[0][1].startswith("must be a mapping, not ")


def test_a_state_in_a_file_is_refused() -> None:
    """Applying files must never undo an on-call's pause, so they cannot even contain one."""
    assert problems({**LEAST, "state": "active"}) == [("state", "there is no such field")]


@pytest.mark.parametrize(
    ("field", "value", "path", "why"),
    [
        ("id", 5, "id", "must be text, not the number 5 (quote it, if text is meant)"),
        ("id", "writer", "id", "'writer' is reserved for hookstream"),
        ("id", "a/b", "id", "'a/b' is not an id"),
        ("event_types", "pricing.*", "event_types", "must be a list, not 'pricing.*'"),
        ("event_types", ["a", "a"], "event_types[1]", "'a' is listed twice"),
        ("event_types", ["pri*"], "event_types[0]", "'pri*' is not an event type such as"),
        ("event_types", [True], "event_types[0]", "must be text, not true (quote it"),
        ("environments", ["*"], "environments[0]", "for all that are granted, leave the field"),
        ("pattern", ["a"], "pattern", "must be a mapping, not a list"),
        ("pattern", {"bad": []}, "pattern", "data: unknown operator"),
        ("versions", {"a.*": 1}, "versions.a.*", "is not the name of an event type"),
        ("versions", {"a": 0}, "versions.a", "must be 1 to 1000000, not 0"),
        ("versions", {"a": "newest"}, "versions.a", "must be a version's number or latest"),
        ("versions", ["a"], "versions", "must be a mapping, not a list"),
        (
            "versions",
            {f"t{number}": 1 for number in range(101)},
            "versions",
            "must have at most 100 entries, not 101",
        ),
        ("event_types", None, "event_types", "is missing"),
        ("event_types", [None], "event_types[0]", "must be text, not nothing"),
        ("event_types", [{}], "event_types[0]", "must be text, not a mapping"),
        ("format", "avro", "format", "must be standard or cloudevents or template, not 'avro'"),
        ("content", "thick", "content", "must be full or thin, not 'thick'"),
        ("template", "slack", "template", "needs the field `format: template`"),
        (
            "template_secrets",
            {"key": {"env": "ROUTING"}},
            "template_secrets",
            "needs the fields `format: template` and `template`",
        ),
        ("retry", {"schedule": ["soon"]}, "retry.schedule[0]", "'soon' is not a duration"),
        ("retry", {"schedule": [5]}, "retry.schedule[0]", "must be a duration such as 5s, not"),
        ("retry", {"schedule": ["2d"]}, "retry.schedule[0]", "must be 0s to 24h, not 2d"),
        ("retry", {"expires_after": "30d"}, "retry.expires_after", "must be 1s to 14d, not 30d"),
        ("retry", {"final_statuses": [410]}, "retry.final_statuses[0]", "410 disables"),
        ("retry", {"final_statuses": [200]}, "retry.final_statuses[0]", "must be 300 to 599"),
        ("limits", {"max_in_flight": 0}, "limits.max_in_flight", "must be 1 to 1000, not 0"),
        ("limits", {"max_in_flight": "8"}, "limits.max_in_flight", "must be a whole number"),
        ("limits", {"rate_limit": 0}, "limits.rate_limit", "must be 0.01 to 100000, not 0"),
        ("limits", {"rate_limit": "fast"}, "limits.rate_limit", "must be a number, not 'fast'"),
        ("limits", {"weight": 0}, "limits.weight", "must be 1 to 100, not 0"),
        ("limits", {"weight": 101}, "limits.weight", "must be 1 to 100, not 101"),
        ("limits", {"weight": 1.5}, "limits.weight", "must be a whole number"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_must_be(
    field: str, value: Json, path: str, why: str
) -> None:
    ((found_path, found_why),) = problems({**LEAST, field: value})
    assert found_path == path
    assert why in found_why


@pytest.mark.parametrize(
    ("field", "value", "path", "why"),
    [
        ("url", "http://acme.example", "endpoint.url", "must be https"),
        ("url", "https://a b", "endpoint.url", "is not a URL"),
        ("timeout", "5m", "endpoint.timeout", "must be 100ms to 1m, not 5m"),
        ("headers", {"webhook-id": "x"}, "endpoint.headers.webhook-id", "webhook-id is reserved"),
        ("headers", {"a": 5}, "endpoint.headers.a", "must be text"),
        ("headers", {"A": "x", "a": "y"}, "endpoint.headers.a", "is listed twice"),
        ("signing_secrets", [], "endpoint.signing_secrets", "must have 1 to 4 items, not 0"),
        (
            "signing_secrets",
            [{"key": "whsec_x"}],
            "endpoint.signing_secrets[0]",
            "must be one of {env: NAME}",
        ),
        ("signing_secrets", [{"env": "NONE"}], "endpoint.signing_secrets[0]", "is not set"),
        (
            "signing_secrets",
            [{"generate": False}],
            "endpoint.signing_secrets[0].generate",
            "must be true, or the name of a secret",
        ),
        (
            "signing_secrets",
            [{"generate": True, "scheme": "v2"}],
            "endpoint.signing_secrets[0].scheme",
            "must be v1 or v1a",
        ),
        (
            "signing_secrets",
            [{"env": "ORDERS", "scheme": "v1a"}],
            "endpoint.signing_secrets[0]",
            "`scheme: v1a` may stand beside `generate`",
        ),
        (
            "signing_secrets",
            [{"env": "ORDERS"}, {"env": "ORDERS"}],
            "endpoint.signing_secrets[1]",
            "env:ORDERS is listed twice",
        ),
        (
            "signing_secrets",
            ["whsec_x"],
            "endpoint.signing_secrets[0]",
            "must be a mapping",
        ),
    ],
)
def test_a_wrong_field_of_the_endpoint_is_named(
    field: str, value: Json, path: str, why: str
) -> None:
    ((found_path, found_why),) = problems(endpoint(**{field: value}))
    assert found_path == path
    assert why in found_why


def test_headers_are_bounded_together() -> None:
    headers: JsonObject = {f"h{number}": "x" * 1_000 for number in range(9)}
    assert problems(endpoint(headers=headers)) == [
        ("endpoint.headers", "must have at most 8192 bytes together")
    ]


def test_a_grant_of_all_environments_is_listed_alone() -> None:
    document: JsonObject = {
        "id": "acme",
        "name": "Acme",
        "grant": {"event_types": ["*"], "environments": ["*", "live"]},
    }
    assert problems(document, partner=True) == [
        ("grant.environments", "`*` means all: it must be the only entry")
    ]


def test_a_partner_without_a_grant_is_refused() -> None:
    """No grant, no events: that is expressed by having no file."""
    assert problems({"id": "acme", "name": "Acme"}, partner=True) == [("grant", "is missing")]
