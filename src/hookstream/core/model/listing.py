"""A list of names in a sentence: the first few, and how many more there are."""

from collections.abc import Sequence


def the_first(names: Sequence[str], most: int) -> str:
    """Return up to `most` names separated by commas: `a, b and 5 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
