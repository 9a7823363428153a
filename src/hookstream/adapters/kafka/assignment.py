"""Manages the partitions assigned to a consumer: their start offsets, revocations and pauses.

A new partition is assigned but paused beyond its end, until the broker has answered the requests that
decide its start offset. Then it is read, or it stops until an operator names a position. The rebalance callbacks
run on the consumer thread, inside a poll or the client's close.
"""

import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.adapters.kafka.client import LastingFailure, kafka_error
from hookstream.adapters.kafka.commits import Commits
from hookstream.adapters.kafka.fetch_errors import FetchErrors
from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.adapters.kafka.offsets import Failed, by_leader, find_starts, offset_at, place_of
from hookstream.adapters.kafka.sequence import SequenceCheck
from hookstream.core.model.instant import Millis
from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.pauses import PauseReason, Pauses
from hookstream.core.offsets.start import GapThenStart, OffsetsLost, Start, StartAt
from hookstream.pipeline.ports import Clock, Logger

_BEYOND = 1 << 62
"""The offset of a partition that is not read yet: beyond the end of any log.

Not OFFSET_END, which the client looks up at the broker. If the broker is slow or has just come back,
the client asks again, and the answer may arrive when the partition is already read. Reading would then
continue at the log's end and silently skip the records in between.
"""

_ASK_SECONDS = 5.0
_PLACE_SECONDS = 5.0
_RANGES = 5
"""How many ranges of partitions that cannot be started are named."""
_REVOKE_SECONDS = 3.0
"""The group waits for a revocation, and so do the partitions that stay. The listener returns within
half a second. Only a process without CPU time takes longer; then waiting is better than losing the last
commit, because everything since the previous one would be delivered again."""


class Assignment:
    """The partitions of one consumer. All but `pause` and `resume` belong to its thread."""

    def __init__(
        self,
        consumer: Consumer,
        listener: ConsumerListener,
        loop: LoopBridge,
        logger: Logger,
        clock: Clock,
        skipped: Container[tuple[TopicPartition, int]] = (),
        *,
        group: str,
    ) -> None:
        self._group = group
        self._skipped = skipped
        """Records that operators skipped."""
        self.read: dict[TopicPartition, int] = {}
        """The partitions that are read, with the offset at which each started."""
        self.released: set[TopicPartition] = set()
        """The partitions released since this was last cleared."""
        self.is_idle = False
        """Nothing is fetched, so that polls serve the group and return no records."""
        self._consumer = consumer
        self._listener = listener
        self._loop = loop
        self._logger = logger
        self._clock = clock
        self._unknown = LastingFailure("positions.unknown", logger, clock, patience=5.0)
        self._unstarted: set[TopicPartition] = set()
        """Assigned partitions whose start offset is not known yet."""
        self._asked_apart = 0
        """How many turns asked each leader apart for these, since a broker gave no answer; 0: none."""
        self._cuts: dict[TopicPartition, int] = {}
        """Where the logs of some of these were cut while they were read."""
        self._stopped: dict[TopicPartition, str] = {}
        self._requested: dict[TopicPartition, str | Millis] = {}
        """Positions that operators named and that are not applied yet."""
        self._blocked: set[TopicPartition] = set()
        """Those of them that can be fetched, but are blocked by a record in progress."""
        self._sequence = SequenceCheck()
        self._closing = False
        """All partitions are released, and the client is closing."""
        self.commits = Commits(consumer, self._uncommitted, clock)
        self.fetch_errors = FetchErrors(listener, loop, logger, clock)
        self._lock = threading.Lock()
        self._pauses = Pauses()
        """Shared, under `_lock`."""

    @property
    def waiting(self) -> bool:
        """Whether an assigned partition is not read."""
        return bool(self._unstarted or self._stopped)

    # On the loop.

    def pause(self, partition: TopicPartition) -> None:
        """Note that a partition must not be fetched. `flow`, on the thread, makes the client pause it."""
        with self._lock:
            self._pauses.add(partition, PauseReason.REQUESTED)

    def resume(self, partition: TopicPartition) -> None:
        """Note that a partition is to be fetched again. `flow`, on the thread, makes the client resume it."""
        with self._lock:
            self._pauses.remove(partition, PauseReason.REQUESTED)

    # On the thread.

    def flow(self, partition: TopicPartition) -> None:
        """Make the client fetch a partition or pause it, as noted.

        Not done on the loop: the client (confluent-kafka 2.16.1) serves one thread at a time. The loop
        would block until the current poll returns, and deadlock if that poll waits for the loop.
        """
        if partition not in self.read or self.is_idle:
            return
        with self._lock:
            flows = self._flows(partition)
        (self._consumer.resume if flows else self._consumer.pause)([KafkaPartition(*partition)])

    def commit_settled(self) -> None:
        """Commit the settled offsets of partitions that are still read, without waiting."""
        self.commits.send(self.read)

    def set_idle(self, *, idle: bool) -> None:
        """Pause everything that is read, or resume it."""
        if idle == self.is_idle:
            return
        with self._lock:
            self.is_idle = idle
            awake = [KafkaPartition(*at) for at in self.read if at not in self._pauses]
            (self._consumer.pause if idle else self._consumer.resume)(awake)

    def start_waiting(self) -> None:
        """Start the waiting partitions, as far as the broker answers. The others are retried."""
        started = not self._unstarted or self._start_new()
        if self._start_requested() and started:
            self._unknown.over()

    def skip(self, partition: TopicPartition, offset: int) -> None:
        """Skip the record at an offset if it is the one that cannot be fetched or read."""
        if self.fetch_errors.offset_of(partition) == offset:
            self._skip_to(partition, offset + 1)

    def start_at(
        self, partition: TopicPartition, at: "str | Millis", *, blocked: bool = False
    ) -> None:
        """Resume a stopped partition at a named position, with the next `start_waiting`.

        A `blocked` one is read already; its records below that position are skipped.
        """
        if blocked and partition in self.read:
            self._blocked.add(partition)
        if (
            partition in self._stopped
            or partition in self.fetch_errors
            or partition in self._blocked
        ):
            self._requested[partition] = at
        elif partition in self.read:
            self._logger.warning("partition.start_ignored", **partition._asdict())

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Fetch assigned partitions from these offsets on.

        The client refuses a seek of a partition that it does not fetch yet, or whose last fetch failed
        for its offset. Only these are assigned again: removing anything from the assignment while the
        client has a revocation to report would end that revocation before its last commit.
        """
        self._sequence.expect(positions)
        refused = []
        for at, offset in positions.items():
            start = KafkaPartition(*at, offset)
            try:
                self._consumer.seek(start)
            except KafkaException:
                refused.append(start)
        if refused:
            self._consumer.incremental_unassign(refused)
            self._consumer.incremental_assign(refused)
        with self._lock:
            self.read.update(positions)
            still = [KafkaPartition(*at) for at in positions if not self._flows(at)]
            awake = [KafkaPartition(*at) for at in positions if self._flows(at)]
            self._consumer.pause(still)
            self._consumer.resume(awake)

    def _flows(self, at: TopicPartition) -> bool:
        """Return, under the lock, whether a partition that is read is being fetched."""
        return not self.is_idle and at not in self._pauses

    def rewind(self, at: TopicPartition) -> None:
        """Fetch a partition again from its next expected record."""
        self.seek({at: self._sequence.expected[at]})

    def fetch_failed(self, at: TopicPartition, offset: int, why: str) -> None:
        """The next records of a partition cannot be fetched. None of them is skipped."""
        self._failed(at, max(offset, self._sequence.expected[at]), why)

    def read_failed(self, at: TopicPartition, offset: int, why: str) -> None:
        """A fetched record cannot be read. It stays the next one until it can."""
        self._sequence.expect({at: offset})
        self._failed(at, offset, why)

    def _failed(self, at: TopicPartition, offset: int, why: str) -> None:
        self.fetch_errors.failed(at, offset, why)
        with self._lock:
            self._pauses.add(at, PauseReason.FETCH_FAILED)
        if (at, offset) in self._skipped:
            self._skip_to(at, offset + 1)
        else:
            self.rewind(at)

    def try_again(self) -> None:
        """Fetch again the partitions whose last fetch failed."""
        if not self.fetch_errors:
            return
        with self._lock:
            self.fetch_errors.look([at for at in self.read if self._flows(at)])
            waited = self._pauses.having(PauseReason.FETCH_FAILED)
            for at in waited:
                self._pauses.remove(at, PauseReason.FETCH_FAILED)
            self._consumer.resume([KafkaPartition(*at) for at in waited if self._flows(at)])

    def fetched(self, partitions: Iterable[TopicPartition]) -> None:
        """Records of these partitions were fetched: their errors are over."""
        for at in self.fetch_errors.over(partitions):
            with self._lock:
                self._pauses.remove(at, PauseReason.FETCH_FAILED)

    def vanished(self, at: TopicPartition, offset: int, cut: int | None = None) -> None:
        """Determine a partition's start again, since its log does not have `offset`; `cut` as `start` takes it."""
        if at in self.read and offset >= _BEYOND:
            # A fetch from before it was read has stopped the reading: resume it.
            [now] = self._consumer.position([KafkaPartition(*at)])
            self.seek({at: max(now.offset, self.read[at])})
        elif at in self.read:
            self._forget([at])
            self._loop.post(self._listener.on_lost, [at])
            self._unstarted.add(at)
            if cut is not None:
                self._cuts[at] = cut
            self.start_waiting()

    def admits(self, at: tuple[str, int], offset: int) -> bool:
        """Return whether a fetched record is the next of its partition, and may be handed out."""
        return self._sequence.admits(at, offset)

    def recheck_starts(self) -> None:
        """Read partitions again if their first record was beyond their start offset."""
        for at, seen in self._sequence.take_doubted().items():
            begin = self._sequence.expected[at]
            where = TopicPartition(*at)
            if where in self.read:
                self._logger.warning(
                    "partition.start_doubted", **where._asdict(), expected=begin, offset=seen
                )
                self.seek({where: begin})
                self._sequence.remember(at, seen)

    def unread(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the next offset and the end of each partition that is fetched and has records left."""
        with self._lock:
            flow = [at for at in ends if at in self.read and self._flows(at)]
        return {
            at: (next_offset, ends[at])
            for at in flow
            if at not in self.fetch_errors and (next_offset := self.next_offset(at)) < ends[at]
        }

    def next_offset(self, at: TopicPartition) -> int:
        """Return the next offset of a partition that is read."""
        # The client's position includes skipped markers, but no seek in progress.
        [now] = self._consumer.position([KafkaPartition(*at)])
        return max(now.offset, self._sequence.expected[at])

    def log_stopped(self) -> None:
        """Log again the partitions that are not read."""
        for at, remedy in [*self._stopped.items(), *self.fetch_errors]:
            self._logger.warning("partition.stopped", **at._asdict(), remedy=remedy)

    def release_all(self) -> None:
        """Commit the settled offsets of all partitions, and nothing after that: the client is closed next.

        This is not left to the revocation within the close. If the client has another callback to make by
        then, for example because a second member has just left, it makes that one first and takes the
        answer for the end of all partitions: it leaves the group before it reports their revocation. The
        broker then refuses the commit as from an unknown member. A callback that reaches the client in the
        iteration in which its leave is answered ends the process: `rd_kafka_cgrp_terminated: assert:
        !rd_kafka_assignment_in_progress` (librdkafka 2.16.0, its issue 4792).
        """
        self._closing = True
        gone = sorted({*self.read, *self._unstarted, *self._stopped})
        if gone:
            self._commit_last(gone)

    # What the group does.

    def on_assign(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Partitions were assigned."""
        new = [place_of(each) for each in partitions]
        beyond = [KafkaPartition(*at, _BEYOND) for at in new]
        self._consumer.incremental_assign(beyond)
        if self._closing:
            return  # the client took this for a release
        self._consumer.pause(beyond)
        self._unstarted.update(new)
        self.start_waiting()

    def on_revoke(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Partitions are being revoked: commit their settled offsets."""
        if not self._closing:
            self._commit_last([place_of(each) for each in partitions])
        self._consumer.incremental_unassign(partitions)

    def _commit_last(self, gone: Sequence[TopicPartition]) -> None:
        """Commit the settled offsets of partitions that are being released, without waiting for the answer."""
        settled = self.commits.take(gone)
        read = self._forget(gone)
        try:
            try:
                settled |= self._loop.run(self._listener.on_revoked(gone), _REVOKE_SECONDS)
            finally:
                self.commits.send_last({at: last for at, last in settled.items() if at in read})
        except (KafkaException, TimeoutError, CancelledError) as error:
            # Its records are delivered again to the next owner.
            self._logger.warning("revocation.not_committed", detail=repr(error))

    def on_lost(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        """Partitions were lost: others may have them already."""
        gone = [place_of(each) for each in partitions]
        self._forget(gone)
        self._loop.post(self._listener.on_lost, gone)
        self._consumer.incremental_unassign(partitions)

    def _start_new(self) -> bool:
        """Start the new partitions of which the brokers answer, and return whether those are all.

        Where one broker gives no answer, the client returns none of the others' either. From then on each
        leader is asked apart, another one first each time, until time is up: the group is not served meanwhile.
        """
        asked = [sorted(self._unstarted)]
        topics = {at.topic for at in self._unstarted}
        try:
            windows = self._loop.run(self._listener.start_windows(topics), _ASK_SECONDS)
            if self._asked_apart:
                asked = by_leader(self._consumer, self._unstarted)
        except (KafkaException, TimeoutError, CancelledError) as error:
            self._unknown.lasts(str(error))
            return False
        first, silent = self._asked_apart % len(asked), False
        failed: Failed = {}
        until = self._clock.monotonic() + _ASK_SECONDS
        for partitions in asked[first:] + asked[:first]:
            if self._clock.monotonic() >= until:
                break
            try:
                starts = find_starts(self._consumer, partitions, windows, self._cuts, failed)
                self.commits.commit_now(
                    {
                        at: s.position
                        for at, s in starts.items()
                        if isinstance(s, StartAt) and s.commit
                    }
                )
            except KafkaException as error:
                failed |= dict.fromkeys(partitions, kafka_error(error))
                silent = True
                continue
            self._start_answered(starts)
        self._asked_apart = self._asked_apart + 1 if silent else 0
        if failed:
            why = next(iter(failed.values()))
            self._unknown.lasts(f"{partition_ranges(failed, _RANGES)}: {why}")
        return not self._unstarted

    def _start_answered(self, starts: Mapping[TopicPartition, Start]) -> None:
        """Read partitions from where they start, and stop those whose offsets were lost."""
        self._unstarted.difference_update(starts)
        for at in starts:
            self._cuts.pop(at, None)
        positions = {}
        for at, begin in starts.items():
            if isinstance(begin, OffsetsLost):
                self._stopped[at] = begin.remedy
                self._loop.post(self._listener.on_stopped, at, begin.remedy)
                continue
            if isinstance(begin, GapThenStart):
                self._loop.post(self._listener.on_gap, at, begin.first, begin.next_offset)
            positions[at] = begin.position
        self._begin(positions)

    def _start_requested(self) -> bool:
        """Apply named positions until one fails or the time is up, since the group is not served meanwhile."""
        until = self._clock.monotonic() + _PLACE_SECONDS
        for partition, at in list(self._requested.items()):
            if self._clock.monotonic() >= until:
                break
            # Moved to the end: if it fails, the others are tried first next time.
            self._requested[partition] = self._requested.pop(partition)
            try:
                begin = CommitPosition(offset_at(self._consumer, partition, at))
                if partition in self._stopped:
                    self.commits.commit_now({partition: begin})
            except KafkaException as error:
                self._unknown.lasts(str(error))
                return False
            del self._requested[partition]
            if self._stopped.pop(partition, None) is not None:
                self._begin({partition: begin})
            elif partition in self._blocked and partition in self.read:
                self._blocked.discard(partition)
                self._resume_blocked(partition, begin.offset)
            elif partition in self.fetch_errors:
                self._skip_to(partition, begin.offset)
            else:
                self._logger.warning("partition.start_ignored", **partition._asdict())
        return True

    def _resume_blocked(self, at: TopicPartition, begin: int) -> None:
        """Resume a blocked partition at an offset: blocked records below it are skipped."""
        if begin > self._sequence.expected[at]:
            self._skip_to(at, begin)
        self._loop.post(self._listener.on_started, at, begin)

    def _skip_to(self, at: TopicPartition, begin: int) -> None:
        """Continue a partition at `begin`, as after a gap. Records before the gap are not affected."""
        missing = self._sequence.expected[at]
        if begin <= missing:
            self._logger.warning(
                "partition.start_too_early", **at._asdict(), begin=begin, next=missing
            )
            return
        self._loop.post(self._listener.on_gap, at, missing, begin)
        self.fetched([at])
        self.seek({at: begin})

    def _begin(self, positions: dict[TopicPartition, CommitPosition]) -> None:
        if positions:
            with self._lock:
                # A pause requested while its partition was being released would never be revoked,
                # and the partition would silently stay unread.
                self._pauses.forget(positions)
            # Offsets settled in that time are committed by the new owner.
            self.commits.forget(positions)
            self._loop.post(self._listener.on_assigned, positions)
            self.seek({at: position.offset for at, position in positions.items()})

    def _forget(self, gone: Sequence[TopicPartition]) -> set[TopicPartition]:
        """Drop partitions from all state; return those that were read."""
        read = self.read.keys() & set(gone)
        with self._lock:
            for at in gone:
                self.read.pop(at, None)
            self._pauses.forget(gone)
        self.commits.forget(gone)
        for at in gone:
            self._cuts.pop(at, None)
            self._stopped.pop(at, None)
            self._requested.pop(at, None)
            self._blocked.discard(at)
        self._sequence.forget(gone)
        self.fetch_errors.forget(gone)
        self._unstarted.difference_update(gone)
        self.released.update(gone)
        return read

    def _uncommitted(self, why: KafkaError, partitions: list[TopicPartition]) -> None:
        self._logger.warning("commit.failed", group=self._group, detail=str(why))
        self._loop.post(self._listener.on_commit_failed, partitions)
