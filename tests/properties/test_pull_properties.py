"""A reader that goes on from cursor to cursor is given every event that it may have exactly once.

Logs are drawn: transactions that stay open, aborted ones, records that are no events, schemas that come late
or never, topics and partitions that appear, topics created again, retention, pauses, grants that widen and
narrow. So are readers: how many events they take at once, how long they wait and rest. A tail that keeps
little makes them change between it and the log. The model is naive: it looks at each record by itself.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.doubles.clock import NOON
from tests.doubles.past import Entry, Txn
from tests.doubles.pulling import PageReader, PullWorld, pulled
from tests.doubles.replaying import PRICED, ROUTED, acme
from tests.doubles.virtual_time import run

from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.model.subscription import Gap, Grant, HeldGrant, SubscriptionState, covers
from hookstream.pipeline.pull.ports import PullRules

LATE, NEVER = "late.type", "never.type"
TYPES = (PRICED, ROUTED, LATE, NEVER)
ENVIRONMENTS = ("live", "staging")
STORY = 100
"""Seconds in which things happen."""
GRACE = 20 * SECOND

grants = st.builds(
    Grant,
    st.sampled_from([("*",), ("pricing.*",), (ROUTED, LATE)]),
    st.sampled_from([("*",), ("live",)]),
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
    """How long a transaction stays open."""
    grant: Grant


happenings = st.builds(
    Happening,
    at=st.floats(0, STORY, allow_nan=False).map(lambda at: round(at, 1)),
    topic=st.integers(0, 1),
    partition=st.integers(0, 1),
    what=st.sampled_from(
        ["event"] * 12
        + [
            "committed",
            "aborted",
            "garbage",
            "publish",
            "retention",
            "again",
            "partition",
            "grant",
        ]
        + ["pause", "resume"]
    ),
    event_type=st.sampled_from(TYPES),
    environment=st.sampled_from(ENVIRONMENTS),
    takes=st.floats(0, 40, allow_nan=False).map(lambda at: round(at, 1)),
    grant=grants,
)


@dataclass
class Habit:
    """How a reader asks."""

    limit: int
    wait: float
    rest: float


habits = st.builds(
    Habit,
    limit=st.sampled_from([1, 2, 5, 1_000]),
    wait=st.sampled_from([0.0, 3.0, 30.0]),
    rest=st.sampled_from([0.2, 1.0, 40.0]),
)


@dataclass
class Story:
    """What happens to a world, and what is known of each record."""

    world: PullWorld
    grants: list[tuple[Millis, Grant]] = field(default_factory=list)
    """Each with the instant from which it holds."""
    gaps: list[Gap] = field(default_factory=list)
    logs: dict[tuple[str, int], list[Entry]] = field(default_factory=dict)
    """By topic id and partition; those of deleted topics too."""
    lows: dict[tuple[str, int], int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def begin(self, active_from: Millis) -> None:
        self.grants.append((1, Grant(("*",), ("*",))))
        self._tables()
        self.world.directory.put_subscription(pulled(active_from=active_from))

    def _tables(self) -> None:
        self.world.directory.put_partner(
            acme(*(HeldGrant(grant, since) for since, grant in self.grants))
        )

    async def happen(self, each: Happening) -> None:
        await asyncio.sleep(each.at)
        past = self.world.past
        topic = f"t{each.topic}"
        if topic not in past.topics:
            past.create(topic)
        number = min(each.partition, len(past.topics[topic][1]) - 1)
        self._note(topic)
        if each.what in ("committed", "aborted"):
            await self._transact(topic, number, each)
        elif each.what in ("event", "garbage", "retention", "again", "partition"):
            self._log_changes(topic, number, each)
        else:
            self._tables_change(each)

    def _log_changes(self, topic: str, number: int, each: Happening) -> None:
        past = self.world.past
        topic_id, partitions = past.topics[topic]
        log = partitions[number]
        match each.what:
            case "event":
                self._append(topic, number, each, Txn.COMMITTED)
            case "garbage":
                past.append(topic, b"no event", self.world.clock.now(), number)
            case "retention":
                log.low = (log.low + log.stable + 1) // 2
                self.lows[topic_id, number] = log.low
            case "again":
                self.deleted.add(topic_id)
                past.create(topic)
            case _:
                if len(partitions) == 1:
                    partitions.append(type(log)())
        self._note(topic)

    async def _transact(self, topic: str, number: int, each: Happening) -> None:
        entries = self.world.past.topics[topic][1][number].entries
        entry = entries[self._append(topic, number, each, Txn.OPEN)]
        await asyncio.sleep(each.takes)
        entry.state = Txn.COMMITTED if each.what == "committed" else Txn.ABORTED
        entries.append(Entry(entry.timestamp, state=Txn.MARKER))

    def _tables_change(self, each: Happening) -> None:
        # Written some seconds ahead, as operators' changes are.
        at = self.world.clock.now() + 2 * SECOND
        if each.what == "publish":
            self.world.codec.publish(LATE)
        elif each.what != "grant":
            self._pause(each.what, at)
        elif at > self.grants[-1][0]:
            self.grants.append((at, each.grant))
            self._tables()

    def _note(self, topic: str) -> None:
        topic_id, partitions = self.world.past.topics[topic]
        for number, log in enumerate(partitions):
            self.logs[topic_id, number] = log.entries

    def _append(self, topic: str, number: int, each: Happening, state: Txn) -> int:
        topic_id = self.world.past.topics[topic][0]
        offset = len(self.world.past.topics[topic][1][number].entries)
        return self.world.event(
            topic,
            f"{topic_id}/{number}/{offset}",
            event_type=each.event_type,
            environment=each.environment,
            partition=number,
            state=state,
        )

    def _pause(self, what: str, at: Millis) -> None:
        subscription = self.world.directory.subscriptions["crm"]
        is_open = bool(self.gaps) and self.gaps[-1].end is None
        if what == "pause" and not is_open:
            self.gaps.append(Gap(at, None, "paused"))
        elif what == "resume" and is_open and at > self.gaps[-1].start:
            self.gaps[-1] = replace(self.gaps[-1], end=at)
        state = SubscriptionState.ACTIVE
        if self.gaps and self.gaps[-1].end is None:
            state = SubscriptionState.PAUSED
        changed = pulled(active_from=subscription.active_from, gaps=tuple(self.gaps), state=state)
        self.world.directory.put_subscription(changed)

    # The model.

    def is_asked(self, timestamp: Millis, active_from: Millis) -> bool:
        # Pauses are about the endpoint.
        return timestamp > active_from

    def grants_of(self, timestamp: Millis) -> tuple[Grant, list[Grant]]:
        """Return the grant of a record's time, and those after it."""
        then = [grant for since, grant in self.grants if since < timestamp]
        return then[-1], [grant for since, grant in self.grants if since >= timestamp]


def shows(grant: Grant, event_type: str, environment: str) -> bool:
    return covers(grant.event_types, event_type) and (
        "*" in grant.environments or environment in grant.environments
    )


@settings(max_examples=50, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(
    drawn=st.lists(happenings, min_size=1, max_size=40),
    habit=habits,
    tail_records=st.sampled_from([1, 5, 20_000]),
    reading_records=st.sampled_from([3, 20_000]),
    active_after=st.sampled_from([-10, 30]),
)
def test_every_event_is_in_exactly_one_page_or_its_loss_is(
    drawn: list[Happening],
    habit: Habit,
    tail_records: int,
    reading_records: int,
    active_after: int,
) -> None:
    run(
        _read_story(
            drawn,
            habit,
            PullRules(
                schema_grace=GRACE, tail_records=tail_records, reading_records=reading_records
            ),
            active_after,
        )
    )


async def _read_story(
    drawn: list[Happening], habit: Habit, rules: PullRules, active_after: int
) -> None:
    world = PullWorld(rules=rules)
    world.clock.now()
    active_from = NOON + active_after * SECOND
    story = Story(world)
    story.begin(active_from)
    over = asyncio.Event()

    async def go_on() -> None:
        async with asyncio.TaskGroup() as group:
            for each in drawn:
                group.create_task(story.happen(each))
        over.set()

    async with world.door() as door, asyncio.TaskGroup() as group:
        group.create_task(go_on())
        reader = PageReader(door)
        while not over.is_set():
            await reader.next(habit.limit, habit.wait)
            await asyncio.sleep(habit.rest)
        # Every schema is either published or waited for long enough; every topic is listed.
        await asyncio.sleep(GRACE / 1000 + 15)
        for _ in range(3):
            await reader.drain(habit.limit)
            await reader.next(habit.limit, 5)
        _check(story, reader, active_from)


def _check(story: Story, reader: PageReader, active_from: Millis) -> None:
    shown = Counter(reader.event_ids)
    assert all(times == 1 for times in shown.values()), shown
    _check_order(reader)
    known = {event_id.partition("/")[0] for event_id in shown}
    lost: set[str] = set()
    asides = 0
    for (topic_id, number), entries in story.logs.items():
        low = story.lows.get((topic_id, number), 0)
        for offset, entry in enumerate(entries):
            event_id = f"{topic_id}/{number}/{offset}"
            may_be_lost = offset < low or topic_id in story.deleted
            match _kind(story, entry, active_from):
                case "event" if event_id not in shown:
                    assert may_be_lost, event_id
                    # Of a topic that was gone again before a reader came nobody can say anything.
                    if topic_id not in story.deleted or topic_id in known:
                        lost.add(event_id)
                case "nothing":
                    assert event_id not in shown
                case "no event" if not may_be_lost:
                    asides += 1
    assert len(reader.skipped) >= asides
    if lost:
        assert reader.gaps, lost


def _check_order(reader: PageReader) -> None:
    last: dict[str, int] = {}
    for event_id in reader.event_ids:
        place, _, offset = event_id.rpartition("/")
        assert last.get(place, -1) < int(offset)
        last[place] = int(offset)


def _kind(story: Story, entry: Entry, active_from: Millis) -> str:
    """Return what a record must be to the reader; empty: that depends on when it is read."""
    if entry.state is not Txn.COMMITTED or not story.is_asked(entry.timestamp, active_from):
        return "nothing"
    fields = story.world.codec._fields(entry.value)
    event_type = str(fields.get("type", ""))
    if not event_type or event_type == NEVER:
        return "no event"
    if event_type == LATE:
        # It is shown, or skipped after its grace.
        return ""
    then, later = story.grants_of(entry.timestamp)
    environment = str(fields["environment"])
    if not shows(then, event_type, environment):
        return "nothing"
    return "event" if all(shows(each, event_type, environment) for each in later) else ""
