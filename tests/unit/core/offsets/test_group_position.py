"""What a position counts as unsettled: from the commit to the end, less what the commit's metadata lists."""

from dataclasses import replace

import pytest

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.group_position import GroupPosition, has_started


def position(
    committed: CommitPosition | None, start: int = 0, end: int = 100, oldest: int | None = 1_000
) -> GroupPosition:
    return GroupPosition("g", TopicPartition("events", 0), None, committed, start, end, oldest)


@pytest.mark.parametrize(
    ("committed", "start", "unsettled"),
    [(None, 0, 100), (None, 40, 60), (70, 0, 30), (70, 90, 10), (100, 0, 0), (120, 0, 0)],
    ids=["nothing", "nothing, old gone", "some", "old gone", "all", "a log created again"],
)
def test_what_follows_the_commit_and_is_still_there_is_unsettled(
    committed: int | None, start: int, unsettled: int
) -> None:
    at = None if committed is None else CommitPosition(committed)
    assert position(at, start).unsettled == unsettled


def test_what_the_metadata_lists_is_settled() -> None:
    metadata = encode_metadata(10, [(12, 20), (30, 95)], 1_000).text
    found = position(CommitPosition(10, metadata))
    assert (found.settled_above, found.unsettled) == (73, 17)


def test_of_the_metadata_only_what_the_log_still_has_counts() -> None:
    metadata = encode_metadata(10, [(12, 20), (30, 95)], 1_000).text
    found = position(CommitPosition(10, metadata), start=40, end=50)
    assert (found.settled_above, found.unsettled) == (10, 0)


def test_metadata_of_another_program_is_ignored() -> None:
    assert position(CommitPosition(10, "written by another program")).unsettled == 90


def test_if_only_transaction_markers_follow_the_commit_nothing_is_unsettled() -> None:
    assert position(CommitPosition(99), oldest=None).unsettled == 0


def test_if_nobody_looked_for_records_what_follows_the_commit_may_be_unsettled() -> None:
    unknown = replace(position(CommitPosition(70), oldest=None), looked=False)
    assert unknown.unsettled == 30


def test_a_commit_beyond_the_end_of_the_log_is_reported_though_nothing_is_unsettled() -> None:
    assert [position(CommitPosition(at)).beyond_end for at in (99, 100, 101)] == [
        False,
        False,
        True,
    ]
    assert not position(None).beyond_end


@pytest.mark.parametrize(
    ("before", "now", "target", "started"),
    [
        (position(CommitPosition(40)), position(CommitPosition(40, "some metadata")), 100, False),
        (position(CommitPosition(40)), position(CommitPosition(44)), 100, False),
        (position(CommitPosition(40)), position(CommitPosition(100)), 100, True),
        (
            position(CommitPosition(40)),
            position(CommitPosition(42, encode_metadata(42, [(43, 100)], 1_000).text)),
            100,
            True,
        ),
        (position(CommitPosition(40)), position(CommitPosition(44)), 0, False),
        (position(CommitPosition(40)), position(CommitPosition(0)), 0, True),
        (position(CommitPosition(40)), position(CommitPosition(7)), 0, True),
        (position(CommitPosition(40)), position(CommitPosition(100)), 0, True),
        (
            position(CommitPosition(120)),
            position(CommitPosition(120, "some metadata")),
            100,
            False,
        ),
        (position(CommitPosition(120)), position(CommitPosition(100)), 100, True),
        (position(None), position(None), 100, False),
        (position(None), position(CommitPosition(0)), 100, True),
        (position(CommitPosition(40)), position(CommitPosition(40, "some metadata")), None, False),
        (position(CommitPosition(40)), position(CommitPosition(60)), None, True),
        (position(CommitPosition(40)), position(None), 0, False),
    ],
    ids=[
        "metadata changed",
        "what was in flight is settled",
        "at the end",
        "all but what is in flight is left out",
        "what was in flight, and it is to go back",
        "at the start",
        "went on from the start",
        "went on from the start to the end",
        "beyond the end as before",
        "no longer beyond the end",
        "nothing is committed",
        "something is committed",
        "an unknown target, and metadata changed",
        "an unknown target, and the offset moved",
        "the commit is gone",
    ],
)
def test_only_a_commit_that_nothing_else_explains_shows_a_start(
    before: GroupPosition, now: GroupPosition, target: int | None, *, started: bool
) -> None:
    assert has_started(before, now, target) == started
