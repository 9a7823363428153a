"""An offset is never committed before everything below it is settled."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hookstream.core.intake.offsets import OffsetTracker


class TrackerAgainstNaiveModel(RuleBasedStateMachine):
    """The tracker against a sorted list: any order of settling, any gaps in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker(0, 1)
        self.next = 0
        self.unsettled: dict[int, int] = {}

    @rule(gap=st.integers(0, 3), timestamp=st.integers(0, 1000))
    def receive(self, gap: int, timestamp: int) -> None:
        offset = self.next + gap
        self.tracker.receive(offset, timestamp)
        self.unsettled[offset] = timestamp
        self.next = offset + 1

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.unsettled)))
        del self.unsettled[offset]
        self.tracker.settle(offset)

    @invariant()
    def committable_is_the_lowest_unsettled_offset(self) -> None:
        assert self.tracker.committable == min(self.unsettled, default=self.next)

    @invariant()
    def the_oldest_unsettled_is_known(self) -> None:
        lowest = min(self.unsettled, default=None)
        expected = None if lowest is None else self.unsettled[lowest]
        assert self.tracker.oldest_unsettled == expected
        assert self.tracker.unsettled == len(self.unsettled)


TestTrackerAgainstNaiveModel = TrackerAgainstNaiveModel.TestCase


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_a_commit_is_asked_for_once_and_again_only_when_it_grew(gaps: list[int]) -> None:
    tracker = OffsetTracker(0, 1)
    offset = 0
    commits = []
    for gap in gaps:
        offset += gap
        tracker.receive(offset, 0)
        tracker.settle(offset)
        offset += 1
        commits.append(tracker.to_commit())
        assert tracker.to_commit() is None

    assert commits == sorted(set(commits), key=lambda commit: commit or 0)
