"""An event that was explained: as an operator, and as a partner, gets it."""

from tests.doubles.clock import NOON
from tests.doubles.lives import DEATH, FIRST

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.matching.explaining import Condition, Unmet
from hookstream.core.model.record_place import RecordPlace
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import (
    Aside,
    EventFacts,
    ExplainedEvent,
    ExplainedRecord,
    ExplainedSubscription,
    Explanation,
    SubscriptionChange,
)

EVENT = "e-1"
"""The id of the only event that can be explained."""
_TIER = Aside(
    "hush-tier/0@5", "tier", NOON, "crm", "held", "2026-11-24T12:05:00.000Z", is_open=True
)


def explained(request: ExplainRequest) -> Explanation:
    """Return the explanation of the event, or of any place; of another id, that it was not found."""
    searched, left_out = ["hush-topic since then"], ["hush-topic before then"]
    if not isinstance(request.target, RecordPlace) and request.target != EVENT:
        return Explanation([], searched, left_out)
    facts = EventFacts(EVENT, "pricing.completed", 1, "production", "q-1", "hush-schema")
    record = ExplainedRecord("hush/3@40", NOON, "hush", "hush-tier/0@4", None, facts)
    own = [*_subscriptions(), *(() if request.partner_id else (_foreign(),))]
    wanted = [each for each in own if request.subscription_id in (None, each.subscription_id)]
    no_event = ExplainedRecord("hush/3@41", NOON, "hush", None, "corrupt: hush", None)
    undecodable = Aside(
        "hush/0@1", "undecodable", NOON, None, "corrupt: hush", None, is_open=False
    )
    events = [ExplainedEvent(record, [], "hush: workers have settled its record", wanted, 2)]
    if not request.partner_id:
        events.append(ExplainedEvent(no_event, [undecodable], "hush: not settled yet"))
    return Explanation(events, searched, left_out)


def _subscriptions() -> list[ExplainedSubscription]:
    history = DeliveryHistory("msg_ours", (FIRST,), (DEATH,))
    changes = [SubscriptionChange("2026-11-24T12:01:00.000Z", "paused", 3, "hush")]
    unmet = [Unmet(Condition.FILTER, "data.total is 5"), Unmet(Condition.ACTIVE, "it is paused")]
    return [
        ExplainedSubscription(
            "crm", "acme", "paused since 2026", [], "msg_ours", history, changes=changes
        ),
        ExplainedSubscription("waits", "acme", "", [], "msg_waits", None, _TIER),
        ExplainedSubscription("refused", "acme", "", unmet, "msg_refused"),
        ExplainedSubscription("unknown", "acme", "", [], "msg_unknown", note="hush: no trace"),
    ]


def _foreign() -> ExplainedSubscription:
    return ExplainedSubscription("theirs", "rival", "", [], "msg_theirs", note="hush: no trace")
