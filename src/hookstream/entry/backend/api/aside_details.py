"""Converts dead letters and undecodable records of the API back into hookstream's values."""

from base64 import b64decode
from collections.abc import Sequence
from typing import Final, cast

from hookstream.adapters.exact_json import parse_exact
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import Position, Purged, RedriveSource, read_position
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.dead_letter_details import DeadLetterDetails
from hookstream.entry.api.resources.aside import (
    DeadLetterShown,
    ResolutionShown,
    UndecodableShown,
)
from hookstream.entry.api.resources.aside_details import (
    MOST_DETAILS,
    DeadLetterDetailsPage,
    DeadLetterDetailsShown,
    DeadLettersOfQuery,
    UndecodableDetailsShown,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.listing import WindowWatch
from hookstream.entry.backend.api.past import history_in
from hookstream.entry.backend.bulk_ports import DetailsRead
from hookstream.errors import DependencyUnavailable, InputRefused

_PURGED: Final = "purged"
_NOWHERE: Final = Position(0, 0)
_OF_PLACES: Final = "@"
"""Every place contains it, and no delivery id does."""


def read_details(api: ApiClient, source: RedriveSource, name: str) -> DetailsRead:
    """Return the record at a place, or the dead letters of a delivery.

    Raises:
        InputRefused: There is none.
    """
    if source is RedriveSource.UNDECODABLE:
        where = path("/v1/undecodable/{place}", place=name)
        shown = api.get(where, UndecodableDetailsShown)
        summary, resolved_by = undecodable_in(shown.record), resolved_in(shown.record)
        details = _details(shown, summary, resolved_by, None)
        return DetailsRead([details], shown.unreadable_marks)
    found = _dead_letters(api, name)
    if not found:
        raise InputRefused(
            f"the console's index has no dead letter of {name}: a place is written 3@1042; for a delivery"
            f" that was not given up, ask: hookstream attempts show {name}"
        )
    return DetailsRead(
        [_dead_letter(each) for each in found],
        [*dict.fromkeys(mark for each in found for mark in each.unreadable_marks)],
        [*dict.fromkeys(said for each in found for said in _reservations(each))],
    )


def _dead_letters(api: ApiClient, name: str) -> Sequence[DeadLetterDetailsShown]:
    """Return the dead letter at a place, or those of a delivery, the oldest first."""
    if _OF_PLACES in name:
        return [api.get(path("/v1/dead-letters/{place}", place=name), DeadLetterDetailsShown)]
    where = path("/v1/deliveries/{delivery_id}/dead-letters", delivery_id=name)
    pages = api.pages(where, DeadLetterDetailsPage, DeadLettersOfQuery, limit=MOST_DETAILS)
    return [each for page in pages for each in page.items][::-1]


def _reservations(shown: DeadLetterDetailsShown) -> Sequence[str]:
    watch = WindowWatch(_time_of_event(shown.dead_letter))
    watch.note(shown.window)
    return watch.said


def _time_of_event(shown: DeadLetterShown) -> Millis:
    try:
        return from_rfc3339(shown.event_at)
    except ValueError:
        # Its headers are not only hookstream's: they may have any content.
        return from_rfc3339(shown.at)


def _dead_letter(shown: DeadLetterDetailsShown) -> DeadLetterDetails:
    letter = shown.dead_letter
    history = history_in(letter.delivery, shown.timeline) if letter.delivery else None
    return _details(shown, dead_letter_in(letter), resolved_in(letter), history)


def _details(
    shown: DeadLetterDetailsShown | UndecodableDetailsShown,
    summary: DeadLetterSummary,
    resolved_by: ResolvedBy | None,
    history: DeliveryHistory | None,
) -> DeadLetterDetails:
    value = shown.value_base64
    record = Record(
        shown.topic,
        summary.position.partition,
        summary.position.offset,
        summary.at,
        None,
        None if value is None else b64decode(value),
        [
            (each.name, None if each.value is None else each.value.encode())
            for each in shown.headers
        ],
        headers_problem=shown.headers_problem,
    )
    event = shown.event_problem or "" if shown.event is None else _event(shown.event)
    # Partners do not see headers.
    said = summary_of(record) if record.headers else summary
    return DeadLetterDetails(record, said, resolved_by, event, history)


def _event(text: str) -> JsonObject:
    # Its numbers keep their text.
    found = parse_exact(text.encode())
    if not isinstance(found, dict):
        raise DependencyUnavailable("the API's answer cannot be read: an event is not an object")
    return cast("JsonObject", found)


def dead_letter_in(shown: DeadLetterShown) -> DeadLetterSummary:
    """Return the facts in a dead letter's headers, of which partners see fewer."""
    return DeadLetterSummary(
        position=read_position(shown.position) or _NOWHERE,
        at=from_rfc3339(shown.at),
        delivery_id=shown.delivery,
        subscription_id=shown.subscription,
        partner_id=shown.partner,
        event_type=shown.event_type,
        event_id=shown.event or "",
        attempt=shown.attempts,
        reason=shown.reason,
        detail=shown.detail,
        last_outcome=shown.last_outcome,
        last_status=shown.last_status,
        last_error=shown.last_error,
        job=shown.job or "",
        origin_topic=shown.origin.rpartition("-")[0],
        origin=shown.origin,
        origin_at=shown.event_at,
        by_reference=shown.by_reference,
    )


def undecodable_in(shown: UndecodableShown) -> DeadLetterSummary:
    """Return the facts in an undecodable record's headers."""
    return DeadLetterSummary(
        position=read_position(shown.position) or _NOWHERE,
        at=from_rfc3339(shown.at),
        delivery_id="",
        subscription_id="",
        partner_id="",
        event_type="",
        event_id="",
        attempt="",
        reason=shown.reason,
        detail=shown.detail,
        last_outcome="",
        last_status="",
        last_error="",
        job="",
        origin_topic=shown.origin.rpartition("-")[0],
        origin=shown.origin,
        origin_at=shown.event_at,
        by_reference=shown.by_reference,
    )


def resolved_in(shown: DeadLetterShown | UndecodableShown) -> ResolvedBy | None:
    """Return the resolution of a record, of which partners see only the kind."""
    if shown.resolved is None:
        return None
    known = shown.resolution or ResolutionShown(job="", by=None, why=None, at=None)
    if shown.resolved != _PURGED:
        return ResolvedBy(known.job)
    at = 0 if known.at is None else from_rfc3339(known.at)
    return ResolvedBy(known.job, Purged(known.by or "", known.why or "", at))
