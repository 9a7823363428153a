"""Routes of single dead letters and undecodable records: headers, event, and the history of the delivery."""

from base64 import b64encode
from typing import Annotated, Any

from msgspec import Meta

from hookstream.adapters.index.answers import AsideRecord, DeadLetterFilter
from hookstream.core.access.scopes import Scope
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letter_details import (
    SetAsideRecord,
    header_value,
    of_event,
    position_in,
)
from hookstream.entry.admin.dead_letters import topic_of
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.filters import WindowShown, after, following, shown_window
from hookstream.entry.api.page_query import CursorQuery
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.resources.aside import (
    DeadLetterShown,
    UndecodableShown,
    shown_dead_letter,
    shown_undecodable,
)
from hookstream.entry.api.resources.delivery_life_views import TimelineEntry, shown_history
from hookstream.entry.api.routes import ApiAnswer, Call, Route

MOST_DETAILS = 10
"""The most dead letters of one answer: each has its event, which may be large."""
_ACT = "payload.read"


class HeaderShown(ApiOutput, frozen=True):
    """A header of a record."""

    name: str
    value: str | None
    """Its text, or its bytes in hex with the prefix `0x` if they are not a text; null: it has none."""


class DeadLetterDetailsShown(ApiOutput, frozen=True):
    """A dead letter with its event."""

    dead_letter: DeadLetterShown
    event: str | None
    """Its JSON as it is delivered, numbers exact: to a partner at its pinned version, if the grants in force then and today cover it."""
    event_problem: str | None
    """Why there is no event."""
    timeline: tuple[TimelineEntry, ...]
    """The timeline of its delivery within the window."""
    window: WindowShown
    topic: Annotated[str, OPERATORS_SEE]
    headers: Annotated[tuple[HeaderShown, ...], OPERATORS_SEE]
    """In their order; names may repeat."""
    headers_problem: Annotated[str | None, OPERATORS_SEE]
    """Why the headers are not exact; null: they are."""
    value_base64: Annotated[str | None, OPERATORS_SEE]
    """The record's value; null: it has none."""
    unreadable_marks: Annotated[tuple[str, ...], OPERATORS_SEE]
    """Unreadable marks of redrives and purges: the record may be resolved although it is shown as open."""


class DeadLetterDetailsPage(ApiOutput, frozen=True):
    """Dead letters of a delivery, the newest first."""

    items: tuple[DeadLetterDetailsShown, ...]
    next: str | None
    window: WindowShown


class UndecodableDetailsShown(ApiOutput, frozen=True):
    """An undecodable record, and the result of decoding it now."""

    record: UndecodableShown
    event: str | None
    """Its JSON, each number exact."""
    event_problem: str | None
    topic: str
    headers: tuple[HeaderShown, ...]
    headers_problem: str | None
    value_base64: str | None
    unreadable_marks: tuple[str, ...]


class DeadLettersOfQuery(CursorQuery, frozen=True):
    """The size of an answer."""

    limit: Annotated[int, Meta(ge=1, le=MOST_DETAILS)] = MOST_DETAILS
    """The most dead letters of an answer."""


def get_dead_letter(call: Call[Any, None]) -> ApiAnswer:
    """Return the dead letter at a position."""
    return ApiAnswer(_dead_letter(call, _at_place(call, RedriveSource.DEAD_LETTERS)))


def get_undecodable(call: Call[Any, None]) -> ApiAnswer:
    """Return the undecodable record at a position."""
    found = _at_place(call, RedriveSource.UNDECODABLE)
    shown = UndecodableDetailsShown(
        record=shown_undecodable(AsideRecord(summary_of(found.record), found.resolved_by)),
        **_of_record(found),
    )
    return ApiAnswer(shown)


def list_dead_letters_of_delivery(call: Call[DeadLettersOfQuery, None]) -> ApiAnswer:
    """Return the dead letters of a delivery with their events."""
    delivery_id, own = call.params["delivery_id"], call.caller.partner_id
    index = call.services.index()
    if index.delivery(delivery_id, partner_id=own) is None:
        detail = f"the index has no delivery {delivery_id!r} within its window"
        raise RequestRefused(ProblemKind.NOT_FOUND, detail)
    wanted = DeadLetterFilter(partner_id=own, delivery_id=delivery_id)
    page = index.dead_letters(wanted, after(call), call.query.limit)
    positions = [each.summary.position for each in page.items]
    found = call.services.set_aside(RedriveSource.DEAD_LETTERS, positions, own)
    call.services.note_scanned(call.caller, len(positions))
    # Retention may have deleted one, and a recreated topic may have another record at its position.
    items = tuple(_dead_letter(call, each) for each in found if _is_of(each, delivery_id, own))
    window = shown_window(page.window, aside=True)
    return ApiAnswer(DeadLetterDetailsPage(items=items, next=following(call, page), window=window))


def _is_of(found: SetAsideRecord, delivery_id: str, partner_id: str | None) -> bool:
    summary = summary_of(found.record)
    return summary.delivery_id == delivery_id and partner_id in (None, summary.partner_id)


def _at_place(call: Call[Any, None], source: RedriveSource) -> SetAsideRecord:
    text, topic = call.params["place"], topic_of(source, call.services.settings.topics_names)
    position = position_in(text, topic)
    if position is None:
        raise invalid(f"{text!r} is not a place such as 3@1042", "place")
    found = call.services.set_aside(source, [position], None)
    if not found:
        raise RequestRefused(
            ProblemKind.NOT_FOUND, f"{topic} holds no record at {position} (any more)"
        )
    return found[0]


def _dead_letter(call: Call[Any, None], found: SetAsideRecord) -> DeadLetterDetailsShown:
    summary = summary_of(found.record)
    index, operator = call.services.index(), call.by_operator
    timeline: tuple[TimelineEntry, ...] = ()
    known = index.delivery(summary.delivery_id, partner_id=call.caller.partner_id)
    if known is not None:
        history = of_event(known.history, summary.origin)
        timeline = shown_history(history, to_operator=operator)
    return DeadLetterDetailsShown(
        dead_letter=shown_dead_letter(
            AsideRecord(summary, found.resolved_by), to_operator=operator
        ),
        timeline=timeline,
        window=shown_window(index.window()),
        **_of_record(found),
    )


def _of_record(found: SetAsideRecord) -> dict[str, Any]:
    record, event = found.record, found.event
    value = record.value
    return {
        "event": None if isinstance(event, str) else encoded(event).decode(errors="replace"),
        "event_problem": event if isinstance(event, str) else None,
        "topic": record.topic,
        "headers": tuple(
            HeaderShown(name=name, value=None if value is None else header_value(value))
            for name, value in record.headers
        ),
        "headers_problem": record.headers_problem,
        "value_base64": None if value is None else b64encode(value).decode(),
        "unreadable_marks": tuple(found.unreadable_marks),
    }


ROUTES = (
    Route(
        "GET",
        "/v1/dead-letters/{place}",
        Scope.OPERATOR_READ,
        "Show a dead letter: its headers, its event, and the timeline of its delivery.",
        get_dead_letter,
        DeadLetterDetailsShown,
        tag="dead letters",
        act=_ACT,
    ),
    Route(
        "GET",
        "/v1/undecodable/{place}",
        Scope.OPERATOR_READ,
        "Show an undecodable record, and the result of decoding it now.",
        get_undecodable,
        UndecodableDetailsShown,
        tag="undecodable",
        act=_ACT,
    ),
    Route(
        "GET",
        "/v1/deliveries/{delivery_id}/dead-letters",
        Scope.PARTNER_READ,
        "Show the dead letters of a delivery with their events.",
        list_dead_letters_of_delivery,
        DeadLetterDetailsPage,
        query=DeadLettersOfQuery,
        refusals=(ProblemKind.INVALID_CURSOR,),
        scans=True,
        tag="dead letters",
        act=_ACT,
    ),
)
