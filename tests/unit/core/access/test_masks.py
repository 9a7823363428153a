"""Every field of partners, subscriptions and holds says who may see it and who may set it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

from hookstream.core.access.masks import (
    HOLD,
    PARTNER,
    STATUS,
    SUBSCRIPTION,
    FieldMask,
    hidden,
    status_for,
    visible,
)
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import DAY
from hookstream.core.model.json import JsonObject
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Batch,
    Disabled,
    Endpoint,
    Gap,
    Grant,
    Limits,
    Partner,
    RetryPolicy,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.entry.admin.subscriptions import status_document

MANAGES = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
READS = Caller("tok-r", Scope.PARTNER_READ, "acme")
OPERATOR = Caller("tok-o", Scope.OPERATOR_READ, None)
WRITES = Caller("tok-w", Scope.OPERATOR_WRITE, None)
EVERY = (MANAGES, READS, OPERATOR, WRITES, Caller("tok-a", Scope.ADMIN, None))

NESTED = (Endpoint, RetryPolicy, Limits, Batch, Gap, Grant, PartnerLimits)
"""Values whose fields have paths of their own."""

SHOWN_AS = {
    "partner_id": "partner",
    "endpoint.secrets": "endpoint.signing_secrets",
    "endpoint.credentials": "endpoint.auth",
    "endpoint.mtls": "endpoint.auth",
    "endpoint.url_secret": "endpoint.url",
    "endpoint.secret_headers": "endpoint.headers",
    "endpoint.template_secrets": "template_secrets",
    "endpoint.is_pull": "endpoint.pull",
    "grant_from": "granted_from",
    "history": "grants",
    "previous_grant": "grants",
}
"""Attributes that definitions and documents name otherwise. What starts with one of these is that field."""


def nested_in(hint: Any) -> type | None:  # noqa: ANN401  a type hint
    if hint in NESTED:
        return hint  # type: ignore[no-any-return]
    if get_origin(hint) in (Union, UnionType, tuple):
        return next((each for each in map(nested_in, get_args(hint)) if each), None)
    return None


def paths(kind: type, above: str = "") -> Iterator[str]:
    assert is_dataclass(kind)
    for each in fields(kind):
        path = above + each.name
        inner = nested_in(each.type)
        if path in SHOWN_AS:
            yield SHOWN_AS[path]
        elif inner is not None:
            yield from paths(inner, f"{path}.")
        else:
            yield path


@pytest.mark.parametrize(
    ("kind", "mask", "besides"),
    [
        (Subscription, SUBSCRIPTION, {"start_from"}),
        (Partner, PARTNER, set()),
        (Hold, HOLD, set()),
    ],
)
def test_every_field_has_an_entry_and_no_entry_is_without_a_field(
    kind: type, mask: FieldMask, besides: set[str]
) -> None:
    assert set(paths(kind)) | besides == set(mask)


def settable(mask: FieldMask, caller: Caller) -> set[str]:
    """Return the fields that a caller may set."""
    return {path for path, access in mask.items() if access.write and caller.may(access.write)}


def test_whoever_may_set_a_field_may_see_it() -> None:
    for mask in (SUBSCRIPTION, PARTNER, HOLD, STATUS):
        for caller in EVERY:
            assert not settable(mask, caller) & hidden(mask, caller)


def test_a_partner_neither_sees_nor_sets_the_fields_of_operators() -> None:
    for caller in (MANAGES, READS):
        operators = {"endpoint.ca", "limits.weight", "owner", "declared_at"}
        assert hidden(SUBSCRIPTION, caller) == operators
        assert hidden(PARTNER, caller) == {"grant.operator", "limits.weight", "grants", "owner"}
        assert hidden(HOLD, caller) == set(HOLD)
    for caller in (OPERATOR, WRITES):
        assert not any(hidden(mask, caller) for mask in (SUBSCRIPTION, PARTNER, HOLD, STATUS))


def test_who_only_reads_sets_nothing() -> None:
    for mask in (SUBSCRIPTION, PARTNER, HOLD):
        for caller in (READS, OPERATOR):
            assert settable(mask, caller) == set()
    # A partner that manages sets nothing of its own grant and limits.
    assert settable(PARTNER, MANAGES) == set()


def test_a_document_is_shown_without_what_its_caller_may_not_see() -> None:
    document: JsonObject = {
        "id": "acme.x",
        "owner": "files:shop",
        "endpoint": {"url": "https://acme.example", "ca": {"value": "…"}},
        "limits": {"max_in_flight": 3, "weight": 7},
        "gaps": [{"start": "a", "end": None}],
    }
    assert visible(SUBSCRIPTION, MANAGES, document) == {
        "id": "acme.x",
        "endpoint": {"url": "https://acme.example"},
        "limits": {"max_in_flight": 3},
        "gaps": [{"start": "a", "end": None}],
    }
    assert visible(SUBSCRIPTION, OPERATOR, document) == document


ROW = Subscription("acme.x", "acme", Endpoint("https://acme.example", ()), ("*",), 0)
HELD = Held(ROW, None, Hold(HoldKind.EVERYTHING, "all", DAY, "the network is down", "kim@desk"))
STATUSES: list[SubscriptionStatus] = [
    Live(ROW, None),
    HELD,
    Paused(ROW, None, DAY),
    DisabledStatus(ROW, None, Disabled("acme.x", DAY, "gone", "status 410")),
    Deleted("acme.x", "acme"),
    Unreadable(UnreadableSubscription("acme.x", "acme", ("*",), 0, (), "no key k2 in the ring")),
    Absent(),
]


def test_to_a_partner_a_hold_is_a_suspension_without_who_and_why() -> None:
    shown = status_for(MANAGES, status_document(HELD))
    assert shown == {"state": "suspended"}
    assert status_for(OPERATOR, status_document(HELD)) == status_document(HELD)


def test_a_partner_is_shown_nothing_of_a_status_that_is_for_operators() -> None:
    for status in STATUSES:
        document = status_document(status)
        assert set(document) <= set(STATUS)
        shown = status_for(READS, document)
        assert not set(shown) & hidden(STATUS, READS)
        for secret in ("kim@desk", "the network is down", "everything", "k2"):
            assert secret not in str(shown)
