"""Which partners may receive events about hookstream itself."""

from dataclasses import replace

import pytest

from hookstream.core.matching.directory import Directory, Question
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import Endpoint, Grant, Partner, Subscription

NO_VERSION = Refused(RefusalReason.VERSION_NOT_RESOLVABLE, "v1 has no default for pages")
ACME = Partner("acme", "Acme", Grant(("*",), ("*",)))


class Body:
    """Gives the body of an event about something, whatever the version."""

    def __init__(self, data: dict[str, str]) -> None:
        self._data = data

    def __call__(self, version: int) -> JsonObject:
        return {"version": version, "environment": "operations", "data": {**self._data}}


def directory(event_type: str, partner: Partner) -> Directory:
    """One subscription of the partner's, to this type."""
    found = Directory()
    found.put_partner(partner)
    endpoint = Endpoint("https://acme.example", ())
    found.put_subscription(Subscription("s1", partner.id, endpoint, (event_type,), 0))
    return found


def owed_to(found: Directory, body: Body, event_type: str = "endpoint.disabled") -> list[str]:
    matches = found.match(Question(event_type, "operations", 1000, body, 1))
    return [match.subscription.id for match in matches if match is not None]


OPERATIONS = Grant(("endpoint.disabled", "log.gap"), ("*",))


@pytest.mark.parametrize(
    ("about", "operator", "expected"),
    [
        ({"partner_id": "acme"}, False, True),
        ({"partner_id": "brightside"}, False, False),
        ({"partner_id": "acme-2"}, False, False),
        ({"topic": "printprice.a"}, False, False),
        ({"partner_id": "acme"}, True, True),
        ({"partner_id": "brightside"}, True, True),
        ({"topic": "printprice.a"}, True, True),
    ],
)
def test_operations_events_reach_the_partner_that_they_are_about_and_operators(
    *, about: dict[str, str], operator: bool, expected: bool
) -> None:
    """At the match, and again before each attempt."""
    partner = replace(ACME, grant=replace(OPERATIONS, operator=operator))
    found = directory("endpoint.disabled", partner)
    body = Body(about)

    owed = owed_to(found, body)
    granted = found.granted(partner, "endpoint.disabled", "operations", 1000, lambda: body(1))

    assert (owed, granted) == (["s1"] if expected else [], expected)


def test_a_grants_own_pattern_is_evaluated_on_operations_events_too() -> None:
    pattern: JsonObject = {"data": {"reason": ["gone"]}}
    partner = replace(ACME, grant=replace(OPERATIONS, pattern=pattern))
    found = directory("endpoint.disabled", partner)

    owed = [
        owed_to(found, Body(body))
        for body in (
            {"partner_id": "acme", "reason": "gone"},
            {"partner_id": "acme", "reason": "failing"},
            {"partner_id": "brightside", "reason": "gone"},
        )
    ]

    assert owed == [["s1"], [], []]


def test_an_operations_event_that_cannot_be_rendered_is_an_error() -> None:
    partner = replace(ACME, grant=OPERATIONS)
    found = directory("endpoint.disabled", partner)

    question = Question("endpoint.disabled", "operations", 1000, lambda _: NO_VERSION, 1)
    [match] = found.match(question)

    assert match is not None
    assert match.refused is not None


def test_a_platforms_own_type_with_our_prefix_is_not_an_operations_event() -> None:
    partner = replace(ACME, grant=Grant(("delivery.scheduled",), ("*",)))
    found = directory("delivery.scheduled", partner)
    assert owed_to(found, Body({}), "delivery.scheduled") == ["s1"]
