"""Tests a subscription: sends one event that is marked as a test, once, and waits for its result.

A test takes the whole path of a delivery: through the tier that is due immediately, by the worker that has
its partition, with the subscription's address rules, secrets, format and version. Only the match is left out:
a test is for one subscription, whatever its filter says. It has one attempt and no dead letter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.jobs import TIME_KEY
from hookstream.adapters.kafka.record_writer import RecordWriter
from hookstream.adapters.kafka.scan import LogScan, read_within
from hookstream.adapters.system import SystemClock, new_id
from hookstream.core.audit.entry import AuditEntry, EntryProblem
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.granted import GrantTimeline
from hookstream.core.matching.pattern import PatternRefused, parse
from hookstream.core.matching.refusing import first_refusing
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import the_first
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Deleted, DisabledStatus, Held
from hookstream.core.redrive.runs import (
    TEST_ENVIRONMENT,
    TEST_EVENT_ID,
    TEST_EXPIRES_AFTER,
    Run,
)
from hookstream.entry.admin.event_decoding import fill_book
from hookstream.entry.admin.event_lines import EventLine
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments
from hookstream.entry.admin.subscriptions import directory_of, status_text
from hookstream.entry.admin.tables import State, found_subscription, refuse_pull
from hookstream.entry.admin.turns import Turn, written_in_turn
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.settings import Settings

_SHOWN_TYPES = 20
_MOST_TESTS = 1_000_000
"""Comparisons that filters make of an event that is tried: a second of a processor, since parts are asked again."""


@dataclass(slots=True, frozen=True)
class FilterReport:
    """Whether the subscription would get the event if it happened; it has no effect on the test."""

    matches: bool
    why: str
    """The condition that is not met; empty: it matches."""
    environment: str
    """The environment with which the filter was evaluated: the event's own, not that of a test."""


@dataclass(slots=True, frozen=True)
class PreparedTest:
    """A test that may be sent."""

    subscription: Subscription
    event_type: str
    event_id: str
    value: bytes
    """The event, encoded."""
    filter: FilterReport

    @property
    def delivery_id(self) -> str:
        """The `webhook-id` that the test has."""
        return delivery_id(self.event_type, self.event_id, self.subscription.id)


@dataclass(slots=True, frozen=True)
class SentTest:
    """A test that was sent, and its audit record."""

    job: str
    """The job that names its run."""
    expires_at: Millis
    """The instant from which no worker attempts it."""
    entry: AuditEntry | None
    """Its audit record; None: none was written in time."""

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint accepted it."""
        return self.entry is not None and self.entry.disposition == "complete"


@dataclass(slots=True, frozen=True)
class OnceOnly:
    """Prevents that a test is sent twice."""

    turn: Turn
    also: Callable[[SentTest], Sequence[OutgoingRecord]]
    """Returns records that commit with the test, which has no result yet."""


def prepare_test(
    settings: Settings,
    state: State,
    subscription_id: str,
    event_type: str | None,
    line: EventLine | None,
) -> PreparedTest:
    """Return the test of a subscription.

    Args:
        settings: The largest event, and hookstream's names.
        state: The tables.
        subscription_id: The subscription.
        event_type: The event's type; None: that of `line`, or the only one that the subscription asks for.
        line: The event; None: a sample of the type's newest version.

    Raises:
        InputRefused: It may not be tested now, or not with this event. The text has the reason.
        ConfigurationError: The subscription's row cannot be read.
    """
    subscription = found_subscription(state, subscription_id)
    refuse_pull(subscription, "a test")
    chosen = _chosen_type(state, subscription, event_type, line)
    _refuse_status(state, subscription, chosen)
    _refuse_type(state, subscription, chosen)
    event = _event_of_sample(state.book, chosen) if line is None else line
    event_id = f"{TEST_EVENT_ID}{new_id()}"
    encoder = EventEncoder(state.book, max_bytes=settings.events.max_record_bytes)

    def encoded(environment: str) -> bytes:
        fields: Mapping[str, object] = {
            "event_id": str(UUID(new_id())),
            "occurred_at": event.timestamp or to_rfc3339(SystemClock().now()),
            "entity_id": event.entity_id,
            "environment": environment,
            "data": event.data,
        }
        return encoder.encode(chosen, fields, event.version, event_id=event_id)

    value = encoded(TEST_ENVIRONMENT)
    as_it_is = decoded_event(state.book, chosen, event.version, encoded(event.environment))
    return PreparedTest(
        subscription, chosen, event_id, value, filter_report(state.book, subscription, as_it_is)
    )


def _chosen_type(
    state: State, subscription: Subscription, event_type: str | None, line: EventLine | None
) -> str:
    if line is not None:
        if event_type not in (None, line.event_type):
            raise InputRefused(
                f"--event-type {event_type!r}: the event is a {line.event_type!r}; leave one out"
            )
        return line.event_type
    if event_type is not None:
        return event_type
    types = [each for each in state.book.event_types() if asks_for(subscription.event_types, each)]
    if len(types) == 1:
        return types[0]
    if not types:
        asked = ", ".join(subscription.event_types)
        raise InputRefused(
            f"no schema of a type that {subscription.id} asks for ({asked}) is published"
        )
    raise InputRefused(
        f"{subscription.id} asks for {len(types)} event types: name one with --event-type"
        f" ({the_first(types, _SHOWN_TYPES)})"
    )


def _refuse_status(state: State, subscription: Subscription, event_type: str) -> None:
    now = SystemClock().now()
    directory = directory_of(state)
    status = directory.holds.over(directory.status(subscription.id, now), event_type)
    said = f"{subscription.id} is {status_text(status, now)}: nothing is sent to it"
    match status:
        case Held():
            raise InputRefused(f"{said}; see: hookstream hold list")
        case DisabledStatus():
            raise InputRefused(f"{said}; first: hookstream subscriptions enable {subscription.id}")
        case Deleted():
            raise InputRefused(said)
        case _:
            pass


def _refuse_type(state: State, subscription: Subscription, event_type: str) -> None:
    if not asks_for(subscription.event_types, event_type):
        asked = the_first(list(subscription.event_types), _SHOWN_TYPES)
        raise InputRefused(
            f"{subscription.id} does not ask for {event_type!r}; it asks for {asked}"
        )
    partner = state.current.partners.get(subscription.partner_id)
    if partner is None:
        raise InputRefused(
            f"there is no partner {subscription.partner_id!r}, so nothing is granted"
        )
    if GrantTimeline(partner).now.opens(event_type, None) is None:
        granted = the_first(list(partner.grant.event_types), _SHOWN_TYPES) or "nothing"
        raise InputRefused(f"{partner.id} is not granted {event_type!r}; it is granted {granted}")


def _event_of_sample(book: SchemaBook, event_type: str) -> EventLine:
    """Return the sample of a type's newest version as a line, with the present as its time."""
    made = SchemaDocuments(book).sample(event_type, None, SampleFormat.INPUT)
    return EventLine(
        event_type=event_type,
        entity_id=cast("str", made["entity_id"]),
        environment=cast("str", made["environment"]),
        data=cast("JsonObject", made["data"]),
        version=cast("int", made["version"]),
        event_id=None,
        timestamp=None,
    )


def decoded_event(book: SchemaBook, event_type: str, version: int | None, value: bytes) -> Event:
    """Decode an event that was just encoded.

    Args:
        book: The schemas.
        event_type: Its type.
        version: The version that it was written with; None: the newest.
        value: The event.

    Raises:
        InputRefused: A worker could not decode it.
    """
    schema = EventEncoder(book).schema(event_type, version)
    record = Record(event_type, 0, 0, 0, None, value, ())
    event = AvroCodec(book).decode(Identified(schema.revision, len(schema.prefix)), record)
    if not isinstance(event, Event):
        # A worker would set it aside for the same reason.
        raise InputRefused(f"{event_type}: {event.detail}")
    return event


def refuse_heavy(book: SchemaBook, event: Event, version: int, tests: int) -> None:
    """Refuse to ask filters about an event that somebody made up, where that takes seconds of a processor.

    Args:
        book: The schemas.
        event: The event.
        version: With which its body is made.
        tests: How many comparisons the filters make for one value.

    Raises:
        InputRefused: It has too many values for them.
    """
    codec = AvroCodec(book)
    event.load = codec.load(Identified(event.revision, event.body_at), event.record)
    event.load = codec.counted(event)
    wanted = codec.load_at(event, version) * tests
    if wanted > _MOST_TESTS:
        raise InputRefused(
            f"the filter compares its values {wanted:,} times, and at most {_MOST_TESTS:,} are made to try an"
            " event: try one with shorter lists and texts, or ask for fewer alternatives"
        )


def filter_report(book: SchemaBook, subscription: Subscription, event: Event) -> FilterReport:
    """Return whether a subscription's environments and filter admit an event, or what says no."""
    environment = event.environment

    def no(why: str) -> FilterReport:
        return FilterReport(matches=False, why=why, environment=environment)

    if subscription.environments is not None and environment not in subscription.environments:
        asked = ", ".join(subscription.environments) or "none"
        return no(f"environment is {environment!r}; the subscription asks for {asked}")
    if subscription.pattern is not None:
        pin = subscription.pin(event.event_type)
        version = book.latest(event.event_type) if pin == "latest" else pin
        try:
            refuse_heavy(book, event, version, parse(subscription.pattern).tests)
        except InputRefused as refused:
            return no(f"the filter cannot be evaluated: {refused}")
        body = AvroCodec(book).document(event, version)
        if isinstance(body, Refused):
            return no(f"the filter cannot be evaluated: {body.reason}: {body.detail}")
        try:
            refusing = first_refusing(subscription.pattern, body)
        except PatternRefused as refused:
            return no(f"the filter cannot be read: {refused}")
        if refusing is not None:
            return no(refusing.detail)
    return FilterReport(matches=True, why="", environment=environment)


def send_test(
    settings: Settings,
    prepared: PreparedTest,
    seconds: float,
    sent: Callable[[str], None] = lambda _job: None,
    once: OnceOnly | None = None,
) -> SentTest:
    """Send a test, and wait for its audit record.

    Args:
        settings: The cluster.
        prepared: The test.
        seconds: How long to wait at most.
        sent: Called with the job's id once the test is durable.
        once: Prevents that it is sent twice; None: nothing does.

    Raises:
        HookstreamError: The turn's check raised it; nothing was sent.
        ConfigurationError: The jobs topic is not stamped by the brokers, or a topic may not be used.
        DependencyUnavailable: The cluster does not answer.
    """
    client, names = reached(settings), settings.topics_names
    # Its audit record comes after these offsets.
    bounds = LogScan(client, names.attempts).bounds()
    starts = {TopicPartition(names.attempts, each): at.end for each, at in bounds.items()}
    with RecordWriter(client) as writer:
        now = writer.broker_time(names.jobs, TIME_KEY)
        run = Run(names.tier(0), new_job_id("test", now))
        record = run.tested(
            prepared.value,
            (),
            prepared.event_type,
            prepared.event_id,
            prepared.delivery_id,
            prepared.subscription,
            now=now,
        )
        expires_at = now + TEST_EXPIRES_AFTER
        if once is None:
            writer.write(record)
    if once is not None:
        also = once.also
        unanswered = SentTest(run.job, expires_at, None)
        if written_in_turn(settings, once.turn, lambda: [record, *also(unanswered)], run.job):
            raise InputRefused(f"{record.topic} does not take a record as large as the event")
    sent(run.job)
    return SentTest(run.job, expires_at, _followed(settings, starts, run.job, seconds))


def _followed(
    settings: Settings, starts: Mapping[TopicPartition, int], job: str, seconds: float
) -> AuditEntry | None:
    """Return the audit entry of a test; None: none came in time."""
    reader = AuditReader(fill_book(settings, SchemaBook()))
    for record in read_within(reached(settings), starts, seconds):
        if job.encode() not in (record.value or b""):
            continue
        entry = reader.read(record.value)
        if isinstance(entry, EntryProblem):
            raise ConfigurationError(f"the audit record of {job} cannot be read: {entry.why}")
        if entry.job_id == job:
            return entry
    return None
