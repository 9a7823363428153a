"""Makes a disposition durable before it releases the offset, never the other way round.

1. The records of the disposition are written: a tier record, a dead letter, the row that disables.
2. The audit record is written with them.
3. When the broker has acknowledged all of them, the receipt is released.

A process that dies between any two of these has settled nothing: the source offset is uncommitted, so
another worker takes the record again, and records that were written already exist twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from hookstream.core.model import delivery_headers
from hookstream.core.model.attempt import AttemptRecord, ended
from hookstream.core.model.delivery import DeferReason, Delivery, UnmatchedEvent
from hookstream.core.model.event import UNREADABLE_STATE, Undecodable, UndecodableReason
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.operations import OPERATIONS_EVENTS
from hookstream.core.model.outcome import (
    Cancel,
    Complete,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Disposition,
    RetryAt,
)
from hookstream.core.model.record import Header, OutgoingRecord, Record
from hookstream.core.outcome import policy
from hookstream.core.retry.tiers import Ladder
from hookstream.pipeline.budget import Budget
from hookstream.pipeline.defects import Step, described
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Ports, WriteRefused
from hookstream.pipeline.work import Work
from hookstream.pipeline.write_retry import WriteRetry

_State: TypeAlias = Delivery | UnmatchedEvent
"""The state in the headers of a tier record."""


@dataclass(slots=True, eq=False)
class _Settlement:
    """Writes that must be acknowledged before a reference to a receipt is released."""

    receipt: Receipt
    state: _State | None
    work: Work | None
    """The work that took credit of the budget; None: none did."""
    left: int
    """How many writes are not acknowledged yet."""


class Settler:
    """Writes the records of dispositions, and releases receipts when these are durable."""

    def __init__(self, ports: Ports, ladder: Ladder, budget: Budget, fence: Fence) -> None:
        """Return the credit of settled work to `budget`."""
        self._ports = ports
        self.ladder = ladder
        self.budget = budget
        self._fence = fence
        self._write_retry = WriteRetry(ports.sink, ports.skips, fence, ports.logger)
        self._pending = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until all work passed to the settler so far is durable."""
        await self._idle.wait()

    def settle_attempt(
        self, work: Work, record: AttemptRecord, also: Sequence[OutgoingRecord] = ()
    ) -> None:
        """Audit an attempt, update its delivery, and make the disposition durable.

        In this order, because the audit record shows the delivery as it was when the attempt was made.

        Args:
            work: Its receipt is released when everything is durable.
            record: The attempt, its outcome and its disposition.
            also: Further records to write.
        """
        audit = self._count_log_and_encode(record)
        _bring_up_to_date(work.delivery, record)
        self._settle(work, record.disposition, audit, also)

    def audit_and_continue(self, work: Work, record: AttemptRecord) -> None:
        """Audit an attempt after which the delivery is attempted again at once, in its lane.

        The work stays unsettled, and its receipt waits for the audit record too.
        """
        audit = self._count_log_and_encode(record)
        if record.outcome is not None:
            policy.attempted(work.delivery, record.outcome)
        work.receipt.retain()
        self._write([audit], work.receipt, None)

    def reschedule(self, work: Work, disposition: RetryAt) -> None:
        """Make a retry durable after its attempt was audited by `audit_and_continue`."""
        policy.retried(work.delivery, disposition)
        self._settle(work, disposition, None)

    def settle_interrupted(self, work: Work, record: AttemptRecord) -> None:
        """Settle an attempt that a defect of ours interrupted, even if its audit record cannot be made.

        A disposition that cannot be written stops the partition.
        """
        audit: OutgoingRecord | None = None
        try:
            audit = self._count_log_and_encode(record)
        except Exception as error:  # noqa: BLE001  the fence
            self._fence.note(error, Step.NOTIFY)
        _bring_up_to_date(work.delivery, record)

        async def settle() -> None:
            self._settle(work, record.disposition, audit)

        try:
            self._settle(work, record.disposition, audit)
        except Exception as error:  # noqa: BLE001  the fence
            self.stop(work, error, Step.SETTLE, settle)

    def end_without_attempt(self, work: Work, record: AttemptRecord) -> None:
        """Audit the end of a delivery without an attempt, and make it durable."""
        audit = self._count_log_and_encode(record)
        if record.outcome is not None:
            work.delivery.last_outcome = record.outcome.name
        self._settle(work, record.disposition, audit)

    def defer_work(self, work: Work, disposition: DeferUntil) -> None:
        """Defer work until an instant. A metric counts it; without an attempt there is no audit record."""
        policy.deferred(work.delivery, disposition, self._ports.clock.now())
        self._ports.metrics.deferral(disposition.reason)
        self._settle(work, disposition, None)

    def _count_log_and_encode(self, record: AttemptRecord) -> OutgoingRecord:
        """Count and log an attempt, and return its encoded audit record."""
        ports = self._ports
        value = ports.own_records.attempt(record)
        # After encoding: a record that cannot be encoded is retried, and must count once.
        ports.metrics.attempt(record)
        ports.logger.attempt(record)
        key = record.delivery.subscription_id.encode()
        return OutgoingRecord(ports.topics.attempts, key, value)

    def _settle(
        self,
        work: Work,
        disposition: Disposition,
        audit: OutgoingRecord | None,
        also: Sequence[OutgoingRecord] = (),
    ) -> None:
        """Write the records of a disposition, and release the work when all of them are durable.

        After the partition was revoked, only the audit record and `also` are written: the new owner reads the
        delivery again.
        """
        writes: list[OutgoingRecord] = []
        receipt = work.receipt
        if not isinstance(disposition, Complete) and receipt.assigned:
            writes = self._demanded(work, disposition)
        if audit is not None:
            writes.append(audit)
        if also:
            writes += also
        self._write(writes, receipt, work.delivery, work)

    def write_undecodable(
        self, receipt: Receipt, problem: Undecodable, waited: UnmatchedEvent | None = None
    ) -> None:
        """Write a record that cannot become an event to the undecodable topic, bytes unchanged, and release it."""
        headers = delivery_headers.undecodable_headers(
            receipt.record, problem, written_at=self._ports.clock.now(), waited=waited
        )
        self._set_aside(receipt, problem.reason, problem.detail, headers)

    def write_unreadable(self, receipt: Receipt, problem: HeaderProblem) -> None:
        """Write a tier record with unreadable headers to the undecodable topic, and release it."""
        record, now = receipt.record, self._ports.clock.now()
        counted, written = UNREADABLE_STATE, DeadReason.NOT_DECODABLE.value
        if record.headers_problem is not None:
            counted = written = UndecodableReason.HEADERS_UNREADABLE.value
        headers = delivery_headers.unreadable_headers(
            record, problem, written_at=now, reason=written
        )
        self._set_aside(receipt, counted, str(problem), headers)

    def _set_aside(
        self, receipt: Receipt, reason: str, detail: str, headers: Sequence[Header]
    ) -> None:
        self._log_set_aside(receipt.record, reason, detail)
        record = receipt.record
        aside = OutgoingRecord(self._ports.topics.undecodable, record.key, record.value, headers)
        self._write([aside], receipt, None)

    def _log_set_aside(self, record: Record, reason: str, detail: str) -> None:
        self._ports.metrics.undecodable(reason)
        self._ports.logger.warning(
            "record.undecodable",
            **record.where._asdict(),
            offset=record.offset,
            reason=reason,
            detail=detail,
        )

    def defer_record(self, receipt: Receipt, state: _State) -> None:
        """Write a record whose state has a deferral to a tier, and release it."""
        if state.deferred_reason is not None:
            self._ports.metrics.deferral(state.deferred_reason)
            if receipt.span is not None and state.due_at is not None:
                receipt.span.decided(DeferUntil(state.due_at, state.deferred_reason))
        self._pass_on(receipt, state)

    def hop(self, receipt: Receipt, state: _State) -> None:
        """Move a record on to a smaller tier; its state and due time do not change."""
        self._ports.metrics.deferral(DeferReason.NOT_DUE)
        self._pass_on(receipt, state)

    def _pass_on(self, receipt: Receipt, state: _State) -> None:
        now = self._ports.clock.now()
        record = self._tier_record(state, receipt.record, self._tier(state, now), now)
        self._write([record], receipt, state)

    def give_back(self, work: Work) -> None:
        """Return the credit of work that is settled, stopped or dropped.

        Work is dropped when its partition is revoked or, if it is queued, when the worker drains. Its receipt is
        never released, so its offset is not committed and the next owner reads the record again.
        """
        if work.credited:
            work.credited = False
            self.budget.give(work.receipt.size)

    def skip(self, work: Work) -> None:
        """Release work that an operator skipped, without a write."""
        self.give_back(work)
        work.receipt.release()

    def stop(
        self, work: Work, error: Exception, step: Step, again: Callable[[], Awaitable[None]]
    ) -> None:
        """Stop the partition of work because of a defect of ours, and return the work's credit meanwhile.

        `again` retries the step. It may take credit, which is returned if it raises.

        Raises:
            Exception: What `Fence.stop` raises.
        """

        async def retried() -> None:
            try:
                await again()
            except Exception:
                self.give_back(work)
                raise

        self.give_back(work)
        self._fence.stop(
            work.receipt,
            error,
            step,
            again=retried,
            skip=partial(self.skip, work),
            delivery_id=work.delivery.delivery_id,
        )

    # The records of a disposition.

    def _demanded(self, work: Work, disposition: Disposition) -> list[OutgoingRecord]:
        now = self._ports.clock.now()
        match disposition:
            case Complete():
                return []
            case Cancel():
                self._trace_cancelled(work, disposition)
                return []
            case RetryAt(due_at=due_at) | DeferUntil(due_at=due_at):
                work.delivery.due_at = due_at
                tier = self._tier(work.delivery, now)
                self._trace(work, tier, disposition)
                return [self._tier_record(work.delivery, work.receipt.record, tier, now)]
            case DeadLetter():
                self._trace(work, self._ports.topics.dead_letters, disposition)
                record = work.receipt.record
                return self._dead(work.delivery, record, disposition, record.value, now)

    def _dead(
        self,
        delivery: Delivery,
        record: Record,
        dead: DeadLetter,
        value: bytes | None,
        now: Millis,
    ) -> list[OutgoingRecord]:
        """Return a dead letter with the headers of `record`, and its operations event."""
        headers = delivery_headers.dead_letter_headers(
            delivery, record.headers, dead.reason, dead.detail, written_at=now
        )
        key = delivery.subscription_id.encode()
        dead_letter = OutgoingRecord(self._ports.topics.dead_letters, key, value, headers)
        return [dead_letter, *self._given_up(delivery, dead.reason)]

    def _given_up(self, delivery: Delivery, reason: DeadReason) -> list[OutgoingRecord]:
        """Return the operations event of a dead letter; none if the delivery's event is itself such an event."""
        if delivery.event_type in OPERATIONS_EVENTS:
            return []
        ports = self._ports
        try:
            return [ports.own_records.dead_lettered(delivery, reason, ports.clock.now())]
        except Exception as error:  # noqa: BLE001  an operations event must not prevent the dead letter
            self._fence.note(error, Step.NOTIFY)
            return []

    def _tier(self, state: _State, now: Millis) -> str:
        """Return the next tier in which a record waits for its due time."""
        ports = self._ports
        due_at = now if state.due_at is None else state.due_at
        if isinstance(state, Delivery) and state.has_slot:
            return ports.topics.tier(self.ladder.place_slot(now, due_at))
        return ports.topics.tier(self.ladder.place(now, due_at))

    def _tier_record(
        self, state: _State, record: Record, tier: str, now: Millis
    ) -> OutgoingRecord:
        headers = delivery_headers.tier_headers(state, record.headers, written_at=now)
        return OutgoingRecord(tier, delivery_headers.tier_key(state), record.value, headers)

    def _trace(self, work: Work, topic: str, disposition: Disposition) -> None:
        """If the trace is sampled, make the next hop a child of this one."""
        span = work.receipt.span
        if span is None:
            return
        hop = self._ports.tracer.send(span, topic, work.delivery, disposition)
        work.delivery.traceparent = span.traceparent if hop is None else hop.traceparent
        if hop is not None:
            hop.end()

    def _trace_cancelled(self, work: Work, disposition: Cancel) -> None:
        """Record the end of a delivery on a span of its own, because no record is sent whose span could have it."""
        span = work.receipt.span
        end = None
        if span is not None:
            end = self._ports.tracer.cancel(span, work.delivery, disposition)
        if end is not None:
            end.end()

    # Durable writes.

    def _write(
        self,
        writes: Sequence[OutgoingRecord],
        receipt: Receipt,
        state: _State | None,
        work: Work | None = None,
    ) -> None:
        """Write records, and release the receipt once when all of them are acknowledged."""
        if not self._pending:
            self._idle.clear()
        self._pending += 1
        settlement = _Settlement(receipt, state, work, len(writes))
        if not writes:
            self._durable(settlement)
        for record in writes:
            self._put(record, settlement)

    def _put(self, record: OutgoingRecord, settlement: _Settlement) -> None:
        try:
            self._ports.sink.write(record, partial(self._answered, record, settlement))
        except Exception as error:  # noqa: BLE001  treated as refused: the partition stops, the write is retried
            self._fence.note(error, Step.SETTLE)
            raised = WriteRefused(f"the sink raised {described(error)}", too_large=False)
            self._answered(record, settlement, raised)

    def _answered(
        self, record: OutgoingRecord, settlement: _Settlement, refused: WriteRefused | None
    ) -> None:
        if refused is not None:
            self._refused(record, refused, settlement)
            return
        settlement.left -= 1
        if not settlement.left:
            self._durable(settlement)

    def _durable(self, settlement: _Settlement) -> None:
        self._pending -= 1
        if not self._pending:
            self._idle.set()
        if settlement.work is not None:
            self.give_back(settlement.work)
        settlement.receipt.release()

    def _refused(
        self, record: OutgoingRecord, refused: WriteRefused, settlement: _Settlement
    ) -> None:
        """Dead-letter by reference a record that is too large to copy; retry any other write."""
        ports = self._ports
        copy = record.topic in (ports.topics.dead_letters, ports.topics.undecodable)
        copy = copy or ports.topics.delay_of(record.topic) is not None
        if refused.too_large and record.value is not None and copy:
            try:
                instead = self._by_reference(record, refused, settlement)
            except Exception as error:  # noqa: BLE001  the write is then retried unchanged
                self._fence.note(error, Step.SETTLE)
                instead = []
            settlement.left += max(len(instead) - 1, 0)
            for write in instead:
                self._put(write, settlement)
            if instead:
                return
        self._fence.start(partial(self._insist, record, refused, settlement))

    def _by_reference(
        self, record: OutgoingRecord, refused: WriteRefused, settlement: _Settlement
    ) -> list[OutgoingRecord]:
        """Return the reference to a record too large to copy (all headers, no value), and its operations event."""
        ports = self._ports
        receipt, state, work = settlement.receipt, settlement.state, settlement.work
        if state is None or record.topic in (ports.topics.dead_letters, ports.topics.undecodable):
            return [OutgoingRecord(record.topic, record.key, None, record.headers)]
        now = ports.clock.now()
        why = f"{record.topic} refused it: {refused.detail}; the value is at its origin only"
        if isinstance(state, UnmatchedEvent):
            problem = Undecodable(UndecodableReason.TOO_LARGE, why)
            self._log_set_aside(receipt.record, problem.reason, problem.detail)
            headers = delivery_headers.undecodable_headers(
                receipt.record, problem, written_at=now, waited=state
            )
            return [OutgoingRecord(ports.topics.undecodable, receipt.record.key, None, headers)]
        dead = DeadLetter(DeadReason.RECORD_TOO_LARGE, why)
        # The earlier audit record names a retry, but the delivery ends here.
        audit = self._count_log_and_encode(
            ended(state, None if work is None else work.event, dead, now)
        )
        return [*self._dead(state, receipt.record, dead, None, now), audit]

    async def _insist(
        self, record: OutgoingRecord, refused: WriteRefused, settlement: _Settlement
    ) -> None:
        await self._write_retry.write(record, refused, settlement.receipt, settlement.state)
        self._answered(record, settlement, None)


def _bring_up_to_date(delivery: Delivery, record: AttemptRecord) -> None:
    """Write an attempt's outcome, and a retry if one follows, into the delivery's state."""
    if record.outcome is not None:
        policy.attempted(delivery, record.outcome)
    if isinstance(record.disposition, RetryAt):
        policy.retried(delivery, record.disposition)
