"""Turns a record into work in the lanes, or settles it at once with the reason.

A record is new from an event topic, due from a tier as a delivery, or due from a tier as an event that has
not been matched. All three decode the same bytes in the same way.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from hookstream.core.delivery.identity import delivery_id
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
from hookstream.core.model.outcome import DeadLetter, DeadReason
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    UnresolvedSchema,
    Unusable,
)
from hookstream.core.model.subscription import expiry_of
from hookstream.core.outcome import policy
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.defects import BLAMED, Step, described
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.event_ids import EventIds
from hookstream.pipeline.fan_out import FanOut
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.schema_waits import NotAsked, SchemaWaits
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.unfit_schemas import UnfitSchemas
from hookstream.pipeline.work import Bodies, Work


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
        """Use `attempts` to end deliveries that need no attempt."""
        self._operations = ports.topics.operations
        self._codec = ports.codec
        self._directory = ports.directory
        self._clock = ports.clock
        self._offload = ports.offload
        self._waits = rules.waits
        self._grace = rules.unknown_schema_grace
        self._attempts = attempts
        self._settler = settler
        self._event_ids = event_ids
        self._fence = fence
        self._schema_waits = SchemaWaits(ports, fence, gate.wait)
        self._topic_ids = ports.topic_ids
        self._metrics = ports.metrics
        self._fan_out = FanOut(ports, attempts, lanes, settler, gate, fence)
        self._unfit = UnfitSchemas(ports.logger, ports.clock)
        attempts.readmit = self._fan_out.readmit
        attempts.rest = lanes.rest

    def fresh(
        self, receipt: Receipt, traceparent: str | None, tracestate: str | None
    ) -> Awaitable[None] | None:
        """Admit a record of an event topic; return what must be awaited, if anything."""
        # Without keywords, with which the constructor takes twice as long.
        state = UnmatchedEvent(receipt.record.origin, self._clock.now())
        state.traceparent, state.tracestate = traceparent, tracestate
        return self._begin(receipt, state)

    async def unmatched(self, receipt: Receipt, state: UnmatchedEvent) -> None:
        """Identify a record, match it, and fan it out as fast as the budget allows."""
        rest = self._begin(receipt, state)
        if rest is not None:
            await rest

    # As `Fence.run`, without a coroutine if nothing must be awaited.

    def _begin(self, receipt: Receipt, state: UnmatchedEvent) -> Awaitable[None] | None:
        offered: set[str] = set()
        try:
            rest = self._unmatched(receipt, state, offered)
        except Exception as error:  # noqa: BLE001  the fence
            self._stop(receipt, state, offered, error)
            return None
        return None if rest is None else self._continue(receipt, state, offered, rest)

    async def _continue(
        self, receipt: Receipt, state: UnmatchedEvent, offered: set[str], rest: Awaitable[None]
    ) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001  the fence
            self._stop(receipt, state, offered, error)

    def _stop(
        self, receipt: Receipt, state: UnmatchedEvent, offered: set[str], error: Exception
    ) -> None:
        async def again() -> None:
            rest = self._unmatched(receipt, state, offered)
            if rest is not None:
                await rest

        self._fence.stop(receipt, error, Step.MATCH, again=again, skip=receipt.release)

    # Each step returns what must be awaited, if anything.

    def _unmatched(
        self, receipt: Receipt, state: UnmatchedEvent, offered: set[str]
    ) -> Awaitable[None] | None:
        """Admit a record; `offered` has the subscriptions that got it from a failed try."""
        record = receipt.record
        if record.headers_problem is not None and record.topic == self._operations:
            # hookstream did not write a record with unreadable headers into its own topic.
            why = Undecodable(UndecodableReason.HEADERS_UNREADABLE, record.headers_problem)
            self._settler.write_undecodable(receipt, why, state)
            return None
        identified = self._identified(record, state.origin)
        match identified:
            case Identified():
                return self._match(receipt, state, identified, offered)
            case Undecodable():
                self._settler.write_undecodable(receipt, identified, state)
            case UnknownSchema():
                self._wait_for_schema(receipt, state, identified)
            case UnresolvedSchema():
                self._resolve(receipt, state, identified.schema)
        return None

    def _match(
        self, receipt: Receipt, state: UnmatchedEvent, identified: Identified, offered: set[str]
    ) -> Awaitable[None] | None:
        """Decode an event whose type has a subscription, and fan it out."""
        event_type = identified.revision.event_type
        if (
            state.only is None
            and not offered
            and not self._directory.has_subscribers(event_type, state.origin.timestamp)
        ):
            self._metrics.unmatched(event_type)
            receipt.release()
            return None
        load = self._codec.load(identified, receipt.record)
        if identified.by_position or load > LARGE:
            return self._match_later(receipt, state, identified, offered)
        event = self._decoded(identified, receipt.record, state.origin, "")
        return self._matched(receipt, state, self._loaded(receipt, event, load), offered)

    async def _match_later(
        self, receipt: Receipt, state: UnmatchedEvent, identified: Identified, offered: set[str]
    ) -> None:
        """Decode and fan out an event if its id or a thread must be awaited."""
        event_id: str | Undecodable = ""
        if identified.by_position:
            event_id = await self._position_id(state.origin)
        event: Event | Undecodable | None
        if isinstance(event_id, Undecodable):
            event = event_id
        elif not receipt.may_start:
            return
        else:
            event = await self._read(receipt, identified, state.origin, event_id)
        if event is not None:
            rest = self._matched(receipt, state, event, offered)
            if rest is not None:
                await rest

    def _matched(
        self,
        receipt: Receipt,
        state: UnmatchedEvent,
        event: Event | Undecodable,
        offered: set[str],
    ) -> Awaitable[None] | None:
        """Fan out a decoded event, or write an undecodable record."""
        if isinstance(event, Undecodable):
            self._settler.write_undecodable(receipt, event, state)
            return None
        value = receipt.record.value
        self._event_ids.note(event.event_type, event.event_id, event.origin, value)
        if state.only is None:
            return self._fan_out.begin(receipt, event, state, offered)
        return self._for_one(receipt, event, state, state.only)

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
        """Decode a record, in a thread if it is large; None: its partition was revoked meanwhile."""
        record = receipt.record
        load = self._codec.load(identified, record)
        if load > LARGE:
            decode = partial(self._decoded, identified, record, origin, event_id)
            event = await self._offload.run(decode)
            if not receipt.may_start:
                return None
        else:
            event = self._decoded(identified, record, origin, event_id)
        return self._loaded(receipt, event, load)

    def _loaded(
        self, receipt: Receipt, event: Event | Undecodable, load: int
    ) -> Event | Undecodable:
        """Set the load of an event, and add the event to the span of its record."""
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

    async def _for_one(
        self, receipt: Receipt, event: Event, state: UnmatchedEvent, only: OnlyFor
    ) -> None:
        """Admit a replayed event as a delivery to its one subscription.

        The filter is evaluated for this run as soon as the subscription can be read; the active interval is not
        checked.
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
            first_at=state.first_at,
            expires_at=now + expiry,
            trigger=state.trigger,
            traceparent=state.traceparent,
            tracestate=state.tracestate,
            filter_asked=False,
            job=only.job,
            as_granted_today=only.as_granted_today,
        )
        await self._fan_out.readmit_fenced(Work(delivery, Bodies(self._codec, event), receipt))

    async def due(self, receipt: Receipt, delivery: Delivery) -> None:
        """Admit a delivery that came due in a tier."""
        act = partial(self._due, receipt, delivery)
        await self._fence.run(receipt, Step.DECODE, act, delivery.delivery_id)

    async def _due(self, receipt: Receipt, delivery: Delivery) -> None:
        """Decode and offer a delivery; the work takes over the receipt."""
        event = await self._event_due(receipt, delivery)
        if event is None:
            return
        if isinstance(event, Undecodable):
            self._not_decodable(receipt, delivery, event)
            return
        event.origin = delivery.origin
        await self._fan_out.readmit_fenced(Work(delivery, Bodies(self._codec, event), receipt))

    async def _event_due(self, receipt: Receipt, delivery: Delivery) -> Event | Undecodable | None:
        """Return a delivery's event; None: its partition was revoked, or it is admitted again later."""
        identified = self._identified(receipt.record, delivery.origin)
        match identified:
            case Undecodable():
                return identified
            case UnknownSchema():
                return Undecodable(UndecodableReason.UNKNOWN_SCHEMA, str(identified))
            case UnresolvedSchema(schema=schema):
                # It was matched, so the schema had a row: this worker will read it soon, or it was deleted.
                problem = self._schema_waits.undecodable(schema)
                if problem is None:
                    again = partial(self.due, receipt, delivery)
                    self._schema_waits.wait(receipt, schema, again)
                return problem
            case Identified():
                return await self._read(receipt, identified, delivery.origin, delivery.event_id)

    def _not_decodable(self, receipt: Receipt, delivery: Delivery, why: Undecodable) -> None:
        """Dead-letter a delivery whose record can no longer be decoded."""
        event = _nothing(receipt.record, delivery)
        work = Work(delivery, Bodies(self._codec, event), receipt)
        self._fan_out.credit(work)
        detail = f"{why.reason}: {why.detail}"
        try:
            self._attempts.end(work, DeadLetter(DeadReason.NOT_DECODABLE, detail))
        except Exception:
            self._settler.give_back(work)
            raise

    def _resolve(self, receipt: Receipt, state: UnmatchedEvent, schema: RegisteredId) -> None:
        """Let a record wait until its registry's schema is resolved, or settle it if that is useless."""
        useless = self._schema_waits.useless(schema)
        match useless:
            case NotFound(detail=detail):
                unknown = UnknownSchema(str(schema), f"was not found: {detail}")
                self._wait_for_schema(receipt, state, unknown)
            case NotAsked():
                self._put_off(receipt, state)
            case Unusable(problem=problem):
                self._settler.write_undecodable(receipt, problem, state)
            case None:
                again = partial(self.unmatched, receipt, state)
                # A tier also has deliveries of other schemas, which must continue.
                in_tier = receipt.where.topic != state.origin.topic
                late = self._later(receipt, state) if in_tier else None
                self._schema_waits.wait(receipt, schema, again, late)

    def _later(self, receipt: Receipt, state: UnmatchedEvent) -> Callable[[], Awaitable[None]]:
        async def later() -> None:
            self._put_off(receipt, state)

        return partial(self._fence.run, receipt, Step.MATCH, later)

    def _put_off(self, receipt: Receipt, state: UnmatchedEvent) -> None:
        """Defer a record without an answer of the registry: it is requested again, whatever the record's age."""
        now = self._clock.now()
        policy.event_deferred(state, policy.registry_asked_again(state, now), now)
        self._settler.defer_record(receipt, state)

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
            self._settler.write_undecodable(receipt, problem, state)
            return
        policy.event_deferred(state, until, self._clock.now())
        self._settler.defer_record(receipt, state)


def _nothing(record: Record, delivery: Delivery) -> Event:
    """Return an event without content, for a record that can no longer be decoded."""
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
