"""Defects that a replay might have, each planted by a part put in place of the real one."""

from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from tests.doubles.broker import BrokerSource
from tests.doubles.redriving import Letters
from tests.simulation.defects import Defect, built_with
from tests.simulation.executors import StoryWriter
from tests.simulation.invariants import (
    BEHIND,
    EXACT,
    IN_TURN,
    INTERVALS,
    JUSTIFIED,
    ONCE,
    ONE_WRITER,
    PROMISE,
    REPLAYED,
    SILENT,
    WINDOWED,
)
from tests.simulation.past import StoryEndings, StoryPast
from tests.simulation.world import Parts

from hookstream.core.jobs.job import Job, jobs_of
from hookstream.core.jobs.lease import handed_back
from hookstream.core.matching.directory import Directory
from hookstream.core.matching.granted import GrantedType, GrantTimeline
from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Identified, Undecodable, UndecodableReason
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeferUntil
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import (
    HeldGrant,
    Partner,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.offsets.start import Start, StartAt
from hookstream.core.replay.outstanding import Place
from hookstream.core.retry.waiting import Owner, WaitingRoom
from hookstream.pipeline.job_kind import JobKind, Written
from hookstream.pipeline.lane_queue import LaneQueue
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.past_ports import Ended, Endings, TopicListing
from hookstream.pipeline.ports import Codec
from hookstream.pipeline.replay import ReplayKind, ReplayPorts
from hookstream.pipeline.retrier import WaitingRecord

MakesPorts = Callable[[], AbstractAsyncContextManager[ReplayPorts]]


def with_ports(change: Callable[[ReplayPorts], ReplayPorts]) -> Callable[[MakesPorts], JobKind]:
    """Return what makes a replay whose ports are others."""

    def kind(ports: MakesPorts) -> JobKind:
        @asynccontextmanager
        async def changed() -> AsyncIterator[ReplayPorts]:
            async with ports() as right:
                yield change(right)

        return ReplayKind(changed)

    return kind


class Hurried(StoryPast):
    """An event log whose clock is seconds ahead."""

    async def now(self) -> Millis:
        return await super().now() + 3_000


class Blind(Letters):
    """A reading of the jobs table in which nobody has claimed anything."""

    def jobs(self) -> Mapping[str, bytes]:
        rows = super().jobs()
        jobs, _ = jobs_of(rows)
        return {**rows, **{job.id: handed_back(job, 0).encode() for job in jobs}}


def hurried(ports: ReplayPorts) -> ReplayPorts:
    assert isinstance(ports.log, StoryPast)
    return replace(ports, log=Hurried(ports.log.process, ports.log.world))


class Picky:
    """A Codec that takes what it does not know for no event."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def __getattr__(self, name: str) -> object:
        return getattr(self._codec, name)

    def identify(self, record: Record, topic: str | None = None) -> object:
        found = self._codec.identify(record, topic or record.topic)
        if isinstance(found, Identified | Undecodable):
            return found
        return Undecodable(UndecodableReason.NOT_FRAMED, f"{found}")


class Unbounded(StoryEndings):
    """Counts each delivery as ended that is in the log."""

    async def take(self) -> Ended:
        ended = await super().take()
        places = {
            Place(*at, record.offset)
            for at, log in self.world.broker.logs.items()
            for record in log.records
        }
        return replace(ended, places=places)


def unbounded(ports: ReplayPorts) -> ReplayPorts:
    right = ports.endings

    @asynccontextmanager
    async def wrong(
        job: Job, who: str, positions: Mapping[int, int] | None
    ) -> AsyncIterator[Endings]:
        async with right(job, who, positions) as endings:
            assert isinstance(endings, StoryEndings)
            yield Unbounded(endings.process, endings.world, endings.job_id, endings.position)

    return replace(ports, endings=wrong)


class Generous(Directory):
    """Asks today's grant alone, whatever was granted at a record's time."""

    def put_partner(self, partner: Partner) -> None:
        super().put_partner(replace(partner, history=(HeldGrant(partner.grant, 0),)))


class Halves(StoryWriter):
    """Writes the records of a step and its progress in two transactions."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        written = Written((), None)
        if records[:-1]:
            written = await super().write(records[:-1])
        return written if written.refused else await super().write(records[-1:])


class Unfenced(StoryWriter):
    """Is not fenced, however long the process stands still."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        await self.process.point()
        self.epoch = self.process.broker.epochs[self.job_id]
        at = self.process.broker.append(records)
        await self.process.point()
        return Written((), at)


class Counting(StoryWriter):
    """Counts the attempts of an earlier run."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        return await super().write([_with(record, names.ATTEMPT, b"1") for record in records])


class Mixing(StoryWriter):
    """Writes tier records that name no job, so that a run is taken for the first life."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        return await super().write([_with(record, names.JOB, None) for record in records])


def _with(record: OutgoingRecord, name: str, value: bytes | None) -> OutgoingRecord:
    if not any(known == names.JOB for known, _ in record.headers):
        return record
    headers = [
        (known, value if known == name else kept)
        for known, kept in record.headers
        if known != name or value is not None
    ]
    return replace(record, headers=headers)


class Merging(WaitingRoom[WaitingRecord]):
    """Takes the runs of a delivery for copies of one."""

    def admit(
        self,
        partition: TopicPartition,
        offset: int,
        due: Millis,
        size: int,
        item: WaitingRecord,
        key: Hashable | None = None,
        owner: Owner | None = None,
        *,
        rank: int = 0,
    ) -> WaitingRecord | None:
        alike = key[:3] if isinstance(key, tuple) else key
        return super().admit(partition, offset, due, size, item, alike, owner, rank=rank)


class Even(Lanes):
    """Lets replayed deliveries wait among live ones."""

    def _queue(self, subscription_id: str) -> LaneQueue:
        queue = super()._queue(subscription_id)
        queue.background = queue.waiting
        return queue


class Staying(Lanes):
    """Defers a live delivery, and lets the replays stay that wait in its lane."""

    def _refused(self, queue: LaneQueue, delivery: Delivery, now: float) -> DeferUntil:
        return self._slot(queue, delivery, now)


class Strict(Directory):
    """Asks the grant of a record's time too where only today's is to be asked."""

    def _opened(
        self,
        read: GrantTimeline | None,
        event_type: str,
        environment: str,
        timestamp: Millis,
        *,
        as_granted_today: bool,
        past: bool,
    ) -> tuple[GrantedType, ...]:
        del as_granted_today
        return super()._opened(
            read, event_type, environment, timestamp, as_granted_today=False, past=past
        )


class Silent(StoryWriter):
    """Writes tier records that do not say that only today's grant is to be asked."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        return await super().write(
            [_with(record, names.GRANTED_TODAY, None) for record in records]
        )


class Remembering(StoryPast):
    """An event log that is listed once, however long the interval still lasts."""

    listing: TopicListing | None = None

    async def topics(self) -> TopicListing:
        if self.listing is None:
            self.listing = await super().topics()
        return self.listing


def remembering(ports: ReplayPorts) -> ReplayPorts:
    assert isinstance(ports.log, StoryPast)
    return replace(ports, log=Remembering(ports.log.process, ports.log.world))


class Familiar(StoryPast):
    """An event log without the topics that were not there when it was listed first."""

    known: frozenset[str] | None = None

    async def topics(self) -> TopicListing:
        found = await super().topics()
        if self.known is None:
            self.known = frozenset(found.topics)
        there = {name: topic for name, topic in found.topics.items() if name in self.known}
        return replace(found, topics=there)


def familiar(ports: ReplayPorts) -> ReplayPorts:
    assert isinstance(ports.log, StoryPast)
    return replace(ports, log=Familiar(ports.log.process, ports.log.world))


class AtTheEndOfNew(BrokerSource):
    """Starts a partition that was added at its end, as a client does without an offset."""

    def decide(self, at: TopicPartition) -> Start:
        committed = self.broker.commits.get(self.group.name, {})
        if at in committed or at._replace(partition=0) not in committed:
            return super().decide(at)
        return StartAt(self.broker.high(at), commit=True)


class Overlapping(Directory):
    """Takes a gap that a replay fills for none."""

    def put_subscription(self, subscription: Subscription | UnreadableSubscription) -> None:
        if isinstance(subscription, Subscription):
            gaps = tuple(gap for gap in subscription.gaps if gap.filled_by is None)
            subscription = replace(subscription, gaps=gaps)
        super().put_subscription(subscription)


PAST_DEFECTS = (
    Defect(
        "fixes the ends of a replay before its interval is over",
        Parts(replay=with_ports(hurried)),
        frozenset({REPLAYED}),
        within=200,
        shown_by=3,
    ),
    Defect(
        "leaves out of a replay what it cannot identify",
        Parts(replay=with_ports(lambda ports: replace(ports, codec=Picky(ports.codec)))),  # type: ignore[arg-type]
        frozenset({REPLAYED}),
        within=200,
        shown_by=39,
    ),
    Defect(
        "writes records and progress of a step one after the other",
        Parts(writer=Halves),
        frozenset({REPLAYED}),
        within=400,
        shown_by=195,
    ),
    Defect(
        "lets two executors write steps of one job",
        Parts(writer=Unfenced),
        frozenset({ONE_WRITER, REPLAYED}),
        within=400,
        shown_by=1,
    ),
    Defect(
        "counts what is out of a replay as ended",
        Parts(replay=with_ports(unbounded)),
        frozenset({WINDOWED}),
        within=400,
        shown_by=3,
    ),
    Defect(
        "counts the attempts of an earlier run",
        Parts(writer=Counting),
        frozenset({EXACT}),
        within=100,
        shown_by=3,
    ),
    Defect(
        "mixes the runs of a delivery",
        Parts(writer=Mixing),
        frozenset({INTERVALS, EXACT, PROMISE, REPLAYED}),
        within=100,
        shown_by=3,
    ),
    Defect(
        "does not look whether another job is at work",
        Parts(letters=Blind),
        frozenset({IN_TURN, ONCE}),
        within=400,
        shown_by=242,
    ),
    Defect(
        "merges the runs of a delivery",
        Parts(built_with(WaitingRoom=Merging)),
        frozenset({PROMISE, SILENT}),
        within=400,
        shown_by=17,
    ),
    Defect(
        "lets replays wait among live deliveries",
        Parts(built_with(Lanes=Even)),
        frozenset({BEHIND}),
        within=1_000,
        shown_by=3,
    ),
    Defect(
        "lets replays stay in a lane that defers a live delivery",
        Parts(built_with(Lanes=Staying)),
        frozenset({BEHIND}),
        within=1_000,
        shown_by=330,
    ),
    Defect(
        "asks today's grant alone",
        Parts(directory=lambda _: Generous()),
        frozenset({INTERVALS, REPLAYED}),
        within=400,
        shown_by=20,
    ),
    Defect(
        "asks the grant of a record's time where today's is enough",
        Parts(directory=lambda _: Strict()),
        frozenset({REPLAYED, JUSTIFIED}),
        within=400,
        shown_by=42,
    ),
    Defect(
        "forgets on the way that today's grant is enough",
        Parts(writer=Silent),
        frozenset({JUSTIFIED, PROMISE}),
        within=400,
        shown_by=42,
    ),
    Defect(
        "lists the partitions of a replay before its interval is over",
        Parts(replay=with_ports(remembering)),
        frozenset({REPLAYED}),
        within=1_000,
        shown_by=64,
    ),
    Defect(
        "leaves out of a replay a topic that appears before its interval is over",
        Parts(replay=with_ports(familiar)),
        frozenset({REPLAYED}),
        within=1_000,
        shown_by=391,
    ),
    Defect(
        "begins at the end of a partition that was added",
        Parts(source=AtTheEndOfNew),
        frozenset({PROMISE}),
        within=400,
        shown_by=44,
    ),
    Defect(
        "delivers a gap that a replay fills",
        Parts(directory=lambda _: Overlapping()),
        frozenset({INTERVALS}),
        within=200,
        shown_by=3,
    ),
)
