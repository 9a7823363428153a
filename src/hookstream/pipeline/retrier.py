"""The retrier reads every tier, keeps what is not due in the waiting room, and admits what is."""

import asyncio
from dataclasses import dataclass

from hookstream.core.deadletter import letter
from hookstream.core.deadletter.reading import LetterProblem
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.retry.tiers import HopDownAt, Ladder
from hookstream.core.retry.waiting import WaitingRoom
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.intake import Seeing
from hookstream.pipeline.partitions import Partitions, Receipt
from hookstream.pipeline.ports import Clock, RecordSource

_MOST = 500
_LONGEST_SLEEP = 0.5
"""Seconds between looks at the room: a wall clock that jumps is noticed within it."""


@dataclass(slots=True)
class Waiting:
    """A tier record that is not due yet."""

    receipt: Receipt
    state: Delivery | UnmatchedEvent
    hop: bool
    """True: it moves on to a smaller tier when it leaves this one."""


@dataclass(slots=True, frozen=True)
class Tiers:
    """What the tiers are called, and when they let a record go."""

    topics: Topics
    ladder: Ladder
    clock: Clock


class Retrier:
    """The loops over the tiers: one takes, one releases what came due."""

    def __init__(
        self,
        source: RecordSource,
        partitions: Partitions,
        room: WaitingRoom[Waiting],
        admission: Admission,
        gate: Gate,
        tiers: Tiers,
        seeing: Seeing,
    ) -> None:
        """Take from `source`, whose listener is `partitions`."""
        self._source = source
        self._partitions = partitions
        self._room = room
        self._admission = admission
        self._settler = admission.settler
        self._budget = admission.budget
        self._gate = gate
        self._topics = tiers.topics
        self._ladder = tiers.ladder
        self._clock = tiers.clock
        self._tracer = seeing.tracer
        self._arrived = asyncio.Event()

    async def take(self) -> None:
        """Move records from the tiers into the waiting room until cancelled."""
        while True:
            batch = await self._source.take(_MOST)
            if not batch:
                await asyncio.sleep(0)
                continue
            for receipt in self._partitions.receive(batch):
                self._enter(receipt)
            self._arrived.set()
            self._flow()

    def _enter(self, receipt: Receipt) -> None:
        record = receipt.record
        state = _read(record)
        if isinstance(state, LetterProblem):
            self._settler.unreadable(receipt, state)
            return
        delay = self._topics.delay_of(record.topic) or 0
        release = self._ladder.release(
            record.timestamp, delay, state.due_at, now=self._clock.now()
        )
        hop = isinstance(release, HopDownAt)
        instant = release.instant
        key = None
        if isinstance(state, Delivery):
            key = (state.delivery_id, state.attempt)
        merged = self._room.admit(
            receipt.where, record.offset, instant, receipt.size, Waiting(receipt, state, hop), key
        )
        if merged is not None:
            # Two copies of one delivery after a crash: one goes on, the other is settled with it.
            merged.receipt.release()

    async def release(self) -> None:
        """Admit what came due, never early, until cancelled."""
        while True:
            await self._gate.open()
            if self._budget.room <= 0:
                await self._budget.wait()
                continue
            due = self._room.due(self._clock.now(), most=self._budget.room)
            for waiting in due:
                if waiting.receipt.live:
                    await self._admit(waiting)
            self._flow()
            if not due:
                await self._sleep()

    async def _admit(self, waiting: Waiting) -> None:
        receipt, state = waiting.receipt, waiting.state
        if waiting.hop:
            self._settler.hop(receipt, state)
            return
        receipt.span = self._tracer.process(
            receipt.record, state.traceparent, self._topics.retry_group
        )
        if isinstance(state, Delivery):
            self._admission.due(receipt, state)
        else:
            await self._admission.unmatched(receipt, state)

    async def _sleep(self) -> None:
        """Sleep until the next record is due, one arrives, or half a second passed."""
        self._arrived.clear()
        next_due = self._room.next_due()
        seconds = _LONGEST_SLEEP
        if next_due is not None:
            seconds = min(seconds, max(0.001, (next_due - self._clock.now()) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    def _flow(self) -> None:
        """Stop fetching partitions whose share of the room is full; fetch them again at half."""
        for where in self._room.to_pause():
            self._partitions.fill(where)
        for where in self._room.to_resume():
            self._partitions.drain(where)

    def drop(self, gone: frozenset[TopicPartition]) -> None:
        """Forget the waiting records of partitions that are not ours any more."""
        for where in gone:
            self._room.drop(where)


def _read(record: Record) -> Delivery | UnmatchedEvent | LetterProblem:
    if letter.is_for_subscription(record.headers):
        return letter.read_delivery(record.headers)
    return letter.read_unmatched(record.headers)
