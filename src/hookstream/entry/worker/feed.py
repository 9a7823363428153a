"""Applies the rows of the tables to the worker's in-memory state."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.tables.holds_and_skips import SkipAsked, StartAsked, held_by_key
from hookstream.adapters.tables.reader import MATCHING_NEEDS, RowKind, RowReader
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.adapters.tables.rows import subscription_of
from hookstream.adapters.tables.sealed import Keys
from hookstream.core.jobs.book import JobBook
from hookstream.core.matching.directory import Directory
from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.outcome.health import HealthBook
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.skips import Skips

_LONGEST = 300
"""The most characters of an error."""
_UNREADABLE_REQUESTS: Mapping[RowKind, str] = {
    "start": "partition.start_unreadable",
    "skip": "partition.skip_unreadable",
}
"""The log events of unreadable rows by which operators request something."""

StartPartition = Callable[[TopicPartition, str | Millis], None]
SkipRecord = Callable[[TopicPartition, int], None]


class TableConsumer:
    """Applies rows on the event loop, in the order of their tables; a bad row affects only itself."""

    def __init__(
        self,
        topics: Topics,
        book: SchemaBook,
        directory: Directory,
        keys: Keys,
        logger: Logger,
        health: HealthBook | None = None,
    ) -> None:
        """Feed `book`, `directory` and `health`."""
        self._start_partition: StartPartition = lambda _where, _at: None
        self._skip_record: SkipRecord = lambda _where, _offset: None
        self.skips = Skips()
        """The records that operators skipped."""
        self.rows: dict[str, int] = dict.fromkeys(topics.tables, 0)
        """Rows of each table so far, without removals: an empty table usually means a wrong prefix."""
        self.jobs = JobBook()
        """The jobs that have not ended, only for the gauges about them: the executors may be down."""
        self._jobs_table = topics.jobs
        self._starts: dict[TopicPartition, StartAsked] = {}
        self._reader = RowReader(topics, keys)
        self._prefix = f"{topics.prefix}."
        self._book = book
        self._directory = directory
        self._logger = logger
        health = HealthBook() if health is None else health
        self._handlers: Mapping[RowKind, tuple[Callable[[Any], None], Callable[[str], None]]] = {
            "partner": (directory.put_partner, directory.drop_partner),
            "subscription": (directory.put_subscription, directory.drop_subscription),
            "hold": (self._hold, self._clear_hold),
            "start": (self._start, lambda _: None),
            "skip": (self._skip, lambda _: None),
            "disabled": (
                directory.put_disabled,
                lambda key: directory.drop_disabled(subscription_of(key)),
            ),
            "failing": (health.put, lambda key: health.drop(subscription_of(key))),
        }
        """By kind of row: the handlers for a row's value and for its removal."""

    def take(self, records: Sequence[TableRecord]) -> None:
        """Apply the next rows. A row that cannot be decoded counts as unreadable."""
        for record in records:
            if record.value is not None:
                self.rows[record.table] = self.rows.get(record.table, 0) + 1
            kind = self._reader.kind(record.table, record.key)
            try:
                self._row(kind, record)
            except (InvariantBroken, MemoryError):
                raise
            except EnvelopeUnreadable as why:
                self._unreadable(kind, record, str(why))
            except Exception as problem:  # noqa: BLE001  the row is untrusted
                self._unreadable(kind, record, f"{type(problem).__name__}: {problem}")

    def _row(self, kind: RowKind, record: TableRecord) -> None:
        key, value = record.key, record.value
        if kind == "schema":
            problem = self._book.put(key, value)
            if problem is not None:
                self._logger.error("schema.refused", key=key, detail=problem)
        elif record.table == self._jobs_table:
            self.jobs.put(key, value, record.timestamp)
        elif kind in self._handlers:
            put, drop = self._handlers[kind]
            meaning = None if value is None else self._reader.read(kind, key, value)
            if meaning is None:
                drop(key)
            else:
                put(meaning)
            self._directory.drop_blind(self._blind_key(record))

    def _hold(self, hold: Hold) -> None:
        self._directory.holds.put(hold)
        self._logger.warning("hold.set", kind=hold.kind, name=hold.name, reason=hold.reason)

    def _clear_hold(self, key: str) -> None:
        # A hold of an unknown kind only stopped the matching.
        with suppress(EnvelopeUnreadable):
            kind, name = held_by_key(key)
            if self._directory.holds.drop(kind, name):
                self._logger.info("hold.cleared", kind=kind, name=name)

    def _start(self, asked: StartAsked) -> None:
        self._starts[asked.where] = asked
        self._start_partition(asked.where, asked.at)

    def _skip(self, asked: SkipAsked) -> None:
        self.skips.skip(asked.where, asked.offset, asked.asked_at)
        self._skip_record(asked.where, asked.offset)

    def _unreadable(self, kind: RowKind, record: TableRecord, why: str) -> None:
        """Stop everything that an unreadable row may stop, and start nothing."""
        key, why = record.key, why[:_LONGEST]
        if kind in MATCHING_NEEDS:
            # It is unknown which events this row concerns.
            key = self._blind_key(record)
            self._directory.put_blind(key, why)
            self._logger.error("table.unreadable", key=key, detail=why)
        else:
            event = _UNREADABLE_REQUESTS.get(kind, "table.row_unreadable")
            self._logger.error(event, key=key, detail=why)

    def _blind_key(self, record: TableRecord) -> str:
        return f"{record.table.removeprefix(self._prefix)}/{record.key}"

    def connect(self, start: StartPartition, skip: SkipRecord, now: Millis) -> None:
        """Pass operators' requests to the sources from now on, and the skips of the last hour.

        An older skip concerns a record that is settled, or a topic that was recreated since.
        """
        self._start_partition, self._skip_record = start, skip
        for where, offset in self.skips.given_since(now - HOUR):
            skip(where, offset)

    def start_stopped(self, where: TopicPartition, now: Millis) -> None:
        """Start a partition that has just stopped, if an operator recently requested a position.

        An older request concerns an earlier loss of offsets: it must not apply to a new one.
        """
        asked = self._starts.get(where)
        if asked is not None and now - asked.asked_at <= HOUR:
            self._start_partition(where, asked.at)
