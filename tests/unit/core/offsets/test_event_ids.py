"""An event id that a second record carries is detected, as a duplicate or as a conflict."""

from hookstream.core.model.record import Origin
from hookstream.core.offsets.event_ids import RecentEventIds, Reuse

FIRST = Origin("orders", 0, 7, 1_000)
SECOND = Origin("orders", 1, 3, 2_000)


def test_an_id_is_the_same_events_for_as_long_as_its_origin_is() -> None:
    recent = RecentEventIds(10)
    assert [recent.note("order.placed", "o-1", FIRST, b"bytes") for _ in range(3)] == [None] * 3


def test_equal_bytes_under_one_id_are_a_duplicate_and_others_a_conflict() -> None:
    recent = RecentEventIds(10)
    recent.note("order.placed", "o-1", FIRST, b"bytes")
    assert recent.note("order.placed", "o-1", SECOND, b"bytes") == Reuse(FIRST, conflict=False)
    third = SECOND._replace(offset=4)
    assert recent.note("order.placed", "o-1", third, b"other") == Reuse(FIRST, conflict=True)


def test_each_record_counts_once_however_often_it_is_retried() -> None:
    recent = RecentEventIds(10)
    recent.note("order.placed", "o-1", FIRST, b"bytes")
    recent.note("order.placed", "o-1", SECOND, b"other")
    again = [recent.note("order.placed", "o-1", origin, b"") for origin in (FIRST, SECOND, FIRST)]
    assert again == [None] * 3


def test_an_id_is_an_identity_within_its_type_alone() -> None:
    recent = RecentEventIds(10)
    recent.note("order.placed", "o-1", FIRST, b"bytes")
    assert recent.note("order.packed", "o-1", SECOND, b"other") is None


def test_one_id_for_everything_and_an_id_for_each_event_take_bounded_memory() -> None:
    recent = RecentEventIds(10)
    for offset in range(1_000):
        recent.note("order.placed", f"o-{offset}", FIRST._replace(offset=offset), b"x")
        recent.note("order.placed", "constant", SECOND._replace(offset=offset), b"x")
    assert len(recent) <= 10
    assert all(len(records) <= 8 for records in recent._by_id.values())  # noqa: SLF001
