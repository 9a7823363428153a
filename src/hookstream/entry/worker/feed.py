"""The feed brings every row of the tables to whoever holds its meaning in memory."""

from collections.abc import Callable, Sequence

from hookstream.adapters import tables as table_values
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables import TableRecord
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.outcome.health import HealthBook
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Journal
from hookstream.pipeline.skips import Skips

_LONGEST = 300
"""Characters of what went wrong."""

StartPartition = Callable[[TopicPartition, str | Millis], None]
SkipRecord = Callable[[TopicPartition, int], None]


class TableConsumer:
    """Takes rows on the event loop, in the order of their tables; a bad row stops only itself."""

    def __init__(
        self,
        topics: Topics,
        book: SchemaBook,
        directory: Directory,
        keys: table_values.Keys,
        journal: Journal,
        health: HealthBook | None = None,
    ) -> None:
        """Feed `book`, `directory` and `health`; the next two are set once there are sources."""
        self.start_partition: StartPartition | None = None
        self.skip_record: SkipRecord | None = None
        self.skips = Skips()
        """The records that operators stepped over."""
        self.rows: dict[str, int] = dict.fromkeys(topics.tables, 0)
        """How many rows each table had so far, removals not counted: an empty table is a wrong prefix,
        usually."""
        self._starts: dict[TopicPartition, table_values.StartAsked] = {}
        self._topics = topics
        self._book = book
        self._directory = directory
        self._keys = keys
        self._journal = journal
        self._book_of_health = HealthBook() if health is None else health

    def take(self, records: Sequence[TableRecord]) -> None:
        """Take the next rows over. A row on which reading fails in any way counts as unreadable."""
        for record in records:
            if record.value is not None:
                self.rows[record.table] = self.rows.get(record.table, 0) + 1
            try:
                self._row(record)
            except (InvariantBroken, MemoryError):
                raise
            except Exception as problem:  # noqa: BLE001  anybody may have written the row
                self._unforeseen(record, f"{type(problem).__name__}: {problem}"[:_LONGEST])

    def _row(self, record: TableRecord) -> None:
        if record.table == self._topics.schemas:
            self._schema(record)
        elif record.table == self._topics.partners:
            self._partner(record)
        elif record.table == self._topics.subscriptions:
            self._subscription(record)
        elif record.table == self._topics.health:
            self._health(record)

    def _unforeseen(self, record: TableRecord, why: str) -> None:
        """Treat a row as unreadable: what it may stop is stopped, what it may start is not."""
        table, key = record.table, record.key
        if table == self._topics.schemas:
            self._journal.error("schema.refused", key=key, detail=why)
        elif table == self._topics.partners:
            self._blind(f"partners/{key}", why)
        elif table == self._topics.health:
            if table_values.disabled_subscription(key) is not None:
                self._blind(f"health/{key}", why)
        elif table_values.row_kind(key) in ("subscription", "hold"):
            self._blind(f"subscriptions/{key}", why)
        else:
            self._journal.error("table.row_unreadable", key=key, detail=why)

    def _schema(self, record: TableRecord) -> None:
        problem = self._book.put(record.key, record.value)
        if problem is not None:
            self._journal.error("schema.refused", key=record.key, detail=problem)

    def _partner(self, record: TableRecord) -> None:
        blind = f"partners/{record.key}"
        if record.value is None:
            self._directory.drop_partner(record.key)
            self._directory.drop_blind(blind)
            return
        try:
            self._directory.put_partner(table_values.read_partner(record.key, record.value))
        except table_values.EnvelopeUnreadable as why:
            self._blind(blind, str(why))
        else:
            self._directory.drop_blind(blind)

    def _subscription(self, record: TableRecord) -> None:
        match table_values.row_kind(record.key):
            case "subscription":
                self._own_subscription(record)
            case "start":
                self._start(record)
            case "hold":
                self._hold(record)
            case "skip":
                self._skip(record)
            case "writer" | "other":
                # Rows of a newer release, or of nobody's concern here.
                return

    def _own_subscription(self, record: TableRecord) -> None:
        blind = f"subscriptions/{record.key}"
        if record.value is None:
            self._directory.drop_subscription(record.key)
            self._directory.drop_blind(blind)
            return
        try:
            subscription = table_values.read_subscription(record.key, record.value, self._keys)
        except table_values.EnvelopeUnreadable as why:
            self._blind(blind, str(why))
        else:
            self._directory.put_subscription(subscription)
            self._directory.drop_blind(blind)

    def _hold(self, record: TableRecord) -> None:
        blind = f"subscriptions/{record.key}"
        if record.value is None:
            self._directory.drop_blind(blind)
        try:
            kind, name = table_values.held_by_key(record.key)
        except table_values.EnvelopeUnreadable as why:
            if record.value is not None:
                self._blind(blind, str(why))
            return
        if record.value is None:
            if self._directory.holds.drop(kind, name):
                self._journal.info("hold.cleared", kind=kind, name=name)
            return
        hold = table_values.read_hold(record.key, record.value)
        self._directory.holds.put(hold)
        self._journal.warning("hold.set", kind=kind, name=name, reason=hold.reason)

    def _health(self, record: TableRecord) -> None:
        subscription_id = table_values.disabled_subscription(record.key)
        if subscription_id is None:
            self._failing(record)
            return
        blind = f"health/{record.key}"
        if record.value is None:
            self._directory.drop_disabled(subscription_id)
            self._directory.drop_blind(blind)
            return
        try:
            disabled = table_values.read_disabled(record.key, record.value)
        except table_values.EnvelopeUnreadable as why:
            self._blind(blind, str(why))
            return
        self._directory.drop_blind(blind)
        if disabled is not None:
            self._directory.put_disabled(disabled)

    def _failing(self, record: TableRecord) -> None:
        subscription_id = table_values.failing_subscription(record.key)
        if subscription_id is None:
            return
        value = record.value
        failing = None if value is None else table_values.read_failing(record.key, value)
        if failing is None:
            self._book_of_health.drop(subscription_id)
        else:
            self._book_of_health.put(failing)

    def _start(self, record: TableRecord) -> None:
        if record.value is None:
            return
        try:
            asked = table_values.read_start(record.key, record.value)
        except table_values.EnvelopeUnreadable as why:
            self._journal.error("partition.start_unreadable", key=record.key, detail=str(why))
            return
        where = TopicPartition(asked.topic, asked.partition)
        self._starts[where] = asked
        if self.start_partition is not None:
            self.start_partition(where, asked.at)

    def _skip(self, record: TableRecord) -> None:
        if record.value is None:
            return
        try:
            asked = table_values.read_skip(record.key, record.value)
        except table_values.EnvelopeUnreadable as why:
            self._journal.error("partition.skip_unreadable", key=record.key, detail=str(why))
            return
        where = TopicPartition(asked.topic, asked.partition)
        self.skips.skip(where, asked.offset, asked.asked_at)
        if self.skip_record is not None:
            self.skip_record(where, asked.offset)

    def repeat_skips(self, now: Millis) -> None:
        """Tell the sources, which are there now, what was stepped over within the last hour.

        An older word was about a record that is settled, or about a topic that was created again since.
        """
        if self.skip_record is None:
            return
        for where, offset in self.skips.given_since(now - HOUR):
            self.skip_record(where, offset)

    def start_stopped(self, where: TopicPartition, now: Millis) -> None:
        """Start a partition that stopped just now, where an operator lately said how.

        An older word was about an earlier loss of offsets: it must not answer a new one.
        """
        asked = self._starts.get(where)
        if asked is None or self.start_partition is None or now - asked.asked_at > HOUR:
            return
        self.start_partition(where, asked.at)

    def _blind(self, key: str, why: str) -> None:
        """Stop matching: nobody can tell whom this row's events belong to."""
        why = why[:_LONGEST]
        self._directory.put_blind(key, why)
        self._journal.error("table.unreadable", key=key, detail=why)
