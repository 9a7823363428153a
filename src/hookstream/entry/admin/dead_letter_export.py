"""Exports dead letters or undecodable records as JSON Lines, one record at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hookstream.adapters.system import SystemClock
from hookstream.adapters.whole_file import whole_file
from hookstream.core.model.delivery_headers import read_delivery, read_unmatched
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.export import Export, ExportedEvent, first_line
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.revive import position_of
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letter_details import event_decoder, event_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.json_output import encoded


@dataclass(slots=True)
class DeadLetterExport:
    """One export. Its memory is that of one record, however many there are."""

    reader: DeadLetterReader
    ledger: Ledger
    selector: Selector
    with_resolved: bool
    """Whether redriven and purged records are exported too."""
    counts: Export = field(default_factory=Export)

    def lines(self) -> Iterator[JsonObject]:
        """Yield the lines; the last one only after all records were read."""
        now, row = SystemClock().now(), self.selector.row()
        yield first_line(self.reader.topic, row, now, with_resolved=self.with_resolved)
        decoder = event_decoder(self.reader)
        for record in self.reader.between(self.selector.since, self.selector.until):
            position = position_of(record)
            if not self.selector.selects(record.headers, record.timestamp, position):
                continue
            resolved_by = self.ledger.resolved_by(self.reader.source, position)
            if resolved_by is not None and not self.with_resolved:
                self.counts.leave_out(resolved_by)
                continue
            value = record.value if record.value is not None else self._at_origin(record)
            document = event_of(decoder, replace(record, value=value))
            event = ExportedEvent(value, record.value is None and value is not None, document)
            yield self.counts.line(record, summary_of(record), resolved_by, event)
        yield self.counts.last_line()

    def write(self, file: Path, *, replaces: bool) -> None:
        """Write the lines to a file, which appears when all of them are written.

        Raises:
            InputRefused: The file exists and `replaces` is false, or it cannot be written.
        """
        with whole_file(file, replaces=replaces) as stream:
            for line in self.lines():
                stream.write(encoded(line))
                stream.write(b"\n")

    def _at_origin(self, record: Record) -> bytes | None:
        """Return the value of a record that was kept by reference, if its origin still has it."""
        dead = self.reader.source is RedriveSource.DEAD_LETTERS
        state = read_delivery(record.headers) if dead else read_unmatched(record.headers)
        if isinstance(state, HeaderProblem):
            return None
        found = self.reader.origin(state.origin)
        # A topic that was created again has other records at the same offsets.
        same = found is not None and found.timestamp == state.origin.timestamp
        return found.value if found is not None and same else None
