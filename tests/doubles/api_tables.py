"""The tables that an API in memory writes, and what runs its handlers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.doubles.clock import NOON

from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.console.live_tables import LiveTables
from hookstream.settings import Settings

T = TypeVar("T")


class InlineThreads:
    """Runs what blocks at once: nothing blocks here."""

    def __init__(self) -> None:
        self.most = 16
        self.runs = 0
        self.gate: asyncio.Event | None = None
        """What each waits for; None: nothing."""

    async def run(self, compute: Callable[[], T]) -> T:
        self.runs += 1
        if self.gate is not None:
            await self.gate.wait()
        return compute()


@dataclass
class MemoryTables:
    """Rows as a broker keeps them; whoever follows them has each at once."""

    settings: Settings
    live: LiveTables
    now: Millis = NOON
    snapshot: dict[str, dict[str, TableRecord]] = field(default_factory=dict)
    records: list[OutgoingRecord] = field(default_factory=list)
    """What was written to other topics."""
    offset: int = 0

    def __post_init__(self) -> None:
        names = self.settings.topics_names
        self.snapshot = {name: {} for name in (*names.tables, names.console)}

    def begin(self, records: Sequence[TableRecord]) -> None:
        """Take the first records, in the order of their offsets."""
        for record in records:
            self.snapshot[record.table][record.key] = record
        self.offset = len(records)
        self.live.take(records)

    def broker_now(self) -> Millis:
        return self.now

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        for change in changes:
            self.put(change.topic, change.key, change.value)
        for record in also:
            self.records.append(record)
            names = self.settings.topics_names
            if record.topic in (names.jobs, names.console):
                self.put(record.topic, (record.key or b"").decode(), record.value)

    def put(self, table: str, key: str, value: bytes | None) -> None:
        self.offset += 1
        record = TableRecord(table, key, value, self.offset, self.now)
        if value is None:
            self.snapshot[table].pop(key, None)
        else:
            self.snapshot[table][key] = record
        self.live.take([record])


@dataclass
class StagedRows:
    """What a change writes, until it is over: as with a real writer, all of it is committed or nothing."""

    tables: MemoryTables
    rows: list[TableChange] = field(default_factory=list)
    also: list[OutgoingRecord] = field(default_factory=list)

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, TableRecord]]:
        return self.tables.snapshot

    def broker_now(self) -> Millis:
        return self.tables.broker_now()

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        self.rows += changes
        self.also += also
