"""Admission turns a taken record into work in the lanes, or settles it at once with the reason.

A record comes in one of three ways: fresh from an event topic, due from a tier as a delivery, or due
from a tier as an event that is still to be matched. All three decode the same bytes the same way.
"""

import asyncio
from dataclasses import dataclass

from hookstream.core.delivery.identity import DeliveryIds
from hookstream.core.matching.directory import Directory
from hookstream.core.matching.fanout import Match
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.event import (
    Event,
    Identified,
    Revision,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Cancel, DeadLetter, DeadReason
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.subscription import DEFAULT_EXPIRY, Subscription
from hookstream.core.outcome import policy
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.event_ids import EventIds
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Clock, Codec
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Bodies, Work

_TURN = 8
"""Deliveries offered before attempts get their turn on the event loop."""


@dataclass(slots=True, frozen=True)
class SchemaWait:
    """How long, and in which steps, a record waits for its schema."""

    tiers: tuple[Millis, ...]
    """Every configured delay above zero, ascending."""
    grace: Millis


class Admission:
    """Identifies, decodes and matches records, and offers what comes of them to the lanes."""

    def __init__(  # noqa: PLR0913  a stage and its neighbours
        self,
        codec: Codec,
        directory: Directory,
        clock: Clock,
        schemas: SchemaWait,
        attempts: Attempts,
        lanes: Lanes,
        settler: Settler,
        *,
        event_ids: EventIds,
    ) -> None:
        """End through `attempts` what `lanes` need not see."""
        self._codec = codec
        self._directory = directory
        self._clock = clock
        self._schemas = schemas
        self._attempts = attempts
        self.lanes = lanes
        self.settler = settler
        self.budget = settler.budget
        self.event_ids = event_ids
        self._offered = 0

    async def fresh(
        self, receipt: Receipt, traceparent: str | None, tracestate: str | None
    ) -> None:
        """Admit a record of an event topic."""
        record = receipt.record
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        state = UnmatchedEvent(
            origin, self._clock.now(), traceparent=traceparent, tracestate=tracestate
        )
        if record.headers_problem is not None and record.topic == self.settler.topics.operations:
            # In a topic of ours, a record that cannot be read whole is none that we wrote.
            why = Undecodable(UndecodableReason.HEADERS_UNREADABLE, record.headers_problem)
            self.settler.undecodable(receipt, why, state)
            return
        await self.unmatched(receipt, state)

    async def unmatched(self, receipt: Receipt, state: UnmatchedEvent) -> None:
        """Identify a record, match it, and fan it out as far as memory allows at a time."""
        identified = self._codec.identify(receipt.record)
        match identified:
            case Undecodable():
                self.settler.undecodable(receipt, identified, state)
            case UnknownSchema():
                self._wait_for_schema(receipt, state, identified)
            case Identified():
                event_type = identified.revision.event_type
                if not self._directory.wants(event_type, state.origin.timestamp):
                    receipt.release()
                    return
                event = self._codec.decode(identified, receipt.record)
                if isinstance(event, Undecodable):
                    self.settler.undecodable(receipt, event, state)
                    return
                event.origin = state.origin
                value = receipt.record.value
                self.event_ids.note(event.event_type, event.event_id, state.origin, value)
                await self._fan_out(receipt, event, state)

    async def _fan_out(self, receipt: Receipt, event: Event, state: UnmatchedEvent) -> None:
        bodies = Bodies(self._codec, event)
        ids = DeliveryIds(event.event_type, event.event_id)
        matches = self._directory.match(
            event.event_type,
            event.environment,
            state.origin.timestamp,
            bodies.document,
            self._codec.latest(event.event_type),
        )
        # What is held at the match waits at once: no lane need queue it.
        offer = self._readmit if self._directory.holds.any else self._offer
        for match in matches:
            if self.budget.room <= 0:
                await self.budget.wait()
            if not receipt.wanted:
                # The taker's own hold stays: what was not offered yet must not count as settled.
                return
            receipt.hold()
            delivery = self._delivery(ids, event, state, match)
            work = Work(delivery, bodies, receipt)
            if match.refused is not None:
                self.budget.take(receipt.size)
                self._attempts.refuse(work, match.refused)
            elif delivery.filter_asked:
                offer(work)
            else:
                self._readmit(work)
            self._offered += 1
            if self._offered % _TURN == 0:
                # Let attempts begin: a queue that nobody could serve yet would look full.
                await asyncio.sleep(0)
        receipt.release()

    def _delivery(
        self, ids: DeliveryIds, event: Event, state: UnmatchedEvent, match: Match
    ) -> Delivery:
        now = self._clock.now()
        subscription = match.subscription
        expiry = DEFAULT_EXPIRY
        if isinstance(subscription, Subscription):
            expiry = subscription.retry.expires_after
        return Delivery(
            delivery_id=ids.of(subscription.id),
            subscription_id=subscription.id,
            partner_id=subscription.partner_id,
            event_type=event.event_type,
            event_id=event.event_id,
            origin=state.origin,
            first_at=now,
            expires_at=now + expiry,
            trigger=state.trigger,
            traceparent=state.traceparent,
            tracestate=state.tracestate,
            filter_asked=isinstance(subscription, Subscription),
        )

    def may_attempt(self, delivery: Delivery) -> bool:
        """Tell whether nothing but its lane can keep a delivery from its attempt."""
        return self._attempts.may_attempt(delivery)

    def due(self, receipt: Receipt, delivery: Delivery) -> None:
        """Admit a delivery that came due in a tier."""
        identified = self._codec.identify(receipt.record)
        event: Event | Undecodable
        match identified:
            case Undecodable():
                event = identified
            case UnknownSchema(schema=schema):
                event = Undecodable(UndecodableReason.UNKNOWN_SCHEMA, f"schema {schema}")
            case Identified():
                event = self._codec.decode(identified, receipt.record)
        receipt.hold()
        if isinstance(event, Undecodable):
            self._not_decodable(receipt, delivery, event)
        else:
            event.origin = delivery.origin
            self._readmit(Work(delivery, Bodies(self._codec, event), receipt))
        receipt.release()

    def _not_decodable(self, receipt: Receipt, delivery: Delivery, why: Undecodable) -> None:
        """Dead-letter a record that has a subscription and stopped decoding."""
        event = _nothing(receipt.record, delivery)
        work = Work(delivery, Bodies(self._codec, event), receipt)
        self.budget.take(receipt.size)
        detail = f"{why.reason}: {why.detail}"
        self._attempts.end(work, DeadLetter(DeadReason.NOT_DECODABLE, detail))

    def _offer(self, work: Work) -> None:
        """Offer work that was matched just now: its subscription stood a moment ago."""
        self.budget.take(work.receipt.size)
        self.lanes.offer(work)

    def _readmit(self, work: Work) -> None:
        """Offer work from a tier, unless its subscription makes an attempt pointless now."""
        self.budget.take(work.receipt.size)
        if self._attempts.stands(work) and (work.delivery.filter_asked or self._asked(work)):
            self.lanes.offer(work)

    def _asked(self, work: Work) -> bool:
        """Ask the filter that could not be read when the event was matched; settle what it refuses."""
        delivery, event = work.delivery, work.event
        delivery.filter_asked = True
        matches = self._directory.match(
            event.event_type,
            event.environment,
            delivery.origin.timestamp,
            work.bodies.document,
            self._codec.latest(event.event_type),
        )
        for match in matches:
            if match.subscription.id != delivery.subscription_id:
                continue
            if match.refused is None:
                return True
            self._attempts.refuse(work, match.refused)
            return False
        why = f"subscription {delivery.subscription_id} can be read again and does not ask for it"
        self._attempts.end(work, Cancel(why))
        return False

    def _wait_for_schema(
        self, receipt: Receipt, state: UnmatchedEvent, unknown: UnknownSchema
    ) -> None:
        """Put a record whose schema nobody published yet into a tier, within the grace."""
        until = policy.schema_unknown_until(
            state, self._schemas.tiers, self._clock.now(), grace=self._schemas.grace
        )
        if until is None:
            detail = f"schema {unknown.schema} was not published within the grace"
            problem = Undecodable(UndecodableReason.UNKNOWN_SCHEMA, detail)
            self.settler.undecodable(receipt, problem, state)
            return
        policy.parked(state, until, self._clock.now())
        self.settler.park(receipt, state)


def _nothing(record: Record, delivery: Delivery) -> Event:
    """Return an event that holds nothing, for a record that does not decode any more."""
    return Event(
        revision=Revision(delivery.event_type, 0, ""),
        event_id=delivery.event_id,
        occurred_at=0,
        entity_id="",
        environment="",
        fields={},
        record=record,
        origin=delivery.origin,
    )
