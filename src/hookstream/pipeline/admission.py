"""Admission turns a taken record into work in the lanes, or settles it at once with the reason.

A record comes in one of three ways: fresh from an event topic, due from a tier as a delivery, or due
from a tier as an event that is still to be matched. All three decode the same bytes the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from hookstream.core.delivery.identity import DeliveryIds, delivery_id
from hookstream.core.matching.directory import NotReplayed
from hookstream.core.matching.fanout import Match
from hookstream.core.model.active_interval import Arrival, arrival_of
from hookstream.core.model.delivery import Delivery, OnlyFor, UnmatchedEvent
from hookstream.core.model.event import (
    LARGE,
    Event,
    Identified,
    Revision,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.mapping import position_id
from hookstream.core.model.outcome import NOT_GRANTED, Cancel, DeadLetter, DeadReason, Refused
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    UnresolvedSchema,
    Unusable,
)
from hookstream.core.model.subscription import Subscription, expiry_of
from hookstream.core.outcome import policy
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.defects import BLAMED, Step, described
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.event_ids import EventIds
from hookstream.pipeline.event_matching import EventMatching
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.schema_waits import NotAsked, SchemaWaits
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.unfit_schemas import UnfitSchemas
from hookstream.pipeline.work import Bodies, Work

_TURN = 8
"""Deliveries offered in one turn of the event loop."""


class Admission:
    """Identifies, decodes and matches records, and offers the deliveries to lanes."""

    def __init__(
        self,
        ports: Ports,
        rules: EngineRules,
        attempts: Attempts,
        lanes: Lanes,
        settler: Settler,
        gate: Gate,
        event_ids: EventIds,
        fence: Fence,
    ) -> None:
        """End through `attempts` the deliveries that need no attempt."""
        self._operations = ports.topics.operations
        self._codec = ports.codec
        self._directory = ports.directory
        self._clock = ports.clock
        self._offload = ports.offload
        self._waits = rules.waits
        self._grace = rules.unknown_schema_grace
        self._attempts = attempts
        self._lanes = lanes
        self._settler = settler
        self._budget = settler.budget
        self._event_ids = event_ids
        self._fence = fence
        self._gate = gate
        self._schema_waits = SchemaWaits(ports, fence, gate.wait)
        self._topic_ids = ports.topic_ids
        self._metrics = ports.metrics
        self._matching = EventMatching(ports, fence)
        self._unfit = UnfitSchemas(ports.logger, ports.clock)
        self._offered = 0
        attempts.readmit = self._readmit
        attempts.rest = lanes.rest

    async def fresh(
        self, receipt: Receipt, traceparent: str | None, tracestate: str | None
    ) -> None:
        """Admit a record of an event topic."""
        record = receipt.record
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        state = UnmatchedEvent(
            origin, self._clock.now(), traceparent=traceparent, tracestate=tracestate
        )
        await self.unmatched(receipt, state)

    async def unmatched(self, receipt: Receipt, state: UnmatchedEvent) -> None:
        """Identify a record, match it, and fan it out as fast as the budget allows."""
        act = partial(self._unmatched, receipt, state, set())
        await self._fence.run(receipt, Step.MATCH, act)

    async def _unmatched(self, receipt: Receipt, state: UnmatchedEvent, offered: set[str]) -> None:
        """Do so; `offered` has the subscriptions that a failed try offered already."""
        record = receipt.record
        if record.headers_problem is not None and record.topic == self._operations:
            # A record in our own topic whose headers cannot be read was not written by us.
            why = Undecodable(UndecodableReason.HEADERS_UNREADABLE, record.headers_problem)
            self._settler.undecodable(receipt, why, state)
            return
        identified = self._identified(record, state.origin)
        match identified:
            case Undecodable():
                self._settler.undecodable(receipt, identified, state)
            case UnknownSchema():
                self._wait_for_schema(receipt, state, identified)
            case UnresolvedSchema():
                self._resolve(receipt, state, identified.schema)
            case Identified():
                await self._match(receipt, state, identified, offered)

    async def _match(
        self, receipt: Receipt, state: UnmatchedEvent, identified: Identified, offered: set[str]
    ) -> None:
        """Decode an event that a subscription wants, and fan it out."""
        event_type = identified.revision.event_type
        asks = self._directory.wants
        if state.only is None and not offered and not asks(event_type, state.origin.timestamp):
            self._metrics.unmatched(event_type)
            receipt.release()
            return
        event_id: str | Undecodable = ""
        if identified.by_position:
            event_id = await self._position_id(state.origin)
        event: Event | Undecodable | None
        if isinstance(event_id, Undecodable):
            event = event_id
        elif not receipt.wanted:
            return
        else:
            event = await self._read(receipt, identified, state.origin, event_id)
        if isinstance(event, Undecodable):
            self._settler.undecodable(receipt, event, state)
        elif event is not None:
            value = receipt.record.value
            self._event_ids.note(event.event_type, event.event_id, event.origin, value)
            if state.only is None:
                await self._fan_out(receipt, event, state, offered)
            else:
                await self._for_one(receipt, event, state, state.only)

    async def _position_id(self, origin: Origin) -> str | Undecodable:
        """Return the id of an event whose record names none."""
        topic_id = await self._topic_ids.find(origin.topic)
        if topic_id is None:
            why = (
                f"the topic {origin.topic} has no id, and nothing in the record names the event's"
            )
            return Undecodable(UndecodableReason.BAD_ENVELOPE, why)
        return position_id(topic_id, origin.partition, origin.offset)

    async def _read(
        self, receipt: Receipt, identified: Identified, origin: Origin, event_id: str
    ) -> Event | Undecodable | None:
        """Decode a record, a large one in a thread; None: its partition was revoked meanwhile."""
        record = receipt.record
        load = self._codec.load(identified, record)
        if load > LARGE:
            decode = partial(self._decoded, identified, record, origin, event_id)
            event = await self._offload.run(decode)
            if not receipt.wanted:
                return None
        else:
            event = self._decoded(identified, record, origin, event_id)
        if isinstance(event, Event):
            event.load = load
            if receipt.span is not None:
                receipt.span.decoded(event.event_type, event.event_id)
        return event

    def _identified(
        self, record: Record, origin: Origin
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        try:
            return self._codec.identify(record, origin.topic)
        except BLAMED[Step.IDENTIFY] as error:
            return Undecodable(UndecodableReason.NOT_FRAMED, described(error))

    def _decoded(
        self, identified: Identified, record: Record, origin: Origin, event_id: str
    ) -> Event | Undecodable:
        try:
            return self._codec.decode(identified, record, origin, event_id)
        except BLAMED[Step.DECODE] as error:
            return Undecodable(UndecodableReason.MALFORMED, described(error))

    async def _fan_out(
        self, receipt: Receipt, event: Event, state: UnmatchedEvent, offered: set[str]
    ) -> None:
        bodies = Bodies(self._codec, event)
        ids = DeliveryIds(event.event_type, event.event_id)
        async for matches in self._matching.matched(bodies, _arrival(receipt, state)):
            for match in matches:
                if match is None:
                    await asyncio.sleep(0)
                    continue
                if self._budget.room <= 0:
                    await self._budget.wait()
                if not self._gate.was_open():
                    await self._gate.wait()
                if not receipt.wanted:
                    # The receipt is not released: what was not offered yet must not count as settled.
                    return
                if match.subscription.id not in offered:
                    work = Work(self._delivery(ids, event, state, match), bodies, receipt)
                    offered.add(match.subscription.id)
                    receipt.retain()
                    await self._offer(work, match)
        self._fanned_out(receipt, event, offered)

    def _fanned_out(self, receipt: Receipt, event: Event, offered: set[str]) -> None:
        """Release the receipt; count an event that no subscription was offered."""
        if not offered:
            self._metrics.unmatched(event.event_type)
        receipt.release()

    async def _offer(self, work: Work, match: Match) -> None:
        """Hand a delivery out, or end a refused one; yield to other tasks after a few."""
        refused = match.refused
        try:
            if refused is not None:
                await self._refuse(work, refused)
            elif not work.delivery.filter_asked or self._directory.holds.any:
                # What an operator holds waits in a tier at once, without queueing in its lane.
                await self._readmit(work)
            else:
                # Its subscription was live a moment ago.
                self._credit(work)
                self._lanes.offer(work)
        except Exception as error:  # noqa: BLE001  the fence: of this delivery alone
            if refused is None:
                self._attempts.stop(work, error, Step.MATCH)
            else:
                again = partial(self._refuse, work, refused)
                self._settler.stop(work, error, Step.MATCH, again)
        self._offered += 1
        if self._offered % _TURN == 0:
            # Attempts begin: otherwise a lane whose attempts could not begin yet would look full.
            await asyncio.sleep(0)

    async def _refuse(self, work: Work, refused: Refused) -> None:
        self._credit(work)
        self._attempts.refuse(work, refused)

    async def _for_one(
        self, receipt: Receipt, event: Event, state: UnmatchedEvent, only: OnlyFor
    ) -> None:
        """Admit a replayed event as the delivery of the one subscription that it is for.

        Whether the subscription asks for it is evaluated as soon as that can be read, for this run; the
        active interval is not.
        """
        now = self._clock.now()
        expiry = expiry_of(self._directory.subscriptions.get(only.subscription_id))
        delivery = Delivery(
            delivery_id=delivery_id(event.event_type, event.event_id, only.subscription_id),
            subscription_id=only.subscription_id,
            partner_id=only.partner_id,
            event_type=event.event_type,
            event_id=event.event_id,
            origin=state.origin,
            first_at=now,
            expires_at=now + expiry,
            trigger=state.trigger,
            traceparent=state.traceparent,
            tracestate=state.tracestate,
            filter_asked=False,
            job=only.job,
            as_granted_today=only.as_granted_today,
        )
        await self._readmit_fenced(Work(delivery, Bodies(self._codec, event), receipt))

    def _delivery(
        self, ids: DeliveryIds, event: Event, state: UnmatchedEvent, match: Match
    ) -> Delivery:
        now = self._clock.now()
        subscription = match.subscription
        return Delivery(
            delivery_id=ids.of(subscription.id),
            subscription_id=subscription.id,
            partner_id=subscription.partner_id,
            event_type=event.event_type,
            event_id=event.event_id,
            origin=state.origin,
            first_at=now,
            expires_at=now + expiry_of(subscription),
            trigger=state.trigger,
            traceparent=state.traceparent,
            tracestate=state.tracestate,
            filter_asked=isinstance(subscription, Subscription),
        )

    async def due(self, receipt: Receipt, delivery: Delivery) -> None:
        """Admit a delivery that came due in a tier."""
        act = partial(self._due, receipt, delivery)
        await self._fence.run(receipt, Step.DECODE, act, delivery.delivery_id)

    async def _due(self, receipt: Receipt, delivery: Delivery) -> None:
        """Decode it and offer it; the work takes over the receipt."""
        event = await self._event_due(receipt, delivery)
        if event is None:
            return
        if isinstance(event, Undecodable):
            self._not_decodable(receipt, delivery, event)
            return
        event.origin = delivery.origin
        await self._readmit_fenced(Work(delivery, Bodies(self._codec, event), receipt))

    async def _readmit_fenced(self, work: Work) -> None:
        try:
            await self._readmit(work)
        except Exception as error:  # noqa: BLE001  the fence
            self._attempts.stop(work, error, Step.MATCH)

    async def _event_due(self, receipt: Receipt, delivery: Delivery) -> Event | Undecodable | None:
        """Return a delivery's event; None: its partition was revoked, or it is admitted again later."""
        identified = self._identified(receipt.record, delivery.origin)
        match identified:
            case Undecodable():
                return identified
            case UnknownSchema():
                return Undecodable(UndecodableReason.UNKNOWN_SCHEMA, str(identified))
            case UnresolvedSchema(schema=schema):
                # It was matched, so there was a row: this worker reads it soon, or it is gone.
                problem = self._schema_waits.undecodable(schema)
                if problem is None:
                    again = partial(self.due, receipt, delivery)
                    self._schema_waits.wait(receipt, schema, again)
                return problem
            case Identified():
                return await self._read(receipt, identified, delivery.origin, delivery.event_id)

    def _not_decodable(self, receipt: Receipt, delivery: Delivery, why: Undecodable) -> None:
        """Dead-letter a delivery whose record cannot be decoded any more."""
        event = _nothing(receipt.record, delivery)
        work = Work(delivery, Bodies(self._codec, event), receipt)
        self._credit(work)
        detail = f"{why.reason}: {why.detail}"
        try:
            self._attempts.end(work, DeadLetter(DeadReason.NOT_DECODABLE, detail))
        except Exception:
            self._settler.give_back(work)
            raise

    def _credit(self, work: Work) -> None:
        """Take the credit of work, once."""
        if not work.credited:
            work.credited = True
            self._budget.take(work.receipt.size)

    async def _readmit(self, work: Work) -> None:
        """Offer work again, unless its subscription allows no attempt now."""
        if not work.receipt.wanted:
            # Its partition was revoked meanwhile; the next owner reads the record again.
            self._settler.give_back(work)
            return
        self._credit(work)
        if self._attempts.keep_if_eligible(work) and (
            work.delivery.filter_asked or await self._asked(work)
        ):
            self._lanes.offer(work)

    async def _asked(self, work: Work) -> bool:
        """Evaluate a filter that was unreadable when the event was matched; settle what it refuses."""
        work.delivery.filter_asked = True
        try:
            return await self._ask(work)
        except BaseException:
            # Otherwise a retry would take it for evaluated.
            work.delivery.filter_asked = False
            raise

    async def _ask(self, work: Work) -> bool:
        delivery = work.delivery
        match = await self._matching.judged(work)
        if not work.receipt.wanted:
            delivery.filter_asked = False
            self._settler.give_back(work)
        elif match is NotReplayed.NOT_GRANTED:
            self._attempts.refuse(work, NOT_GRANTED)
        elif not isinstance(match, Match):
            why = f"{delivery.subscription_id} can be read again and does not ask for it"
            if delivery.job is not None:
                why = f"{delivery.subscription_id} does not ask for it"
            self._attempts.end(work, Cancel(f"subscription {why}"))
        elif match.refused is not None:
            self._attempts.refuse(work, match.refused)
        else:
            return True
        return False

    def _resolve(self, receipt: Receipt, state: UnmatchedEvent, schema: RegisteredId) -> None:
        """Have a registry's schema resolved, unless the registry does not have it."""
        useless = self._schema_waits.useless(schema)
        match useless:
            case NotFound(detail=detail):
                unknown = UnknownSchema(str(schema), f"was not found: {detail}")
                self._wait_for_schema(receipt, state, unknown)
            case NotAsked():
                self._put_off(receipt, state)
            case Unusable(problem=problem):
                self._settler.undecodable(receipt, problem, state)
            case None:
                again = partial(self.unmatched, receipt, state)
                # A tier has deliveries of other schemas, which go on.
                in_tier = receipt.where.topic != state.origin.topic
                late = self._later(receipt, state) if in_tier else None
                self._schema_waits.wait(receipt, schema, again, late)

    def _later(self, receipt: Receipt, state: UnmatchedEvent) -> Callable[[], Awaitable[None]]:
        async def later() -> None:
            self._put_off(receipt, state)

        return partial(self._fence.run, receipt, Step.MATCH, later)

    def _put_off(self, receipt: Receipt, state: UnmatchedEvent) -> None:
        """Defer a record for which the registry gave no answer: whatever its age, it is asked for again."""
        now = self._clock.now()
        policy.event_deferred(state, policy.registry_asked_again(state, now), now)
        self._settler.defer(receipt, state)

    def _wait_for_schema(
        self, receipt: Receipt, state: UnmatchedEvent, unknown: UnknownSchema
    ) -> None:
        """Defer a record of an unknown schema, within the grace period."""
        if unknown.unfit:
            self._unfit.found(state.origin.topic, unknown)
        until = policy.schema_unknown_until(
            state, self._waits, self._clock.now(), grace=self._grace
        )
        if until is None:
            detail = f"{unknown}; it waited for retry.unknown_schema_grace"
            problem = Undecodable(UndecodableReason.UNKNOWN_SCHEMA, detail)
            self._settler.undecodable(receipt, problem, state)
            return
        policy.event_deferred(state, until, self._clock.now())
        self._settler.defer(receipt, state)


def _nothing(record: Record, delivery: Delivery) -> Event:
    """Return an event without content, for a record that does not decode any more."""
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


def _arrival(receipt: Receipt, state: UnmatchedEvent) -> Arrival:
    """Return how an event came here."""
    if receipt.record.topic == state.origin.topic:
        return Arrival.LIVE
    return arrival_of(in_tier=True, undecodable_as=state.undecodable_as)
