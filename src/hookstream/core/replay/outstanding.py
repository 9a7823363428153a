"""The outstanding deliveries of a replay, written and not ended: never more than its window.

An entry is identified by its event's position in the log, which is the same in every record about it: one
subscription gets at most one delivery of a run from each position. A delivery ends when the audit log has its end.
Some ends are not in the audit log: an operator skips a tier record, or an event that could not be identified does
not match or is undecodable. So each entry has a time limit: a delivery counts until it must have expired, an event
until it no longer waits for its schema. So no replay waits for an entry without end.

The job's row has all of it, with the position in the audit log up to which ends are counted, and is committed with
the records of a step. So another executor continues with exactly the outstanding deliveries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.row_fields import OBJECT, WHOLE, WrongType
from hookstream.core.replay.extent import offset_of, partition_of

WINDOW: Final = 2_000
"""The most outstanding deliveries of a replay: in a tier, deferred, retried or in a lane."""
LEAST_ROOM: Final = 100
"""Room below which no step is made: steps of one record each would cost a transaction each."""


class Place(NamedTuple):
    """The position of an event in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True, frozen=True)
class Outstanding:
    """Deliveries and events that were written and have not ended."""

    until: Mapping[Place, Millis] = field(default_factory=dict)
    """By position: when an entry counts as ended if the audit log has no end of it."""

    def __len__(self) -> int:
        """Return how many are outstanding."""
        return len(self.until)

    @property
    def room(self) -> int:
        """How many more may be written; 0 if that is too few for a step."""
        room = WINDOW - len(self.until)
        return room if room >= LEAST_ROOM else 0

    def with_written(self, written: Mapping[Place, Millis]) -> "Outstanding":
        """Return it with what a step writes: deliveries, and events that could not be identified.

        Args:
            written: When each counts as ended if the audit log has no end of it, rounded up to a whole minute,
                so that the row has few distinct times.
        """
        rounded = {place: -(-until // MINUTE) * MINUTE for place, until in written.items()}
        return Outstanding({**self.until, **rounded})

    def without(self, ended: Iterable[Place], now: Millis) -> "Outstanding":
        """Return it without those that ended, or count as ended by now."""
        gone = frozenset(ended)
        left = {
            place: until
            for place, until in self.until.items()
            if place not in gone and now < until
        }
        return self if len(left) == len(self.until) else Outstanding(left)

    def document(self) -> list[Json]:
        """Return it as JSON: for each time by topic and partition, each offset as its difference to the one before."""
        by_time: dict[Millis, list[Place]] = {}
        for place, until in self.until.items():
            by_time.setdefault(until, []).append(place)
        return [[until, _offsets(places)] for until, places in sorted(by_time.items())]


def read_outstanding(found: Json) -> Outstanding:
    """Read what is out from JSON.

    Raises:
        WrongType: It is none; the message says what is wrong.
    """
    if not isinstance(found, list):
        raise WrongType("has no list of what is out")
    until: dict[Place, Millis] = {}
    for group in found:
        match group:
            case [at, places]:
                instant: Millis = WHOLE.read(at)
                until.update(dict.fromkeys(_places(places), instant))
            case _:
                raise WrongType("names what is out without a time")
    return Outstanding(until)


def _offsets(places: Iterable[Place]) -> JsonObject:
    by_topic: dict[str, dict[str, list[int]]] = {}
    for place in places:
        partitions = by_topic.setdefault(place.topic, {})
        partitions.setdefault(str(place.partition), []).append(place.offset)
    document: JsonObject = {}
    for topic, partitions in sorted(by_topic.items()):
        shown: JsonObject = {}
        for partition, offsets in sorted(partitions.items()):
            offsets.sort()
            shown[partition] = [
                offset - before for offset, before in zip(offsets, [0, *offsets], strict=False)
            ]
        document[topic] = shown
    return document


def _places(found: Json) -> Iterable[Place]:
    for topic, partitions in OBJECT.read(found).items():
        for partition, differences in OBJECT.read(partitions).items():
            if not isinstance(differences, list):
                raise WrongType("has offsets that are no list")
            offset = 0
            for difference in differences:
                offset += offset_of(difference)
                yield Place(topic, partition_of(partition), offset)
