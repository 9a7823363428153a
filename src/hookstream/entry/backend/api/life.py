"""Converts a delivery's life in the API's answer into the values that the command line prints."""

from hookstream.core.audit.next_step import Coming, NextStep, Remedy, StoppedBy
from hookstream.core.audit.timeline import LifeStep, StepKind
from hookstream.core.delivery.sent_request import SentHeader, SentRequest, Source
from hookstream.core.model.instant import from_rfc3339
from hookstream.entry.admin.delivery_life import DeliveryLife
from hookstream.entry.admin.sent_requests import LastSent
from hookstream.entry.api.resources.delivery_life_views import (
    DeliveryShown,
    NextShown,
    SentShown,
    TimelineEntry,
)
from hookstream.entry.backend.api.past import attempt_in
from hookstream.entry.backend.api.values import instant_or_none


def life_in(shown: DeliveryShown) -> DeliveryLife:
    """Return the life of a delivery."""
    return DeliveryLife(
        tuple(map(step_in, shown.timeline)), next_in(shown.next), sent_in(shown.sent)
    )


def step_in(shown: TimelineEntry) -> LifeStep:
    """Return one step of the life."""
    kind = StepKind(shown.kind)
    by, detail = shown.by or "", shown.detail or ""
    if kind is StepKind.PURGED:
        by, _, detail = by.partition(": ")
    return LifeStep(
        kind,
        from_rfc3339(shown.at),
        shown.origin or "",
        shown.job,
        reason=shown.reason or "",
        detail=detail,
        place=shown.place or "",
        by=by,
        attempt=None if shown.attempt is None else attempt_in(shown.attempt),
        copies=shown.copies,
        attempts=shown.attempts or 0,
        until=instant_or_none(shown.until),
        is_now=shown.is_now,
        tier=shown.tier or "",
        deferrals=shown.deferrals or 0,
    )


def next_in(shown: NextShown) -> NextStep:
    """Return the next step."""
    return NextStep(
        Coming(shown.coming),
        Remedy(shown.remedy),
        instant_or_none(shown.at),
        shown.attempt or 0,
        shown.job,
        shown.reason or "",
        None if shown.stopped_by is None else StoppedBy(shown.stopped_by),
        shown.early,
        shown.place or "",
    )


def sent_in(shown: SentShown | None) -> LastSent | None:
    """Return the last request."""
    if shown is None:
        return None
    headers = (SentHeader(each.name, each.value, Source(each.source)) for each in shown.headers)
    return LastSent(
        from_rfc3339(shown.at),
        shown.attempt,
        shown.job,
        shown.version,
        SentRequest(shown.line, tuple(headers)),
        instant_or_none(shown.changed_at),
        shown.subscription_known,
    )
