"""Names in a sentence: the first of many, and how many more there are."""

from collections.abc import Sequence


def the_first(names: Sequence[str], most: int) -> str:
    """Return names with commas between them, `most` of them at most: `a, b and 5 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
