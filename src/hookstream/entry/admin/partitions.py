"""Partitions for operators: lists readers and positions, starts a stopped one, skips a record."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal, TypeAlias

from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables.holds_and_skips import (
    SKIP_PREFIX,
    SkipAsked,
    StartAsked,
    read_skip,
    read_start,
    skip_key,
    start_key,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.statistics.reading import SkippedPlace
from hookstream.core.topology.plan import taken_topics, tier_topics
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import State
from hookstream.entry.admin.writing import attempt_change
from hookstream.entry.cluster import reached
from hookstream.errors import DependencyUnavailable, InputRefused
from hookstream.settings import Settings

_POLL_SECONDS = 0.5
"""Between two requests for a group's position."""

_COORDINATOR_SECONDS = 10.0
"""Time for which requests to a group without a coordinator are repeated."""

StartAt: TypeAlias = Literal["earliest", "latest"] | Millis
"""Where reading begins: an end of the log, or the first record appended at a time or later."""


def skipped_places(state: State, topics: Topics) -> frozenset[SkippedPlace]:
    """Return which records operators asked to skip, of as long ago as the tables have it."""
    found: set[SkippedPlace] = set()
    for key, row in state.rows.get(topics.subscriptions, {}).items():
        if key.startswith(SKIP_PREFIX) and row.value is not None:
            with suppress(EnvelopeUnreadable):
                asked = read_skip(key, row.value)
                found.add((asked.topic, asked.partition, asked.offset))
    return frozenset(found)


class ReadPartitions:
    """The partitions that hookstream reads: those of event topics and of tiers."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.topics_names
        self.groups = KafkaGroups(reached(settings))
        self._counts = self.groups.topics()
        self._events = taken_topics(settings.events.topics, self._names, self._counts)
        self._tiers = tier_topics(self._names, self._counts)

    def positions(self) -> list[GroupPosition]:
        """Return the positions of the workers' groups in every partition.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        return [*self.of_events(), *self.of_tiers()]

    def of_events(self) -> list[GroupPosition]:
        """Return the position of the events' group in every partition, with its oldest unsettled record."""
        partitions = self._partitions(self._events)
        return self.groups.positions(self._names.group, partitions, oldest=True)

    def of_these_events(self, places: Iterable[TopicPartition]) -> list[GroupPosition]:
        """Return the position of the events' group in each of these partitions that there is."""
        there = {at for at in places if at.partition < self._counts.get(at.topic, 0)}
        return self.groups.positions(self._names.group, sorted(there), oldest=False)

    def of_tiers(self, *, oldest: bool = True) -> list[GroupPosition]:
        """Return the position of the tiers' group in every partition; `oldest`: see `KafkaGroups`."""
        partitions = self._partitions(self._tiers)
        return self.groups.positions(self._names.retry_group, partitions, oldest=oldest)

    def group_of(self, at: TopicPartition) -> str:
        """Return the group that reads a partition.

        Raises:
            InputRefused: hookstream reads no such partition.
        """
        topic, read = at.topic, {*self._events, *self._tiers}
        if topic not in read:
            why = "hookstream does not read" if topic in self._counts else "there is no topic"
            raise InputRefused(f"{why} {topic}{did_you_mean(topic, read)}")
        count = self._counts[topic]
        if at.partition >= count:
            raise InputRefused(f"{topic} has {counted(count, 'partition')}, 0 to {count - 1}")
        return self._names.retry_group if topic in self._tiers else self._names.group

    def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic in topics for n in range(self._counts[topic])]


class ReadPartition:
    """One partition that hookstream reads, and what an operator can ask of its worker.

    Args:
        settings: The cluster.
        at: The partition.

    Raises:
        InputRefused: hookstream reads no such partition.
    """

    def __init__(self, settings: Settings, at: TopicPartition) -> None:
        self.at = at
        self._settings = settings
        partitions = ReadPartitions(settings)
        self._group = partitions.group_of(at)
        self._groups = partitions.groups
        self._clock = SystemClock()

    def start(self, where: StartAt, reason: str) -> None:
        """Ask the worker to start the partition at a position, if it is stopped.

        Args:
            where: The position.
            reason: For the operations event.
        """
        offset = self.offset_at(where)
        attempt_change(
            self._settings, lambda writer: ask_start(writer, self.at, where, offset, reason)
        )

    def skip(self, offset: int, reason: str) -> None:
        """Ask the worker to skip the record at an offset, if that record stops the partition."""
        attempt_change(self._settings, lambda writer: ask_skip(writer, self.at, offset, reason))

    def offset_at(self, where: StartAt) -> int:
        """Return the offset of a position in the partition's log as it is now."""
        return self._groups.offset_at(self.at, where)

    def position(self) -> GroupPosition:
        """Return the group's current position.

        Raises:
            DependencyUnavailable: For 10 s no broker could answer; the group may be moving.
        """
        until = self._clock.monotonic() + _COORDINATOR_SECONDS
        while True:
            try:
                return self._led(oldest=False)
            except DependencyUnavailable:
                if self._clock.monotonic() >= until:
                    raise
                time.sleep(_POLL_SECONDS)

    def _led(self, *, oldest: bool) -> GroupPosition:
        found = self._groups.positions(self._group, [self.at], oldest=oldest)[0]
        if not found.has_leader:
            raise DependencyUnavailable(f"no broker leads {self.at.topic}/{self.at.partition} now")
        return found

    def shown(self) -> GroupPosition:
        """Return the group's current position with the time of its oldest unsettled record, if that can be read.

        Raises:
            DependencyUnavailable: As `position`.
        """
        try:
            return self._led(oldest=True)
        except DependencyUnavailable:
            # The record that stops a partition may be unreadable: the position is then needed most.
            return self.position()

    def position_within(
        self, seconds: float, reached_it: Callable[[GroupPosition], bool]
    ) -> GroupPosition:
        """Return the position as soon as it meets a condition, or the last one within a time."""
        until = self._clock.monotonic() + seconds
        while True:
            position = self.position()
            if reached_it(position) or self._clock.monotonic() >= until:
                return position
            time.sleep(_POLL_SECONDS)


def ask_start(
    writer: ChangeWriter, at: TopicPartition, where: StartAt, offset: int, reason: str
) -> None:
    """Write the request that a partition's worker starts it at a position, where it is stopped.

    Args:
        writer: Writes it, with its operations event in one transaction.
        at: The partition; hookstream reads it.
        where: The position.
        offset: Its offset, as the operations event has it.
        reason: Why, as the operations event has it after `start at`.
    """
    session = writer.session
    key = start_key(*at)
    earlier = writer.state.rows[session.names.subscriptions].get(key)
    revision = 1
    if earlier is not None and earlier.value is not None:
        revision = read_start(key, earlier.value).revision + 1
    row = write_start(StartAsked(*at, where, session.now, revision))
    named = where if isinstance(where, str) else to_rfc3339(where)
    _ask(writer, at, key, row, offset, f"start at {named}. {reason}".strip())


def ask_skip(writer: ChangeWriter, at: TopicPartition, offset: int, reason: str) -> None:
    """Write the request that a partition's worker skips a record, where that stops the partition.

    Args:
        writer: Writes it, with its operations event in one transaction.
        at: The partition; hookstream reads it.
        offset: The record's.
        reason: Why, as the operations event has it.
    """
    row = write_skip(SkipAsked(*at, offset, writer.session.now, reason))
    _ask(writer, at, skip_key(*at, offset), row, offset, reason)


def _ask(
    writer: ChangeWriter, at: TopicPartition, key: str, row: bytes, offset: int, reason: str
) -> None:
    session = writer.session
    event = session.events.partition_skipped(
        at, offset, session.now, reason=reason, changed_by=writer.by
    )
    session.write([TableChange(session.names.subscriptions, key, row)], [event])
