"""Parses and formats times for operators: RFC 3339, or an age."""

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Millis,
    format_duration,
    from_rfc3339,
    parse_duration,
)


def moment(text: str) -> Millis:
    """Return an instant: RFC 3339 with an offset, or a duration before now such as `2h` or `3d`.

    Raises:
        click.BadParameter: The text is neither.
    """
    try:
        return SystemClock().now() - parse_duration(text)
    except ValueError:
        pass
    try:
        return from_rfc3339(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time such as 2026-11-24T08:15:00Z nor an age such as 2h"
        ) from None


def ago(now: Millis, instant: Millis) -> str:
    """Return how long ago an instant is, in its largest unit: `3d`, `2h`, `5m`, `40s`."""
    age = max(0, now - instant)
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if age >= unit:
            return f"{age // unit}{letter}"
    return f"{age // SECOND}s"


def lasted(duration: Millis) -> str:
    """Return a duration of whole seconds, `2h30m5s`; zero for a negative one: clocks differ."""
    return format_duration(max(duration, 0) // SECOND * SECOND)


def took(microseconds: int) -> str:
    """Return a short duration in readable form: `850us`, `12ms`, `1.5s`."""
    if microseconds < 1_000:  # noqa: PLR2004 (units)
        return f"{microseconds}us"
    if microseconds < 1_000_000:  # noqa: PLR2004
        return f"{microseconds // 1_000}ms"
    return f"{microseconds / 1_000_000:.1f}s"
