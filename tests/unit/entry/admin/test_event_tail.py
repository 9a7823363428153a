"""Topics that are followed together end together, whatever ends one of them."""

from collections.abc import Iterator

import pytest

from hookstream.core.model.record import Record
from hookstream.entry.admin.event_tail import side_by_side
from hookstream.errors import DependencyUnavailable, InvariantBroken


def record(offset: int) -> Record:
    return Record("events", 0, offset, 0, None, b"v", ())


def reading(*offsets: int, end: BaseException | None = None) -> Iterator[Record]:
    for offset in offsets:
        yield record(offset)
    if end is not None:
        raise end


def test_records_of_all_topics_come_out_until_all_have_ended() -> None:
    found = side_by_side([reading(1, 2), reading(3), reading()])
    assert sorted(each.offset for each in found) == [1, 2, 3]


@pytest.mark.parametrize("end", [SystemError("a bad name"), SystemExit(3), RecursionError()])
@pytest.mark.timeout(20)
def test_a_reader_that_ends_unexpectedly_ends_the_command(end: BaseException) -> None:
    """Waiting for its next record never ended."""
    with pytest.raises(InvariantBroken, match=type(end).__name__):
        list(side_by_side([reading(1, end=end), reading(2)]))


def test_what_a_reader_reports_of_the_cluster_is_forwarded_unchanged() -> None:
    with pytest.raises(DependencyUnavailable, match="away"):
        list(side_by_side([reading(end=DependencyUnavailable("away"))]))
