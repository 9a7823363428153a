"""A plan shows that a secret changes and what it is named, and never what it is."""

from dataclasses import replace

import pytest

from hookstream.core.model.subscription import (
    Bearer,
    Endpoint,
    Grant,
    MutualTls,
    Partner,
    Secret,
    SigningSecret,
    Subscription,
    covers,
)
from hookstream.core.planning.changes import Plan, Unchanged, Update
from hookstream.core.planning.declared import (
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
    SigningKey,
)
from hookstream.core.planning.fields import Difference
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan

NOW = 10_000
KEY = bytes(24)
ACME = Partner("acme", "Acme", Grant(("*",), ("live",)), owner="files")
ROW = Subscription("orders", "acme", Endpoint("https://acme.example/h", ()), ("*",), active_from=0)
ORDERS_FILE = DeclaredSubscription(ROW, (DeclaredSecret("env:ORDERS", KEY),))
OLD = replace(
    ROW,
    endpoint=replace(ROW.endpoint, secrets=(SigningSecret("env:ORDERS", KEY),)),
    active_from=500,
    revision=4,
    owner="files",
)
MEANS = PlanMeans(
    new_key=lambda _: SigningKey(KEY),
    scrub=lambda url: url.rpartition("/")[0] + "/…",
    pattern_problems=lambda _: (),
    template_problems=lambda _: (),
    asks_for=covers,
    now=NOW,
    takes_effect=NOW,
    prune_share=0.1,
    certificate_end=lambda _: None,
)


def planned(
    declared: DeclaredSubscription, *present: Subscription, means: PlanMeans = MEANS
) -> Plan:
    current = Current({"acme": ACME}, {each.id: each for each in present})
    return plan(Declared((), (declared,)), current, PlanOptions(), means)


TOKEN = Secret("env:TOKEN", b"old")
SEALED_TOKEN = Secret("env:TOKEN", b"k1\0c2VhbGVk")
SECRET_URL = Secret("env:URL", b"https://acme.example/h/old")


def with_token(subscription: Subscription, token: Secret) -> Subscription:
    return replace(
        subscription,
        endpoint=replace(
            subscription.endpoint, credentials=Bearer(token), secret_headers=(("x-key", token),)
        ),
    )


def test_a_changed_value_of_the_same_secret_is_a_change_that_shows_its_name() -> None:
    changed = replace(ORDERS_FILE, row=with_token(ROW, replace(TOKEN, value=b"new")))
    (update,) = planned(changed, with_token(OLD, TOKEN)).changes
    assert isinstance(update, Update)
    shown = "(not shown) env:TOKEN"
    assert set(update.differences) == {
        Difference("endpoint.headers.x-key", shown, shown),
        Difference("endpoint.auth.bearer.token", shown, shown),
    }
    assert isinstance(update.after, Subscription)
    assert update.after.endpoint.credentials == Bearer(Secret("env:TOKEN", b"new"))


@pytest.mark.parametrize("value", [b"new", b""], ids=["at hand", "missing"])
def test_without_a_key_ring_secrets_are_compared_by_field_and_name(value: bytes) -> None:
    sealed = with_token(OLD, SEALED_TOKEN)
    declared = replace(ORDERS_FILE, row=with_token(ROW, replace(TOKEN, value=value)))
    sealed_means = replace(MEANS, opened=False)
    assert planned(declared, sealed, means=sealed_means).changes == (Unchanged(sealed),)
    other = replace(ORDERS_FILE, row=with_token(ROW, Secret("env:OTHER", value)))
    (update,) = planned(other, sealed, means=sealed_means).changes
    assert isinstance(update, Update)
    assert Difference(
        "endpoint.auth.bearer.token", "(not shown) env:TOKEN", "(not shown) env:OTHER"
    ) in (update.differences)


def with_url(subscription: Subscription, url: str, secret: Secret) -> Subscription:
    return replace(
        subscription, endpoint=replace(subscription.endpoint, url=url, url_secret=secret)
    )


def test_a_secret_url_is_shown_as_scheme_and_host_with_its_name() -> None:
    before = with_url(OLD, "https://acme.example/", SECRET_URL)
    moved = replace(SECRET_URL, value=b"https://other.example/h/new")
    declared = replace(ORDERS_FILE, row=with_url(ROW, "https://other.example/", moved))
    (update,) = planned(declared, before).changes
    assert isinstance(update, Update)
    assert update.differences == (
        Difference(
            "endpoint.url",
            "https://acme.example/… (not shown) env:URL",
            "https://other.example/… (not shown) env:URL",
        ),
    )


def test_without_a_key_ring_a_secret_url_of_the_same_name_is_unchanged() -> None:
    sealed = with_url(OLD, "https://acme.example/", Secret("env:URL", b"k1\0c2VhbGVk"))
    declared = replace(ORDERS_FILE, row=with_url(ROW, "", Secret("env:URL", b"")))
    made = planned(declared, sealed, means=replace(MEANS, opened=False))
    assert made.changes == (Unchanged(sealed),)


ENDED = (
    "subscription orders: the client certificate file:client.pem is valid only until"
    " 1970-01-01T00:00:10.000Z, so the endpoint refuses it"
)


@pytest.mark.parametrize(
    ("ends", "notes"),
    [
        (None, ()),
        (NOW + 1, ()),
        (
            NOW,
            (ENDED,),
        ),
    ],
)
def test_a_client_certificate_past_its_end_is_noted(
    ends: int | None, notes: tuple[str, ...]
) -> None:
    mtls = MutualTls(Secret("file:client.pem", b"pem"), Secret("file:client.key", b"key"))
    row = replace(ROW, endpoint=replace(ROW.endpoint, mtls=mtls))
    means = replace(MEANS, certificate_end=lambda pem: ends if pem == b"pem" else None)
    assert planned(replace(ORDERS_FILE, row=row), means=means).notes == notes
