"""The ports of a replay: the event topics, read again, and the audit log."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.replay.extent import LogBounds
from hookstream.core.replay.outstanding import Place


class PastTopic(NamedTuple):
    """One event topic."""

    topic_id: str
    """32 hex digits; empty if the brokers give none."""
    partitions: int
    replicas: int
    """The largest number of replicas of a partition."""


@dataclass(slots=True, frozen=True)
class TopicListing:
    """The event topics of a cluster."""

    brokers: int
    topics: Mapping[str, PastTopic]

    @property
    def partitions(self) -> list[TopicPartition]:
        """All partitions."""
        return [
            TopicPartition(name, number)
            for name, topic in sorted(self.topics.items())
            for number in range(topic.partitions)
        ]

    @property
    def replicas(self) -> int:
        """The largest number of replicas that a partition has."""
        return max((topic.replicas for topic in self.topics.values()), default=1)

    @property
    def ids(self) -> dict[str, str]:
        """The id of each topic."""
        return {name: topic.topic_id for name, topic in self.topics.items()}


@dataclass(slots=True, frozen=True)
class Taken:
    """What was read since the last call."""

    records: Sequence[Record] = ()
    """By offset within each partition. Some may be at the ends of what was asked for or behind them."""
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    """The offset that follows what was read, of each partition that moved. It may lie behind the last
    record: markers of transactions take offsets too."""
    gone: Collection[TopicPartition] = ()
    """Partitions that cannot be read further, until they are placed at another offset."""
    at_end: Collection[TopicPartition] = ()
    """Partitions that were read to their last stable offset, behind which open transactions hide records."""


class PastReader(Protocol):
    """Reads partitions from offsets on, and only what was committed. Bounded in memory."""

    async def take(self, most: int) -> Taken:
        """Wait up to 0.2 s and return what is ready, `most` records at most.

        Raises:
            ConfigurationError: It may not be read.
            DependencyUnavailable: The brokers fail.
        """

    async def place(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read partitions from these offsets on, such as those that were gone."""

    async def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Stop reading these partitions."""


class PastLog(Protocol):
    """The event topics, read outside any group.

    Every method may raise ConfigurationError (access is refused) and DependencyUnavailable.
    """

    async def now(self) -> Millis:
        """Return the time by the brokers' clock, as one of them stamps a record."""

    async def topics(self) -> TopicListing:
        """Return the event topics that there are now."""

    async def ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        """Return the ids of topics; None: there is no such topic."""

    async def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the high watermarks: records of open transactions lie below them."""

    async def lows(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the first offset that each has."""

    async def firsts(
        self, partitions: Collection[TopicPartition], since: Millis
    ) -> Mapping[TopicPartition, int]:
        """Return the first offset whose record has this time or a later one, open transactions included.

        If no record is so young, the log's end, or any offset after it.
        """

    async def logs(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogBounds]:
        """Return the bounds of partitions, whether or not their topics exist."""

    def read(
        self, positions: Mapping[TopicPartition, int]
    ) -> AbstractAsyncContextManager[PastReader]:
        """Read partitions from these offsets on."""


@dataclass(slots=True, frozen=True)
class Ended:
    """The ends of deliveries in the audit log."""

    places: Collection[Place] = ()
    """The places of deliveries that were completed, dead-lettered or cancelled."""
    positions: Mapping[int, int] = field(default_factory=dict)
    """The next offset of each partition that is followed."""
    gap: bool = False
    """Whether retention took records of the audit log before they were read."""


class Endings(Protocol):
    """Follows the audit log for the ends of one run's deliveries."""

    async def take(self) -> Ended:
        """Return what can be read now. It does not wait.

        Raises:
            ConfigurationError: It may not be read.
            DependencyUnavailable: The brokers fail.
        """
