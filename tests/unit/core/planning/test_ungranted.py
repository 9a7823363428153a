"""A subscription that asks for types which are never sent to it is noted, hookstream's own included."""

import pytest

from hookstream.core.matching.granted import asks_for
from hookstream.core.model.subscription import Endpoint, Grant, Subscription
from hookstream.core.planning.notes import ungranted

TYPES = ("endpoint.disabled", "order.generated")


def noted(grant: Grant, environments: tuple[str, ...] | None = None) -> list[str]:
    endpoint = Endpoint("https://acme.example/h", ())
    row = Subscription("orders", "acme", endpoint, TYPES, active_from=0, environments=environments)
    return ungranted(row, grant, TYPES, asks_for)


@pytest.mark.parametrize("globs", [("*",), ("endpoint.*", "order.*")])
def test_a_grant_that_does_not_name_an_operations_type_withholds_it(
    globs: tuple[str, ...],
) -> None:
    assert noted(Grant(globs, ("*",))) == [
        (
            "subscription orders: asks for endpoint.disabled, which partner acme is not granted"
            " (by name, as endpoint.disabled must be): none will be sent"
        )
    ]


def test_a_grant_without_their_environment_withholds_operations_types() -> None:
    assert noted(Grant(("*", "endpoint.disabled"), ("live",)), ("live",)) == [
        (
            "subscription orders: asks for endpoint.disabled of environment operations, "
            "which partner acme is not granted: none will be sent"
        )
    ]


def test_a_subscription_without_their_environment_gets_no_operations_types() -> None:
    assert noted(Grant(("*", "endpoint.disabled"), ("*",)), ("live",)) == [
        (
            "subscription orders: asks for endpoint.disabled of environment operations, "
            "for which it does not ask: none will be sent"
        )
    ]


def test_an_environment_that_is_asked_for_and_not_granted_is_noted_once() -> None:
    [note] = noted(Grant(("*", "endpoint.disabled"), ("live",)), ("live", "operations"))
    assert "asks for environment operations, which partner acme is not granted" in note


@pytest.mark.parametrize("granted", [("*",), ("live", "operations")])
@pytest.mark.parametrize("environments", [None, ("live", "operations")])
def test_nothing_is_noted_of_operations_types_that_are_granted(
    granted: tuple[str, ...], environments: tuple[str, ...] | None
) -> None:
    assert noted(Grant(("*", "endpoint.disabled"), granted), environments) == []
