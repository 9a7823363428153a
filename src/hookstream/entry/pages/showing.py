"""Formats values for pages: times, counts, shares, states, and texts with invisible characters."""

import json
from datetime import timedelta
from urllib.parse import quote

from markupsafe import Markup

from hookstream.core.model.instant import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Millis,
    from_rfc3339,
    to_rfc3339,
)
from hookstream.core.model.visible_text import shown

_TONES = {
    "good": "active complete completed delivered done live ok ready resolved",
    "busy": "acknowledged open pending queued retry running test waiting",
    "held": "defer deferred held incomplete paused reopened stopped suspended throttled warning",
    "bad": "dead-lettered dead_letter dead_lettered disabled expired failed failed_for_good failing gone overdue refused"
    " revoked stalled",
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words.split()}
_NOTHING = "\N{EN DASH}"
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def visible(value: object) -> object:
    """Return a value that is safe to show: control and direction characters of texts are written out.

    It is applied to everything that a template writes and that is not markup, before it is escaped.
    """
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shown(value)
    return value


def tone(state: str) -> str:
    """Return how a state is marked, in addition to its word: `good`, `busy`, `held`, `bad`, or `plain`."""
    return _TONE_OF.get(state, "plain")


def instant_of(value: object) -> Millis | None:
    """Return a time of the API as an instant; None: it is not a time."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        return from_rfc3339(str(value))
    except ValueError:
        return None


def ago(value: object, now: Millis) -> str:
    """Return how long ago a time was, or in how long it will be: `3 min ago`, `in 2 h`."""
    instant = instant_of(value)
    if instant is None:
        return str(value)
    apart = now - instant
    if abs(apart) < SECOND:
        return "now"
    text = lasting(abs(apart))
    return f"{text} ago" if apart > 0 else f"in {text}"


def lasting(duration: Millis) -> str:
    """Return a duration with its largest unit: `3 min`, `26 h`, `5 d`."""
    if duration < SECOND:
        return f"{duration} ms"
    for unit, name in _UNITS:
        # Up to two days are shown in hours: `47 h` says more than `1 d`.
        if duration >= (2 * unit if unit == DAY else unit):
            return f"{duration // unit} {name}"
    return f"{duration // SECOND} s"


def utc(value: object) -> str:
    """Return a time in UTC to the second: `2026-11-24 08:15:30 UTC`; other values unchanged."""
    instant = instant_of(value)
    if instant is None:
        return str(value)
    text = to_rfc3339(instant)
    return f"{text[:10]} {text[11:19]} UTC" if text.endswith("Z") else text


def machine_time(value: object) -> str:
    """Return a time as `<time datetime>` takes it."""
    instant = instant_of(value)
    return "" if instant is None else to_rfc3339(instant)


def count(value: float) -> str:
    """Return a count with separated thousands: `12,345`."""
    return f"{value:,}"


def share(value: float | None) -> str:
    """Return a share of one in percent: `99.95 %`; None: a dash. Only all is `100 %`, and only nothing `0 %`."""
    if value is None:
        return _NOTHING
    if value in (0, 1):
        return f"{value:.0%}".replace("%", " %")
    return f"{min(max(100 * value, 0.01), 99.99):.2f} %"


def seconds(value: float) -> str:
    """Return seconds for people: `250 ms`, `3.4 s`, `12 min`."""
    if value < 1:
        return f"{value * 1_000:.0f} ms"
    if value < timedelta(minutes=1).total_seconds():
        return f"{value:.1f} s"
    return lasting(int(value * SECOND))


def json_text(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def json_lines(value: object) -> str:
    """Return a value as JSON over several lines, for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def segment(value: str) -> str:
    """Return a name as one segment of a path."""
    return quote(value, safe="")
