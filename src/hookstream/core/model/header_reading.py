"""Parses headers strictly, and carries upstream's headers within bounds.

hookstream's own headers are parsed strictly too: a person or a tool may have written a tier record,
and misread state would lose an event or send it forever.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from hookstream.core.model import header_names as names
from hookstream.core.model.instant import Millis, from_rfc3339, within_years
from hookstream.core.model.record import Header, Headers, Origin
from hookstream.errors import HookstreamError

W = TypeVar("W")

MAX_CARRIED = 64
"""The most upstream headers that are carried."""

MAX_CARRIED_BYTES = 16 * 1024
"""Bytes of their names and values together: a quarter of what a tier record may add."""

MAX_TEXT = 1_024
"""The longest `hs-` header that is read, in characters: longer than any that is written."""

MAX_COUNT = 1_000_000_000
"""The largest count of attempts, steps or deferrals that is read."""

MAX_JOB = 128
"""The longest id of a job, in characters."""

MAX_PARTITION = 2**31 - 1
MAX_OFFSET = 2**63 - 1

LAST_INSTANT: Millis = from_rfc3339("9000-01-01T00:00:00Z")
"""Instants in delivery state are earlier: what is added to them can still be expressed as text."""

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
"""A job's id is also the value of an HTTP header."""
_SIGNED = re.compile(r"-?[1-9][0-9]{0,18}\Z")
_REPLACED = (names.TRACEPARENT, names.TRACESTATE)


@dataclass(slots=True, frozen=True)
class HeaderProblem:
    """Why the headers of a record do not give a delivery's state."""

    header: str
    """Empty: it is not known which."""
    why: str

    def __str__(self) -> str:
        """Return the problem as a sentence."""
        return f"header {self.header} {self.why}" if self.header else self.why


class BadHeader(HookstreamError):
    """Raised within this stage if a header cannot be read; it becomes a `HeaderProblem`."""

    def __init__(self, header: str, why: str) -> None:
        super().__init__(f"header {header} {why}")
        self.problem = HeaderProblem(header, why)


class Fields:
    """The headers of one record, the last of each name, read one by one."""

    __slots__ = ("_values",)

    def __init__(self, headers: Headers) -> None:
        self._values = dict(headers)

    def optional_text(self, name: str) -> str | None:
        """Return a header's text, or None if it is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            found = value.decode()
        except UnicodeDecodeError as problem:
            raise BadHeader(name, "is not UTF-8") from problem
        if len(found) > MAX_TEXT:
            raise BadHeader(name, f"has {len(found)} characters, {MAX_TEXT} are read at most")
        if not found.isprintable():
            raise BadHeader(name, f"is {ascii(found)[:40]}, which contains what is not printable")
        return found

    def text(self, name: str) -> str:
        """Return the text of a required, non-empty header."""
        value = self.optional_text(name)
        if not value:
            raise BadHeader(name, "is missing or empty")
        return value

    def has(self, name: str) -> bool:
        """Return whether there is a header of this name, whatever its value."""
        return name in self._values

    def optional_job(self, name: str) -> str | None:
        """Return the id of a job, or None if the header is missing."""
        value = self.optional_text(name)
        if value is None or is_job(value):
            return value
        raise BadHeader(name, f"is {ascii(value)[:40]}, not the id of a job")

    def optional_word(self, name: str, words: Mapping[str, W]) -> W | None:
        """Return the value of a header's text in `words`, or None if the header is missing."""
        value = self.optional_text(name)
        if value is None:
            return None
        if value not in words:
            raise BadHeader(name, f"is {ascii(value)[:40]}, none of {', '.join(words)}")
        return words[value]

    def word(self, name: str, words: Mapping[str, W]) -> W:
        """Return the value in `words` of a required header's text."""
        value = self.optional_word(name, words)
        if value is None:
            raise BadHeader(name, "is missing")
        return value

    def optional_number(self, name: str, most: int = MAX_COUNT) -> int | None:
        """Return a decimal number from 0 to `most`, or None if the header is missing."""
        value = self.optional_text(name)
        if value is None:
            return None
        if not _NUMBER.match(value):
            raise BadHeader(name, f"is {ascii(value)[:40]}, not a decimal number")
        number = int(value)
        if number > most:
            raise BadHeader(name, f"is {number}, more than {most}")
        return number

    def number(self, name: str, most: int = MAX_COUNT) -> int:
        """Return the decimal number, from 0 to `most`, of a required header."""
        value = self.optional_number(name, most)
        if value is None:
            raise BadHeader(name, "is missing")
        return value

    def optional_instant(self, name: str) -> Millis | None:
        """Return the instant in a header, or None if it is missing."""
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            instant = from_rfc3339(value)
        except (ValueError, OverflowError) as problem:
            raise BadHeader(name, f"is {ascii(value)[:40]}, not an RFC 3339 time") from problem
        if not 0 <= instant < LAST_INSTANT:
            raise BadHeader(name, f"is {ascii(value)[:40]}, not a time from 1970 to 9000")
        return instant

    def instant(self, name: str) -> Millis:
        """Return the instant in a required header."""
        value = self.optional_instant(name)
        if value is None:
            raise BadHeader(name, "is missing")
        return value

    def origin(self) -> Origin:
        """Return the coordinates of the event's original record."""
        return Origin(
            self.text(names.ORIGIN_TOPIC),
            self.number(names.ORIGIN_PARTITION, MAX_PARTITION),
            self.number(names.ORIGIN_OFFSET, MAX_OFFSET),
            self._origin_time(),
        )

    def _origin_time(self) -> Millis:
        """Return the origin's time. Outside the years 1 to 9999 a second header has its milliseconds."""
        value = self.text(names.ORIGIN_TIMESTAMP)
        try:
            # Any that can be expressed as text: a producer may have claimed it.
            named = from_rfc3339(value)
        except (ValueError, OverflowError) as problem:
            why = f"is {ascii(value)[:40]}, not an RFC 3339 time"
            raise BadHeader(names.ORIGIN_TIMESTAMP, why) from problem
        exact = self.optional_text(names.ORIGIN_MILLIS)
        if exact is None:
            return named
        if not _SIGNED.match(exact) or named != within_years(int(exact)) or named == int(exact):
            why = f"is {ascii(exact)[:40]}, no milliseconds of {names.ORIGIN_TIMESTAMP}"
            raise BadHeader(names.ORIGIN_MILLIS, why)
        return int(exact)


def is_job(value: str) -> bool:
    """Return whether text can be the id of a job: at most `MAX_JOB` letters, digits, `.`, `_` and `-`."""
    return len(value) <= MAX_JOB and _JOB.match(value) is not None


def carried(headers: Headers) -> list[Header]:
    """Return the headers of a record to carry on: upstream's own, each name once, bounded.

    The last of equal names is used, as in Kafka's own clients. A header that would exceed a bound is
    omitted and the next one tried; headers that were carried once are carried unchanged.
    """
    if not headers:
        return []
    kept: list[Header] = []
    room = MAX_CARRIED_BYTES
    count = 0
    for name, value in dict(headers).items():
        if name in names.WIRE_FORMAT:
            kept.append((name, value))
            continue
        # First as we write them, as nearly all of a tier record are.
        if name.startswith(names.OURS) or not is_upstreams(name):
            continue
        size = len(name.encode()) + len(value or b"")
        if count < MAX_CARRIED and size <= room:
            kept.append((name, value))
            room -= size
            count += 1
    return kept


def is_upstreams(name: str) -> bool:
    """Return whether a header of this name can be upstream's own: it is neither ours nor replaced."""
    lower = name.lower()
    return not lower.startswith((names.OURS, names.CONNECT)) and lower not in _REPLACED


def text(value: str, longest: int) -> str:
    """Return text for a header: bounded, without control characters.

    Unprintable characters become spaces, so that no viewer can be misled.
    """
    cut = value[:longest]
    if cut.isascii() and cut.isprintable():
        return cut
    shown = "".join(char if char.isprintable() else " " for char in cut)
    return shown.encode(errors="replace").decode()
