"""The retrier reads every tier, keeps what is not due in the waiting room, and admits what is.

A delivery that waits for a slot of its lane has no due time of its own: it is admitted at its slot,
or before, as soon as its lane has room. One whose slot has come while the lane has none is not
written again as long as its tier may still keep it.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from hookstream.core.lanes.lane import LONG_TURN
from hookstream.core.model import delivery_headers as letter
from hookstream.core.model.delivery import BOOKED_REASONS, Delivery, UnmatchedEvent
from hookstream.core.model.header_reading import HeaderProblem, carried
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeferUntil
from hookstream.core.model.record import Record
from hookstream.core.offsets.pauses import PauseReason
from hookstream.core.outcome import policy
from hookstream.core.retry.early import EVERYBODY_EVERY, Early
from hookstream.core.retry.tiers import LONGEST_REST, HopDownAt
from hookstream.core.retry.waiting import Owner, WaitingRoom
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.defects import Step
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.event_ids import EventIds
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Partitions, Receipt
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.settler import Settler

_MOST = 100
"""Records a batch: their headers are read in one turn of the event loop."""
WAITING_BYTES = 2_000
"""Memory that a waiting delivery takes beside the bytes of its record: objects, state, its places in
the room. Measured: 2,030 bytes."""

_LONGEST_SLEEP = 0.5
"""Longest sleep between checks of the room, seconds: a clock that jumps is noticed within it."""

_EARLY_AGAIN = 0.01
"""Seconds until lanes are asked again, after a turn in which they took as many early deliveries as one
turn allows."""

_TURN = 8
"""Records released in one turn of the event loop where no more deliveries are new: each is decoded and
may be written to a tier again."""

_CREDIT_SLEEP = 0.005
"""Seconds between checks while deliveries from tiers have used up their credit."""

_FOR_NEW_EVENTS = 0.25
"""The share of the credit that deliveries from tiers leave to new events."""


@dataclass(slots=True)
class WaitingRecord:
    """A tier record that is not due yet."""

    receipt: Receipt
    state: Delivery | UnmatchedEvent
    hop: bool
    """True: it moves on to a smaller tier when it leaves this one."""
    leaves_at: Millis
    """When it leaves its tier."""
    until: Millis
    """When it leaves the room."""


class Retrier:
    """Two loops over the tiers: one reads, one releases what is due."""

    def __init__(
        self,
        ports: Ports,
        partitions: Partitions,
        room: WaitingRoom[WaitingRecord],
        gate: Gate,
        admission: Admission,
        lanes: Lanes,
        settler: Settler,
        eligibility: Eligibility,
        event_ids: EventIds,
        fence: Fence,
    ) -> None:
        """Take from `ports.tiers`, whose listener is `partitions`."""
        self._source = ports.tiers
        self._topics = ports.topics
        self._clock = ports.clock
        self._tracer = ports.tracer
        self._metrics = ports.metrics
        self._partitions = partitions
        self._room = room
        self._gate = gate
        self._admission = admission
        self._lanes = lanes
        self._settler = settler
        self._ladder = settler.ladder
        self._budget = settler.budget
        self._eligibility = eligibility
        self._event_ids = event_ids
        self._fence = fence
        self._arrived = asyncio.Event()
        self._new = 0
        """New deliveries up to the last release."""
        self._replayed = False
        """Whether the last release had deliveries of a replay."""
        self._early: Early[Owner] = Early()
        self._early_at = 0.0
        """When lanes are next asked for early deliveries, monotonic seconds."""

    async def take(self) -> None:
        """Move records from the tiers into the waiting room until cancelled."""
        await self._gate.wait_for_clock()
        while True:
            batch = await self._source.take(_MOST)
            if not batch:
                await asyncio.sleep(0)
                continue
            for receipt in self._partitions.receive(batch):
                act = partial(self._enter, receipt, receipt.record)
                await self._fence.run(receipt, Step.READ_STATE, act)
            self._flow()

    async def _enter(self, receipt: Receipt, record: Record) -> None:
        """Read a record's state from its headers, and put it into the room."""
        state = _read(record)
        if isinstance(state, HeaderProblem):
            self._settler.unreadable(receipt, state)
            return
        if isinstance(state, Delivery):
            self._event_ids.note(state.event_type, state.event_id, state.origin, record.value)
        delay = self._topics.delay_of(record.topic) or 0
        now = self._clock.now()
        # A producer's clock (CreateTime on this topic) may be ahead by any amount.
        appended_at = record.timestamp if record.append_time else min(record.timestamp, now)
        if isinstance(state, Delivery) and state.has_slot and state.due_at is not None:
            release = self._ladder.release_slot(appended_at, delay, state.due_at, now=now)
            if state.deferred_reason in BOOKED_REASONS:
                self._lanes.seen(state, state.due_at)
        else:
            release = self._ladder.release(appended_at, delay, state.due_at, now=now)
        hop = isinstance(release, HopDownAt)
        # `state` has hookstream's own headers, which take more memory than everything else together.
        receipt.record = replace(record, headers=carried(record.headers))
        self._wait(WaitingRecord(receipt, state, hop, appended_at + delay, release.instant))
        self._arrived.set()

    def _wait(self, waiting: WaitingRecord) -> None:
        """Put a record into the room until its instant."""
        if not waiting.receipt.wanted:
            # Its partition was revoked meanwhile; the room has dropped it.
            return
        receipt, state = waiting.receipt, waiting.state
        key, owner, rank = None, None, 0
        if isinstance(state, Delivery):
            # One id does not prove one event: only copies of one record for one reason are merged.
            key = (state.delivery_id, state.attempt, state.origin, state.trigger, state.job)
            owner = Owner(state.subscription_id, state.goes_behind) if state.has_slot else None
            rank = state.expires_at
        offset, size = receipt.record.offset, receipt.record.size + WAITING_BYTES
        merged = self._room.admit(
            receipt.where, offset, waiting.until, size, waiting, key, owner, rank=rank
        )
        if merged is not None:
            # Two copies of one delivery after a crash: the one that expires later goes on.
            self._metrics.copies_merged()
            merged.receipt.release()

    async def release(self) -> None:
        """Admit what is due, never early, until cancelled."""
        while True:
            await self._gate.wait()
            if self._budget.room <= 0:
                await self._budget.wait()
                continue
            credit = self._credit()
            if credit <= 0:
                await asyncio.sleep(_CREDIT_SLEEP)
                continue
            due = self._room.due(self._clock.now(), most=min(credit, self._share()))
            self._replayed = any(_goes_behind(waiting.state) for waiting in due)
            for waiting in due:
                await self._gate.wait()
                # Intake may have spent the credit meanwhile.
                await self._budget.wait()
                if waiting.receipt.wanted:
                    await self._admit(waiting)
            early = await self._take_early(credit - len(due))
            self._flow()
            if due or early:
                await self._stand_back()
            else:
                await self._sleep()

    def _share(self) -> int:
        """Return how many due records may be released in this turn.

        As many as new deliveries came since the last: where these make turns long, and few, what is
        due still gets as many attempts as they do. While a replay is due, few at a time: whatever comes
        meanwhile, in any lane, waits for no more than those.
        """
        new = self._lanes.new
        came, self._new = new - self._new, new
        return _TURN if self._replayed else min(max(came, _TURN), _MOST)

    async def _stand_back(self) -> None:
        """Yield to other tasks; where turns are long, for as long as the last one took.

        A replay leaves two thirds of the time to everything else, so that it takes what others leave.
        """
        began = self._clock.monotonic()
        await asyncio.sleep(0)
        took = self._clock.monotonic() - began
        if self._replayed:
            await asyncio.sleep(min(2 * took, _LONGEST_SLEEP))
        elif took > LONG_TURN:
            await asyncio.sleep(min(took, _LONGEST_SLEEP))

    def _credit(self) -> int:
        """Return how many deliveries may be admitted now: a part of the credit is left to new events."""
        in_hand = self._partitions.unsettled - len(self._room)
        most = int(self._budget.most * (1 - _FOR_NEW_EVENTS))
        return min(self._budget.room, most - in_hand)

    async def _take_early(self, credit: int) -> int:
        """Admit deliveries before their slots, as many as their lanes have room for."""
        now = self._clock.monotonic()
        if now < self._early_at:
            return 0
        taken = 0
        credit = min(credit, _TURN)
        found: dict[Owner, int] = {}
        passed_over: list[Owner] = []
        for owner in self._early.asked(now, self._room.owners):
            wanted = self._lanes.wants(owner.lane, behind=owner.behind)
            if wanted <= 0:
                continue
            if taken >= credit:
                passed_over.append(owner)
                continue
            early = self._room.early(owner, min(wanted, credit - taken))
            found[owner] = len(early)
            for waiting in early:
                await self._budget.wait()
                if waiting.receipt.wanted:
                    await self._admit(waiting, early=True)
                    taken += 1
        self._early.answered(found, passed_over)
        self._early_at = now + (_EARLY_AGAIN if 0 < credit <= taken else EVERYBODY_EVERY)
        return taken

    async def _admit(self, waiting: WaitingRecord, *, early: bool = False) -> None:
        state = waiting.state
        act = partial(self._admit_fenced, waiting, early=early)
        delivery_id = state.delivery_id if isinstance(state, Delivery) else None
        await self._fence.run(waiting.receipt, Step.WAIT, act, delivery_id)

    async def _admit_fenced(self, waiting: WaitingRecord, *, early: bool) -> None:
        receipt, state = waiting.receipt, waiting.state
        if waiting.hop and not (isinstance(state, Delivery) and state.has_slot):
            self._settler.hop(receipt, state)
        elif isinstance(state, Delivery):
            await self._admit_delivery(waiting, state, early=early)
        else:
            self._trace(receipt, state)
            await self._admission.unmatched(receipt, state)

    async def _admit_delivery(
        self, waiting: WaitingRecord, state: Delivery, *, early: bool
    ) -> None:
        """Hand a delivery to its lane, or make it wait longer where the lane has no room."""
        now = self._clock.now()
        # An expired delivery ends now, whether or not its lane has room. One that is stopped waits for
        # that, not for its lane, so that it does not age.
        if now < state.expires_at and self._eligibility.allows(state):
            slot = self._lanes.deferral(state)
            if slot is not None and early:
                self._wait(waiting)
                return
            if slot is not None:
                self._wait_on(waiting, state, slot, now)
                return
        self._trace(waiting.receipt, state)
        await self._admission.due(waiting.receipt, state)

    def _wait_on(
        self, waiting: WaitingRecord, state: Delivery, slot: DeferUntil, now: Millis
    ) -> None:
        if waiting.hop and state.due_at is not None and state.due_at > now:
            # Its slot is still to come: it moves on to the next tier.
            self._settler.hop(waiting.receipt, state)
            return
        put_off = policy.slot_until(state, slot.due_at, slot.reason, now)
        if state.has_slot and now < put_off.due_at <= max(waiting.leaves_at, now + LONGEST_REST):
            waiting.until = put_off.due_at
            self._wait(waiting)
            return
        policy.deferred(state, put_off, now)
        self._settler.defer(waiting.receipt, state)

    def _trace(self, receipt: Receipt, state: Delivery | UnmatchedEvent) -> None:
        receipt.span = self._tracer.process(
            receipt.record, state.traceparent, self._topics.retry_group
        )

    async def _sleep(self) -> None:
        """Sleep until a record is due, one arrives, lanes are asked again, or half a second passed."""
        self._arrived.clear()
        next_due = self._room.next_due()
        seconds = _LONGEST_SLEEP
        if self._room.owned:
            seconds = min(seconds, max(0.001, self._early_at - self._clock.monotonic()))
        if next_due is not None:
            seconds = min(seconds, max(0.001, (next_due - self._clock.now()) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    def _flow(self) -> None:
        """Pause partitions whose share of the room is full; fetch them again at half."""
        for where in self._room.to_pause():
            self._partitions.pause(where, PauseReason.FULL)
        for where in self._room.to_resume():
            self._partitions.resume(where, PauseReason.FULL)


def _goes_behind(state: Delivery | UnmatchedEvent) -> bool:
    return state.goes_behind if isinstance(state, Delivery) else state.only is not None


def _read(record: Record) -> Delivery | UnmatchedEvent | HeaderProblem:
    if record.headers_problem is not None:
        # That header may name its subscription: without it, the event would be matched for everybody.
        return HeaderProblem("", record.headers_problem)
    if letter.is_for_subscription(record.headers):
        return letter.read_delivery(record.headers)
    return letter.read_unmatched(record.headers)
