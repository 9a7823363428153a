"""A hundred thousand deliveries of one endpoint through lanes, rooms and tiers, in seconds.

A discrete-event simulation over the pure core: lane, waiting room and ladder are the product's own.
What the pipeline does with them is modelled here, without decoding, signing and waiting for a
loop; `test_lanes.py` has smaller backlogs through the pipeline itself.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.policy import Deferral, LanePolicy
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.outcome import Delivered, Failed, FailureKind, Outcome
from hookstream.core.model.record import TopicPartition
from hookstream.core.retry.tiers import LONGEST_REST, HopDownAt, Ladder
from hookstream.core.retry.waiting import Owner, WaitingRoom

TURN = 0.25
"""Seconds between checks of rooms and lanes."""
READ_IN_A_TURN = 1_500
"""Records that a worker takes from all its tiers in a turn: 6,000 a second."""
SIZE = 1_000
SCHEDULE: tuple[Millis, ...] = (
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
)
BOOKED = (DeferReason.LANE_FULL, DeferReason.RATE_LIMITED)

Endpoint = Callable[[float], tuple[float, Outcome]]
"""The answer to an attempt that starts now, and after how many seconds."""

DOWN = Failed(FailureKind.CONNECT, "connection refused")


def answers(seconds: float) -> Endpoint:
    return lambda _: (seconds, Delivered(204))


def down_until(back: float, seconds: float) -> Endpoint:
    return lambda now: (0.001, DOWN) if now < back else (seconds, Delivered(204))


@dataclass(slots=True, eq=False)
class Item:
    """One delivery."""

    number: int
    step: int = 0
    due_at: Millis = 0
    reason: DeferReason | None = None
    since: float = 0.0
    """Start of the present, unbroken wait for `reason`."""


@dataclass(slots=True, eq=False)
class Entry:
    """One record of a tier."""

    item: Item
    at: TopicPartition
    offset: int
    delay: Millis
    appended_at: Millis
    due_at: Millis
    reason: DeferReason | None
    settled: bool = False
    hop: bool = False
    until: Millis = 0


@dataclass(slots=True, eq=False)
class Log:
    at: TopicPartition
    order: int
    """Its place among all logs: they are read in this order."""
    entries: list[Entry] = field(default_factory=list)
    position: int = 0
    paused: bool = False


class SimWorker:
    """What one worker keeps in memory."""

    def __init__(self, policy: LanePolicy, room_bytes: int) -> None:
        self.lane = Lane(policy)
        self.room: WaitingRoom[Entry] = WaitingRoom(room_bytes, 64 << 10)
        self.queue: deque[tuple[Item, Entry | None]] = deque()
        self.alive = True
        self.asleep = False


class Backlog:
    """One endpoint, its deliveries, and so many workers."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        workers: int = 1,
        partitions: int = 12,
        max_in_flight: int = 32,
        rate_limit: float | None = None,
        room_bytes: int = 32 << 20,
    ) -> None:
        self.now = 0.0
        self.writes = 0
        self.attempts: list[float] = []
        self.delivered: list[float] = []
        self._endpoint = endpoint
        self._partitions = partitions
        self._max_in_flight = max_in_flight
        self._rate_limit = rate_limit
        self._room_bytes = room_bytes
        self._ladder = Ladder()
        orders = count()
        self._tiers = {
            delay: [
                Log(TopicPartition(f"retry.{delay}", number), next(orders))
                for number in range(partitions)
            ]
            for delay in self._ladder.delays
        }
        self._ordered = [log for logs in self._tiers.values() for log in logs]
        self._logs = {log.at: log for log in self._ordered}
        self._unread: set[int] = set()
        """The logs that have entries which nobody has read, by their order."""
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._tickets = count()
        self._fresh: set[int] = set()
        """Events whose offsets are not settled: only a worker has them."""
        self.workers: list[SimWorker] = []
        self.start(workers)

    # Events.

    def start(self, workers: int) -> None:
        """Start so many new workers without state; whatever others had is read again."""
        for worker in self.workers:
            worker.alive = False
        rate = None if self._rate_limit is None else self._rate_limit / workers
        policy = LanePolicy(self._max_in_flight, rate_limit=rate)
        self.workers = [SimWorker(policy, self._room_bytes) for _ in range(workers)]
        for log in self._ordered:
            log.position, log.paused = 0, False
            while log.position < len(log.entries) and log.entries[log.position].settled:
                log.position += 1
            if log.position < len(log.entries):
                self._unread.add(log.order)
        unsettled, self._fresh = sorted(self._fresh), set()
        self.publish(unsettled)

    def publish(self, numbers: Iterable[int]) -> None:
        """Match events: each is attempted soon, or goes to a tier."""
        for number in numbers:
            worker = self.workers[number % len(self.workers)]
            item = Item(number)
            if worker.lane.full(len(worker.queue), self.now, alone=False):
                self._defer(item, worker.lane.defer(self.now))
            else:
                self._fresh.add(number)
                worker.queue.append((item, None))
                self._attempt(worker)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self.now < until:
            self._turn()
            end = self.now + TURN
            while self._agenda and self._agenda[0][0] <= end:
                self.now, _, happen = heapq.heappop(self._agenda)
                happen()
            self.now = end

    # What a worker does.

    def _turn(self) -> None:
        for index, worker in enumerate(self.workers):
            self._read(worker, index)
            for entry in worker.room.due(self._millis()):
                self._admit(worker, entry)
            for owner in worker.room.owners():
                wanted = worker.lane.early_room(len(worker.queue), self.now)
                for entry in worker.room.early(owner, wanted):
                    self._admit(worker, entry)
            self._flow(worker)
            lane = worker.lane
            for _ in range(lane.excess(len(worker.queue), self.now, alone=False)):
                item, came_from = worker.queue.pop()
                self._settle(item, came_from)
                self._defer(item, self._slot(lane, item))
            self._attempt(worker)

    def _read(self, worker: SimWorker, index: int) -> None:
        left = READ_IN_A_TURN
        for order in sorted(self._unread):
            log = self._ordered[order]
            if log.at.partition % len(self.workers) != index:
                continue
            while left and not log.paused and log.position < len(log.entries):
                entry = log.entries[log.position]
                log.position += 1
                left -= 1
                if not entry.settled:
                    self._enter(worker, entry)
                if left % 100 == 0:
                    self._flow(worker)
            if log.position == len(log.entries):
                self._unread.discard(order)

    def _enter(self, worker: SimWorker, entry: Entry) -> None:
        now = self._millis()
        if entry.reason is None:
            release = self._ladder.release(entry.appended_at, entry.delay, entry.due_at, now=now)
        else:
            release = self._ladder.release_slot(
                entry.appended_at, entry.delay, entry.due_at, now=now
            )
            if entry.reason in BOOKED:
                worker.lane.seen(entry.due_at / 1000)
        entry.hop = isinstance(release, HopDownAt)
        entry.until = release.instant
        self._wait(worker, entry)

    def _wait(self, worker: SimWorker, entry: Entry) -> None:
        owner = None if entry.reason is None else Owner("endpoint")
        worker.room.admit(entry.at, entry.offset, entry.until, SIZE, entry, None, owner)

    def _flow(self, worker: SimWorker) -> None:
        for at in worker.room.to_pause():
            self._logs[at].paused = True
        for at in worker.room.to_resume():
            self._logs[at].paused = False

    def _admit(self, worker: SimWorker, entry: Entry) -> None:
        now, item, lane = self._millis(), entry.item, worker.lane
        if entry.hop and entry.reason is None:
            self._settle(item, entry)
            self._append(item, self._ladder.place(now, entry.due_at))
            return
        if not lane.full(len(worker.queue), self.now, alone=False, again=True):
            worker.queue.append((item, entry))
            self._attempt(worker)
            return
        if entry.hop and entry.due_at > now:
            self._settle(item, entry)
            self._append(item, self._ladder.place_slot(now, entry.due_at))
            return
        deferral = self._slot(lane, item)
        slot = int(deferral.slot * 1000) + 1
        leaves_at = entry.appended_at + entry.delay
        if entry.reason is not None and now < slot <= max(leaves_at, now + LONGEST_REST):
            entry.until = slot
            self._wait(worker, entry)
            return
        self._settle(item, entry)
        self._defer(item, deferral)

    def _attempt(self, worker: SimWorker) -> None:
        lane = worker.lane
        while worker.queue and lane.may_start(self.now):
            item, entry = worker.queue.popleft()
            self._begin(worker, item, entry)
        if worker.queue and worker.alive and not worker.asleep:
            at = lane.start_at(self.now)
            if at is not None:
                worker.asleep = True
                self._later(max(at, self.now + 0.001), partial(self._wake, worker))

    def _wake(self, worker: SimWorker) -> None:
        worker.asleep = False
        self._attempt(worker)

    def _later(self, at: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._tickets), happen))

    def _begin(self, worker: SimWorker, item: Item, entry: Entry | None) -> None:
        # A retry is never early; a delivery that waits for its slot may be.
        assert entry is None or entry.reason is not None or entry.due_at <= self._millis()
        ticket = next(self._tickets)
        worker.lane.start(ticket, self.now)
        self.attempts.append(self.now)
        took, outcome = self._endpoint(self.now)
        self._later(self.now + took, partial(self._answered, worker, ticket, item, entry, outcome))

    def _answered(
        self, worker: SimWorker, ticket: int, item: Item, entry: Entry | None, outcome: Outcome
    ) -> None:
        worker.lane.finish(ticket, self.now, outcome)
        if not worker.alive:
            # It was killed, or its partitions moved: nothing is settled, all of it is read again.
            return
        self._settle(item, entry)
        if isinstance(outcome, Delivered):
            self.delivered.append(self.now)
        else:
            item.due_at = self._millis() + SCHEDULE[item.step]
            item.step += 1
            item.reason = None
            self._append(item, self._ladder.place(self._millis(), item.due_at))
        self._attempt(worker)

    def _slot(self, lane: Lane, item: Item) -> Deferral:
        waited = self.now - item.since if item.reason is DeferReason.BREAKER_OPEN else 0.0
        return lane.defer(self.now, missed_slot=item.reason is not None, waited=waited)

    # Tiers.

    def _defer(self, item: Item, deferral: Deferral) -> None:
        item.due_at = int(deferral.slot * 1000) + 1
        if item.reason is not deferral.reason:
            item.reason, item.since = deferral.reason, self.now
        self._append(item, self._ladder.place_slot(self._millis(), item.due_at))

    def _append(self, item: Item, delay: Millis) -> None:
        self.writes += 1
        log = self._tiers[delay][(item.number * 7919) % self._partitions]
        log.entries.append(
            Entry(
                item,
                log.at,
                len(log.entries),
                delay,
                self._millis(),
                item.due_at,
                item.reason,
            )
        )
        self._unread.add(log.order)

    def _settle(self, item: Item, entry: Entry | None) -> None:
        if entry is None:
            self._fresh.discard(item.number)
        else:
            entry.settled = True

    def _millis(self) -> Millis:
        return int(self.now * 1000)
