"""`dlq show` and `undecodable show`: one letter with its headers, its event and its attempts."""

import re

import click
import orjson
from rich.text import Text

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import Stretch
from hookstream.adapters.kafka.tables import read_tables
from hookstream.adapters.system import SystemClock
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model.event import Identified, Undecodable, UnknownSchema
from hookstream.core.model.instant import MINUTE, from_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record, header_text
from hookstream.core.redrive.marks import Place
from hookstream.core.redrive.summary import LetterFacts, facts_of
from hookstream.entry.admin.audit import AuditLog, life_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.attempt_view import life_document, show_moments
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.deadletters.list import ledger_to_show
from hookstream.entry.cli.deadletters.view import letter_document, show_letter
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.cluster import reached
from hookstream.errors import InputRefused
from hookstream.settings import Settings

_PLACE = re.compile(r"(?:(?P<topic>[^@]+)-)?(?P<partition>[0-9]{1,9})@(?P<offset>[0-9]{1,19})")
_READABLE_BYTES = 64 * 1024 * 1024
"""Whatever stands in the log may be looked at."""


def place_in(text: str, topic: str) -> Place | None:
    """Return the place that `3@1042` or `topic-3@1042` names; None where it is none.

    Raises:
        InputRefused: It is a place in another topic.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    if found["topic"] not in (None, topic):
        raise InputRefused(f"{text} is a place in another topic than {topic}")
    return Place(int(found["partition"]), int(found["offset"]))


def show_at(context: Context, desk: DeadLetterReader, place: Place, *, as_json: bool) -> None:
    """Show the letter at a place.

    Raises:
        InputRefused: There is none, or none any more.
    """
    record = desk.at(place)
    if record is None:
        raise InputRefused(f"{desk.topic} holds no record at {place} (any more)")
    show_found(context, desk, [record], as_json=as_json)


def show_delivery(
    context: Context, desk: DeadLetterReader, delivery_id: str, *, as_json: bool
) -> None:
    """Show every dead letter of a delivery, the oldest first.

    Raises:
        InputRefused: There is none.
    """
    with reading(context, desk):
        found = [r for r in desk.between(None, None) if facts_of(r).delivery_id == delivery_id]
    if not found:
        raise InputRefused(
            f"{desk.topic} holds no letter of {delivery_id}: a place is written 3@1042; where the"
            f" delivery did not die, ask: hookstream attempts show {delivery_id}"
        )
    found.sort(key=lambda record: record.timestamp)
    show_found(context, desk, found, as_json=as_json)


def show_found(
    context: Context, desk: DeadLetterReader, found: list[Record], *, as_json: bool
) -> None:
    """Print letters with their events and attempts."""
    ledger, now = ledger_to_show(context, desk), SystemClock().now()
    codec = codec_of(desk.settings)
    documents: list[JsonObject] = []
    for record in found:
        facts = facts_of(record)
        resolved_by = ledger.resolved_by(desk.shelf, facts.place)
        if as_json:
            document = letter_document(facts, record, resolved_by)
            document["event"], document["event_problem"] = event_of(codec, desk, record)
            if facts.delivery_id:
                document["life"] = life_document(_life(context, desk, facts, record))
            documents.append(document)
            continue
        show_letter(context.out, record, resolved_by, now)
        _show_event(context, codec, desk, record)
        if facts.delivery_id:
            _show_attempts(context, desk, facts, record)
    for document in documents:
        click.echo(json_line(document))


def _show_event(
    context: Context, codec: AvroCodec, desk: DeadLetterReader, record: Record
) -> None:
    event, problem = event_of(codec, desk, record)
    context.out.print(Text("\nEvent", "bold"))
    if event is None:
        context.out.print(Text(f"  {problem}"), soft_wrap=True)
        value = record.value
        if value is not None:
            shown = value[:64].hex(" ", 2)
            context.out.print(Text(f"  {len(value):,} bytes: {shown}"), soft_wrap=True)
        return
    text = orjson.dumps(event, option=orjson.OPT_INDENT_2).decode()
    context.out.print(Text(text), soft_wrap=True)


def _show_attempts(
    context: Context, desk: DeadLetterReader, facts: LetterFacts, record: Record
) -> None:
    life = _life(context, desk, facts, record)
    context.out.print(Text(f"\nLife of the delivery: {life.standing.value}", "bold"))
    show_moments(context.out, life)


def _life(
    context: Context, desk: DeadLetterReader, facts: LetterFacts, record: Record
) -> DeliveryHistory:
    """Read the delivery's life from its match on: the audit log is long, the letter says when."""
    first_at = header_text(record.headers, "hs-first-at")
    try:
        since = None if first_at is None else from_rfc3339(first_at) - MINUTE
    except ValueError:
        since = None
    audit = AuditLog(desk.settings)
    with reading(context, desk, audit):
        life = life_of(audit, desk, facts.delivery_id, Stretch(since=since))
    # Another event may carry the same id: its attempts are not this letter's.
    return life.by_origin().get(facts.origin, life)


def codec_of(settings: Settings) -> AvroCodec:
    """Return a codec on the schemas that are published now."""
    topic = settings.topics_names.schemas
    book = SchemaBook()
    for key, row in read_tables(reached(settings), [topic])[topic].items():
        # A row that cannot be used shows as an unknown schema of the records that name it.
        book.put(key, row.value)
    return AvroCodec(book, max_record_bytes=_READABLE_BYTES)


def event_of(codec: AvroCodec, desk: DeadLetterReader, letter: Record) -> tuple[Json, str | None]:
    """Return a letter's event as plain JSON, or None and why it cannot be shown."""
    if letter.value is None:
        return None, "kept by reference: the value stands at its origin only"
    identified = codec.identify(letter)
    match identified:
        case Undecodable(detail=detail):
            return None, detail
        case UnknownSchema(schema):
            return None, f"its schema {schema} is not published in {desk.settings.topics.prefix}"
        case Identified():
            event = codec.decode(identified, letter)
            if isinstance(event, Undecodable):
                return None, event.detail
            document = codec.document(event, event.revision.event_version)
            return (None, document.detail) if isinstance(document, Refused) else (document, None)
