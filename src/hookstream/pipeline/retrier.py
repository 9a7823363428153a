"""The retrier reads every tier, keeps what is not due in the waiting room, and admits what is.

A delivery that waits for a slot of its lane has no due time of its own: it is admitted at its slot,
or earlier, as soon as its lane has room. If its slot has come and the lane has no room, it is not written
again as long as its tier may still keep it.

Background records (a replay's or resend's) are released a few at a time, in the time that other work leaves
(`core/retry/background.py`).
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from hookstream.core.lanes.lane import LONG_ITERATION
from hookstream.core.model import delivery_headers
from hookstream.core.model.delivery import BOOKED_REASONS, Delivery, Trigger, UnmatchedEvent
from hookstream.core.model.header_reading import HeaderProblem, carried
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeferUntil
from hookstream.core.model.record import Record
from hookstream.core.offsets.pauses import PauseReason
from hookstream.core.outcome import policy
from hookstream.core.retry.background import Background
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

_BATCH = 25
"""Records a batch: the consumer's thread converts them all at once, and the event loop waits for it."""
_MOST = 100
"""The most records released in one iteration of the event loop, however many deliveries are new."""
WAITING_BYTES = 2_000
"""Memory that a waiting delivery takes in addition to the bytes of its record: objects, state, its entries
in the room. Measured: 2,030 bytes."""

_LONGEST_SLEEP = 0.5
"""Longest sleep between checks of a room with records, in seconds: a jump of the clock is noticed within it."""

_EARLY_AGAIN = 0.01
"""Seconds until lanes are asked again, after an iteration in which they took the most early deliveries that
one iteration allows."""

_RECORDS_BETWEEN_YIELDS = 8
"""Records read before other tasks run, and released if no more deliveries than that are new: each is decoded
and may be written to a tier again."""

_SHORT_SLEEP = 0.005
"""Longest sleep, in seconds, after a release of background records: other records become due meanwhile."""

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
        self._sleeps: asyncio.Future[None] | None = None
        """Ends the sleep until a record is due; None: nothing sleeps."""
        self._flowed = -1
        """The room's count of moves when its shares were last checked."""
        self._new = 0
        """The count of new deliveries at the last release."""
        self._background = Background()
        self._background_room = 0
        """How many more background records may be released in this iteration."""
        self._released_background = False
        """Whether any background record was released in this iteration."""
        self._early: Early[Owner] = Early()
        self._early_at = 0.0
        """When lanes are next asked for early deliveries, monotonic seconds."""

    async def take(self) -> None:
        """Move records from the tiers into the waiting room until cancelled."""
        await self._gate.wait_for_clock()
        while True:
            batch = await self._source.take(_BATCH)
            if not batch:
                await asyncio.sleep(0)
                continue
            for position, receipt in enumerate(self._partitions.receive(batch), 1):
                act = partial(self._enter, receipt, receipt.record)
                await self._fence.run(receipt, Step.READ_STATE, act)
                if position % _RECORDS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
            self._flow()

    async def _enter(self, receipt: Receipt, record: Record) -> None:
        """Read a record's state from its headers, and put it into the room."""
        if not receipt.may_start:
            # Its partition was revoked while others of its batch were read.
            return
        state = _read(record)
        if isinstance(state, HeaderProblem):
            self._settler.write_unreadable(receipt, state)
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
        self._wake()

    def _wait(self, waiting: WaitingRecord) -> None:
        """Put a record into the room until its instant."""
        if not waiting.receipt.may_start:
            # Its partition was revoked meanwhile; the room has dropped it.
            return
        receipt, state = waiting.receipt, waiting.state
        key, owner, rank = None, None, 0
        if isinstance(state, Delivery):
            # One id does not prove one event: only copies of one record for one reason are merged.
            key = (state.delivery_id, state.attempt, state.origin, state.trigger, state.job)
            owner = Owner(state.subscription_id, state.is_background) if state.has_slot else None
            rank = state.expires_at
        offset, size = receipt.record.offset, receipt.record.size + WAITING_BYTES
        merged = self._room.admit(
            receipt.where, offset, waiting.until, size, waiting, key, owner, rank=rank
        )
        if merged is not None:
            # Two copies of one delivery after a crash: the one that expires later is kept.
            self._metrics.copies_merged()
            merged.receipt.release()

    async def release(self) -> None:
        """Admit records that are due, and deliveries before their slots if their lanes have room, until cancelled."""
        while True:
            await self._gate.wait()
            if self._budget.room <= 0:
                await self._budget.wait()
                continue
            credit = self._credit()
            if credit <= 0:
                await asyncio.sleep(_CREDIT_SLEEP)
                continue
            began = self._clock.monotonic()
            came, self._new = self._lanes.new - self._new, self._lanes.new
            # As many as there were new deliveries since the last iteration: if these make iterations long and
            # rare, due records still get as many attempts as new deliveries.
            share = min(max(came, _RECORDS_BETWEEN_YIELDS), _MOST)
            due = self._room.due(self._clock.now(), most=min(credit, share))
            due += self._due_background(credit - len(due), began)
            for waiting in due:
                await self._gate.wait()
                # Intake may have spent the credit meanwhile.
                await self._budget.wait()
                if waiting.receipt.may_start:
                    await self._admit(waiting)
            early = await self._take_early(credit - len(due))
            self._flow()
            if due or early:
                await self._stand_back(began)
            else:
                await self._sleep()

    def _due_background(self, credit: int, now: float) -> list[WaitingRecord]:
        """Take the due background records that may be released in this iteration."""
        self._background_room = self._background.room(now)
        self._released_background = False
        due = self._room.due(
            self._clock.now(), min(credit, self._background_room), background=True
        )
        self._went(due, background=True)
        return due

    async def _stand_back(self, began: float) -> None:
        """Yield to other tasks; if iterations are long, for as long as the last one took.

        Args:
            began: When this iteration began, monotonic seconds.
        """
        released = self._clock.monotonic()
        await asyncio.sleep(0)
        now = self._clock.monotonic()
        took = now - released
        pause = took if took > LONG_ITERATION else 0.0
        if self._released_background:
            left = self._background.released(now, now - began)
            self._early_at = max(self._early_at, now + min(left, _EARLY_AGAIN))
            # Other records are checked for meanwhile.
            pause = max(pause, min(left, _SHORT_SLEEP))
        if pause > 0:
            await asyncio.sleep(min(pause, _LONGEST_SLEEP))

    def _credit(self) -> int:
        """Return how many deliveries may be admitted now: a share of the credit is left to new events."""
        in_hand = self._partitions.unsettled - len(self._room)
        most = int(self._budget.most * (1 - _FOR_NEW_EVENTS))
        return min(self._budget.room, most - in_hand)

    async def _take_early(self, credit: int) -> int:
        """Admit deliveries before their slots, as many as their lanes have room for."""
        now = self._clock.monotonic()
        if now < self._early_at:
            return 0
        taken = 0
        credit = min(credit, _RECORDS_BETWEEN_YIELDS)
        found: dict[Owner, int] = {}
        passed_over: list[Owner] = []
        for owner in self._early.asked(now, self._room.owners):
            wanted = self._lanes.early_room(owner.lane, background=owner.background)
            if wanted <= 0:
                continue
            most = min(
                wanted, credit - taken, self._background_room if owner.background else wanted
            )
            if most <= 0:
                passed_over.append(owner)
                continue
            early = self._room.early(owner, most)
            self._went(early, background=owner.background)
            found[owner] = len(early)
            taken += await self._admit_early(early)
        self._early.answered(found, passed_over)
        if 0 < credit <= taken:
            self._early_at = now + _EARLY_AGAIN
        elif not passed_over or credit <= 0:
            self._early_at = now + EVERYBODY_EVERY
        # Otherwise the lanes are asked again as soon as more background records may be released.
        return taken

    async def _admit_early(self, early: list[WaitingRecord]) -> int:
        taken = 0
        for waiting in early:
            await self._budget.wait()
            if waiting.receipt.may_start:
                await self._admit(waiting, early=True)
                taken += 1
        return taken

    def _went(self, released: list[WaitingRecord], *, background: bool) -> None:
        """Record what was released in this iteration."""
        if background and released:
            self._released_background = True
            self._background_room -= len(released)

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
        """Offer a delivery to its lane, or let it wait longer if the lane has no room."""
        now = self._clock.now()
        # An expired delivery ends now, whether or not its lane has room. One that is paused or held waits for
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
            # Its slot has not come yet: it moves on to the next tier.
            self._settler.hop(waiting.receipt, state)
            return
        put_off = policy.slot_until(state, slot.due_at, slot.reason, now)
        if state.has_slot and now < put_off.due_at <= max(waiting.leaves_at, now + LONGEST_REST):
            waiting.until = put_off.due_at
            self._wait(waiting)
            return
        policy.deferred(state, put_off, now)
        self._settler.defer_record(waiting.receipt, state)

    def _trace(self, receipt: Receipt, state: Delivery | UnmatchedEvent) -> None:
        receipt.span = self._tracer.process(
            receipt.record, state.traceparent, self._topics.retry_group, state
        )

    async def _sleep(self) -> None:
        """Sleep until a record is due or arrives, or lanes are asked again; at most 0.5 s if any record waits."""
        # By a timer: a worker without work does nothing more often than this, and asyncio.timeout, which
        # cancels the task and catches that, takes as long as everything else in the iteration.
        loop = asyncio.get_running_loop()
        self._sleeps = loop.create_future()
        # An empty room needs no timer: a record that enters it ends the sleep.
        waker = loop.call_later(self._until_due(), self._wake) if self._room else None
        try:
            await self._sleeps
        finally:
            if waker is not None:
                waker.cancel()
            self._sleeps = None

    def _until_due(self) -> float:
        """Return the seconds until a record is due or lanes are asked again, at most `_LONGEST_SLEEP`."""
        seconds, now = _LONGEST_SLEEP, self._clock.monotonic()
        if self._room.owned:
            seconds = min(seconds, max(0.001, self._early_at - now))
        for background, not_before in ((False, 0.001), (True, self._background.next_at - now)):
            next_due = self._room.next_due(background=background)
            if next_due is not None:
                due_in = (next_due - self._clock.now()) / 1000
                seconds = min(seconds, max(0.001, not_before, due_in))
        return seconds

    def _wake(self) -> None:
        """End the sleep, if any."""
        if self._sleeps is not None and not self._sleeps.done():
            self._sleeps.set_result(None)

    def _flow(self) -> None:
        """Pause partitions whose share of the room is full; fetch them again at half."""
        if self._flowed == self._room.moves:
            return
        self._flowed = self._room.moves
        for where in self._room.to_pause():
            self._partitions.pause(where, PauseReason.FULL)
        for where in self._room.to_resume():
            self._partitions.resume(where, PauseReason.FULL)


def is_background(waiting: WaitingRecord) -> bool:
    """Return whether it is a background record: a delivery of a replay or resend, or an event for one."""
    state = waiting.state
    if isinstance(state, Delivery):
        return state.is_background
    return state.only is not None and state.trigger is not Trigger.TEST


def _read(record: Record) -> Delivery | UnmatchedEvent | HeaderProblem:
    if record.headers_problem is not None:
        # The unreadable header may name the subscription: without it, the event would go to all subscriptions.
        return HeaderProblem("", record.headers_problem)
    if delivery_headers.is_for_subscription(record.headers):
        return delivery_headers.read_delivery(record.headers)
    return delivery_headers.read_unmatched(record.headers)
