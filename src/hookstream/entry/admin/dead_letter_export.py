"""Exports dead letters or undecodable records as JSON Lines, one record at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from hookstream.adapters.kafka.scan import Stretch
from hookstream.adapters.system import SystemClock
from hookstream.adapters.whole_file import whole_file
from hookstream.core.model.delivery_headers import read_delivery, read_unmatched
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.export import Export, ExportedEvent, first_line
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import RedriveSource, is_another
from hookstream.core.redrive.revive import position_of
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letter_details import event_decoder, event_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.json_output import encoded
from hookstream.errors import InputRefused

ShownEvent: TypeAlias = Callable[[Record], JsonObject | str]
"""Returns the event of a record as its reader may see it, or why it is not shown."""

MOST_PARTITIONS: Final = 120
"""Partitions of the topic whose positions fit into the cursor of an export in parts."""
_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 256 * 1024
_BATCH_SECONDS: Final = 0.2
"""The bounds of a batch of a part: records read, bytes of their values, and time."""


@dataclass(slots=True, frozen=True)
class ExportPosition:
    """Where an export continues, and the ends that were fixed at its start, by partition."""

    starts: Mapping[int, int]
    """A missing partition is read from the start of its log."""
    ends: Mapping[int, int]
    topic_id: str = ""
    """The id of the topic whose offsets these are; empty: not known, as in cursors of earlier releases."""
    began_again: bool = False
    """Whether the topic was created again after the part before, so that this one begins at its start."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return all(self.starts.get(at, 0) >= end for at, end in self.ends.items())


@dataclass(slots=True, frozen=True)
class ExportRequest:
    """The request for one part of an export."""

    source: RedriveSource
    selector: Selector
    with_resolved: bool
    """Whether redriven and purged records are exported too."""
    position: ExportPosition | None
    """Where it starts; None: it is the first part."""
    most: int
    """The most records that it has."""
    partner_id: str | None
    """Shows its events to their reader; None: the reader is an operator."""


class ExportBatch(NamedTuple):
    """A batch of lines of an export."""

    lines: list[JsonObject]
    scanned: int
    """Records that were read for them."""


@dataclass(slots=True)
class DeadLetterExport:
    """One export. It needs the memory of one record, however many there are."""

    reader: DeadLetterReader
    ledger: Ledger
    selector: Selector
    with_resolved: bool
    """Whether redriven and purged records are exported too."""
    shown_event: ShownEvent | None = None
    """None: each event as it is."""
    counts: Export = field(default_factory=Export)
    _position: ExportPosition | None = field(default=None, init=False)
    """The part of the topic; None: all of it."""

    def lines(self) -> Iterator[JsonObject]:
        """Yield the lines; the last one only after all records were read."""
        yield self._first_line()
        for _, line in self._scanned():
            if line is not None:
                yield line
        yield self.counts.last_line()

    def part(
        self, position: ExportPosition, most: int, seconds: float, clock: Callable[[], float]
    ) -> Iterator[ExportBatch | ExportPosition]:
        """Yield the lines of a part in batches, then where the next part begins, then its last line.

        Args:
            position: Where it begins, as `part_beginning` returned it before the ledger was read.
            most: The most records that are exported.
            seconds: How long it may read; the next part reads the rest.
            clock: Seconds, monotonic.
        """
        self._position, self.counts.began_again = position, position.began_again
        reached = {**position.starts}
        began = batch_began = clock()
        batch, size = ExportBatch([self._first_line()], 0), 0
        scanned = self._scanned()
        is_cut = False
        for record, line in scanned:
            reached[record.partition] = record.offset + 1
            batch = ExportBatch(batch.lines, batch.scanned + 1)
            if line is not None:
                batch.lines.append(line)
                size += len(record.value or b"")
            now = clock()
            is_cut = self.counts.letters >= most or now - began >= seconds
            full = batch.scanned >= _BATCH_RECORDS or size >= _BATCH_BYTES
            if is_cut or full or now - batch_began >= _BATCH_SECONDS:
                yield batch
                batch, size, batch_began = ExportBatch([], 0), 0, clock()
            if is_cut:
                break
        yield batch
        # The end of a partition may be a transaction marker, which is not a record.
        starts: Mapping[int, int] = reached if is_cut else position.ends
        if is_another(position.topic_id, self.reader.topic_ids()[self.reader.source]):
            # Some records may be the new topic's, and its others were not read: the next part begins again.
            starts = position.starts
        yield ExportPosition(starts, position.ends, position.topic_id)
        yield ExportBatch([self.counts.last_line()], 0)

    def encoded(self) -> Iterator[bytes]:
        """Yield the lines as JSON without line feeds."""
        return map(encoded, self.lines())

    def _first_line(self) -> JsonObject:
        now, row = SystemClock().now(), self.selector.row()
        return first_line(self.reader.topic, row, now, with_resolved=self.with_resolved)

    def _scanned(self) -> Iterator[tuple[Record, JsonObject | None]]:
        """Yield each record that is read, with its line; None: it is not exported."""
        shown = self.shown_event or partial(event_of, event_decoder(self.reader))
        for record in self._records():
            position = position_of(record)
            if not self.selector.selects(record.headers, record.timestamp, position):
                yield record, None
                continue
            resolved_by = self.ledger.resolved_by(self.reader.source, position)
            if resolved_by is not None and not self.with_resolved:
                self.counts.leave_out(resolved_by)
                yield record, None
                continue
            value = record.value if record.value is not None else self._at_origin(record)
            document = shown(replace(record, value=value))
            event = ExportedEvent(value, record.value is None and value is not None, document)
            yield record, self.counts.line(record, summary_of(record), resolved_by, event)

    def _records(self) -> Iterator[Record]:
        if self._position is None:
            return self.reader.between(self.selector.since, self.selector.until)
        stretch = Stretch(
            self.selector.since, self.selector.until, self._position.starts, self._position.ends
        )
        return self.reader.stretch(stretch)

    def _at_origin(self, record: Record) -> bytes | None:
        """Return the value of a record that was kept by reference, if its origin still has it."""
        dead = self.reader.source is RedriveSource.DEAD_LETTERS
        state = read_delivery(record.headers) if dead else read_unmatched(record.headers)
        if isinstance(state, HeaderProblem):
            return None
        found = self.reader.origin(state.origin)
        # A topic that was deleted and created again has other records at the same offsets.
        same = found is not None and found.timestamp == state.origin.timestamp
        return found.value if found is not None and same else None


def part_beginning(reader: DeadLetterReader, after: ExportPosition | None) -> ExportPosition:
    """Return where a part begins: where the one before ended, or at the start of the topic.

    Call it before the ledger is read: marks of a topic that is created again in between hide no record.

    Args:
        reader: Reads the topic.
        after: Where the part before ended; None: there is none.

    Raises:
        InputRefused: The topic has more than `MOST_PARTITIONS`.
    """
    present = reader.topic_ends()
    _refuse_many_partitions(present.ends)
    if after is None or is_another(after.topic_id, present.topic_id):
        return ExportPosition({}, *present, began_again=after is not None)
    return replace(after, topic_id=after.topic_id or present.topic_id)


def write_lines(lines: Iterable[bytes], file: Path, *, replaces: bool) -> None:
    """Write lines to a file, which appears when it is complete.

    Raises:
        InputRefused: The file exists and `replaces` is false, or it cannot be written.
    """
    with whole_file(file, replaces=replaces) as stream:
        for line in lines:
            stream.write(line)
            stream.write(b"\n")


def _refuse_many_partitions(ends: Mapping[int, int]) -> None:
    """Refuse an export in parts of a topic with more partitions than a cursor has room for.

    Raises:
        InputRefused: It has more than `MOST_PARTITIONS`.
    """
    if len(ends) > MOST_PARTITIONS:
        raise InputRefused(
            f"the topic has {len(ends):,} partitions, and an export in parts handles {MOST_PARTITIONS}"
            " at most: hookstream dlq export writes all of it to a file"
        )
