"""The fields that the API shows and takes are those of the masks, and are marked as these say."""

from collections.abc import Mapping

import pytest

from hookstream.core.access.masks import PARTNER, SUBSCRIPTION, FieldMask
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.json import JsonObject
from hookstream.entry.api.fields import masks, refused_field
from hookstream.entry.api.resources.partners import PartnerGiven, PartnerPatch, PartnerShown
from hookstream.entry.api.resources.subscription_bodies import SubscriptionGiven, SubscriptionPatch
from hookstream.entry.api.resources.subscription_views import SubscriptionShown

_OF_ANSWERS = {"hold"}
"""Marked fields of answers that are none of a definition."""


def _plain(marks: Mapping[str, Scope]) -> dict[str, Scope]:
    return {path.replace("[]", ""): scope for path, scope in marks.items()}


@pytest.mark.parametrize(
    ("shown", "mask"), [(SubscriptionShown, SUBSCRIPTION), (PartnerShown, PARTNER)]
)
def test_an_answer_hides_from_partners_what_the_mask_hides(shown: type, mask: FieldMask) -> None:
    marks = _plain(masks(shown))
    hidden = {path for path, access in mask.items() if access.read is Scope.OPERATOR_READ}
    # Of a certificate's authorities only the name is shown, as that of other secrets.
    assert {*marks} - _OF_ANSWERS == hidden - {"endpoint.ca"} | {
        path for path in marks if path.startswith("grants.")
    }
    assert {*marks.values()} == {Scope.OPERATOR_READ}


@pytest.mark.parametrize("given", [SubscriptionGiven, SubscriptionPatch])
def test_a_request_may_set_what_the_mask_lets_it_set(given: type) -> None:
    marks = _plain(masks(given))
    operators = {
        path for path, access in SUBSCRIPTION.items() if access.write is Scope.OPERATOR_WRITE
    }
    assert {*marks} == operators - ({"id", "partner"} if given is SubscriptionPatch else set())


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({"endpoint": {"ca": {"value": "PEM"}}}, "endpoint.ca"),
        ({"limits": {"rate_limit": 5, "weight": 2}}, "limits.weight"),
        ({"limits": {"rate_limit": 5}}, None),
        ({"endpoint": {"auth": {"basic": {"password": {"value": "secret"}}}}}, None),
        ({"versions": {"order.generated": 1}}, None),
        ({"no": {"such": "field"}}, None),
    ],
)
def test_a_partner_is_refused_the_fields_of_operators_and_what_lies_below_them(
    document: JsonObject, refused: str | None
) -> None:
    partner = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
    operator = Caller("tok-w", Scope.OPERATOR_WRITE, None)
    assert refused_field(SubscriptionGiven, document, partner) == refused
    assert refused_field(SubscriptionGiven, document, operator) is None


def test_only_operators_write_partners() -> None:
    assert {access.write for access in PARTNER.values()} <= {Scope.OPERATOR_WRITE, None}
    assert masks(PartnerGiven) == masks(PartnerPatch) == {}
