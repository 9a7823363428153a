"""Converts attempts and deliveries in the API's answers back into hookstream's values.

Fields that partners do not see, such as an event's place, are empty.
"""

import re
from collections.abc import Sequence

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, DeliveryHistory, DeliveryState, Purge
from hookstream.core.audit.run_states import PendingRecord, RunId, RunState
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.record import Origin
from hookstream.entry.api.resources.delivery_life_views import TimelineEntry
from hookstream.entry.api.resources.delivery_views import (
    AttemptShown,
    PendingShown,
    RunShown,
)
from hookstream.entry.backend.api.values import instant_or_none

_PLACE = re.compile(r"(?P<topic>.+)-(?P<partition>[0-9]{1,9})@(?P<offset>[0-9]{1,18})")


def attempt_in(shown: AttemptShown) -> AuditEntry:
    """Return an attempt."""
    return AuditEntry(
        delivery_id=shown.delivery,
        subscription_id=shown.subscription,
        partner_id=shown.partner,
        event_type=shown.event_type,
        event_version=shown.event_version,
        event_id=shown.event or "",
        entity_id=shown.entity or "",
        environment=shown.environment,
        batch_id=shown.batch,
        attempt=shown.attempt,
        trigger=shown.trigger,
        outcome=shown.outcome,
        disposition=shown.disposition,
        reason=shown.reason,
        status=shown.status,
        error=shown.error,
        started_at=from_rfc3339(shown.started_at),
        duration_us=round(shown.duration_ms * 1_000),
        next_due_at=instant_or_none(shown.next_due_at),
        request_bytes=shown.request_bytes,
        response_excerpt=shown.response_excerpt,
        host=shown.host,
        trace_id=shown.trace,
        worker=shown.worker,
        origin=_origin(shown.origin, from_rfc3339(shown.event_at)),
        job_id=shown.job,
    )


def _origin(place: str, at: Millis) -> Origin:
    """Return the place of an event; partners do not see it."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return Origin("", 0, 0, at)
    return Origin(found["topic"], int(found["partition"]), int(found["offset"]), at)


def run_in(shown: RunShown) -> RunState:
    """Return a run of a delivery."""
    return RunState(
        run=RunId(shown.delivery, shown.origin, shown.job),
        subscription_id=shown.subscription,
        partner_id=shown.partner,
        event_type=shown.event_type,
        event_id=shown.event or "",
        state=DeliveryState(shown.state),
        at=from_rfc3339(shown.at),
        attempt=shown.attempts,
        trigger=shown.trigger,
        reason=shown.reason,
        detail=shown.detail,
        last=shown.last,
        due_at=instant_or_none(shown.due_at),
        place=shown.place,
    )


def pending_in(shown: PendingShown) -> PendingRecord:
    """Return where a run waits."""
    at = _origin(shown.place, 0)
    trigger = Trigger(shown.trigger)
    # If it was not deferred, its trigger says what it waits for.
    deferred = {each.value: each for each in DeferReason}.get(shown.reason)
    delivery = Delivery(
        delivery_id=shown.delivery,
        subscription_id=shown.subscription,
        partner_id=shown.partner,
        event_type=shown.event_type,
        event_id=shown.event,
        origin=_origin(shown.origin, from_rfc3339(shown.event_at)),
        first_at=from_rfc3339(shown.first_at),
        expires_at=from_rfc3339(shown.expires_at),
        attempt=shown.attempts,
        trigger=trigger,
        due_at=instant_or_none(shown.due_at),
        deferrals=shown.deferrals,
        deferred_reason=deferred,
        deferred_since=instant_or_none(shown.deferred_since),
        last_outcome=shown.last or None,
        job=shown.job,
    )
    return PendingRecord(delivery, at.topic, at.partition, at.offset, from_rfc3339(shown.at))


def history_in(delivery_id: str, timeline: Sequence[TimelineEntry]) -> DeliveryHistory:
    """Return the history of a delivery."""
    entries = tuple(attempt_in(each.attempt) for each in timeline if each.attempt is not None)
    redriven = {each.place: each for each in timeline if each.kind == "redriven"}
    purged = {each.place: each for each in timeline if each.kind == "purged"}
    deaths = tuple(
        _dead_lettered(each, redriven.get(each.place), purged.get(each.place))
        for each in timeline
        # One without a place is known only by its attempt: its dead letter is not in the window.
        if each.kind == "dead-lettered" and each.place != ""
    )
    return DeliveryHistory(delivery_id, entries, deaths)


def _dead_lettered(
    shown: TimelineEntry, redriven: TimelineEntry | None, purged: TimelineEntry | None
) -> DeadLettered:
    place = shown.place or ""
    purge = None
    if purged is not None:
        by, _, why = (purged.by or "").partition(": ")
        purge = Purge(from_rfc3339(purged.at), purged.job or "", place, by, why)
    return DeadLettered(
        at=from_rfc3339(shown.at),
        place=place,
        reason=shown.text,
        detail=shown.detail or "",
        attempt=shown.attempts or 0,
        redriven_by=None if redriven is None else redriven.job,
        redriven_at=None if redriven is None else from_rfc3339(redriven.at),
        origin=shown.origin or "",
        job=shown.job,
        purge=purge,
    )
