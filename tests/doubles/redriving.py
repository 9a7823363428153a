"""A log of dead letters over a jobs table in memory, and the kind of job that redrives it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tests.doubles.jobs import TOPICS, JobsBroker
from tests.doubles.offload import OnTheLoop

from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.redrive.marks import Position, RedriveSource, TopicIds
from hookstream.core.redrive.revive import Unredrivable
from hookstream.pipeline.redrive import RedriveKind, RedriveMeans

DOOR = TOPICS.tier(0)


class ThreadOnTheLoop(OnTheLoop):
    """The thread of one redrive."""

    def close(self) -> None: ...


@dataclass
class Letters:
    """The dead letters, and what else a redrive reads. Implements `DeadLetters`."""

    broker: JobsBroker
    stored: list[Record] = field(default_factory=list)
    log_starts: dict[tuple[RedriveSource, int], int] = field(default_factory=dict)
    ids: dict[RedriveSource, str] = field(default_factory=dict)
    """By topic, its id."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        return (r for r in list(self.stored) if r.offset < ends.get(r.partition, 0))

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        return self.log_starts

    def topic_ids(self) -> TopicIds:
        return self.ids

    def jobs(self) -> Mapping[str, bytes]:
        return {key: value for key, (value, _) in self.broker.rows.items()}

    @property
    def door(self) -> list[OutgoingRecord]:
        """What was redriven."""
        return [record for record in self.broker.records if record.topic == DOOR]


def revive(dead: Record) -> OutgoingRecord | Unredrivable:
    """Redrive a dead letter under its position, unless its value is gone."""
    position = Position(dead.partition, dead.offset)
    if dead.value is None:
        return Unredrivable(position, "its origin is gone")
    return OutgoingRecord(DOOR, str(position).encode(), dead.value)


def redriving(
    letters: Letters,
    selects: Callable[[Record], bool] = lambda _: True,
    report: Callable[[Unredrivable], None] = lambda _: None,
    obstacle: Callable[[Record], str | None] = lambda _: None,
) -> RedriveKind:
    return RedriveKind(
        topics=TOPICS,
        clock=letters.broker.clock,
        means=lambda _: RedriveMeans(letters, selects, revive, obstacle),
        offload=ThreadOnTheLoop,
        report=report,
    )
