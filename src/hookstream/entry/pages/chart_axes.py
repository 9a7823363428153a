"""The axes of charts: a few round values and times, and readable numbers."""

import math
from enum import StrEnum
from typing import Final

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis, to_rfc3339

LARGEST: Final = 1e15
"""Larger values are drawn and labelled as this one."""
SMALLEST: Final = 1e-9
"""Smaller values are drawn as zero."""
MOST_TICKS: Final = 5
_MOST_TIMES = 8
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS: Final = (
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY),
)
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TENS = 10


class Unit(StrEnum):
    """The unit of a chart's numbers."""

    NUMBER = "number"
    MILLISECONDS = "milliseconds"
    SHARE = "share"
    """Of one: shown in percent."""


def known(value: float | None) -> float | None:
    """Return a value as it can be drawn, 0 to `LARGEST`; None: it is not a number."""
    if value is None or value != value:  # noqa: PLR0124  NaN; a large int is no float to ask about it
        return None
    return float(min(LARGEST, max(0, value)))


def round_ticks(most: float, unit: Unit = Unit.NUMBER) -> list[float]:
    """Return round values from 0 to at least the largest one, at most `MOST_TICKS`.

    Small counts are whole numbers; shares go to 100 % if the largest is near it.
    """
    most = min(LARGEST, max(0.0, most))
    if unit is Unit.SHARE and most > 1 / 2:
        return [0.0, 0.25, 0.5, 0.75, max(1.0, most)]
    if most < SMALLEST:
        return [0.0, 1.0]
    rough = most / (MOST_TICKS - 1)
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * each for each in _STEPS if base * each >= rough * (1 - 1e-9))
    if unit is Unit.NUMBER and most >= 1:
        step = max(1.0, step) if step < 2 else math.ceil(step)  # noqa: PLR2004  half an event is none
    count = min(MOST_TICKS - 1, math.ceil(most / step - 1e-9))
    return [number * step for number in range(count + 1)]


def time_ticks(since: Millis, until: Millis) -> list[Millis]:
    """Return round times (UTC) within an interval, at most eight; none if it is shorter than a minute."""
    span = max(1, until - since)
    for step in _TIME_STEPS:
        if span // step < _MOST_TIMES:
            break
    else:
        step = -(-span // (_MOST_TIMES - 1) // DAY + 1) * DAY
    first = -(-since // step) * step
    return list(range(first, until + 1, step))[:_MOST_TIMES]


def time_label(instant: Millis, span: Millis) -> str:
    """Return the label of a time below a chart of some span: `08:30`; at midnight and over days, the date."""
    text = to_rfc3339(instant)
    day = text[5:10]
    if span > 2 * DAY and instant % DAY == 0:
        return day
    if span > DAY:
        return f"{day} {text[11:16]}"
    return text[11:16]


def value_text(value: float, unit: Unit = Unit.NUMBER) -> str:
    """Return a number for people: `1.2k`, `340`, `3.4 s`, `99.95 %`."""
    value = min(LARGEST, max(0.0, value))
    match unit:
        case Unit.NUMBER:
            return short(value)
        case Unit.MILLISECONDS:
            return _time(value)
        case _:
            return f"{100 * value:.2f}".rstrip("0").rstrip(".") + " %"


def short(value: float) -> str:
    """Return a number with at most three significant digits: `0.25`, `12`, `1.2k`, `340M`."""
    for size, letter in _THOUSANDS:
        # A value that would be rounded to a thousand gets the next letter.
        if value >= size * 0.9995:
            scaled = value / size
            return (
                f"{scaled:.1f}".removesuffix(".0") + letter
                if scaled < _TENS
                else f"{scaled:.0f}{letter}"
            )
    if value >= _TENS or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _time(value: float) -> str:
    if value < SECOND:
        return f"{short(value)} ms"
    if value < MINUTE:
        return f"{short(value / SECOND)} s"
    if value < HOUR:
        return f"{short(value / MINUTE)} min"
    return f"{short(value / HOUR)} h"
