"""Routes that export dead letters and undecodable records as JSON Lines, each with all its fields."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letter_export import (
    ExportBatch,
    ExportPosition,
    ExportRequest,
)
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.api.caller import is_mine
from hookstream.entry.api.fields import (
    OPERATORS_ASK,
    OPERATORS_SEE,
    ApiOutput,
    Instant,
    masked,
)
from hookstream.entry.api.filters import Words, at_hosts, instant, words
from hookstream.entry.api.page_query import CursorQuery
from hookstream.entry.api.pages import next_cursor
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.routes import ApiAnswer, BodyPiece, Call, Handler, Route

MOST_RECORDS = 100_000
"""Of one answer."""
_USUAL_RECORDS = 10_000
_JSON_LINES = "application/x-ndjson"
_HIDDEN = "not_granted"

OfOperators = Annotated[Any, OPERATORS_SEE]


class _ExportQuery(CursorQuery, frozen=True):
    reason: Words = ()
    since: Instant | None = None
    """Appended then or later (RFC 3339)."""
    until: Instant | None = None
    """Appended before then."""
    resolved: bool = False
    """Whether redriven and purged ones are exported too."""
    limit: Annotated[int, Meta(ge=1, le=MOST_RECORDS)] = _USUAL_RECORDS
    """The most records of this answer; its last line has the cursor of the following ones."""


class ExportQuery(_ExportQuery, frozen=True):
    """The dead letters to export."""

    subscription: Words = ()
    event_type: Words = ()
    status: Words = ()
    """HTTP statuses of the last answer."""
    host: Words = ()
    """Only of subscriptions whose endpoint is at these hosts now."""
    partner: Annotated[Words, OPERATORS_ASK] = ()


class UndecodableExportQuery(_ExportQuery, frozen=True):
    """The undecodable records to export."""

    topic: Words = ()


class ExportBegun(ApiOutput, frozen=True):
    """The first line: the request."""

    kind: str
    format: int
    topic: Annotated[str, OPERATORS_SEE]
    selector: dict[str, Any]
    exported_at: str
    resolved_too: bool


class ExportedDeadLetter(ApiOutput, frozen=True):
    """The line of one record."""

    kind: str
    """`letter`."""
    at: str
    delivery_id: str | None
    subscription_id: str | None
    partner_id: str | None
    event_type: str | None
    event_id: str | None
    attempt: str | None
    reason: str | None
    last_outcome: str | None
    last_status: str | None
    last_error: str | None
    job: str | None
    open: bool
    event: dict[str, Any] | None
    """As it is delivered: to a partner at its pinned version, if the grants in force then and today cover it."""
    event_problem: str | None
    """Why there is no event."""
    place: OfOperators
    detail: OfOperators
    origin: OfOperators
    origin_at: OfOperators
    by_reference: OfOperators
    resolved_by: OfOperators
    purged: OfOperators
    key: OfOperators
    headers: OfOperators
    value_base64: OfOperators
    value_from_origin: OfOperators


class ExportEnded(ApiOutput, frozen=True):
    """The last line: the counts. An answer without it is incomplete."""

    kind: str
    letters: int
    left_out: dict[str, int]
    next: str | None
    """The cursor of the following ones; null: there are no more."""
    began_again: bool
    """Whether the rest of the answers before is gone: this one begins with the first record that there is now."""
    without_value: Annotated[int, OPERATORS_SEE]
    not_decoded: Annotated[int, OPERATORS_SEE]
    hidden_headers: Annotated[dict[str, int], OPERATORS_SEE]


_LINES: dict[Json, type[msgspec.Struct]] = {
    "export": ExportBegun,
    "letter": ExportedDeadLetter,
    "end": ExportEnded,
}


def export_dead_letters(call: Call[ExportQuery, None]) -> ApiAnswer:
    """Return dead letters with their events."""
    query = call.query
    for name in query.subscription:
        if not is_mine(call, call.services.state().current.subscriptions.get(name)):
            detail = f"there is no subscription {name!r}" if call.by_operator else ""
            raise RequestRefused(ProblemKind.NOT_FOUND, detail)
    own = call.caller.partner_id
    subscriptions = words(query.subscription)
    if query.host:
        subscriptions = at_hosts(call, query.host, query.subscription)
        if not subscriptions:
            raise invalid("no selected subscription has its endpoint there", "host")
    selector = Selector(
        subscriptions=subscriptions,
        event_types=words(query.event_type),
        reasons=words(query.reason),
        statuses=words(query.status),
        partners=words(query.partner) if own is None else frozenset({own}),
        since=instant(query.since, "since"),
        until=instant(query.until, "until"),
    )
    named = [*query.subscription, *query.partner]
    return _exported(call, RedriveSource.DEAD_LETTERS, selector, named)


def export_undecodable(call: Call[UndecodableExportQuery, None]) -> ApiAnswer:
    """Return undecodable records."""
    query = call.query
    selector = Selector(
        topics=words(query.topic),
        reasons=words(query.reason),
        since=instant(query.since, "since"),
        until=instant(query.until, "until"),
    )
    return _exported(call, RedriveSource.UNDECODABLE, selector, [*query.topic])


def _exported(
    call: Call[Any, None], source: RedriveSource, selector: Selector, named: list[str]
) -> ApiAnswer:
    wanted = ExportRequest(
        source,
        selector,
        call.query.resolved,
        _position(call.cursor),
        call.query.limit,
        call.caller.partner_id,
    )
    batches = call.services.export(wanted)
    # A request for several subscriptions has no single subject.
    subject = named[0] if len(named) == 1 else ""
    return ApiAnswer(pieces=_pieces(call, batches), subject=subject)


def _pieces(
    call: Call[Any, None], batches: Iterator[ExportBatch | ExportPosition]
) -> Iterator[BodyPiece]:
    following: str | None = None
    for batch in batches:
        if isinstance(batch, ExportPosition):
            if not batch.is_over:
                following = next_cursor(call, _document(batch))
            continue
        wait = call.services.note_scanned(call.caller, batch.scanned)
        text = b"".join(_line(call, line, following) for line in batch.lines)
        yield BodyPiece(text, wait)


def _line(call: Call[Any, None], line: JsonObject, following: str | None) -> bytes:
    kind = line["kind"]
    if kind == "end":
        line = {**line, "next": following}
    if not call.by_operator:
        if line.get("reason") == _HIDDEN:
            line = {**line, "event_id": None}
        shown = _LINES[kind]
        line = {name: line[name] for name in shown.__struct_fields__ if name in line}
        masked(line, shown, call.caller)
    return encoded(line) + b"\n"


def _document(position: ExportPosition) -> JsonObject:
    left: list[Json] = [
        [at, position.starts.get(at, 0), end] for at, end in sorted(position.ends.items())
    ]
    return {"after": left} | ({"topic_id": position.topic_id} if position.topic_id else {})


def _position(cursor: JsonObject | None) -> ExportPosition | None:
    cursor = cursor or {}
    found, topic_id = cursor.get("after"), cursor.get("topic_id", "")
    if not isinstance(found, list):
        return None
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for each in found:
        match each:
            case [int(at), int(start), int(end)]:
                starts[at], ends[at] = start, end
            case _:
                continue
    return ExportPosition(starts, ends, str(topic_id))


def _route(
    path: str,
    scope: Scope,
    summary: str,
    handler: Handler,
    query: type[_ExportQuery],
    tag: str,
    act: str,
) -> Route:
    return Route(
        "GET",
        path,
        scope,
        summary,
        handler,
        ExportedDeadLetter,
        query=query,
        refusals=(ProblemKind.INVALID_CURSOR,),
        tag=tag,
        act=act,
        media_type=_JSON_LINES,
        is_in_pieces=True,
        scans=True,
    )


ROUTES = (
    _route(
        "/v1/dead-letters/export",
        Scope.PARTNER_READ,
        "Export dead letters with their events, as JSON Lines.",
        export_dead_letters,
        ExportQuery,
        "dead letters",
        "dead_letters.exported",
    ),
    _route(
        "/v1/undecodable/export",
        Scope.OPERATOR_READ,
        "Export undecodable records, as JSON Lines.",
        export_undecodable,
        UndecodableExportQuery,
        "undecodable",
        "undecodable.exported",
    ),
)
