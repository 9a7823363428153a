"""The records that the shared tail keeps: each once, in the queues of all readers that get it."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hookstream.core.matching.fanout import Match
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.pull.cursor import Cursor
from hookstream.pipeline.pull.event_reading import CannotBeRead, ReadEvent

_DECODED: Final = 4
"""How many times its size a record takes in memory, decoded and rendered, in addition to `_OBJECTS` bytes."""
_OBJECTS: Final = 2_000


@dataclass(slots=True, eq=False)
class Kept:
    """One record that some reader may get."""

    number: int
    """In the order in which records were read."""
    record: Record
    read: ReadEvent | CannotBeRead
    seen_at: float
    cost: int = field(init=False)
    """The bytes that it takes in memory, as an estimate."""
    _queues: "list[deque[Queued]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        """Estimate once: it is asked for when it is kept and when it is not any more."""
        self.cost = _DECODED * self.record.size + _OBJECTS

    def forget(self) -> None:
        """Leave the queues; it is the first of each, since all before it have left them."""
        for queue in self._queues:
            queue.popleft()

    def join(self, queue: "deque[Queued]", match: Match | None) -> None:
        """Become the last of a queue."""
        queue.append(Queued(self, match))
        self._queues.append(queue)


class Queued(NamedTuple):
    """One record for one reader."""

    kept: Kept
    match: Match | None
    """What the index found of its event; None: it is no event."""


class ReaderQueues:
    """What is kept for one reader, or for all of them, by partition: offsets rise within each queue."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        """Have nothing yet."""
        self._queues: dict[TopicPartition, deque[Queued]] = {}

    def add(self, kept: Kept, match: Match | None) -> None:
        """Add a record behind those that were read before it."""
        at = kept.record.where
        queue = self._queues.get(at)
        if queue is None:
            queue = self._queues[at] = deque()
        kept.join(queue, match)

    def behind(self, cursor: Cursor, ids: Mapping[str, str]) -> Iterator[Queued]:
        """Yield what follows a cursor, newest first within each partition.

        Args:
            cursor: A position in each partition that has a queue.
            ids: The topics' ids by their names.
        """
        for at, queue in self._queues.items():
            position = cursor.topics[ids[at.topic]][at.partition]
            # From the newest on: a reader near the head has nearly all of it already.
            for each in reversed(queue):
                if each.kept.record.offset < position:
                    break
                yield each


def merged(*parts: Iterable[Queued]) -> list[Queued]:
    """Return records in the order in which they were read."""
    return sorted((each for part in parts for each in part), key=_number_of)


def _number_of(wanted: Queued) -> int:
    return wanted.kept.number
