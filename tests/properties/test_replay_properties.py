"""Every record of an interval is replayed exactly once if its subscription may have it, on drawn timelines.

Topics and partitions appear when the first thing happens in them, before the interval, in it, or after it.

The model is naive: it looks at all records that can be read in the end, whatever their offsets, and asks
for each whether its time, its type, its environment and both grants allow it.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.clock import NOON
from tests.doubles.jobs import Process
from tests.doubles.past import Txn
from tests.doubles.replaying import PRICED, ROUTED, ReplayWorld, acme, crm, replay_job
from tests.doubles.virtual_time import run

from hookstream.core.jobs.job import JobState
from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Grant, HeldGrant, covers
from hookstream.core.replay.extent import Extent, LogBounds, OffsetSpan, extent_of, read_extent
from hookstream.core.replay.interval import (
    REPLICATED_WITHIN,
    Interval,
    ends_may_be_fixed,
    settled_after,
)
from hookstream.core.replay.outstanding import WINDOW, Outstanding, Place, read_outstanding
from hookstream.core.replay.preview import ReplayPreview, read_replay_preview
from hookstream.core.replay.reached import Reached, Revisions, read_reached
from hookstream.core.replay.request import ReplayRequest, read_request
from hookstream.pipeline.job_kind import RunEnd
from hookstream.pipeline.jobs import JobRun

LATE = "late.type"
TYPES = (PRICED, ROUTED, LATE)
ENVIRONMENTS = ("live", "staging")
STORY = 120
"""Seconds in which records come. The interval lies within them."""

grants = st.builds(
    Grant,
    st.sampled_from([("*",), ("pricing.*",), (ROUTED, LATE), (PRICED, LATE)]),
    st.sampled_from([("*",), ("live",), ("staging",)]),
)


@dataclass
class Happening:
    """One thing that happens in a story."""

    at: float
    topic: int
    partition: int
    what: str
    event_type: str
    environment: str
    takes: float
    """How long a transaction stays open, where it is one."""
    skew: int
    """What the leader's clock is ahead from then on, seconds, where the leader changes."""


happenings = st.builds(
    Happening,
    at=st.floats(0, STORY, allow_nan=False).map(lambda at: round(at, 1)),
    topic=st.integers(0, 2),
    partition=st.integers(0, 1),
    what=st.sampled_from(
        ["event"] * 6 + ["committed", "committed", "aborted", "leader", "garbage", "publish"]
    ),
    event_type=st.sampled_from(TYPES),
    environment=st.sampled_from(ENVIRONMENTS),
    takes=st.floats(0, 90, allow_nan=False).map(lambda at: round(at, 1)),
    skew=st.integers(-14, 14),
)


@dataclass
class Story:
    """What happens, and what is asked for."""

    happens: list[Happening]
    since: int
    until: int
    begins: int
    """When the replay is asked for, in seconds."""
    deaths: list[int]
    """The points at which executors die, one after another."""
    then: list[tuple[int, Grant]]
    """The partner's grants, each with the second from which it held."""
    types: tuple[str, ...]
    takes: int
    as_granted_today: bool


stories = st.builds(
    Story,
    happens=st.lists(happenings, min_size=1, max_size=40),
    since=st.integers(-5, 60),
    until=st.integers(61, STORY + 5),
    begins=st.integers(0, STORY + 60),
    deaths=st.lists(st.integers(1, 60), max_size=4),
    then=st.lists(st.tuples(st.integers(0, STORY), grants), min_size=1, max_size=4),
    types=st.sampled_from([("*",), ("pricing.*",), (PRICED, LATE)]),
    takes=st.sampled_from([1, 3, 1_000]),
    as_granted_today=st.booleans(),
)


@dataclass
class PlayedStory:
    """A story, and what it wrote."""

    story: Story
    world: ReplayWorld = field(default_factory=ReplayWorld)
    skews: dict[TopicPartition, int] = field(default_factory=dict)
    published: Millis | None = None
    """When the late schema came."""
    either: set[Place] = field(default_factory=set)
    """What may be written as an event to be identified, as its schema came meanwhile, and then ends."""

    def prepare(self) -> None:
        world, story = self.world, self.story
        world.past.brokers = world.past.replicas = 3
        world.takes = story.takes
        times = sorted({at for at, _ in story.then})
        held = dict(story.then)
        self.held = [HeldGrant(held[at], NOON + at * SECOND) for at in times]
        world.directory.put_partner(acme(*self.held))
        world.directory.put_subscription(crm(event_types=story.types, active_from=NOON - 1))

    async def play(self) -> None:
        """Let everything happen in its time, and run the replay with executors that die."""
        self.world.clock.now()
        async with asyncio.TaskGroup() as tasks:
            for number, each in enumerate(self.story.happens):
                tasks.create_task(self._happen(number, each))
            await asyncio.sleep(self.story.begins)
            await self._replay()

    async def _happen(self, number: int, each: Happening) -> None:
        await asyncio.sleep(each.at)
        world, topic = self.world, f"printprice.t{each.topic}"
        if topic not in world.past.topics:
            world.past.create(topic)
        world.past.grow(topic, each.partition + 1)
        at = TopicPartition(topic, each.partition)
        stamp = world.clock.now() + self.skews.get(at, 0) * SECOND
        match each.what:
            case "leader":
                self.skews[at] = each.skew
            case "publish":
                world.codec.publish(LATE)
                self.published = world.clock.now() if self.published is None else self.published
            case "garbage":
                world.past.append(topic, b"garbage", stamp, each.partition)
            case "event":
                self._append(number, each, stamp, Txn.COMMITTED)
            case ended:
                offset = self._append(number, each, stamp, Txn.OPEN)
                await asyncio.sleep(each.takes)
                world.past.end(topic, offset, Txn(ended), each.partition)

    def _append(self, number: int, each: Happening, stamp: Millis, state: Txn) -> int:
        topic = f"printprice.t{each.topic}"
        offset = self.world.event(
            topic,
            stamp,
            f"e{number}",
            event_type=each.event_type,
            environment=each.environment,
            partition=each.partition,
        )
        self.world.past.log(TopicPartition(topic, each.partition)).entries[offset].state = state
        return offset

    async def _replay(self) -> None:
        story = self.story
        job = replay_job(
            max(0, NOON + story.since * SECOND),
            NOON + story.until * SECOND,
            as_granted_today=story.as_granted_today,
        )
        self.began = self.world.clock.now()
        for number, dies_at in enumerate((*story.deaths, None)):
            process, dead = self.world.process(), asyncio.Event()
            if dies_at is not None:
                process.at_point[dies_at] = partial(_dies, dead)
            run = JobRun(self.world.executor(f"x{number}", process), asyncio.Event())
            known = job.id in self.world.jobs.rows
            asked = run.resume(job.id, wait=True) if known else run.start(job)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(asked)
                died = tasks.create_task(dead.wait())
                await asyncio.wait((running, died), return_when=asyncio.FIRST_COMPLETED)
                running.cancel()
                died.cancel()
            if not running.cancelled():
                assert running.result().why is RunEnd.ENDED
                return

    # The model.

    def expected(self) -> dict[Place, bool | None]:
        """Return what must be written: identified or not; None: either, as its schema came meanwhile."""
        story = self.story
        since, until = NOON + story.since * SECOND, NOON + story.until * SECOND
        wanted: dict[Place, bool | None] = {}
        for record in self.world.past.committed():
            if not since <= record.timestamp < until or record.value == b"garbage":
                continue
            number = int(str(record.value).partition('"event_id": "e')[2].partition('"')[0])
            event = story.happens[number]
            known = self._known(event.event_type)
            granted = covers(story.types, event.event_type) and self._granted(
                event, record.timestamp
            )
            place = Place(record.topic, record.partition, record.offset)
            if known is False or granted:
                wanted[place] = known
            elif known is None:
                self.either.add(place)
        return wanted

    def _known(self, event_type: str) -> bool | None:
        if event_type != LATE:
            return True
        if self.published is None:
            return False
        return True if self.published <= self.began else None

    def _granted(self, event: Happening, timestamp: Millis) -> bool:
        then = [each.grant for each in self.held if (each.since or 0) < timestamp]
        today = self.held[-1].grant
        covering = [today] if self.story.as_granted_today else [*then[-1:], today]
        if not then and not self.story.as_granted_today:
            return False
        return all(
            covers(grant.event_types, event.event_type)
            and (grant.environments == ("*",) or event.environment in grant.environments)
            for grant in covering
        )


def _dies(dead: asyncio.Event, process: Process) -> None:
    process.die()
    dead.set()


@given(story=stories)
def test_every_record_of_the_interval_is_replayed_once_if_it_may_be(story: Story) -> None:
    played = PlayedStory(story)
    played.prepare()
    run(played.play())
    wanted = played.expected()
    found = {each.place: each.identified for each in played.world.written}
    assert len(found) == len(played.world.written), "a record was written twice"
    found = {place: known for place, known in found.items() if place not in played.either}
    assert sorted(found) == sorted(wanted)
    assert all(wanted[place] in (known, None) for place, known in found.items())
    assert played.world.jobs.job("replay-1").state is JobState.DONE


offsets = st.integers(0, 2**63 - 1)
places = st.builds(Place, st.sampled_from(["a", "b.c"]), st.integers(0, 3), st.integers(0, 2**40))
partitions = st.builds(TopicPartition, st.sampled_from(["a", "b.c"]), st.integers(0, 99))
spans = st.dictionaries(partitions, st.tuples(offsets, offsets), max_size=8)


def an_extent(drawn: dict[TopicPartition, tuple[int, int]]) -> Extent:
    ids = {"a": "0" * 31 + "a", "b.c": ""}
    starts = {at: first for at, (first, _) in drawn.items()}
    return extent_of(ids, starts, {at: end for at, (_, end) in drawn.items()})


outs = st.builds(Outstanding, st.dictionaries(places, st.integers(0, 9), max_size=30))
requests = st.builds(
    ReplayRequest,
    st.text(min_size=1, max_size=9),
    st.tuples(st.integers(0, 10**13), st.integers(1, 10**9)).map(
        lambda drawn: Interval(drawn[0], drawn[0] + drawn[1])
    ),
    st.frozensets(st.text(min_size=1, max_size=9), max_size=3),
    st.booleans(),
)


@given(
    drawn=st.one_of(st.none(), spans),
    audit=st.one_of(st.none(), st.dictionaries(st.integers(0, 99), offsets, max_size=3)),
    out=outs,
    lost=st.integers(0, 99),
)
def test_how_far_a_replay_is_survives_its_row(
    drawn: dict[TopicPartition, tuple[int, int]] | None,
    audit: dict[int, int] | None,
    out: Outstanding,
    lost: int,
) -> None:
    extent = None if drawn is None else an_extent(drawn)
    reached = Reached(extent, audit, out, Revisions(3, 4), lost, 2)
    assert read_reached(reached.document()) == reached
    assert read_outstanding(out.document()) == out


@given(request=requests, drawn=spans, events=st.integers(0, 10**9))
def test_a_request_and_its_preview_survive_as_text(
    request: ReplayRequest, drawn: dict[TopicPartition, tuple[int, int]], events: int
) -> None:
    assert read_request(request.document()) == request
    preview = ReplayPreview(request, an_extent(drawn), events)
    assert read_replay_preview(str(preview.token())) == preview


@given(
    drawn=spans,
    moves=st.lists(st.dictionaries(partitions, offsets, max_size=4), max_size=4),
    logs=st.dictionaries(
        partitions,
        st.builds(LogBounds, st.sampled_from([None, "", "0" * 31 + "a"]), offsets, offsets),
        max_size=6,
    ),
)
def test_offsets_are_read_left_or_lost_and_never_two_of_these(
    drawn: dict[TopicPartition, tuple[int, int]],
    moves: list[dict[TopicPartition, int]],
    logs: dict[TopicPartition, LogBounds],
) -> None:
    extent = an_extent(drawn)
    for move in moves:
        extent = extent.moved(move)
    read_extent(extent.document())
    after, lost = extent.checked(logs)
    left = sum(end - first for first, end in after.spans.values())
    assert left + sum(each.end - each.first for each in lost) == extent.offsets
    for at, span in after.spans.items():
        before, log = extent.spans[at], logs.get(at)
        assert before.next <= span.next < span.end <= before.end
        assert log is None or (log.low <= span.next and span.end <= log.high)
        assert span == before or log is not None
    assert set(after.spans) <= set(extent.spans)


@given(steps=st.lists(st.tuples(st.sets(places, max_size=9), st.sets(places, max_size=9))))
def test_what_is_out_is_what_was_written_and_has_not_ended(
    steps: list[tuple[set[Place], set[Place]]],
) -> None:
    out, model = Outstanding(), set[Place]()
    for written, ended in steps:
        out = out.with_written(dict.fromkeys(written, 2)).without(ended, 1)
        model = (model | written) - ended
        assert set(out.until) == model
        assert out.room in (0, WINDOW - len(model))


@given(
    until=st.integers(0, 10**12),
    asked=st.integers(0, 10**12),
    ahead=st.integers(-14_999, 14_999),
    behind=st.integers(-14_999, 14_999),
    replicas=st.integers(2, 5),
)
def test_no_record_of_the_interval_is_stamped_after_the_ends_were_fixed(
    until: int, asked: int, ahead: int, behind: int, replicas: int
) -> None:
    """The clock that is asked is one broker's, the stamp of a record another's."""
    interval = Interval(0, until)
    settled = settled_after(3, replicas)
    assert settled == REPLICATED_WITHIN
    if ends_may_be_fixed(interval, asked + ahead, settled):
        assert not interval.contains(asked + behind + 1)


def test_a_span_that_was_read_is_left_out() -> None:
    at = TopicPartition("a", 0)
    extent = Extent({"a": ""}, {at: OffsetSpan(3, 9)})
    assert extent.moved({at: 9}) == Extent()
