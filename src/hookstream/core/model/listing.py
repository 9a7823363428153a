"""Formats a list of names: the first few, and the number of the others."""

from collections.abc import Iterable, Iterator, Sequence

from hookstream.core.model.record import TopicPartition


def the_first(names: Sequence[str], most: int) -> str:
    """Return up to `most` names separated by commas: `a, b and 5 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def partition_ranges(partitions: Iterable[TopicPartition], most: int) -> str:
    """Return partitions by topic, neighbours as one range: `orders/0-2, orders/5`.

    Args:
        partitions: Each at most once, in any order.
        most: How many ranges are named; `, …` replaces the others.
    """
    ranges = list(_ranges(sorted(partitions)))
    more = ", …" if len(ranges) > most else ""
    return ", ".join(ranges[:most]) + more


def _ranges(ordered: Sequence[TopicPartition]) -> Iterator[str]:
    begins = 0
    for at, (topic, number) in enumerate(ordered):
        if at + 1 < len(ordered) and ordered[at + 1] == (topic, number + 1):
            continue
        first = ordered[begins].partition
        yield f"{topic}/{first}" if first == number else f"{topic}/{first}-{number}"
        begins = at + 1
