"""Dead letters are counted by any of a few properties, in a bounded number of groups."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.record import Record
from hookstream.core.redrive import groups as grouping_rules
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.core.redrive.summary import GroupCount, summary_of

LETTER = replace(
    summary_of(Record("dead", 3, 7, 9, b"crm", b"v", [])),
    subscription_id="crm",
    reason="exhausted",
    last_outcome="failed",
    last_status="503",
    last_error="answered 503",
    origin_topic="things",
    detail="9 attempts",
)


@pytest.mark.parametrize(
    ("by", "name"),
    [
        (GroupBy.REASON, "exhausted"),
        (GroupBy.SUBSCRIPTION, "crm"),
        (GroupBy.STATUS, "503"),
        (GroupBy.ERROR, "answered 503"),
        (GroupBy.HOST, "crm.example"),
        (GroupBy.TOPIC, "things"),
    ],
)
def test_a_dead_letter_counts_for_the_group_of_its_property(by: GroupBy, name: str) -> None:
    grouping = Grouping(by, {"crm": "crm.example"}.get)
    grouping.add(LETTER)
    assert grouping.largest_first() == [(name, GroupCount(1, 9, 9))]


def test_what_lacks_the_property_is_a_group_too() -> None:
    nameless = replace(LETTER, last_status="", subscription_id="gone")
    found = []
    for by in (GroupBy.STATUS, GroupBy.HOST):
        grouping = Grouping(by)
        grouping.add(nameless)
        found += grouping.largest_first()
    assert found == [("-", GroupCount(1, 9, 9))] * 2


def test_an_undecodable_record_counts_for_why_it_is_undecodable() -> None:
    grouping = Grouping(GroupBy.ERROR)
    grouping.add(replace(LETTER, last_outcome="", last_error="", detail="3 bytes are left over"))
    assert grouping.largest_first()[0][0] == "3 bytes are left over"


def test_groups_that_were_counted_elsewhere_are_counted_together_and_left_as_they_were() -> None:
    grouping = Grouping(GroupBy.STATUS)
    one, other = GroupCount(2, 5, 9), GroupCount(3, 1, 7)
    for name, count in (("503", one), ("", other), ("503", other)):
        grouping.count(name, count)
    assert grouping.largest_first() == [("503", GroupCount(5, 1, 9)), ("-", GroupCount(3, 1, 7))]
    assert (one, other) == (GroupCount(2, 5, 9), GroupCount(3, 1, 7))


@given(names=st.lists(st.integers(0, 30), max_size=80), most=st.integers(1, 5))
def test_groups_are_bounded_and_their_sum_is_exact(names: list[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(grouping_rules, "MOST_GROUPS", most)
        grouping = Grouping(GroupBy.ERROR)
        for at, name in enumerate(names):
            grouping.add(replace(LETTER, last_error=f"e{name}", at=at))
            assert len(grouping.groups) <= 2 * most
        listed = grouping.largest_first()
    counts = [count.records for _, count in listed]
    others = 0 if grouping.others is None else grouping.others.records
    assert sum(counts) + others == len(names)
    assert counts == sorted(counts, reverse=True)
    assert len(listed) <= most
    assert all(count.records <= names.count(int(name[1:])) for name, count in listed)
    if len(set(names)) <= most:
        assert others == 0


def test_a_flood_of_single_errors_does_not_hide_the_common_one() -> None:
    grouping = Grouping(GroupBy.ERROR)
    for number in range(3_000):
        grouping.add(replace(LETTER, last_error=f"request {number} failed"))
        if number % 3 == 0:
            grouping.add(replace(LETTER, last_error="connection refused"))
    assert grouping.largest_first()[0] == ("connection refused", GroupCount(1_000, 9, 9))
