"""Computes the sums of a closed hour and then the filter of its ids, a bounded part at a time."""

from collections.abc import Iterator

from hookstream.adapters.index.attempts_file import AttemptsFile
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.id_filter import FilterBuilder

_BLOCKS_AT_ONCE = 400
"""Blocks of ids that are added to a filter at once, in about a hundred milliseconds."""


def closing(opened: AttemptsFile, file: IndexFile) -> Iterator[None]:
    """Compute both, and yield after each part. The filter comes last: if it exists, both are complete.

    Args:
        opened: The hour's file, which stays open meanwhile.
        file: The same hour's file.

    Raises:
        sqlite3.Error: It is damaged, or cannot be written.
    """
    while not opened.sum_up():
        yield
    builder = FilterBuilder(opened.count_of_ids())
    for number, (kind, hashes) in enumerate(opened.hashes()):
        builder.add(kind, hashes)
        if number % _BLOCKS_AT_ONCE == _BLOCKS_AT_ONCE - 1:
            yield
    builder.write(file.filter)
