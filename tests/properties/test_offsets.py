"""An offset is never committed before everything below it is settled."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hookstream.core.offsets.commit_metadata import CommitPosition, decode_metadata
from hookstream.core.offsets.tracker import OffsetTracker

ROOM = 3_000


class TrackerAgainstNaiveModel(RuleBasedStateMachine):
    """The tracker against a sorted list: any order of settling, any gaps in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker(0, 1)
        self.next = 0
        self.unsettled: dict[int, int] = {}
        self.log: dict[int, int] = {}

    @rule(gap=st.integers(0, 3), timestamp=st.integers(0, 1000))
    def receive(self, gap: int, timestamp: int) -> None:
        offset = self.next + gap
        self.tracker.receive(offset, timestamp)
        self.unsettled[offset] = self.log[offset] = timestamp
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

    @rule()
    def crash(self) -> None:
        """Another member continues at the commit, and receives again what comes after it."""
        offset, metadata = self.tracker.position(ROOM)
        self.tracker = OffsetTracker(offset, 2, decode_metadata(metadata, offset))
        again = [at for at in self.log if at >= offset]
        handed_on = [at for at in again if self.tracker.receive(at, self.log[at])]
        assert handed_on == sorted(self.unsettled)

    @rule()
    def crash_and_lose_the_note(self) -> None:
        """The metadata is an optimisation: without it, more is delivered again, and nothing else changes."""
        offset = self.tracker.committable
        self.tracker = OffsetTracker(offset, 3)
        self.unsettled = {at: stamp for at, stamp in self.log.items() if at >= offset}
        for at, stamp in self.unsettled.items():
            assert self.tracker.receive(at, stamp)

    @invariant()
    def the_oldest_unsettled_is_known(self) -> None:
        lowest = min(self.unsettled, default=None)
        expected = None if lowest is None else self.unsettled[lowest]
        assert self.tracker.oldest_unsettled == expected
        assert self.tracker.unsettled == len(self.unsettled)


TestTrackerAgainstNaiveModel = TrackerAgainstNaiveModel.TestCase


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_a_commit_is_requested_once_and_again_only_when_it_advanced(gaps: list[int]) -> None:
    tracker = OffsetTracker(0, 1)
    offset = 0
    commits = []
    for gap in gaps:
        offset += gap
        tracker.receive(offset, 0)
        tracker.settle(offset)
        offset += 1
        commits.append(tracker.to_commit(ROOM))
        assert tracker.to_commit(ROOM) is None

    assert None not in commits
    assert commits == sorted(set(commits), key=lambda commit: commit or CommitPosition(0))
