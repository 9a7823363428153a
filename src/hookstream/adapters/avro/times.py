"""Converts dates, times and durations to whole units of their Avro types, never truncating."""

import datetime as dt
import re
import struct
from collections.abc import Callable

from hookstream.adapters.avro.fit import Unfit, glimpse

_DURATION_BYTES = 12
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_DAY = dt.date(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_LONG = 2**63
_UNSIGNED_INT = 2**32
_MOST_DIGITS = 9
"""Digits of a second's fraction: nanoseconds."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,30}))?")
_MOMENT = re.compile(
    rf"({_DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:\.([0-9]{{1,30}}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DURATION = re.compile(r"P([0-9]{1,10})M([0-9]{1,10})DT([0-9]{1,10})\.([0-9]{3})S")
_UNIT_NAMES = {1: "a nanosecond", 1_000: "a microsecond", 1_000_000: "a millisecond"}


def date(value: object) -> object:
    """Convert a date to days since 1970."""
    # A datetime is a date to Python; its time would be lost.
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return (value - _FIRST_DAY).days
    text = value if isinstance(value, str) and _DAY.fullmatch(value) else ""
    try:
        return (dt.date.fromisoformat(text) - _FIRST_DAY).days
    except ValueError:
        raise Unfit(f"{glimpse(value)} is not a date such as 2026-11-24") from None


def instant(unit: int, *, local: bool) -> Callable[[object], object]:
    """Convert instants to whole units of `unit` nanoseconds since 1970; refuse finer digits."""
    form = "2026-11-24T08:15:30.250" + ("" if local else "Z")

    def take(value: object) -> object:
        moment, nanos = _moment(value) if isinstance(value, str) else (value, 0)
        if not isinstance(moment, dt.datetime) or (moment.tzinfo is None) != local:
            raise Unfit(f"{glimpse(value)} is not a time such as {form}")
        since = (moment.replace(tzinfo=dt.UTC) if local else moment) - _EPOCH
        units = _units(since // _MICROSECOND * 1_000 + nanos, unit, value)
        if not -_LONG <= units < _LONG:
            raise Unfit(f"{glimpse(value)} does not fit into a long of nanoseconds")
        return units

    return take


def time_of_day(unit: int) -> Callable[[object], object]:
    """Convert times of day to whole units of `unit` microseconds; refuse finer digits."""

    def take(value: object) -> object:
        clock, nanos = value, 0
        if isinstance(value, str):
            found = _CLOCK.fullmatch(value)
            try:
                clock = None if found is None else dt.time.fromisoformat(found[1])
            except ValueError:
                clock = None
            nanos = 0 if found is None else _nanos(found[2], value)
        if not isinstance(clock, dt.time) or clock.tzinfo is not None:
            raise Unfit(f"{glimpse(value)} is not a time of day such as 08:15:30.250")
        seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
        return _units(
            (seconds * 1_000_000 + clock.microsecond) * 1_000 + nanos, unit * 1_000, value
        )

    return take


def duration(value: object) -> object:
    """Convert months, days and milliseconds separately: a month has no fixed length in days."""
    if isinstance(value, bytes):
        if len(value) != _DURATION_BYTES:
            raise Unfit(f"has {len(value)} bytes and must have {_DURATION_BYTES}")
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Unfit(f"{glimpse(value)} is not a duration such as P1M2DT0.003S")
    parts = int(found[1]), int(found[2]), int(found[3]) * 1_000 + int(found[4])
    if max(parts) >= _UNSIGNED_INT:
        raise Unfit(f"{glimpse(value)} has a part that does not fit into 32 bits")
    return struct.pack("<III", *parts)


def _moment(value: str) -> tuple[dt.datetime | None, int]:
    """Return a time to the second, and its nanoseconds."""
    found = _MOMENT.fullmatch(value)
    if found is None:
        return None, 0
    try:
        return dt.datetime.fromisoformat(found[1] + (found[3] or "")), _nanos(found[2], value)
    except ValueError:
        return None, 0


def _nanos(fraction: str | None, value: str) -> int:
    digits = (fraction or "").rstrip("0")
    if len(digits) > _MOST_DIGITS:
        raise Unfit(f"{glimpse(value)} is finer than a nanosecond")
    return int(digits.ljust(_MOST_DIGITS, "0"))


def _units(nanos: int, unit: int, value: object) -> int:
    if nanos % unit:
        raise Unfit(f"{glimpse(value)} is finer than {_UNIT_NAMES[unit]}")
    return nanos // unit
