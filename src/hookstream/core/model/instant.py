"""Wall-clock instants are whole milliseconds since the epoch, UTC; text is RFC 3339.

Kafka timestamps are in milliseconds, so a finer instant would not survive a hop. Durations are in
milliseconds too wherever they are added to an instant.
"""

import datetime as dt
import re
from typing import TypeAlias

Millis: TypeAlias = int

EARLIEST: Millis = -62_135_596_800_000
"""The first instant that RFC 3339 can express: the start of the year 1."""

LATEST: Millis = 253_402_300_799_999
"""The last one: the end of the year 9999."""

_PLAUSIBLE: Millis = 946_684_800_000
"""The start of the year 2000. An earlier record time is not plausible."""

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NAIVE_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - only ever formatted, with a Z
_MILLISECOND = dt.timedelta(milliseconds=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC) - _EPOCH
_LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC) - _EPOCH
_QUOTED = 64
"""The most characters of a text that a message quotes."""
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)\Z")
_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def to_rfc3339(instant: Millis) -> str:
    """Return the instant as RFC 3339 text in UTC with milliseconds, `2026-11-24T08:15:30.123Z`.

    A record's time may lie outside the years 1 to 9999, which RFC 3339 cannot express. It is shown in
    milliseconds, `1795854458871000 ms`. Formats that are read back apply `within_years` first.
    """
    try:
        moment = _NAIVE_EPOCH + dt.timedelta(milliseconds=instant)
    except OverflowError:
        return f"{instant} ms"
    # Not strftime: it takes three times as long, and formats the year 999 with three digits.
    return moment.isoformat("T", "milliseconds") + "Z"


def to_the_second(instant: Millis) -> str:
    """Return the instant for people, in UTC to the second: `2026-11-24 08:15:30Z`."""
    text = to_rfc3339(instant)
    return f"{text[:19].replace('T', ' ')}Z" if text.endswith("Z") else text


def within_years(instant: Millis) -> Millis:
    """Return the instant, or the nearest one that RFC 3339 can express."""
    # Compared first: nearly all lie within, and it is called for each time that is written.
    return instant if EARLIEST <= instant <= LATEST else min(max(instant, EARLIEST), LATEST)


def is_plausible(record_time: Millis) -> bool:
    """Return whether a record's time is not implausibly early: -1, 0 and times in seconds are."""
    return record_time >= _PLAUSIBLE


def from_rfc3339(text: str) -> Millis:
    """Parse RFC 3339 text; an offset is required, digits beyond milliseconds are truncated.

    Raises:
        ValueError: The text is not an RFC 3339 time with an offset, or lies outside the years 1 to
            9999 in UTC. The message quotes it.
    """
    return _since_epoch(text) // _MILLISECOND


def micros_from_rfc3339(text: str) -> int:
    """Parse RFC 3339 text to microseconds since the epoch; otherwise as `from_rfc3339`."""
    return _since_epoch(text) // _MICROSECOND


def _since_epoch(text: str) -> dt.timedelta:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:_QUOTED]!r} is not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text[:_QUOTED]!r} has no UTC offset (write a Z at its end)")
    since = moment - _EPOCH
    if not _FIRST <= since <= _LAST:
        raise ValueError(f"{text[:_QUOTED]!r} lies outside the years 1 to 9999 in UTC")
    return since


def parse_duration(text: str) -> Millis:
    """Return the milliseconds of `250ms`, `5s`, `30m`, `2h` or `14d`.

    Raises:
            ValueError: The text is none of these. The message quotes it and shows the form.
    """
    found = _DURATION.match(text)
    if found is None:
        raise ValueError(f"{text[:_QUOTED]!r} is not a duration such as 250ms, 5s, 30m, 2h or 14d")
    return int(found[1]) * _UNITS[found[2]]


def format_duration(duration: Millis) -> str:
    """Return the shortest text that `parse_duration` reads back, in the largest unit that is exact."""
    if duration == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if duration % _UNITS[unit] == 0:
            # Whole days are given in hours up to two days: the longest tier is called 24h, not 1d.
            if unit == "d" and duration < 2 * DAY:
                continue
            return f"{duration // _UNITS[unit]}{unit}"
    return f"{duration}ms"
