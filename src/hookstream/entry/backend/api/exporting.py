"""Exports through the API, part by part. A part that is cut off is discarded, and requested again.

A part is kept in a temporary file until its last line has arrived, so an export has no record twice, and
memory holds one line, however many there are.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final, TypeVar, cast

import msgspec

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.export import Export
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.api.resources.exports import ExportQuery, UndecodableExportQuery
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.listing_ports import Progress
from hookstream.errors import ConfigurationError, DependencyUnavailable

T = TypeVar("T", bound=msgspec.Struct)

RECORDS_IN_PART: Final = 1_000
"""The most records of one request, which are kept until its answer is complete."""
MOST_TRIES: Final = 5
"""The most requests for one part."""
_FIRST_PAUSE: Final = 1.0
"""Seconds before a part is requested again; doubled each time."""
_IN_MEMORY: Final = 8 << 20
"""Bytes of a part that are kept in memory; a larger one is kept on disk."""


class _ExportLine(msgspec.Struct, frozen=True):
    """The fields of every line of an export."""

    kind: str


class _LeftOut(msgspec.Struct, frozen=True):
    redriven: int = 0
    purged: int = 0


class _End(msgspec.Struct, frozen=True):
    """The last line of a part; partners see only some of its fields."""

    letters: int
    left_out: _LeftOut
    next: str | None
    began_again: bool = False
    without_value: int = 0
    not_decoded: int = 0
    hidden_headers: dict[str, int] = {}  # msgspec copies it for each


class _PartUnreadable(DependencyUnavailable):
    """Raised for an invalid part: requesting it again would change nothing."""


@dataclass(slots=True, frozen=True)
class _Part:
    """The first and last lines of a complete part; those of its records are in a file."""

    first: bytes
    last: bytes
    end: _End
    """The content of the last line."""


@dataclass(slots=True)
class ApiExport:
    """One export. Implements `ExportCommand`."""

    api: ApiClient
    source: RedriveSource
    selector: Selector
    progress: Progress
    with_resolved: bool
    counts: Export = field(default_factory=Export)
    _cursor: str | None = field(default=None, init=False)
    _has_begun: bool = field(default=False, init=False)
    """Whether the API answered: a first request that it refuses, it refuses again."""

    def encoded(self) -> Iterator[bytes]:
        first = True
        while True:
            with _kept() as file:
                part = self._whole_part(file)
                if first:
                    yield part.first
                    first = False
                file.seek(0)
                for line in file:
                    yield line.removesuffix(b"\n")
            self._add(part.end)
            self.progress(self.counts.letters, 0)
            if part.end.next is None:
                yield self._last_line(part.last)
                return
            self._cursor = part.end.next

    def _whole_part(self, file: IO[bytes]) -> _Part:
        """Return the next part, its records in the file, however often it is cut off before.

        Raises:
            DependencyUnavailable: It was cut off `MOST_TRIES` times, or is not a part of an export.
        """
        pause = _FIRST_PAUSE
        for tried in range(1, MOST_TRIES + 1):
            try:
                return self._part(file)
            except _PartUnreadable:
                raise
            except DependencyUnavailable as cut_off:
                if not self._has_begun:
                    raise
                if tried == MOST_TRIES:
                    raise DependencyUnavailable(
                        f"the export is incomplete: a part of it was cut off {tried} times, after"
                        f" {self.counts.letters:,} records: {cut_off}"
                    ) from None
            self.api.sleep(pause)
            pause *= 2
        raise AssertionError("the last time raises or returns")

    def _part(self, file: IO[bytes]) -> _Part:
        with _on_disk():
            file.seek(0)
            file.truncate()
        first, last = b"", b""
        for line in self.api.lines(self._path(), self._query()):
            self._has_begun = True
            kind = _read(line, _ExportLine).kind
            if last:
                raise _unexpected("a line after its last one")
            if kind == "letter" and first:
                with _on_disk():
                    file.write(line)
            elif kind == "export" and not first:
                first = line.removesuffix(b"\n")
            elif kind == "end" and first:
                with _on_disk():
                    file.flush()
                last = line
            else:
                raise _unexpected(f"a line of the kind {kind[:40]!r}")
        if not last:
            raise DependencyUnavailable("the API's answer is cut off: its last line is missing")
        return _Part(first, last, _read(last, _End))

    def _path(self) -> str:
        dead = self.source is RedriveSource.DEAD_LETTERS
        return "/v1/dead-letters/export" if dead else "/v1/undecodable/export"

    def _query(self) -> ExportQuery | UndecodableExportQuery:
        chosen = self.selector
        common: dict[str, Any] = {
            "reason": _words(chosen.reasons),
            "since": None if chosen.since is None else to_rfc3339(chosen.since),
            "until": None if chosen.until is None else to_rfc3339(chosen.until),
            "resolved": self.with_resolved,
            "limit": RECORDS_IN_PART,
            "cursor": self._cursor,
        }
        if self.source is RedriveSource.UNDECODABLE:
            return UndecodableExportQuery(topic=_words(chosen.topics), **common)
        return ExportQuery(
            subscription=_words(chosen.subscriptions),
            event_type=_words(chosen.event_types),
            status=_words(chosen.statuses),
            partner=_words(chosen.partners),
            **common,
        )

    def _add(self, end: _End) -> None:
        counts = self.counts
        counts.letters += end.letters
        counts.redriven += end.left_out.redriven
        counts.purged += end.left_out.purged
        counts.without_value += end.without_value
        counts.not_decoded += end.not_decoded
        counts.began_again |= end.began_again
        for name, count in end.hidden_headers.items():
            counts.hidden[name] = counts.hidden.get(name, 0) + count

    def _last_line(self, last: bytes) -> bytes:
        """Return the last line of the whole export, with the fields that the API showed in the last part."""
        shown = cast("JsonObject", msgspec.json.decode(last))
        line = {name: each for name, each in self.counts.last_line().items() if name in shown}
        return encoded(line)


@contextmanager
def _kept() -> Iterator[IO[bytes]]:
    """Yield a file that only this process sees, and that is deleted after the block."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        yield file


@contextmanager
def _on_disk() -> Iterator[None]:
    """Name the folder in which a part cannot be kept; errors of the lines' target name their own place."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"a part of the export cannot be kept in {tempfile.gettempdir()}:"
            f" {error.strerror or error}; set TMPDIR to another folder"
        ) from None


def _read(line: bytes, into: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=into)
    except msgspec.MsgspecError as error:
        raise _unexpected(f"a line that cannot be read: {error}") from None


def _unexpected(what: str) -> _PartUnreadable:
    return _PartUnreadable(f"the API's answer has {what}; the console may have another release")


def _words(given: frozenset[str] | None) -> tuple[str, ...]:
    return tuple(sorted(given or ()))
