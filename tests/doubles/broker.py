"""A broker in memory, on the loop's virtual time: partitions, groups, commits, acknowledgements.

It keeps the contract of tests/contracts that the real adapters keep, and adds what a real broker
cannot be made to do: refuse a write, delay an acknowledgement, lose a member.
"""

import asyncio
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from tests.doubles.broker_sink import BrokerSink

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Headers, OutgoingRecord, Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import (
    GapThenStart,
    OffsetsLost,
    Start,
    StartAt,
    StartPolicy,
    start,
)
from hookstream.pipeline.ports import AssignmentListener, Clock, WriteRefused

LOOKUP_SECONDS = 10.0
"""How often a source checks for new topics."""
TAKE_SECONDS = 5.0
"""How long a take waits for a first record: whatever can be taken ends the wait."""
REVOKE_SECONDS = 3.0
"""How long a revocation waits for its listener."""

FROM_THE_START = StartPolicy(wanted_from=lambda _: None, wait=lambda _: 0)
"""No record is missed: a group without commits starts at the log's start."""


@dataclass
class Log:
    """One partition."""

    append_time: bool
    low: int = 0
    high: int = 0
    records: list[Record] = field(default_factory=list)
    """In the order of their offsets, which have gaps where transactions left their markers."""
    opened: list[int] = field(default_factory=list)
    """The records of open transactions, in order."""

    @property
    def stable(self) -> int:
        """The last stable offset: what lies behind it cannot be read yet."""
        return self.opened[0] if self.opened else self.high

    def since(self, offset: int, most: int) -> list[Record]:
        """Return the first records from an offset on that can be read, so many at most."""
        first = bisect_left(self.records, offset, key=_offset_of)
        if not self.opened:
            return self.records[first : first + most]
        end = bisect_left(self.records, self.opened[0], key=_offset_of)
        return self.records[first : min(end, first + most)]


_offset_of: Callable[[Record], int] = attrgetter("offset")


class Broker:
    """Topics, groups and their offsets. One for a test; every client is made by it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.commits: dict[str, dict[TopicPartition, int]] = {}
        """By group: the offsets committed."""
        self.metadata: dict[str, dict[TopicPartition, str]] = {}
        """By group: the metadata of those commits."""
        self.logs: dict[TopicPartition, Log] = {}
        self.partitions: dict[str, int] = {}
        self._topics: list[str] = []
        self.limits: dict[str, int] = {}
        self.refusals: dict[str, WriteRefused] = {}
        self._groups: dict[str, _Group] = {}
        self.sources: list[BrokerSource] = []
        self._followers: dict[str, list[Callable[[Record], None]]] = {}
        self.up = asyncio.Event()
        self.up.set()

    # Operations of an administrator.

    def create(
        self,
        topic: str,
        partitions: int = 1,
        *,
        append_time: bool = True,
        max_record_bytes: int = 1_048_576,
    ) -> None:
        """Create a topic; sources see it at their next lookup."""
        self.partitions[topic] = 0
        self._topics = sorted(self.partitions)
        self.limits[topic] = max_record_bytes
        self.add_partitions(topic, partitions, append_time=append_time)

    def add_partitions(self, topic: str, more: int, *, append_time: bool = True) -> None:
        """Add partitions to a topic; sources see them at their next lookup."""
        first = self.partitions[topic]
        self.partitions[topic] = first + more
        for number in range(first, first + more):
            self.logs[TopicPartition(topic, number)] = Log(append_time)

    def topics(self) -> list[str]:
        """Name every topic."""
        return list(self._topics)

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Move the log's start, as retention does."""
        log = self.logs[partition]
        del log.records[: bisect_left(log.records, offset, key=_offset_of)]
        log.low = max(log.low, offset)

    def records(self, topic: str) -> list[Record]:
        """Every record of a topic, partition by partition."""
        return [
            r for at, log in sorted(self.logs.items()) if at.topic == topic for r in log.records
        ]

    def follow(self, topic: str, appended: Callable[[Record], None]) -> None:
        """Call `appended` with each record that is appended to a topic from now on."""
        self._followers.setdefault(topic, []).append(appended)

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
        for source in self.sources:
            source.wake()

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
        headers_problem: str | None = None,
    ) -> Record:
        """Append a record at once. A timestamp is kept only if the topic has CreateTime."""
        if partition is None:
            partition = self._partition_of(topic, key)
        where = TopicPartition(topic, partition)
        log = self.logs[where]
        at = self.clock.now() if timestamp is None or log.append_time else timestamp
        record = Record(
            topic,
            partition,
            log.high,
            at,
            key,
            value,
            tuple(headers),
            append_time=log.append_time,
            headers_problem=headers_problem,
        )
        log.records.append(record)
        log.high += 1
        for source in self.sources:
            source.wake(where)
        for appended in self._followers.get(topic, ()):
            appended(record)
        return record

    def write(self, record: OutgoingRecord) -> WriteRefused | None:
        """Append a producer's record, or return why it is refused for good."""
        if record.topic not in self.partitions:
            return WriteRefused(f"{record.topic} does not exist", too_large=False)
        if (refusal := self.refusals.get(record.topic)) is not None:
            return refusal
        size = len(record.key or b"") + len(record.value or b"")
        size += sum([len(name) + len(value or b"") for name, value in record.headers])
        limit = self.limits[record.topic]
        if size > limit:
            return WriteRefused(f"{size} bytes, {record.topic} takes {limit}", too_large=True)
        headers = [
            each if each[0].isascii() else (_escaped(each[0]), each[1]) for each in record.headers
        ]
        self.append(record.topic, record.value, key=record.key, headers=headers)
        return None

    def mark(self, partition: TopicPartition) -> None:
        """End a transaction: its marker takes an offset, and no record ever comes from it."""
        self.logs[partition].high += 1

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Take a group's offsets and their metadata over."""
        commits = self.commits.setdefault(group, {})
        commits.update({at: position.offset for at, position in offsets.items()})
        metadata = self.metadata.setdefault(group, {})
        metadata.update({at: position.metadata for at, position in offsets.items()})

    def forget(self, group: str, partition: TopicPartition) -> None:
        """Lose what a group has committed for a partition, as happens to a group without members."""
        self.commits[group].pop(partition, None)
        self.metadata[group].pop(partition, None)

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
        starts: StartPolicy = FROM_THE_START,
        made_as: "type[BrokerSource] | None" = None,
    ) -> "BrokerSource":
        """Make a member of a group; it joins when it is started."""
        return (made_as or BrokerSource)(
            self, self._groups.setdefault(group, _Group(group)), topics, starts
        )

    async def move(self, group: str) -> None:
        """Rebalance a group so that each partition goes to the next member, as rebalances may."""
        found = self._groups.get(group)
        if found is not None:
            found.turn += 1
            await found.rebalance(self)

    def sink(self, latency: float = 0.001) -> BrokerSink:
        """Make a producer whose writes are acknowledged so many seconds later."""
        return BrokerSink(self, latency)


class _Group:
    """The members of one group and who has what. Rebalances happen one at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: list[BrokerSource] = []
        self.turn = 0
        """With each shift, every partition goes to another member."""
        self.lock = asyncio.Lock()

    async def rebalance(self, broker: Broker) -> None:
        async with self.lock:
            wanted: dict[BrokerSource, set[TopicPartition]] = {m: set() for m in self.members}
            for number, partition in enumerate(sorted(self._partitions(broker))):
                fans = [m for m in self.members if partition.topic in m.subscribed]
                wanted[fans[(number + self.turn) % len(fans)]].add(partition)
            for member, partitions in wanted.items():
                await member.give_up(member.assigned - partitions)
            for member, partitions in wanted.items():
                member.take_over(partitions - member.assigned)

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
        starts: StartPolicy,
    ) -> None:
        self.assigned: set[TopicPartition] = set()
        """Every partition assigned, the stopped ones too."""
        self.stopped: dict[TopicPartition, str] = {}
        """The partitions that are not read, and the remedy for each."""
        self._wanted: dict[TopicPartition, tuple[str | Millis, bool]] = {}
        """Where an operator starts partitions while the broker is out of reach."""
        self.subscribed: list[str] = []
        self._partitions: list[int] = []
        """How many each of them had at the last lookup."""
        self.dead = False
        """Whether its process died, which the group has not detected: it is still assigned partitions."""
        self.broker = broker
        self.up = broker.up
        """Whether it reaches the broker."""
        self.group = group
        self._pick = topics
        self._listener: AssignmentListener
        self._starts = starts
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._next_lookup = 0.0
        self._turn = 0
        self._waits: asyncio.Future[str] | None = None
        """What ends the take that waits, if one does."""

    @property
    def exist(self) -> int:
        """As in RecordSource."""
        return sum(self.broker.partitions[topic] for topic in self.subscribed)

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group and take over partitions."""
        self._listener = listener
        self.broker.sources.append(self)
        self.group.members.append(self)
        await self._look_up()

    async def close(self) -> None:
        """Revoke everything as a rebalance would, and leave the group."""
        self.subscribed = []
        await self.group.rebalance(self.broker)
        await self.crash()

    async def crash(self) -> None:
        """Die: no commit, no call of the listener; others take over at once."""
        if self in self.group.members:
            self.group.members.remove(self)
        if self in self.broker.sources:
            self.broker.sources.remove(self)
        self.assigned.clear()
        self._positions.clear()
        self.stopped.clear()
        await self.group.rebalance(self.broker)

    async def lose(self, *, notified_after: float = 0.0) -> None:
        """Be expelled from the group (its session expired), then join it again.

        Others have its partitions at once; the member itself is notified so many seconds later,
        and what it commits until then is refused.
        """
        async with self.group.lock:
            if self not in self.group.members:
                return  # it has left, or is out already
            assigned, self.assigned = sorted(self.assigned - self.stopped.keys()), set()
            self._positions.clear()
            self._paused.clear()
            self.stopped.clear()
            if notified_after:
                self.group.members.remove(self)
        if notified_after:
            await self.group.rebalance(self.broker)
            await asyncio.sleep(notified_after)
            if self not in self.broker.sources:
                return
            self.group.members.append(self)
        self._listener.on_lost(assigned)
        await self.group.rebalance(self.broker)

    def refresh_now(self) -> None:
        """Look for new topics with the next take, which is soon."""
        self._next_lookup = 0.0
        self.wake()

    def start_partition(
        self, partition: TopicPartition, at: "str | Millis", *, blocked: bool = False
    ) -> None:
        """Resume a partition that is stopped or paused, as KafkaSource does."""
        if partition not in self.stopped and not (blocked and partition in self._positions):
            return
        if not self.up.is_set():
            # Its start is queried from the broker, and committed before any of its records is read.
            self._wanted[partition] = (at, blocked)
            return
        stopped = self.stopped.pop(partition, None) is not None
        log = self.broker.logs[partition]
        match at:
            case "earliest":
                offset = log.low
            case "latest":
                offset = log.high
            case _:
                later = (r.offset for r in log.records if r.timestamp >= int(at))
                offset = next(later, log.high)
        if stopped:
            self._commit({partition: CommitPosition(offset)})
            self._begin({partition: CommitPosition(offset)})
            return
        following = self._positions[partition]
        if offset > following:
            self._positions[partition] = offset
            self._listener.on_gap(partition, following, offset)
        self._listener.on_started(partition, offset)
        self.wake()

    async def take(self, most: int) -> Sequence[Record]:
        """As in RecordSource."""
        if self.broker.clock.monotonic() >= self._next_lookup:
            await self._look_up()
        taken = self._ready(most)
        if not taken and await self._woken():
            taken = self._ready(most)
        return taken

    async def _woken(self) -> bool:
        """Return whether it is worth looking again, within the time of a take."""
        loop = asyncio.get_running_loop()
        self._waits = loop.create_future()
        late = loop.call_later(TAKE_SECONDS, _end, self._waits, "late")
        try:
            return await self._waits == "woken"
        finally:
            late.cancel()
            self._waits = None

    def wake(self, appended: TopicPartition | None = None) -> None:
        """Look again whether there are records: one was appended, or anything may have changed."""
        if self._waits is not None and (appended is None or appended in self._positions):
            _end(self._waits, "woken")

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """As in RecordSource; while the broker is away, the commit fails."""
        assigned = {at: position for at, position in offsets.items() if at in self._positions}
        if self.up.is_set():
            self._commit(assigned)
        else:
            self._listener.on_commit_failed(sorted(assigned))

    def pause(self, partition: TopicPartition) -> None:
        """As in RecordSource."""
        if partition in self._positions:
            self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        """As in RecordSource."""
        self._paused.discard(partition)
        self.wake()

    # Calls from the group.

    async def give_up(self, partitions: set[TopicPartition]) -> None:
        read = sorted(partitions - self.stopped.keys())
        self.assigned -= partitions
        for at in partitions:
            self._positions.pop(at, None)
            self._paused.discard(at)
            self.stopped.pop(at, None)
            self._wanted.pop(at, None)
        if not read:
            return
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                self._commit(await self._listener.on_revoked(read))
        except TimeoutError:
            return

    def take_over(self, partitions: set[TopicPartition]) -> None:
        self.assigned |= partitions
        if self.dead:
            return
        positions = {}
        for at in sorted(partitions):
            match self.decide(at):
                case StartAt(commit=commit) as begin:
                    positions[at] = begin.position
                    if commit:
                        # A partition is not read before this is durable, however long it takes.
                        self.broker.commit(self.group.name, {at: begin.position})
                case GapThenStart(first, next_offset, position):
                    self._listener.on_gap(at, first, next_offset)
                    positions[at] = position
                case OffsetsLost(remedy):
                    self.stopped[at] = remedy
                    self._listener.on_stopped(at, remedy)
        if positions:
            self._begin(positions)

    def decide(self, at: TopicPartition) -> Start:
        """Return where an assigned partition starts."""
        log = self.broker.logs[at]
        window = self._starts.telltale(at.topic, self.broker.clock.now())
        telltale = window is not None and any(
            window[0] <= record.timestamp < window[1] for record in log.records
        )
        offset = self.broker.commits.get(self.group.name, {}).get(at)
        metadata = self.broker.metadata.get(self.group.name, {}).get(at, "")
        committed = None if offset is None else CommitPosition(offset, metadata)
        return start(at, committed, log.low, log.high, telltale=telltale)

    def _begin(self, positions: dict[TopicPartition, CommitPosition]) -> None:
        self._positions.update({at: position.offset for at, position in positions.items()})
        self._listener.on_assigned(positions)
        self.wake()

    def _vanished(self, at: TopicPartition) -> None:
        """Decide again where a partition starts whose position is no longer in its log."""
        del self._positions[at]
        self._listener.on_lost([at])
        self.take_over({at})

    def _commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        if self.up.is_set():
            self.broker.commit(self.group.name, offsets)

    async def _look_up(self) -> None:
        self._next_lookup = self.broker.clock.monotonic() + LOOKUP_SECONDS
        subscribed = self._pick(self.broker.topics())
        partitions = [self.broker.partitions[topic] for topic in subscribed]
        if subscribed != self.subscribed or partitions != self._partitions:
            self.subscribed, self._partitions = subscribed, partitions
            await self.group.rebalance(self.broker)

    def _ready(self, most: int) -> list[Record]:
        """Take from the partitions in turn, so that none waits for another."""
        taken: list[Record] = []
        if not self.up.is_set():
            return taken
        while self._wanted:
            where, (begin, blocked) = self._wanted.popitem()
            self.start_partition(where, begin, blocked=blocked)
        logs, positions = self.broker.logs, self._positions
        for at in [at for at in positions if positions[at] < logs[at].low]:
            if at not in self._paused:
                self._vanished(at)
        self._turn += 1
        if any(positions[at] < logs[at].high for at in positions):
            self._read(taken, most)
        return taken

    def _read(self, taken: list[Record], most: int) -> None:
        logs, positions = self.broker.logs, self._positions
        order = sorted(positions)
        for step in range(len(order)):
            at = order[(step + self._turn) % len(order)]
            if at in self._paused or len(taken) == most:
                continue
            records = logs[at].since(positions[at], most - len(taken))
            if records:
                positions[at] = records[-1].offset + 1
                taken.extend(records)


def _escaped(name: str) -> str:
    """Return a header's name as it is read again: what UTF-8 cannot express is escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _end(waits: asyncio.Future[str], how: str) -> None:
    if not waits.done():
        waits.set_result(how)
