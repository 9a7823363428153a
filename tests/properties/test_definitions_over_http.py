"""A subscription written as its definition and read again is the same, secrets and all."""

import ipaddress
from dataclasses import replace
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.test_hidden_secrets import ENDPOINTS

from hookstream.core.delivery.address import origin, url_problem
from hookstream.core.delivery.bodies.template import secrets_in
from hookstream.core.delivery.signing import header_problem
from hookstream.core.model.instant import DAY, MINUTE, SECOND
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Content,
    Endpoint,
    Limits,
    RetryPolicy,
    SigningSecret,
    Subscription,
)
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.declared import DeclaredSubscription
from hookstream.core.planning.definition import read_subscription
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.request_secrets import RequestSecrets
from hookstream.core.planning.written import definition_of, patched

RULES = DefinitionRules(
    url_problem=partial(url_problem, https_only=False, allow=[ipaddress.ip_network("0.0.0.0/0")]),
    header_problem=header_problem,
    pattern_problem=lambda _: None,
    templates=TemplateRules({}, secrets_in),
    signing_key=lambda _: "no key is read here",
    origin=origin,
    tls_problem=lambda _: None,
)
PLAIN = ENDPOINTS.map(lambda each: replace(each, template_secrets=(), mtls=None, ca=None))
SUBSCRIPTIONS = st.builds(
    Subscription,
    st.just("acme.x"),
    st.just("acme"),
    PLAIN | st.just(Endpoint("", (), is_pull=True)),
    st.lists(st.sampled_from(["a.b", "c.*"]), min_size=1, max_size=2, unique=True).map(tuple),
    active_from=st.just(0),
    environments=st.none() | st.just(("production",)),
    pattern=st.none() | st.just({"data": {"price": [{"numeric": [">", 1.5]}]}}),
    versions=st.just({}) | st.just({"a.b": 3, "c.d": "latest"}),
    format=st.sampled_from([BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS]),
    content=st.sampled_from(Content),
    batch=st.none() | st.builds(Batch, st.integers(2, 100), st.integers(0, 500)),
    retry=st.builds(
        RetryPolicy,
        st.lists(st.sampled_from([SECOND, 90 * SECOND, DAY]), max_size=4).map(tuple),
        st.sampled_from([MINUTE, 7 * DAY]),
        st.frozensets(st.integers(400, 409)),
    ),
    limits=st.builds(
        Limits, st.integers(1, 1_000), st.none() | st.floats(0.01, 100), st.integers(1, 100)
    ),
)


def as_pull(subscription: Subscription) -> Subscription:
    """Leave out what a subscription cannot have to which nothing is sent."""
    if not subscription.endpoint.is_pull:
        return subscription
    return replace(subscription, retry=RetryPolicy(), limits=Limits(), batch=None)


def read_again(subscription: Subscription, patch: dict[str, Any]) -> DeclaredSubscription:
    problems: list[tuple[str, str]] = []
    found = read_subscription(
        patched(definition_of(subscription), patch),
        RULES,
        RequestSecrets(lambda: "value-00000000", subscription),
        lambda path, why: problems.append((path, why)),
    )
    assert problems == []
    return found


@settings(max_examples=100)
@given(
    SUBSCRIPTIONS.map(as_pull),
    st.lists(st.sampled_from(["generated", "generated-r2"]), unique=True),
)
def test_a_definition_says_all_that_a_subscription_is(
    subscription: Subscription, names: list[str]
) -> None:
    secrets = tuple(SigningSecret(name, bytes(32)) for name in names or ["generated"])
    whole = replace(subscription, endpoint=replace(subscription.endpoint, secrets=secrets))
    found = read_again(whole, {})
    assert [(each.id, each.key) for each in found.secrets] == [(each.id, None) for each in secrets]
    assert found.row == subscription
    assert "hush-" not in str(definition_of(whole))


@settings(max_examples=50)
@given(SUBSCRIPTIONS.filter(lambda each: not each.endpoint.is_pull))
def test_a_partial_definition_changes_what_it_names_and_nothing_else(
    subscription: Subscription,
) -> None:
    secrets = (SigningSecret("generated", bytes(32)),)
    whole = replace(subscription, endpoint=replace(subscription.endpoint, secrets=secrets))
    patch = {"retry": {"expires_after": "2m"}, "pattern": None, "endpoint": {"timeout": "3s"}}
    changed = replace(
        subscription,
        endpoint=replace(subscription.endpoint, timeout=3 * SECOND),
        retry=replace(subscription.retry, expires_after=2 * MINUTE),
        pattern=None,
    )
    assert read_again(whole, patch).row == changed
