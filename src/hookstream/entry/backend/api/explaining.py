"""Explains events through the API: a console reads the topics, and its index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hookstream.core.matching.explaining import Condition, Unmet
from hookstream.core.model.instant import from_rfc3339, to_rfc3339
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
from hookstream.entry.api.resources.explaining import (
    AsideShown,
    ExplainedEventShown,
    ExplainedSubscriptionShown,
    ExplainQuery,
    ExplanationShown,
)
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.api.past import history_in

_NOT_WHOLE = "parts that a console does not read in one answer, or that the token may not see"


@dataclass(slots=True, frozen=True)
class ApiExplaining:
    """Implements `ExplainCommand`."""

    api: ApiClient

    def explain(self, request: ExplainRequest) -> Explanation:
        target = request.target
        which: dict[str, Any] = {"event": target}
        if isinstance(target, RecordPlace):
            at, offset = target
            which = {"place": f"{at.topic}/{at.partition}@{offset}"}
        query = ExplainQuery(
            **which, since=to_rfc3339(request.since), subscription=request.subscription_id
        )
        shown = self.api.get("/v1/explain", ExplanationShown, query)
        left_out: Sequence[str] = shown.not_searched
        if not left_out and not shown.is_whole:
            left_out = (_NOT_WHOLE,)
        return Explanation([_event(each) for each in shown.events], shown.searched, left_out)


def _event(shown: ExplainedEventShown) -> ExplainedEvent:
    said = shown.event
    facts = None
    if said is not None:
        facts = EventFacts(
            said.id, said.type, said.version, said.environment, said.entity, said.schema
        )
    found = ExplainedRecord(
        shown.place,
        from_rfc3339(shown.appended_at),
        shown.found_in,
        shown.copy,
        shown.problem,
        facts,
    )
    return ExplainedEvent(
        found,
        [_aside(each) for each in shown.aside],
        shown.settled,
        [_subscription(each) for each in shown.subscriptions],
        shown.subscriptions_left_out,
    )


def _subscription(shown: ExplainedSubscriptionShown) -> ExplainedSubscription:
    timeline, waits = shown.timeline, shown.waits
    return ExplainedSubscription(
        subscription_id=shown.subscription,
        partner_id=shown.partner,
        status=shown.status,
        unmet=[Unmet(Condition(each.condition), each.why) for each in shown.unmet],
        delivery_id=shown.delivery,
        history=None if timeline is None else history_in(shown.delivery, timeline),
        waits=None if waits is None else _aside(waits),
        note=shown.note,
        changes=[
            SubscriptionChange(each.at, each.change, each.revision, each.changed_by)
            for each in shown.changes
        ],
    )


def _aside(shown: AsideShown) -> Aside:
    return Aside(
        place=shown.place,
        kind=shown.kind,
        at=from_rfc3339(shown.at),
        subscription_id=shown.subscription,
        why=shown.why,
        due_at=shown.due_at,
        is_open=shown.open,
    )
