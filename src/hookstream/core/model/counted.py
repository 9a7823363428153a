"""Formats a number with its noun, for operators."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 event`, `0 events`, `1,200 events`.

    Args:
        count: The number, 0 or more.
        noun: Its noun, for one.
        plural: For all other numbers; empty: the noun and an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
