"""Many names become one short sentence."""

import pytest

from hookstream.core.model.listing import partition_ranges, the_first
from hookstream.core.model.record import TopicPartition


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_the_first_names_are_listed_and_the_others_counted(names: list[str], text: str) -> None:
    assert the_first(names, 2) == text


def test_neighbouring_partitions_are_one_range_and_a_bound_on_ranges_is_shown() -> None:
    partitions = [TopicPartition("b", 1), *(TopicPartition("a", n) for n in (5, 2, 0, 1))]

    assert partition_ranges(partitions, 3) == "a/0-2, a/5, b/1"
    assert partition_ranges(partitions, 2) == "a/0-2, a/5, …"
    assert partition_ranges([], 2) == ""
