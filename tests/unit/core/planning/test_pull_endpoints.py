"""A subscription to which nothing is sent: what its file may say, and what may be done with it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.unit.core.planning.test_endpoint_fields import RULES, secrets
from tests.unit.core.planning.test_plan import ACME_FILE, ORDERS, ORDERS_FILE, planned

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import Cancel
from hookstream.core.model.record import Origin
from hookstream.core.model.subscription import Endpoint, Subscription, SubscriptionState
from hookstream.core.model.subscription_status import Live
from hookstream.core.outcome.policy import WaitRules, before_attempt
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Create, Unchanged
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret, DeclaredSubscription
from hookstream.core.planning.definition import read_subscription
from hookstream.core.planning.fields import fields_of
from hookstream.errors import InputRefused

PULLED = replace(ORDERS, endpoint=Endpoint("", ORDERS.endpoint.secrets, is_pull=True))
PULLED_FILE = DeclaredSubscription(
    replace(ORDERS_FILE.row, endpoint=Endpoint("", (), is_pull=True)), ORDERS_FILE.secrets
)


def read(document: Mapping[str, Json]) -> tuple[DeclaredSubscription, dict[str, str]]:
    found: dict[str, str] = {}
    whole: JsonObject = {"id": "orders", "partner": "acme", "event_types": ["*"], **document}
    return read_subscription(whole, RULES, secrets, found.__setitem__), found


def test_the_word_pull_stands_for_an_endpoint_with_a_generated_secret() -> None:
    declared, problems = read({"endpoint": "pull"})
    assert problems == {}
    assert declared.row.endpoint == Endpoint("", (), is_pull=True)
    assert declared.secrets == (DeclaredSecret(UNNAMED, None, None),)


def test_it_may_name_its_secrets_and_nothing_of_requests() -> None:
    declared, problems = read(
        {
            "endpoint": {"pull": True, "signing_secrets": [{"env": "TOKEN"}]},
            "format": "cloudevents",
        }
    )
    assert problems == {}
    assert [each.id for each in declared.secrets] == ["env:TOKEN"]
    _, problems = read(
        {
            "endpoint": {
                "pull": True,
                "url": "https://a.example",
                "headers": {},
                "timeout": "5s",
                "auth": {},
                "ca": {"file": "ca.pem"},
                "signing_secrets": [{"generate": True}],
            },
            "retry": {},
            "limits": {"max_in_flight": 1},
            "batch": {"max_events": 5},
            "start_from": "earliest",
        }
    )
    assert set(problems) == {
        *(f"endpoint.{name}" for name in ("url", "headers", "timeout", "auth", "ca")),
        *("retry", "limits", "batch", "start_from"),
    }
    assert all("has no effect" in why for why in problems.values())


@pytest.mark.parametrize("written", ["push", "https://a.example", {"pull": "yes"}, {"pull": True}])
def test_anything_else_is_refused(written: Json) -> None:
    assert read({"endpoint": written})[1]


def test_it_is_planned_shown_and_left_alone_as_any_other() -> None:
    made = planned(ACME_FILE, PULLED_FILE, subscriptions=())
    assert made.problems == ()
    [_, created] = made.changes
    assert isinstance(created, Create)
    after = created.after
    assert isinstance(after, Subscription)
    shown = fields_of(after, str)
    assert shown["endpoint.pull"].shown == "true"
    assert not {"endpoint.url", "endpoint.timeout", "limits.weight"} & shown.keys()
    again = planned(ACME_FILE, PULLED_FILE, subscriptions=[after])
    assert isinstance(again.changes[1], Unchanged)


@pytest.mark.parametrize(
    ("declared", "present"), [(PULLED_FILE, ORDERS), (ORDERS_FILE, PULLED)], ids=["to", "from"]
)
def test_an_id_keeps_its_kind_of_endpoint_until_it_is_deleted(
    declared: DeclaredSubscription, present: Subscription
) -> None:
    [problem] = planned(ACME_FILE, declared, subscriptions=[present]).problems
    assert (problem.path, "for life" in problem.why) == ("endpoint", True)
    deleted = replace(present, state=SubscriptionState.DELETED)
    assert planned(ACME_FILE, declared, subscriptions=[deleted]).problems == ()


def test_it_is_not_paused() -> None:
    with pytest.raises(InputRefused, match="pauses by not reading"):
        transitions.pause(PULLED, 5)


def test_a_delivery_of_an_earlier_life_of_its_id_is_cancelled() -> None:
    origin = Origin("t", 0, 1, ORDERS.active_from + 1)
    delivery = Delivery("msg_a", "orders", "acme", "a.b", "e", origin, 3, HOUR)
    rules = WaitRules(absent_grace=HOUR, paused_for=HOUR, pause_hop=MINUTE)
    found = before_attempt(Live(PULLED, None), delivery, rules, now=10)
    assert isinstance(found, Cancel)
    assert before_attempt(Live(ORDERS, None), delivery, rules, now=10) is None
    delivery.origin = origin._replace(timestamp=ORDERS.active_from)
    assert isinstance(before_attempt(Live(ORDERS, None), delivery, rules, now=10), Cancel)
