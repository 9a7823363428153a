"""What a grant gives access to: read once for each event type, however many attempts ask."""

import pytest

from hookstream.core.matching import granted
from hookstream.core.matching.directory import Directory
from hookstream.core.matching.granted import GrantedType, ReadGrant
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Grant, HeldGrant, Partner

ORDERS = Grant(("order.*",), ("live", "test"))


def body() -> JsonObject:
    return {}


def test_a_grant_is_read_once_for_each_type_however_many_attempts_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[GrantedType] = []

    def counted(*fields: object) -> GrantedType:
        made.append(GrantedType(*fields))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(granted, "GrantedType", counted)
    partner = Partner("acme", "Acme", ORDERS, history=(HeldGrant(ORDERS, 100),))
    directory = Directory()
    directory.put_partner(partner)
    for _ in range(10):
        for event_type in ("order.placed", "order.paid", "price.asked"):
            for environment, expected in (("live", True), ("test", True), ("other", False)):
                found = directory.granted(partner, event_type, environment, 101, body)
                assert found is (expected and event_type != "price.asked")
    assert len(made) == len(("order.placed", "order.paid"))


def test_what_a_grant_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granted, "_MOST_REMEMBERED", 2)
    grant = ReadGrant(ORDERS, "acme")
    first = grant.opens("order.placed", None)
    assert first is grant.opens("order.placed", None)
    for event_type in ("order.paid", "order.sent", "order.lost"):
        assert grant.opens(event_type, None) == first
    again = grant.opens("order.placed", None)
    assert again == first
    assert again is not first


def test_a_grant_limited_to_a_subscriptions_environments_is_not_mistaken_for_the_whole() -> None:
    grant = ReadGrant(ORDERS, "acme")
    whole = grant.opens("order.placed", None)
    part = grant.opens("order.placed", frozenset({"live"}))
    again = grant.opens("order.placed", None)
    assert whole is not None
    assert part is not None
    assert (whole.environments, part.environments) == (
        frozenset({"live", "test"}),
        frozenset({"live"}),
    )
    assert again is whole
