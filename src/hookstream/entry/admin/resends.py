"""Resends: delivers one past event to one subscription again, in its own run, under the same `webhook-id`.

The event is read from its origin, or else from a tier record or a dead letter that still has it. What is
found at the origin counts only if it is that event: a topic that was deleted and made again has others at
the same offsets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hookstream.adapters.kafka.jobs import TIME_KEY
from hookstream.adapters.kafka.record_writer import RecordWriter
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.system import SystemClock
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.jobs.job import Job, JobState, first_row
from hookstream.core.matching.directory import Directory
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import read_delivery
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.instant import Millis, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Origin, OutgoingRecord, Record
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Deleted, DisabledStatus, Held, Paused
from hookstream.core.redrive.runs import TEST_EVENT_ID, Run
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.subscriptions import directory_of, status_text
from hookstream.entry.admin.tables import (
    State,
    found_subscription,
    refuse_not_started,
    refuse_pull,
)
from hookstream.entry.admin.turns import Turn, written_in_turn
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.settings import Settings

KIND = "resend"
"""What `Job.kind` says of resends."""

LONGEST_REASON = 500
"""The most characters of a reason."""

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Larger than any setting allows: whether a worker takes it is for the worker to say."""


@dataclass(slots=True, frozen=True)
class EventSource:
    """A record that has the event of a delivery."""

    place: str
    """In words: `its origin t-3@40`, `the dead letter 3@7`."""
    record: Record
    event: Event
    state: Delivery | None
    """The state in its headers; None: it is the event's own record."""


@dataclass(slots=True, frozen=True)
class Resend:
    """A resend that may be made."""

    delivery_id: str
    subscription: Subscription
    found: EventSource
    pending: tuple[PendingRecord, ...]
    """Where runs of it wait already."""
    waits: str
    """Why it will wait before its attempt, in words; empty: it is attempted at once."""
    as_granted_today: bool
    reason: str = ""
    """Why it is sent again, as the operator wrote it; empty: not given."""

    def job(self, job_id: str, now: Millis, by: str) -> Job:
        """Return the row of its job, which is done with the transaction that writes it."""
        event = self.found.event
        asked: JsonObject = {
            "delivery": self.delivery_id,
            "subscription": self.subscription.id,
            "event_type": event.event_type,
            "event_id": event.event_id,
            "origin": event.origin.place,
            "as_granted_today": self.as_granted_today,
            "by": by,
        }
        if self.reason:
            asked["reason"] = self.reason
        return Job(job_id, KIND, asked, now, total=1, done=1, state=JobState.DONE, asked_by=by)

    def tier_record(self, retry_topic: str, job_id: str, now: Millis) -> OutgoingRecord:
        """Return the tier record that begins its run."""
        run = Run(retry_topic, job_id, as_granted_today=self.as_granted_today)
        found, to = self.found, self.subscription
        if found.state is None:
            return run.replayed(found.event, self.delivery_id, to, now=now)
        expires_after = to.retry.expires_after
        return run.resent(found.state, found.record, now=now, expires_after=expires_after)


def plan_resend(
    settings: Settings,
    state: State,
    details: DeliveryDetails,
    origin: str | None,
    *,
    as_granted_today: bool,
    reason: str = "",
) -> Resend:
    """Return the resend of a delivery.

    Args:
        settings: The cluster.
        state: The tables.
        details: All about the delivery; it is known.
        origin: The event's position, `topic-partition@offset`; required if several events have this id.
        as_granted_today: Check only today's grant, not also the one in force at the event's time.
        reason: Why it is sent again; empty: not given.

    Raises:
        InputRefused: It may not be sent again, or no copy of its event exists. The text has the reason.
        ConfigurationError: The subscription's row or a topic cannot be read.
        DependencyUnavailable: The cluster does not answer.
    """
    refuse_test(details)
    subscription = found_subscription(state, details.subscription_id)
    refuse_pull(subscription, "a resend")
    directory = directory_of(state)
    waits = _waits(directory, subscription, details.event_type)
    chosen = chosen_origin(details, origin)
    decoder = EventDecoder(settings, MAX_RECORD_BYTES)
    found = found_event(settings, decoder, details, chosen, subscription.id)
    version = pinned_version(decoder, subscription, found.event)
    refuse_not_granted(
        directory,
        subscription,
        found.event,
        decoder.body(found.event, version),
        as_granted_today=as_granted_today,
    )
    pending = tuple(each for each in details.pending if each.delivery.origin.place == chosen.place)
    return Resend(
        details.delivery_id, subscription, found, pending, waits, as_granted_today, reason
    )


def _waits(directory: Directory, subscription: Subscription, event_type: str) -> str:
    """Return why a delivery of a subscription would wait now; empty: it would not.

    Raises:
        InputRefused: It would not be attempted at all.
    """
    now = SystemClock().now()
    status = directory.holds.over(directory.status(subscription.id, now), event_type or None)
    said = f"{subscription.id} is {status_text(status, now)}"
    match status:
        case Deleted():
            raise InputRefused(f"{said}: nothing is sent to it")
        case DisabledStatus():
            raise InputRefused(
                f"{said}: first run hookstream subscriptions enable {subscription.id}"
            )
        case Held() | Paused():
            return said
        case _:
            return ""


def chosen_origin(details: DeliveryDetails, origin: str | None) -> Origin:
    """Return the position of the event that is sent again.

    Raises:
        InputRefused: Several events have the delivery's id and none was chosen, or none has this origin.
    """
    origins = {each.place: each for each in _origins(details)}
    if origin is not None:
        if origin not in origins:
            raise InputRefused(
                f"--origin {origin!r}: no event of {details.delivery_id} was found there; there is"
                f" {', '.join(origins) or 'none'}"
            )
        return origins[origin]
    if len(origins) == 1:
        return next(iter(origins.values()))
    if not origins:
        raise InputRefused(
            f"no record of {details.delivery_id} says where its event was: its headers cannot be read"
        )
    raise InputRefused(
        f"{len(origins)} events have the id of {details.delivery_id}: choose one with --origin"
        f" ({', '.join(origins)})"
    )


def _origins(details: DeliveryDetails) -> Iterator[Origin]:
    yield from (each.origin for each in details.history.entries)
    for record in details.records:
        state = read_delivery(record.headers)
        if isinstance(state, Delivery):
            yield state.origin


def refuse_test(details: DeliveryDetails) -> None:
    """Refuse a delivery that is a test: its event is in no topic, and is no event of the platform.

    Raises:
        InputRefused: It is one.
    """
    ids = [each.event_id for each in details.history.entries]
    ids += [each.delivery.event_id for each in details.pending]
    if any(event_id.startswith(TEST_EVENT_ID) for event_id in ids):
        raise InputRefused(
            f"{details.delivery_id} is a test; for another one:"
            f" hookstream subscriptions test {details.subscription_id}"
        )


def found_event(
    settings: Settings,
    decoder: EventDecoder,
    details: DeliveryDetails,
    origin: Origin,
    subscription_id: str,
) -> EventSource:
    """Return a record that has the event of a delivery.

    Args:
        settings: The cluster.
        decoder: Decodes events.
        details: All about the delivery.
        origin: Which event.
        subscription_id: The delivery's subscription.

    Raises:
        InputRefused: None has.
    """
    reasons: list[str] = []
    for place, record, state in _candidates(settings, details, origin):
        if isinstance(record, str):
            reasons.append(f"{place} {record}")
            continue
        event = _event(decoder, record)
        if isinstance(event, str):
            reasons.append(f"{place} cannot be decoded: {event}")
        elif delivery_id(event.event_type, event.event_id, subscription_id) != details.delivery_id:
            reasons.append(f"{place} has another event now: {event.event_type} {event.event_id}")
        else:
            return EventSource(place, record, event, state)
    raise InputRefused(
        f"no copy of the event of {details.delivery_id} exists any more: {'; '.join(reasons)}"
    )


def _candidates(
    settings: Settings, details: DeliveryDetails, origin: Origin
) -> Iterator[tuple[str, Record | str, Delivery | None]]:
    """Yield the records that may have an event, the best first, or why one has not."""
    yield f"its origin {origin.place}", original(settings, origin), None
    for record in details.records:
        state = read_delivery(record.headers)
        if not isinstance(state, Delivery) or state.origin.place != origin.place:
            continue
        dead = record.topic == settings.topics_names.dead_letters
        place = f"the {'dead letter' if dead else 'tier record'} {record.origin.place}"
        if record.value is None:
            yield place, "was kept without its value", None
        else:
            yield place, record, state


def original(settings: Settings, origin: Origin) -> Record | str:
    """Return the record at an origin, or why there is none (any more)."""
    try:
        scan = LogScan(reached(settings), origin.topic)
        record = scan.at(origin.partition, origin.offset)
        if record is None:
            return gone(origin, scan.oldest(origin.partition))
    except ConfigurationError as problem:
        return f"cannot be read: {problem}"
    if record.timestamp != origin.timestamp:
        was, now = to_the_second(origin.timestamp), to_the_second(record.timestamp)
        return f"is another record now, of {now} and not of {was}: the topic was made again"
    return record


def gone(origin: Origin, oldest: Record | None) -> str:
    """Return what is to be said of an origin whose record is gone: which topic let go of it, and since when.

    Args:
        origin: Where the event was.
        oldest: The oldest record that its partition still has; None: it has none.
    """
    partition = f"{origin.topic}-{origin.partition}"
    if oldest is None:
        return f"is gone: {partition} has no record any more"
    if oldest.offset < origin.offset:
        return f"is gone: {partition} was made again, or compacted; its log begins at @{oldest.offset}"
    return (
        f"is gone: {partition} let go of all that it had before @{oldest.offset}, which is of"
        f" {to_the_second(oldest.timestamp)}"
    )


def _event(decoder: EventDecoder, record: Record) -> Event | str:
    identified = decoder.identify(record)
    if not isinstance(identified, Identified):
        return str(getattr(identified, "detail", identified))
    event = decoder.event(identified, record)
    return event if isinstance(event, Event) else event.detail


def pinned_version(decoder: EventDecoder, subscription: Subscription, event: Event) -> int:
    """Return the version of an event that a subscription gets now."""
    pin = subscription.pin(event.event_type)
    return decoder.latest(event.event_type) if pin == "latest" else pin


def refuse_not_granted(
    directory: Directory,
    subscription: Subscription,
    event: Event,
    body: JsonObject | Refused,
    *,
    as_granted_today: bool,
) -> None:
    """Refuse an event that the grant of its time and today's do not both cover.

    Raises:
        InputRefused: It is not granted; the text says by which grant.
    """
    partner = directory.partners.get(subscription.partner_id)

    def granted(*, today: bool) -> bool | Refused:
        return directory.granted(
            partner,
            event.event_type,
            event.environment,
            event.origin.timestamp,
            lambda: body,
            as_granted_today=today,
            past=True,
        )

    verdict = granted(today=as_granted_today)
    if verdict is True:
        return
    what = f"{event.event_type} {event.event_id} ({event.environment})"
    if isinstance(verdict, Refused):
        raise InputRefused(f"whether {what} is granted cannot be evaluated: {verdict.detail}")
    if granted(today=True) is True:
        raise InputRefused(
            f"{subscription.partner_id} was not granted {what} at its time,"
            f" {to_the_second(event.origin.timestamp)}, though it is today (--as-granted-today asks"
            " today's grant alone)"
        )
    raise InputRefused(f"{subscription.partner_id} is not granted {what} today")


def resend(
    settings: Settings,
    planned: Resend,
    also: Callable[[Job], Sequence[OutgoingRecord]] = lambda _job: (),
    turn: Turn | None = None,
) -> Job:
    """Write a resend: its tier record and its job's row in one transaction.

    Args:
        settings: The cluster.
        planned: The resend.
        also: Returns records that commit with it.
        turn: It is written in this turn; None: nobody else writes it.

    Returns:
        The job, which is done; the delivery's run has its id.

    Raises:
        InputRefused: The event is too large for the tier, the subscription has not started, or what the turn's check
            raises.
        ConfigurationError: A topic may not be written, or the jobs topic is not stamped by the brokers.
        DependencyUnavailable: The broker did not answer; `deliveries show` says whether it was written.
    """
    client, names = reached(settings), settings.topics_names
    with RecordWriter(client) as clock:
        now = clock.broker_time(names.jobs, TIME_KEY)
    refuse_not_started(planned.subscription, "a resend", now)
    job = planned.job(new_job_id(KIND, now), now, who())
    row = OutgoingRecord(names.jobs, job.id.encode(), first_row(job))
    record = planned.tier_record(names.tier(0), job.id, now)
    turn = turn or Turn(job.id, lambda: None)
    if written_in_turn(settings, turn, lambda: [row, record, *also(job)], job.id):
        raise InputRefused(f"{record.topic} does not take a record as large as the event")
    return job
