"""However pauses and disablings overlap, each record is delivered once: live, or by one replay."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.properties.test_active_intervals import BEGIN, FIRST, LEAD, Row, matches

from hookstream.core.model.active_interval import Arrival, active_at
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import Disabled, Gap, Subscription
from hookstream.core.planning.gap_fills import GapFill, fill_closed, incomplete, started
from hookstream.core.planning.transitions import SLACK, enable, pause, resume
from hookstream.core.replay.interval import interval_of_gap

END = BEGIN + 1_000_000


@dataclass
class Timeline:
    """The rows of a subscription over time, and the replays that were written with them."""

    now: Millis = BEGIN
    rows: list[Row] = field(default_factory=lambda: [Row(0, FIRST, None)])
    fillings: list[GapFill] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    def act(self, kind: str, lead: Millis) -> None:
        """Carry out one command, if it applies."""
        row = self.rows[-1]
        before, disabled = row.subscription, row.disabled
        match kind:
            case "pause":
                self.put(pause(before, self.now + lead), disabled)
            case "resume":
                self.filled(before, resume(before, self.now + lead), disabled)
            case "disable" if disabled is None:
                self.put(before, Disabled("s1", self.now, "gone"))
            case "enable" if disabled is not None:
                self.filled(before, enable(before, disabled, self.now + lead), None)
            case _:
                pass

    def filled(self, before: Subscription, after: Subscription, disabled: Disabled | None) -> None:
        after, fillings = fill_closed(before, after, disabled, lambda: f"job-{next(self.ids)}")
        self.fillings += fillings
        self.put(after, disabled)

    def put(self, subscription: Subscription, disabled: Disabled | None) -> None:
        self.rows.append(Row(self.now, subscription, disabled))

    def live(
        self,
        timestamp: Millis,
        read_at: Millis,
        *,
        behind: Millis = 0,
        arrival: Arrival = Arrival.LIVE,
    ) -> bool:
        """Return whether a worker delivers a record that it reads at an instant.

        `behind`: how much later than they are written it has the rows.
        """
        row = [row for row in self.rows if row.since <= max(0, read_at - behind)][-1]
        expected = active_at(row.subscription, row.disabled, timestamp, arrival)
        assert matches(row, timestamp, arrival) == expected
        return expected

    def replays(self, timestamp: Millis) -> int:
        """Return how many replays have a record in their interval."""
        intervals = [interval_of_gap(start, end) for _, start, end in self.fillings]
        return sum(interval.contains(timestamp) for interval in intervals)

    def borders(self) -> list[Millis]:
        """Return the instants at which somebody else becomes responsible, and their neighbours."""
        gaps = [gap for row in self.rows for gap in row.subscription.gaps]
        edges = {edge for gap in gaps for edge in (gap.start, gap.end or END)}
        return sorted({edge + step for edge in edges for step in (-1, 0, 1)})


acts = st.lists(
    st.tuples(
        st.integers(0, 90_000),
        st.sampled_from(["pause", "resume", "disable", "enable"]),
        # Shorter than the lag of a worker would be wrong; a longer one only takes longer.
        st.sampled_from([LEAD, LEAD, 3 * LEAD]),
    ),
    max_size=12,
)


def played(commands: Sequence[tuple[Millis, str, Millis]]) -> Timeline:
    timeline = Timeline()
    for span, kind, lead in commands:
        timeline.now += span
        timeline.act(kind, lead)
    for kind in ("resume", "enable"):
        timeline.now += 100_000
        timeline.act(kind, LEAD)
    return timeline


def repeated(timeline: Timeline, timestamp: Millis, behind: Millis) -> bool:
    """Return whether a replay may repeat here: it starts a minute before a disabling.

    Workers disable at once, and others deliver until they have read it.
    """
    return any(
        row.disabled is not None and -SLACK < timestamp - row.disabled.since <= behind
        for row in timeline.rows
    )


@given(
    acts,
    st.lists(st.integers(BEGIN + 1, END), max_size=8),
    st.integers(0, 60_000),
    st.integers(0, LEAD),
)
def test_gap_replay_and_live_delivery_split_the_log_exactly(
    commands: list[tuple[Millis, str, Millis]], more: list[Millis], lag: Millis, behind: Millis
) -> None:
    """At every border and around it, whoever reads how late, and by a copy that comes late as well."""
    timeline = played(commands)
    for timestamp in [*timeline.borders(), *more]:
        if timestamp <= FIRST.active_from:
            assert timeline.replays(timestamp) == 0
            continue
        live = timeline.live(timestamp, timestamp + lag, behind=behind)
        deliveries = live + timeline.replays(timestamp)
        if repeated(timeline, timestamp, behind):
            assert deliveries in (1, 2)
        else:
            assert deliveries == 1, timestamp
        # Long after everything was filled: a copy whose schema came late, which the replay has too, and one
        # that was undecodable, which it left.
        waited = timeline.live(timestamp, END * 2, arrival=Arrival.WAITED)
        assert waited + timeline.replays(timestamp) == 1
        assert timeline.live(timestamp, END * 2, arrival=Arrival.UNDECODABLE)


@given(acts)
def test_no_two_replays_have_a_record_in_common(
    commands: list[tuple[Millis, str, Millis]],
) -> None:
    fillings = sorted(played(commands).fillings, key=lambda each: each.start)
    assert len({each.job for each in fillings}) == len(fillings)
    for one, next_ in pairwise(fillings):
        assert one.start < one.end <= next_.start


@given(acts)
def test_a_row_names_the_replays_that_were_written_with_it_and_no_other(
    commands: list[tuple[Millis, str, Millis]],
) -> None:
    timeline = played(commands)
    named = Counter[str]()
    for gap in timeline.rows[-1].subscription.gaps:
        if gap.filled_by is not None:
            [filling] = [each for each in timeline.fillings if each.job == gap.filled_by]
            assert gap.end is not None
            assert filling.start <= gap.start <= gap.end <= filling.end
            named[gap.filled_by] += 1
    assert set(named) == {each.job for each in timeline.fillings}


def test_what_lies_in_an_open_pause_is_left_to_its_resume() -> None:
    paused = pause(FIRST, BEGIN + 10_000)
    disabled = Disabled("s1", BEGIN + 65_000, "gone")
    enabled = enable(paused, disabled, BEGIN + 90_000)
    after, [filling] = fill_closed(paused, enabled, None, lambda: "first")
    assert (filling.start, filling.end) == (BEGIN + 5_000, BEGIN + 10_000)
    resumed, [rest] = fill_closed(after, resume(after, BEGIN + 200_000), None, lambda: "second")
    assert (rest.start, rest.end) == (BEGIN + 10_000, BEGIN + 200_000)
    assert {gap.filled_by for gap in resumed.gaps} == {"first", "second"}


def test_a_pause_that_ends_while_the_endpoint_is_disabled_is_left_to_enable() -> None:
    disabled = Disabled("s1", BEGIN + 65_000, "gone")
    paused = pause(FIRST, BEGIN + 70_000)
    after, fillings = fill_closed(paused, resume(paused, BEGIN + 80_000), disabled, lambda: "none")
    assert (fillings, after.gaps) == ((), (Gap(BEGIN + 70_000, BEGIN + 80_000, "paused"),))
    enabled = enable(after, disabled, BEGIN + 100_000)
    _, [filling] = fill_closed(after, enabled, None, lambda: "all")
    assert (filling.start, filling.end) == (BEGIN + 5_000, BEGIN + 100_000)


def test_a_gap_that_nobody_asked_to_fill_stays_unfilled_when_a_later_one_is() -> None:
    left = Gap(BEGIN + 1_000, BEGIN + 2_000, "paused")
    paused = pause(replace(FIRST, gaps=(left,)), BEGIN + 3_000)
    after, [filling] = fill_closed(paused, resume(paused, BEGIN + 4_000), None, lambda: "job")
    assert after.gaps[0] == left
    assert filling == GapFill("job", BEGIN + 3_000, BEGIN + 4_000)


def test_a_start_in_the_past_ends_where_live_delivery_begins() -> None:
    row, filling = started(FIRST, BEGIN - 5_000, "job")
    assert interval_of_gap(filling.start, filling.end) == (BEGIN - 5_000, BEGIN + 1)
    assert not active_at(row, None, BEGIN)
    assert active_at(row, None, BEGIN + 1)
    assert row.gaps == (Gap(BEGIN - 5_001, BEGIN, "started", "job"),)
    # What was undecodable then is delivered when it is redriven, though it is older.
    for late, is_active in ((Arrival.WAITED, False), (Arrival.UNDECODABLE, True)):
        assert active_at(row, None, BEGIN - 1, late) == is_active
        assert matches(Row(0, row, None), BEGIN - 1, late) == is_active
        assert not active_at(row, None, BEGIN - 5_001, late)
        assert not matches(Row(0, row, None), BEGIN - 5_001, late)
    everything, filling = started(FIRST, 0, "job")
    assert (filling.start, everything.active_from) == (0, BEGIN)


def test_what_a_replay_lost_is_said_in_every_gap_that_names_it_and_once() -> None:
    gaps = (Gap(1, 2, "paused", "job"), Gap(2, 3, "disabled", "job"), Gap(4, 5, "paused", "other"))
    before = replace(FIRST, gaps=gaps)
    after = incomplete(before, "job")
    assert [gap.incomplete for gap in after.gaps] == [True, True, False]
    assert after.revision == before.revision + 1
    assert incomplete(after, "job") is after
