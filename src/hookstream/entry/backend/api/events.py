"""Events through the API: read in parts, and published in batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import msgspec

from hookstream.core.model.instant import from_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.event_audience import Audience
from hookstream.entry.admin.event_lines import read_line, refusal
from hookstream.entry.admin.event_sending import some_lines
from hookstream.entry.api.requests import LARGEST_BODY
from hookstream.entry.api.resources.events import (
    MOST_SENT,
    EventsRead,
    EventsSent,
    ReadGiven,
    ReadPosition,
    ReadRecord,
    SendGiven,
)
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.event_ports import LineWatch, SentLines, TailedRecord, WantedTail
from hookstream.errors import DependencyUnavailable, InputRefused

_MOST_OF_PART: Final = 200
_WAIT: Final = 20.0
"""Seconds that one answer may wait for records."""
_SILENCE: Final = 30.0
"""Seconds without a record after which reading to the log's end fails, as on the cluster."""
_LARGEST_TEXTS: Final = LARGEST_BODY - 4_096
"""Bytes of the events of one request, as JSON texts; commas and the prefix are extra."""


@dataclass(slots=True, frozen=True)
class ApiEvents:
    """Implements `EventCommands`."""

    api: ApiClient

    def tail(self, wanted: WantedTail) -> Iterator[TailedRecord]:
        positions: tuple[ReadPosition, ...] = ()
        left, moved_at = wanted.most, self.api.monotonic()
        while True:
            given = ReadGiven(
                topics=() if positions else tuple(wanted.topics),
                event_types=tuple(sorted(wanted.event_types)),
                start="earliest" if wanted.from_beginning else "latest",
                follow=wanted.follow,
                positions=positions,
                limit=min(_MOST_OF_PART, _MOST_OF_PART if left is None else max(left, 1)),
                wait=_WAIT,
            )
            part = self.api.change("POST", "/v1/events/read", EventsRead, given)
            yield from map(_tailed, part.records)
            if left is not None:
                left -= sum(each.event is not None for each in part.records)
            if part.over:
                return
            before, positions = positions, _positions(part)
            if wanted.follow or positions != before:
                moved_at = self.api.monotonic()
            elif self.api.monotonic() - moved_at >= _SILENCE:
                topics = {each.topic for each in positions if each.offset < (each.end or 0)}
                raise DependencyUnavailable(
                    f"{', '.join(sorted(topics))} was not read to its end: nothing came for"
                    f" {_SILENCE:g} s"
                )

    def send(self, file: BinaryIO, topic_prefix: str, watch: LineWatch) -> SentLines:
        sending = _Sending(self.api, topic_prefix, watch)
        while lines := some_lines(file):
            for line in lines:
                sending.add(line)
            # Send the lines that were read before waiting for more.
            sending.flush()
        return SentLines(sending.sent, sending.refused, list(sending.audiences.values()))


@dataclass(slots=True)
class _Sending:
    """Collects lines, and sends them in batches."""

    api: ApiClient
    topic_prefix: str
    watch: LineWatch
    sent: int = 0
    refused: int = 0
    audiences: dict[tuple[str, str], Audience] = field(default_factory=dict)
    _number: int = 0
    _waiting: list[tuple[int, str]] = field(default_factory=list)
    _size: int = 0

    def add(self, line: bytes) -> None:
        """Take the next line of the file."""
        self._number += 1
        if not line.strip():
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self._refuse(self._number, _why_unreadable(line))
            return
        size = len(msgspec.json.encode(text)) + 1
        if size > _LARGEST_TEXTS:
            self._refuse(
                self._number, f"longer than the API accepts: {_LARGEST_TEXTS} bytes of JSON"
            )
            return
        if self._size + size > _LARGEST_TEXTS or len(self._waiting) == MOST_SENT:
            self.flush()
        self._waiting.append((self._number, text))
        self._size += size
        self.watch.read(self._number)

    def flush(self) -> None:
        """Send the collected lines."""
        if not self._waiting:
            return
        numbers = [number for number, _ in self._waiting]
        given = SendGiven(
            topic_prefix=self.topic_prefix, events=tuple(text for _, text in self._waiting)
        )
        self._waiting, self._size = [], 0
        # After a 503 it may have been published: a line without an id would be another event.
        done = self.api.change("POST", "/v1/events", EventsSent, given, repeatable=False)
        self.sent += done.sent
        for each in done.refused:
            self._refuse(numbers[each.index], each.why)
        for found in done.audiences:
            place = found.event_type, found.environment
            self.audiences[place] = Audience(*place, found.of_type, found.here)

    def _refuse(self, number: int, why: str) -> None:
        self.refused += 1
        self.watch.refused(number, why)


def _why_unreadable(line: bytes) -> str:
    try:
        read_line(line)
    except InputRefused as refused:
        return refusal(refused)
    raise AssertionError("what is not UTF-8 is refused")


def _positions(part: EventsRead) -> tuple[ReadPosition, ...]:
    return tuple(
        ReadPosition(topic=each.topic, partition=each.partition, offset=each.offset, end=each.end)
        for each in part.positions
    )


def _tailed(shown: ReadRecord) -> TailedRecord:
    return TailedRecord(
        TopicPartition(shown.topic, shown.partition),
        shown.offset,
        from_rfc3339(shown.appended_at),
        shown.event,
        shown.problem,
    )
