"""Which partitions a group member has, where each begins, and how they come and go.

A new partition is parked (assigned, but paused beyond its end) until the broker said what is needed to
decide where it begins; then it is read, or stays parked until an operator names a position. The
rebalance callbacks run on the member's thread, inside a poll or its close.
"""

import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.adapters.kafka.client import Trouble
from hookstream.adapters.kafka.commits import Commits
from hookstream.adapters.kafka.fetch_errors import FetchErrors
from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.adapters.kafka.offsets import find_starts, offset_at
from hookstream.adapters.kafka.sequence import SequenceCheck
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.pauses import PauseReason, Pauses
from hookstream.core.offsets.start import GapThenStart, OffsetsLost, Start, StartAt
from hookstream.pipeline.ports import Clock, Journal

_BEYOND = 1 << 62
"""Where a parked partition stands: behind the end of any log.

Not at OFFSET_END, which the client has to ask the broker for: where it asks again, as the broker is
slow or has just come back, the answer may come when the partition is read already, and reading then
goes on at the log's end. What lies between would be skipped in silence.
"""

_ASK_SECONDS = 5.0
_PLACE_SECONDS = 5.0
_REVOKE_SECONDS = 3.0
"""The group waits for a revocation, and with it the partitions that are kept: its listener ends by
itself within half a second. Only a process that gets no CPU takes longer, and then it is better to
wait than to go without the last commit, which would have everything since made twice."""


class Assignment:
    """The partitions of one member. All that is not said to be the loop's belongs to its thread."""

    def __init__(
        self,
        consumer: Consumer,
        listener: ConsumerListener,
        loop: LoopBridge,
        journal: Journal,
        clock: Clock,
        skipped: Container[tuple[TopicPartition, int]] = (),
    ) -> None:
        self._skipped = skipped
        """What operators stepped over."""
        self.read: dict[TopicPartition, int] = {}
        """What is read, and where each began."""
        self.left: set[TopicPartition] = set()
        """Given up since this was last cleared."""
        self.resting = False
        """Nothing is fetched, so that the group can be served without records coming."""
        self._consumer = consumer
        self._listener = listener
        self._loop = loop
        self._journal = journal
        self._clock = clock
        self._unknown = Trouble("positions.unknown", journal, clock, patience=5.0)
        self._unplaced: set[TopicPartition] = set()
        """Where they begin could not be found out yet."""
        self._stopped: dict[TopicPartition, str] = {}
        self._wanted: dict[TopicPartition, str | Millis] = {}
        """The positions that an operator named and that were not taken up yet."""
        self._standing: set[TopicPartition] = set()
        """Of these, what stands still although it can be fetched."""
        self._beginnings = SequenceCheck()
        self.commits = Commits(consumer, self._uncommitted, clock)
        self.faults = FetchErrors(listener, loop, journal, clock)
        self._lock = threading.Lock()
        self._pauses = Pauses()
        """Shared, under `_lock`."""

    @property
    def parked(self) -> bool:
        """Whether a partition is assigned that is not read."""
        return bool(self._unplaced or self._stopped)

    # On the loop.

    def pause(self, partition: TopicPartition) -> None:
        """Fetch no more of a partition."""
        with self._lock:
            self._pauses.add(partition, PauseReason.REQUESTED)
            if not self.resting:
                self._consumer.pause([_kafka(partition)])

    def resume(self, partition: TopicPartition) -> None:
        """Fetch a partition again."""
        with self._lock:
            self._pauses.remove(partition, PauseReason.REQUESTED)
            if self._flows(partition):
                self._consumer.resume([_kafka(partition)])

    # On the thread.

    def commit_settled(self) -> None:
        """Commit what was settled of the partitions that are still read, without waiting for it."""
        self.commits.send(self.read)

    def rest(self, *, resting: bool) -> None:
        """Pause everything that is read, or go on with it."""
        if resting == self.resting:
            return
        with self._lock:
            self.resting = resting
            awake = [_kafka(at) for at in self.read if at not in self._pauses]
            if awake:
                (self._consumer.pause if resting else self._consumer.resume)(awake)

    def place(self) -> None:
        """Begin what can be begun now; what cannot, for want of a broker, is tried again."""
        if (not self._unplaced or self._place_new()) and self._place_wanted():
            self._unknown.over()

    def skip(self, partition: TopicPartition, offset: int) -> None:
        """Leave out the record at an offset where that is what cannot be fetched or read."""
        if self.faults.offset_of(partition) == offset:
            self._leave_out(partition, offset + 1)

    def start_at(
        self, partition: TopicPartition, at: "str | Millis", *, stands: bool = False
    ) -> None:
        """Have `place` read a stopped partition from a position that an operator named.

        One that `stands` still is read, and what was read of it below that position is given up.
        """
        if stands and partition in self.read:
            self._standing.add(partition)
        if partition in self._stopped or partition in self.faults or partition in self._standing:
            self._wanted[partition] = at
        elif partition in self.read:
            self._journal.warning("partition.start_ignored", **partition._asdict())

    def seat(self, positions: Mapping[TopicPartition, int]) -> None:
        """Have partitions that are assigned fetched from these offsets on.

        By a seek; the client refuses it where it does not fetch yet, or a fetch has failed for its
        offset. Only these are assigned again: to take anything from the assignment while the client
        waits to tell of a revocation would end that revocation, before its last commit.
        """
        self._beginnings.seated(positions)
        refused = []
        for at, offset in positions.items():
            seat = KafkaPartition(at.topic, at.partition, offset)
            try:
                self._consumer.seek(seat)
            except KafkaException:
                refused.append(seat)
        if refused:
            self._consumer.incremental_unassign(refused)
            self._consumer.incremental_assign(refused)
        with self._lock:
            self.read.update(positions)
            still = [_kafka(at) for at in positions if not self._flows(at)]
            awake = [_kafka(at) for at in positions if self._flows(at)]
            if still:
                self._consumer.pause(still)
            if awake:
                self._consumer.resume(awake)

    def _flows(self, at: TopicPartition) -> bool:
        """Tell, under the lock, whether a partition that is read is to be fetched now."""
        return not self.resting and at not in self._pauses

    def put_back(self, at: TopicPartition) -> None:
        """Have a partition that is read fetched again from the record that is to come next."""
        self.seat({at: self._beginnings.expected[at]})

    def hinder(self, at: TopicPartition, offset: int, why: str) -> None:
        """Records of a partition that is read cannot be fetched; none is passed over."""
        self._fault(at, max(offset, self._beginnings.expected[at]), why)

    def stop_before(self, at: TopicPartition, offset: int, why: str) -> None:
        """The reader failed at a record that came; it is the next one until it succeeds."""
        self._beginnings.seated({at: offset})
        self._fault(at, offset, why)

    def _fault(self, at: TopicPartition, offset: int, why: str) -> None:
        self.faults.failed(at, offset, why)
        with self._lock:
            self._pauses.add(at, PauseReason.FETCH_FAILED)
        if (at, offset) in self._skipped:
            self._leave_out(at, offset + 1)
        else:
            self.put_back(at)

    def try_again(self) -> None:
        """Fetch again what could not be fetched a while ago."""
        if not self.faults:
            return
        with self._lock:
            self.faults.look([at for at in self.read if self._flows(at)])
            waited = self._pauses.having(PauseReason.FETCH_FAILED)
            for at in waited:
                self._pauses.remove(at, PauseReason.FETCH_FAILED)
            tried = [_kafka(at) for at in waited if self._flows(at)]
            if tried:
                self._consumer.resume(tried)

    def fetched(self, partitions: Iterable[TopicPartition]) -> None:
        """Records of these partitions were fetched: their errors are over."""
        for at in self.faults.over(partitions):
            with self._lock:
                self._pauses.remove(at, PauseReason.FETCH_FAILED)

    def vanished(self, at: TopicPartition, offset: int) -> None:
        """Decide again where a partition begins whose position `offset` the log does not have."""
        if at in self.read and offset >= _BEYOND:
            # A fetch of the time when it was parked, which has stopped reading: go on with it.
            [now] = self._consumer.position([_kafka(at)])
            self.seat({at: max(now.offset, self.read[at])})
        elif at in self.read:
            self._forget([at])
            self._loop.post(self._listener.on_lost, [at])
            self._unplaced.add(at)
            self.place()

    def admits(self, at: tuple[str, int], offset: int) -> bool:
        """Return whether a record that came is the next of its partition, and may be handed out."""
        return self._beginnings.admits(at, offset)

    def look_again(self) -> None:
        """Read partitions again from their seats whose first record stood behind it."""
        for at, seen in self._beginnings.take_doubted().items():
            begin = self._beginnings.expected[at]
            where = TopicPartition(*at)
            if where in self.read:
                self._journal.warning(
                    "partition.beginning_doubted", **where._asdict(), seat=begin, came=seen
                )
                self.seat({where: begin})
                self._beginnings.remember(at, seen)

    def unread(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the next offset and the end of what is fetched and was not read to its end."""
        with self._lock:
            flow = [at for at in ends if at in self.read and self._flows(at)]
        places = {at: (self.next_offset(at), ends[at]) for at in flow if at not in self.faults}
        return {at: place for at, place in places.items() if place[0] < place[1]}

    def next_offset(self, at: TopicPartition) -> int:
        """Return where a partition that is read goes on."""
        # The client's position knows of markers that were passed over, and nothing of a new seat.
        [now] = self._consumer.position([_kafka(at)])
        return max(now.offset, self._beginnings.expected[at])

    def remind(self) -> None:
        """Say again what is not read."""
        for at, remedy in [*self._stopped.items(), *self.faults]:
            self._journal.warning("partition.stopped", **at._asdict(), remedy=remedy)

    # What the group does.

    def on_assign(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Take over partitions."""
        new = [TopicPartition(p.topic, p.partition) for p in partitions]
        parked = [KafkaPartition(at.topic, at.partition, _BEYOND) for at in new]
        self._consumer.incremental_assign(parked)
        self._consumer.pause(parked)
        self._unplaced.update(new)
        self.place()

    def on_revoke(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Give partitions up, and commit what is settled by then."""
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        waiting = self.commits.take(gone)
        read = self._forget(gone)
        try:
            settled = {
                **waiting,
                **self._loop.run(self._listener.on_revoked(gone), _REVOKE_SECONDS),
            }
            self.commits.give_up({at: last for at, last in settled.items() if at in read})
        except (KafkaException, TimeoutError, CancelledError) as error:
            # Its records will come again, to whoever has the partition next.
            self._journal.warning("revocation.not_committed", detail=repr(error))
        self._consumer.incremental_unassign(partitions)

    def on_lost(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Forget partitions that others may have already."""
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        self._forget(gone)
        self._loop.post(self._listener.on_lost, gone)
        self._consumer.incremental_unassign(partitions)

    def _place_new(self) -> bool:
        topics = {at.topic for at in self._unplaced}
        try:
            windows = self._loop.call(lambda: self._listener.start_windows(topics), _ASK_SECONDS)
            starts = find_starts(self._consumer, sorted(self._unplaced), windows)
            self.commits.commit_now(
                {at: s.progress for at, s in starts.items() if isinstance(s, StartAt) and s.commit}
            )
        except (KafkaException, TimeoutError) as error:
            self._unknown.lasts(str(error))
            return False
        self._unplaced.clear()
        positions = {}
        for at, begin in starts.items():
            progress = self._take_in(at, begin)
            if progress is not None:
                positions[at] = progress
        self._begin(positions)
        return True

    def _take_in(self, at: TopicPartition, begin: Start) -> CommitPosition | None:
        match begin:
            case StartAt():
                return begin.progress
            case GapThenStart(first, next_offset, progress):
                self._loop.post(self._listener.on_gap, at, first, next_offset)
                return progress
            case OffsetsLost(remedy):
                self._stopped[at] = remedy
                self._loop.post(self._listener.on_stopped, at, remedy)
                return None

    def _place_wanted(self) -> bool:
        """Take up named positions until one fails or time is up: the group is not served meanwhile."""
        until = self._clock.monotonic() + _PLACE_SECONDS
        for partition, at in list(self._wanted.items()):
            if self._clock.monotonic() >= until:
                break
            # Behind the others from now on: where it fails, they have their turn.
            self._wanted[partition] = self._wanted.pop(partition)
            try:
                begin = CommitPosition(offset_at(self._consumer, partition, at))
                if partition in self._stopped:
                    self.commits.commit_now({partition: begin})
            except KafkaException as error:
                self._unknown.lasts(str(error))
                return False
            del self._wanted[partition]
            if self._stopped.pop(partition, None) is not None:
                self._begin({partition: begin})
            elif partition in self._standing and partition in self.read:
                self._standing.discard(partition)
                self._go_on(partition, begin.offset)
            elif partition in self.faults:
                self._leave_out(partition, begin.offset)
            else:
                self._journal.warning("partition.start_ignored", **partition._asdict())
        return True

    def _go_on(self, at: TopicPartition, begin: int) -> None:
        """Go on at an offset in a partition that stands still: what stands below it is given up."""
        if begin > self._beginnings.expected[at]:
            self._leave_out(at, begin)
        self._loop.post(self._listener.on_started, at, begin)

    def _leave_out(self, at: TopicPartition, begin: int) -> None:
        """Read a partition on behind what cannot be fetched; what came before stays as it is."""
        missing = self._beginnings.expected[at]
        if begin <= missing:
            self._journal.warning(
                "partition.start_too_early", **at._asdict(), begin=begin, next=missing
            )
            return
        self._loop.post(self._listener.on_gap, at, missing, begin)
        self.fetched([at])
        self.seat({at: begin})

    def _begin(self, positions: dict[TopicPartition, CommitPosition]) -> None:
        if positions:
            with self._lock:
                # A pause that was asked for while its partition was being given up: nobody would
                # ever take it back, and the partition would stay unread in silence.
                self._pauses.forget(positions)
            # What was settled in that time is another's to commit by now.
            self.commits.forget(positions)
            self._loop.post(self._listener.on_assigned, positions)
            self.seat({at: progress.offset for at, progress in positions.items()})

    def _forget(self, gone: Sequence[TopicPartition]) -> set[TopicPartition]:
        """Drop partitions from every list; return those that were read."""
        read = self.read.keys() & set(gone)
        with self._lock:
            for at in gone:
                self.read.pop(at, None)
            self._pauses.forget(gone)
        self.commits.forget(gone)
        for at in gone:
            self._stopped.pop(at, None)
            self._wanted.pop(at, None)
            self._standing.discard(at)
        self._beginnings.forget(gone)
        self.faults.forget(gone)
        self._unplaced.difference_update(gone)
        self.left.update(gone)
        return read

    def _uncommitted(self, why: KafkaError, partitions: list[TopicPartition]) -> None:
        self._journal.warning("commit.failed", detail=str(why))
        self._loop.post(self._listener.on_commit_failed, partitions)


def _kafka(at: TopicPartition) -> KafkaPartition:
    return KafkaPartition(at.topic, at.partition)
