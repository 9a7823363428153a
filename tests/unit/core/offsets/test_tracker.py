"""What an offset tracker refuses."""

import pytest

from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.tracker import OffsetTracker
from hookstream.errors import InvariantBroken


def test_a_tracker_refuses_an_offset_that_goes_back() -> None:
    """A source that rewound without a new assignment would settle another record."""
    tracker = OffsetTracker(5, 1)
    tracker.receive(7, 0)

    with pytest.raises(InvariantBroken, match="offset 6 was received after 7"):
        tracker.receive(6, 0)


def test_an_offset_is_settled_once() -> None:
    tracker = OffsetTracker(0, 1)
    tracker.receive(0, 0)
    tracker.settle(0)

    with pytest.raises(InvariantBroken, match="offset 0"):
        tracker.settle(0)


def test_a_failed_commit_is_due_again() -> None:
    tracker = OffsetTracker(0, 1)
    tracker.receive(0, 0)
    tracker.settle(0)
    assert tracker.to_commit(3_000) == CommitPosition(1)
    tracker.forget_commit()

    assert tracker.to_commit(3_000) == CommitPosition(1)


def test_transaction_markers_do_not_hold_commits_back() -> None:
    """Offsets 1 and 2 never come: they are markers. Counting up would wait for them for ever."""
    tracker = OffsetTracker(0, 1)
    tracker.receive(0, 0)
    tracker.receive(3, 0)
    tracker.settle(0)

    assert tracker.committable == 3


def test_what_is_skipped_is_committed_once_all_before_it_was_received_and_settled() -> None:
    """A record before it may still arrive from the source: it must not be skipped."""
    tracker = OffsetTracker(48, 1)
    tracker.pass_over(50, 60)
    assert tracker.committable == 48

    tracker.receive(48, 0)
    tracker.receive(49, 0)
    tracker.settle(49)
    tracker.settle(48)

    assert tracker.committable == 60


def test_what_is_skipped_joins_what_was_settled_around_it() -> None:
    tracker = OffsetTracker(50, 1, [(52, 54), (58, 65), (70, 80)])

    tracker.pass_over(50, 60)
    tracker.pass_over(65, 70)

    assert tracker.committable == 80
