"""Who asks for events of a type in an environment, counted before an event is waited for in vain."""

from dataclasses import replace

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.core.planning.plan import Current
from hookstream.entry.admin.event_audience import Audience, audiences
from hookstream.entry.admin.tables import State

PRICED = "pricing.completed"
ROW = Subscription("s1", "acme", Endpoint("https://acme.example", ()), (PRICED,), 0)
PARTNERS = {
    "acme": Partner("acme", "Acme", Grant(("*",), ("production", "staging"))),
    "lumen": Partner("lumen", "Lumen", Grant(("*",), ("production",))),
}


def asked(*subscriptions: Subscription | UnreadableSubscription, environment: str) -> Audience:
    current = Current(PARTNERS, {each.id: each for each in subscriptions})
    state = State(current, SchemaBook(), (), (), {})
    [found] = audiences(state, [(PRICED, environment)])
    return found


def test_only_those_that_are_granted_and_ask_for_the_environment_count() -> None:
    found = asked(
        ROW,
        replace(ROW, id="s2", environments=("production",)),
        replace(ROW, id="s3", partner_id="lumen"),
        replace(ROW, id="s4", event_types=("order.*",)),
        replace(ROW, id="s5", state=SubscriptionState.DELETED),
        replace(ROW, id="s6", partner_id="nobody"),
        UnreadableSubscription("s7", "acme", (PRICED,), 0, (), "no key"),
        environment="staging",
    )
    assert found == Audience(PRICED, "staging", 5, 2)
    assert str(found) == "pricing.completed in staging: 2 subscriptions, before their filters"


def test_an_environment_that_nobody_asks_for_is_said_to_reach_none() -> None:
    """A tester published to staging, read "1 sent", and took the silence for a loss."""
    found = asked(replace(ROW, environments=("production",)), environment="staging")
    assert str(found) == (
        "pricing.completed in staging: no subscription gets it; 1 of the type, none in this environment"
    )


def test_a_type_that_nobody_asks_for_is_said_to_reach_none() -> None:
    assert str(asked(environment="staging")) == (
        "pricing.completed in staging: no subscription asks for the type, so no partner gets it"
    )
