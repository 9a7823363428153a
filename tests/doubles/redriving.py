"""A log of dead letters and a jobs table in memory, with a writer that can die between steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hookstream.core.model.freshness import Moment
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.redrive.marks import RedriveSource


class ProcessDied(Exception):
    """Raised where the process of a job ends between two steps, or before one is committed."""


@dataclass
class Shop:
    """What outlives a process: the dead letters, the jobs table and `retry.0s`."""

    jobs_topic: str
    stored: list[Record] = field(default_factory=list)
    table: dict[str, bytes] = field(default_factory=dict)
    door: list[OutgoingRecord] = field(default_factory=list)
    log_starts: dict[tuple[RedriveSource, int], int] = field(default_factory=dict)
    too_large: set[bytes] = field(default_factory=set)
    """Values that the door's topic refuses."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        return (r for r in list(self.stored) if r.offset < ends.get(r.partition, 0))

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        return self.log_starts

    def jobs(self) -> Mapping[str, bytes]:
        return dict(self.table)


@dataclass
class StepsOf:
    """The writer of one process: it dies at its `dies_at`-th write, with nothing of it written."""

    shop: Shop
    dies_at: int | None = None
    written: list[Sequence[OutgoingRecord]] = field(default_factory=list)

    def write(self, records: Sequence[OutgoingRecord]) -> Sequence[int]:
        if len(self.written) + 1 == self.dies_at:
            raise ProcessDied
        refused = [at for at, record in enumerate(records) if record.value in self.shop.too_large]
        if refused:
            # As a broker does: one record takes the whole batch of its topic with it.
            return [
                at for at, record in enumerate(records) if record.topic != self.shop.jobs_topic
            ]
        self.written.append(records)
        for record in records:
            if record.topic != self.shop.jobs_topic:
                self.shop.door.append(record)
            elif record.value is None:
                self.shop.table.pop((record.key or b"").decode(), None)
            else:
                self.shop.table[(record.key or b"").decode()] = record.value
        return ()


@dataclass
class Stopwatch:
    """A clock that only moves by sleeping."""

    seconds: float = 0.0
    start: int = 1_795_000_000_000
    slept: list[float] = field(default_factory=list)

    def now(self) -> int:
        return self.start + int(self.seconds * 1000)

    def moment(self) -> Moment:
        return Moment(self.monotonic(), self.now() / 1000)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
