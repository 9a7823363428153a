"""A broker in memory, on the loop's virtual time: partitions, groups, commits, acknowledgements.

It keeps the contract of tests/contracts that the real adapters keep, and adds what a real broker
cannot be asked for: a write refused, an acknowledgement held back, a member that dies.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hookstream.core.intake.progress import Progress
from hookstream.core.intake.start import (
    GapThenStart,
    OffsetsLost,
    StartAt,
    StartPolicy,
    start,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Headers, OutgoingRecord, Record, TopicPartition
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Acknowledged, AssignmentListener, Clock, WriteRefused

LOOKUP_SECONDS = 10.0
"""How often a source looks for new topics."""
TAKE_SECONDS = 0.2
"""How long a take waits for a first record."""
REVOKE_SECONDS = 0.7
"""How long a revocation waits for its listener."""

FROM_THE_START = StartPolicy(wanted_from=lambda _: None, wait=lambda _: 0)
"""No record is missed by anybody: a group without commits begins at the log's start."""


@dataclass
class Log:
    """One partition."""

    append_time: bool
    low: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def high(self) -> int:
        return self.low + len(self.records)


class Broker:
    """Topics, groups and their offsets. One for a test; every client is made by it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.commits: dict[str, dict[TopicPartition, int]] = {}
        """By group: the offsets committed."""
        self.notes: dict[str, dict[TopicPartition, str]] = {}
        """By group: the metadata of those commits."""
        self.logs: dict[TopicPartition, Log] = {}
        self.partitions: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self.refusals: dict[str, WriteRefused] = {}
        self._groups: dict[str, _Group] = {}
        self.up = asyncio.Event()
        self.up.set()
        self.appended = asyncio.Event()

    # What an administrator does.

    def create(
        self,
        topic: str,
        partitions: int = 1,
        *,
        append_time: bool = True,
        max_record_bytes: int = 1_048_576,
    ) -> None:
        """Create a topic; sources see it at their next lookup."""
        self.partitions[topic] = partitions
        self.limits[topic] = max_record_bytes
        for number in range(partitions):
            self.logs[TopicPartition(topic, number)] = Log(append_time)

    def topics(self) -> list[str]:
        """Name every topic."""
        return sorted(self.partitions)

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Move the log's start, as retention does."""
        log = self.logs[partition]
        del log.records[: max(0, offset - log.low)]
        log.low = max(log.low, offset)

    def records(self, topic: str) -> list[Record]:
        """Every record of a topic, partition by partition."""
        return [
            r for at, log in sorted(self.logs.items()) if at.topic == topic for r in log.records
        ]

    def low(self, partition: TopicPartition) -> int:
        return self.logs[partition].low

    def high(self, partition: TopicPartition) -> int:
        return self.logs[partition].high

    # Faults.

    def stop(self) -> None:
        """Become unreachable: nothing is read, appended, acknowledged or committed."""
        self.up.clear()

    def resume(self) -> None:
        """Answer again; what waited is appended in its order."""
        self.up.set()
        self.appended.set()

    def refuse(self, topic: str, refusal: WriteRefused | None) -> None:
        """Refuse every later write to a topic for good; None: take them again."""
        if refusal is None:
            self.refusals.pop(topic, None)
        else:
            self.refusals[topic] = refusal

    # Records in.

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp: Millis | None = None,
    ) -> Record:
        """Append a record at once. A timestamp stands only where the topic keeps CreateTime."""
        if partition is None:
            partition = self._partition_of(topic, key)
        log = self.logs[TopicPartition(topic, partition)]
        at = self.clock.now() if timestamp is None or log.append_time else timestamp
        record = Record(
            topic, partition, log.high, at, key, value, tuple(headers), append_time=log.append_time
        )
        log.records.append(record)
        self.appended.set()
        return record

    def _partition_of(self, topic: str, key: bytes | None) -> int:
        if key is not None:
            return zlib.crc32(key) % self.partitions[topic]
        heights = [(self.high(TopicPartition(topic, n)), n) for n in range(self.partitions[topic])]
        return min(heights)[1]

    # Clients.

    def source(
        self,
        group: str,
        topics: Callable[[Iterable[str]], list[str]],
        listener: AssignmentListener,
        starts: StartPolicy = FROM_THE_START,
    ) -> "BrokerSource":
        """Make a member of a group; it joins when it is started."""
        return BrokerSource(
            self, self._groups.setdefault(group, _Group(group)), topics, listener, starts
        )

    def sink(self, latency: float = 0.001) -> "BrokerSink":
        """Make a producer whose writes are acknowledged so many seconds later."""
        return BrokerSink(self, latency)


class _Group:
    """The members of one group and who has what. Rebalances happen one at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: list[BrokerSource] = []
        self._lock = asyncio.Lock()

    async def rebalance(self, broker: Broker) -> None:
        async with self._lock:
            wanted: dict[BrokerSource, set[TopicPartition]] = {m: set() for m in self.members}
            for number, partition in enumerate(sorted(self._partitions(broker))):
                fans = [m for m in self.members if partition.topic in m.subscribed]
                wanted[fans[number % len(fans)]].add(partition)
            for member, partitions in wanted.items():
                await member.give_up(member.held - partitions)
            for member, partitions in wanted.items():
                member.take_over(partitions - member.held)

    def _partitions(self, broker: Broker) -> set[TopicPartition]:
        topics = {topic for member in self.members for topic in member.subscribed}
        return {at for at in broker.logs if at.topic in topics}


class BrokerSource:
    """A RecordSource over the broker in memory."""

    def __init__(
        self,
        broker: Broker,
        group: _Group,
        topics: Callable[[Iterable[str]], list[str]],
        listener: AssignmentListener,
        starts: StartPolicy,
    ) -> None:
        self.held: set[TopicPartition] = set()
        """Every partition assigned, the stopped ones too."""
        self.stopped: dict[TopicPartition, str] = {}
        """The partitions that are not read, and the remedy for each."""
        self.subscribed: list[str] = []
        self._broker = broker
        self._group = group
        self._pick = topics
        self._listener = listener
        self._starts = starts
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._next_lookup = 0.0
        self._turn = 0

    @property
    def exist(self) -> int:
        """As RecordSource says."""
        return sum(self._broker.partitions[topic] for topic in self.subscribed)

    async def start(self) -> None:
        """Join the group and take over partitions."""
        self._group.members.append(self)
        await self._look_up()

    async def close(self) -> None:
        """Give everything up as a rebalance would, and leave the group."""
        self.subscribed = []
        await self._group.rebalance(self._broker)
        await self.crash()

    async def crash(self) -> None:
        """Die: no commit, no word to the listener; others take over at once."""
        if self in self._group.members:
            self._group.members.remove(self)
        self.held.clear()
        self._positions.clear()
        self.stopped.clear()
        await self._group.rebalance(self._broker)

    async def lose(self) -> None:
        """Be thrown out of the group (a session that expired), then join it anew."""
        held, self.held = sorted(self.held - self.stopped.keys()), set()
        self._positions.clear()
        self.stopped.clear()
        self._listener.lost(held)
        await self._group.rebalance(self._broker)

    def refresh_now(self) -> None:
        """Look for new topics with the next take."""
        self._next_lookup = 0.0

    def start_partition(self, partition: TopicPartition, at: "str | Millis") -> None:
        """Resume a stopped partition at `earliest`, `latest` or an append time."""
        if self.stopped.pop(partition, None) is None:
            return
        log = self._broker.logs[partition]
        match at:
            case "earliest":
                offset = log.low
            case "latest":
                offset = log.high
            case _:
                later = (r.offset for r in log.records if r.timestamp >= int(at))
                offset = next(later, log.high)
        self._commit({partition: Progress(offset)})
        self._begin({partition: Progress(offset)})

    async def take(self, most: int) -> Sequence[Record]:
        """As RecordSource says."""
        if self._broker.clock.monotonic() >= self._next_lookup:
            await self._look_up()
        taken = self._ready(most)
        if not taken:
            self._broker.appended.clear()
            try:
                async with asyncio.timeout(TAKE_SECONDS):
                    await self._broker.appended.wait()
            except TimeoutError:
                return ()
            taken = self._ready(most)
        return taken

    def commit(self, offsets: Mapping[TopicPartition, Progress]) -> None:
        """As RecordSource says; while the broker is away, the commit fails."""
        held = {at: progress for at, progress in offsets.items() if at in self._positions}
        if self._broker.up.is_set():
            self._commit(held)
        else:
            self._listener.commit_failed(sorted(held))

    def pause(self, partition: TopicPartition) -> None:
        """As RecordSource says."""
        self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        """As RecordSource says."""
        self._paused.discard(partition)
        self._broker.appended.set()

    # What the group does to it.

    async def give_up(self, partitions: set[TopicPartition]) -> None:
        read = sorted(partitions - self.stopped.keys())
        self.held -= partitions
        for at in partitions:
            self._positions.pop(at, None)
            self._paused.discard(at)
            self.stopped.pop(at, None)
        if not read:
            return
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                self._commit(await self._listener.revoked(read))
        except TimeoutError:
            return

    def take_over(self, partitions: set[TopicPartition]) -> None:
        self.held |= partitions
        positions = {}
        for at in sorted(partitions):
            match self._decide(at):
                case StartAt(commit=commit) as begin:
                    positions[at] = begin.progress
                    if commit:
                        self._commit({at: begin.progress})
                case GapThenStart(offset, missing):
                    self._listener.gap(at, offset - missing, offset)
                    positions[at] = Progress(offset)
                case OffsetsLost(remedy):
                    self.stopped[at] = remedy
                    self._listener.stopped(at, remedy)
        if positions:
            self._begin(positions)

    def _decide(self, at: TopicPartition) -> StartAt | GapThenStart | OffsetsLost:
        log = self._broker.logs[at]
        window = self._starts.telltale(at.topic, self._broker.clock.now())
        telltale = window is not None and any(
            window[0] <= record.timestamp < window[1] for record in log.records
        )
        offset = self._broker.commits.get(self._group.name, {}).get(at)
        note = self._broker.notes.get(self._group.name, {}).get(at, "")
        committed = None if offset is None else Progress(offset, note)
        return start(at, committed, log.low, log.high, telltale=telltale)

    def _begin(self, positions: dict[TopicPartition, Progress]) -> None:
        self._positions.update({at: progress.offset for at, progress in positions.items()})
        self._listener.assigned(positions)
        self._broker.appended.set()

    def _commit(self, offsets: Mapping[TopicPartition, Progress]) -> None:
        if self._broker.up.is_set():
            commits = self._broker.commits.setdefault(self._group.name, {})
            commits.update({at: progress.offset for at, progress in offsets.items()})
            notes = self._broker.notes.setdefault(self._group.name, {})
            notes.update({at: progress.note for at, progress in offsets.items()})

    async def _look_up(self) -> None:
        self._next_lookup = self._broker.clock.monotonic() + LOOKUP_SECONDS
        subscribed = self._pick(self._broker.topics())
        if subscribed != self.subscribed:
            self.subscribed = subscribed
            await self._group.rebalance(self._broker)

    def _ready(self, most: int) -> list[Record]:
        """Take from the partitions in turn, so that none waits for another."""
        taken: list[Record] = []
        if not self._broker.up.is_set():
            return taken
        order = sorted(self._positions)
        self._turn += 1
        for step in range(len(order)):
            at = order[(step + self._turn) % len(order)]
            if at in self._paused or len(taken) == most:
                continue
            log = self._broker.logs[at]
            first = max(0, self._positions[at] - log.low)
            records = log.records[first : first + most - len(taken)]
            if records:
                self._positions[at] = records[-1].offset + 1
                taken.extend(records)
        return taken


class BrokerSink:
    """A RecordSink over the broker in memory."""

    def __init__(self, broker: Broker, latency: float) -> None:
        self.latency = latency
        """Seconds from a write to its append; acknowledged then."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails where nothing more can be written: the process must end."""
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._broker = broker
        self._waiting: deque[tuple[OutgoingRecord, Acknowledged]] = deque()
        self._held = False
        self._dead = False
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """As RecordSink says."""
        if self._dead:
            return
        self._waiting.append((record, acknowledged))
        self._idle.clear()
        asyncio.get_running_loop().call_later(self.latency, self._flush_due)

    def hold(self) -> None:
        """Acknowledge and append nothing until `release`."""
        self._held = True

    def release(self) -> None:
        """Append and acknowledge everything that waits."""
        self._held = False
        self._append_all()

    def fail(self, why: str) -> None:
        """Suffer a fatal producer error: nothing that waits is ever acknowledged."""
        self._dead = True
        self.failed.set_exception(InvariantBroken(why))

    def crash(self, *, appended: bool) -> None:
        """Die with the process; what waits was appended, or was not, and is never acknowledged."""
        self._dead = True
        while self._waiting:
            record, _ = self._waiting.popleft()
            if appended:
                self._append(record)

    async def flush(self, deadline: float) -> bool:
        """Wait for what is written, at most so many seconds; tell whether all is acknowledged."""
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Take no more."""
        self._dead = True

    def _flush_due(self) -> None:
        if self._held or self._dead or not self._waiting:
            return
        if not self._broker.up.is_set():
            asyncio.get_running_loop().call_later(0.1, self._flush_due)
            return
        record, acknowledged = self._waiting.popleft()
        self._settle(record, acknowledged)

    def _append_all(self) -> None:
        while self._waiting and not self._dead:
            self._settle(*self._waiting.popleft())

    def _settle(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        refusal = self._append(record)
        if not self._waiting:  # before the acknowledgement, which may write again
            self._idle.set()
        try:
            acknowledged(refusal)
        except Exception as error:  # noqa: BLE001  as the real one: what is settled is not known
            self.fail(f"an acknowledgement could not be taken: {error!r}")

    def _append(self, record: OutgoingRecord) -> WriteRefused | None:
        broker = self._broker
        if record.topic not in broker.partitions:
            return WriteRefused(f"{record.topic} does not exist", too_large=False)
        if (refusal := broker.refusals.get(record.topic)) is not None:
            return refusal
        size = Record(record.topic, 0, 0, 0, record.key, record.value, record.headers).size
        limit = broker.limits[record.topic]
        if size > limit:
            return WriteRefused(f"{size} bytes, {record.topic} takes {limit}", too_large=True)
        broker.append(record.topic, record.value, key=record.key, headers=record.headers)
        return None
