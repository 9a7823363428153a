"""Live delivery, replays and late events split the records of a subscription between them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.matching.directory import Directory, Question
from hookstream.core.model.active_interval import (
    Arrival,
    active_at,
    around,
    arrival_of,
    gaps_of,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Grant,
    Partner,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning.gap_fills import fill_closed, incomplete
from hookstream.core.planning.transitions import SLACK, enable, pause, resume

LEAD = 2_000
BEGIN = 100_000
FIRST = Subscription("s1", "acme", Endpoint("https://acme.example", ()), ("*",), BEGIN)


@dataclass(frozen=True)
class Row:
    """The tables as they are from an instant on."""

    since: Millis
    subscription: Subscription
    disabled: Disabled | None


@dataclass(frozen=True)
class Event:
    """One record of the log, and when its readers come to it."""

    timestamp: Millis
    read_after: Millis
    """How long after its append a worker reads it from its event topic."""
    aside: Millis | None
    """How long it then waits for its schema, or to be repaired and redriven; None: it is an event."""
    broken: bool
    """Whether it is undecodable until then, and not only of an unknown schema."""
    retained: bool
    """Whether the log still has it when a replay reads."""

    @property
    def read_at(self) -> Millis:
        return self.timestamp + self.read_after

    @property
    def late_at(self) -> Millis | None:
        return None if self.aside is None else self.read_at + self.aside


@dataclass
class World:
    """What becomes of a subscription, and who delivers each of its records."""

    events: Sequence[Event]
    rows: list[Row] = field(default_factory=lambda: [Row(0, FIRST, None)])
    now: Millis = BEGIN
    jobs: int = 0
    replayed: Counter[Event] = field(default_factory=Counter)

    def act(self, kind: str) -> None:
        """Carry out one command, if it applies."""
        row = self.rows[-1]
        subscription, disabled = row.subscription, row.disabled
        match kind:
            case "pause":
                subscription = pause(subscription, self.now + LEAD)
            case "resume":
                subscription = resume(subscription, self.now + LEAD)
            case "disable" if disabled is None:
                disabled = Disabled("s1", self.now, "gone")
            case "enable" if disabled is not None:
                subscription = enable(subscription, disabled, self.now + LEAD)
                disabled = None
            case "fill":
                subscription = self.fill(subscription)
            case _:
                pass
        self.rows.append(Row(self.now, subscription, disabled))

    def fill(self, subscription: Subscription) -> Subscription:
        """Replay every closed gap that is over and not filled yet."""
        for gap in subscription.gaps:
            if gap.end is None or gap.end >= self.now or gap.filled_by is not None:
                continue
            without = replace(subscription, gaps=tuple(g for g in subscription.gaps if g != gap))
            # As if it had just been closed.
            filled, fillings = fill_closed(without, subscription, None, self.new_job)
            for job, start, end in fillings:
                read = [event for event in self.events if start < event.timestamp <= end]
                self.replayed.update(event for event in read if self.takes(event))
                if not all(event.retained for event in read):
                    filled = incomplete(filled, job)
            if fillings:
                return self.fill(filled)
        return subscription

    def new_job(self) -> str:
        self.jobs += 1
        return f"job-{self.jobs}"

    def takes(self, event: Event) -> bool:
        """Return whether a replay that reads now delivers a record, at once or when its schema comes."""
        broken = event.broken and (event.late_at is None or event.late_at > self.now)
        return event.retained and not broken

    def at(self, instant: Millis) -> Row:
        """Return the tables as a worker has them at an instant."""
        return [row for row in self.rows if row.since <= instant][-1]

    def live(self, event: Event) -> bool:
        """Return whether workers deliver it, from its event topic or when it comes late."""
        late = event.late_at is not None
        reason = "not_framed" if event.broken else "unknown_schema"
        arrival = arrival_of(in_tier=late, undecodable_as=reason if late else None)
        row = self.at(event.late_at or event.read_at)
        expected = active_at(row.subscription, row.disabled, event.timestamp, arrival=arrival)
        assert matches(row, event.timestamp, arrival) == expected
        return expected


def matches(row: Row, timestamp: Millis, arrival: Arrival) -> bool:
    """Return whether a worker with these tables delivers a record of this time."""
    directory = Directory()
    directory.put_partner(Partner("acme", "Acme", Grant(("*",), ("*",))))
    directory.put_subscription(replace(row.subscription, state=SubscriptionState.ACTIVE))
    if row.disabled is not None:
        directory.put_disabled(row.disabled)
    question = Question("a.b", "live", timestamp, lambda _: {}, 1, arrival)
    return any(directory.match(question))


spans = st.integers(1, 150_000)
events = st.builds(
    Event,
    st.integers(BEGIN - 5_000, BEGIN + 600_000),
    st.integers(0, 400_000),
    st.none() | st.integers(0, 3_000_000),
    st.booleans(),
    st.just(value=True),
).filter(lambda event: event.aside is not None or not event.broken)
commands = st.lists(
    st.tuples(spans, st.sampled_from(["pause", "resume", "disable", "enable", "fill"])),
    max_size=12,
)


def played(log: Sequence[Event], acts: Sequence[tuple[Millis, str]]) -> World:
    world = World(log)
    for span, kind in acts:
        world.now += span
        world.act(kind)
    # In the end everything is resumed, enabled and filled.
    for kind in ("resume", "enable", "fill"):
        world.now += 700_000
        world.act(kind)
    return world


def in_slack(world: World, timestamp: Millis) -> bool:
    """Return whether a gap begins earlier than the disabling itself: there a replay repeats."""
    gaps = world.rows[-1].subscription.gaps
    return any(
        gap.reason == "disabled" and gap.start < timestamp <= gap.start + SLACK for gap in gaps
    )


@given(st.lists(events, min_size=1, max_size=6, unique=True), commands)
def test_each_record_is_delivered_live_or_by_one_replay(
    log: list[Event], acts: list[tuple[Millis, str]]
) -> None:
    """However late it is read, identified or redriven, and however often its gap is filled."""
    world = played(log, acts)
    for event in log:
        deliveries = world.live(event) + world.replayed[event]
        if event.timestamp <= FIRST.active_from:
            assert deliveries == 0
        elif in_slack(world, event.timestamp):
            assert deliveries in (1, 2)
        else:
            assert deliveries == 1


lost_events = st.builds(
    Event,
    st.integers(BEGIN + 1, BEGIN + 600_000),
    st.integers(0, 400_000),
    st.just(4_000_000),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(lost_events, min_size=1, max_size=6, unique=True), commands)
def test_what_a_replay_lost_is_delivered_when_it_comes_late(
    log: list[Event], acts: list[tuple[Millis, str]]
) -> None:
    """Retention took it from the log, and it is redriven after the replay: nobody else has it."""
    world = played(log, acts)
    for event in log:
        deliveries = world.live(event) + world.replayed[event]
        assert deliveries >= 1
        if not event.retained and not in_slack(world, event.timestamp):
            assert deliveries == 1


@given(commands, st.integers(BEGIN, BEGIN + 600_000))
def test_without_a_fill_a_record_is_delivered_exactly_if_it_is_in_no_gap(
    acts: list[tuple[Millis, str]], timestamp: Millis
) -> None:
    world = World([])
    for span, kind in acts:
        world.now += span
        if kind != "fill":
            world.act(kind)
    row = world.rows[-1]
    inside = bool(around(gaps_of(row.subscription, row.disabled), timestamp))
    for arrival in Arrival:
        expected = timestamp > BEGIN and not inside
        assert active_at(row.subscription, row.disabled, timestamp, arrival=arrival) == expected
