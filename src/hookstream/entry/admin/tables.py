"""Reads and changes the tables for operators' commands."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import TableRecord, read_tables
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.adapters.tables.reader import MATCHING_NEEDS, RowKind, RowReader
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.adapters.tables.sealed import Keys, SealedSecrets
from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import (
    Failing,
    Partner,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.model.topics import Topics
from hookstream.core.planning.lead import ChangeTimes, writing_time
from hookstream.core.planning.plan import Current
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, Conflict, InputRefused, InvariantBroken
from hookstream.settings import Settings

ROWS_A_TRANSACTION = 500
"""Keeps each transaction well within the writer's timeout, however large a plan is."""

SEALED: Keys = SealedSecrets()
"""Passes signing secrets on encrypted: sufficient for whatever neither reads nor generates one."""


@dataclass(slots=True, frozen=True)
class State:
    """The contents of the tables."""

    current: Current
    book: SchemaBook
    unreadable: tuple[str, ...]
    """Problems of unreadable rows: workers match nothing while there are any."""
    schema_faults: tuple[str, ...]
    """Problems of schemas that are not used."""
    rows: Mapping[str, Mapping[str, TableRecord]]
    holds: tuple[Hold, ...] = ()
    failing: Mapping[str, Failing] = field(default_factory=dict)
    """Endpoints with failures only, by subscription."""


class _ReadRow(NamedTuple):
    """What a row contains, as of its record."""

    record: TableRecord
    kind: RowKind
    content: object
    """An EnvelopeUnreadable if it cannot be read."""


class StateReader:
    """Reads the state from rows again and again: of each row once, until it changes.

    Args:
        names: The names of the tables.
        keys: Decrypts the signing secrets, or passes them on encrypted.
    """

    def __init__(self, names: Topics, keys: Keys) -> None:
        self._names = names
        self._reader = RowReader(names, keys)
        self._read: dict[str, dict[str, _ReadRow]] = {}
        self._schemas: tuple[dict[str, int], SchemaBook, tuple[str, ...]] | None = None
        self._console = ConsoleTable()
        self._console_offsets: dict[str, int] = {}

    @classmethod
    def beside(cls, state: State, names: Topics, keys: Keys) -> "StateReader":
        """Return a reader that takes the schemas of a state for read: reading them again costs most.

        Args:
            state: What another reader has read.
            names: As for all.
            keys: As for all.
        """
        reader = cls(names, keys)
        offsets = {key: row.offset for key, row in state.rows[names.schemas].items()}
        reader._schemas = offsets, state.book, state.schema_faults
        return reader

    def state(self, rows: Mapping[str, Mapping[str, TableRecord]]) -> State:
        """Return the state in rows; unreadable rows are reported, not left out."""
        book, faults = self._book(rows[self._names.schemas])
        found: dict[RowKind, dict[str, Any]] = defaultdict(dict)
        unreadable: list[str] = []
        for table in (self._names.partners, self._names.subscriptions, self._names.health):
            for key, row in self._rows(table, rows[table]).items():
                if not isinstance(row.content, EnvelopeUnreadable):
                    found[row.kind][key] = row.content
                elif row.kind in MATCHING_NEEDS:
                    unreadable.append(str(row.content))
        return _state(found, book, faults, unreadable, rows)

    def console(self, rows: Mapping[str, TableRecord]) -> ConsoleTable:
        """Return the rows of the console topic; what was returned before changes with them."""
        offsets = {key: row.offset for key, row in rows.items()}
        for key in self._console_offsets.keys() - offsets.keys():
            self._console.put(key, None, 0)
        changed = [
            row for key, row in rows.items() if self._console_offsets.get(key) != row.offset
        ]
        for row in sorted(changed, key=lambda row: row.offset):
            self._console.put(row.key, row.value, row.timestamp)
        self._console_offsets = offsets
        return self._console

    def _book(self, rows: Mapping[str, TableRecord]) -> tuple[SchemaBook, tuple[str, ...]]:
        offsets = {key: row.offset for key, row in rows.items()}
        if self._schemas is None or self._schemas[0] != offsets:
            book = SchemaBook()
            faults = [
                why
                for key, row in rows.items()
                if row.value is not None and (why := book.put(key, row.value)) is not None
            ]
            self._schemas = offsets, book, tuple(faults)
        return self._schemas[1:]

    def _rows(self, table: str, rows: Mapping[str, TableRecord]) -> Mapping[str, _ReadRow]:
        before = self._read.get(table, {})
        now: dict[str, _ReadRow] = {}
        for key, row in sorted(rows.items()):
            known = before.get(key)
            if known is not None and known.record == row:
                now[key] = known
            elif row.value is not None:
                kind = self._reader.kind(table, key)
                try:
                    content = self._reader.read(kind, key, row.value)
                except EnvelopeUnreadable as why:
                    content = why
                now[key] = _ReadRow(row, kind, content)
        self._read[table] = now
        return now


def state_of(rows: Mapping[str, Mapping[str, TableRecord]], names: Topics, keys: Keys) -> State:
    """Return the state in rows; unreadable rows are reported, not left out."""
    return StateReader(names, keys).state(rows)


def _state(
    found: Mapping[RowKind, dict[str, Any]],
    book: SchemaBook,
    faults: tuple[str, ...],
    unreadable: Sequence[str],
    rows: Mapping[str, Mapping[str, TableRecord]],
) -> State:
    disabled = {each.subscription_id: each for each in found["disabled"].values()}
    failing = {each.subscription_id: each for each in found["failing"].values() if each}
    latest = {event_type: book.latest(event_type) for event_type in book.event_types()}
    current = Current(found["partner"], found["subscription"], disabled, latest)
    holds = tuple(found["hold"].values())
    return State(current, book, tuple(unreadable), faults, rows, holds, failing)


def read_state(settings: Settings, keys: Keys = SEALED) -> State:
    """Read the tables once, without fencing their writer."""
    return state_of(read_rows(settings), settings.topics_names, keys)


def read_rows(settings: Settings) -> Mapping[str, Mapping[str, TableRecord]]:
    """Read the rows of the tables once, as `read_state`."""
    return read_tables(reached(settings), operators_tables(settings.topics_names))


class RowWriter(Protocol):
    """What a session needs of the tables' writer."""

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, TableRecord]]:
        """The live rows by topic and key."""

    def broker_now(self) -> Millis:
        """Return the brokers' time."""

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord], /) -> None:
        """Write rows, and records of other topics with them, all of them or none."""


class WaitingClock(Protocol):
    """The clock by which a session waits."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""

    def sleep(self, seconds: float, /) -> None:
        """Return after so many seconds."""


class TablesSession:
    """The only writer of the tables while it is open: all others are fenced.

    Args:
        settings: The cluster and the names of the tables.
        reader: Reads the rows.
        writer: Writes them.
        clock: Waits for what was written to be in effect.
        lead: How far ahead changes take effect; None: as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        reader: StateReader,
        writer: RowWriter,
        clock: WaitingClock,
        lead: Millis | None = None,
    ) -> None:
        self.names = settings.topics_names
        self._lead = settings.tables.activation_lead if lead is None else lead
        self._is_dated = False
        """Whether something was written, or may be, that depends on when changes take effect."""
        self._reader = reader
        self._writer = writer
        self.events = AvroOwnRecords(self.names, "cli", disabled_row, failing_row)
        """Encodes the operations events of operators' changes."""
        self.now: Millis = writer.broker_now()
        """The broker's time when the session began."""
        self._clock = clock
        self._began = clock.monotonic()

    @property
    def takes_effect(self) -> Millis:
        """The instant from which a change is in effect: by then every worker has read it."""
        self._is_dated = True
        return self.now + self._lead

    @property
    def times(self) -> ChangeTimes:
        """When a change was begun, and when it is in effect."""
        return ChangeTimes(self.now, self.takes_effect)

    @property
    def append_by(self) -> Millis | None:
        """The latest append time with which every worker reads a row in time; None: it is in effect when it is read."""
        return self.now + writing_time(self._lead) if self._is_dated else None

    @property
    def age(self) -> Millis:
        """The milliseconds since the session began."""
        return int((self._clock.monotonic() - self._began) * 1_000)

    def state(self) -> State:
        """Return the state of the tables, which no other writer can change now."""
        return self._reader.state(self._writer.snapshot)

    @property
    def has_console(self) -> bool:
        """Whether the session was begun with the console topic."""
        return self.names.console in self._writer.snapshot

    def console(self) -> ConsoleTable:
        """Return the console topic's rows, which no other writer can change now.

        Raises:
            InvariantBroken: The session was begun without them.
        """
        rows = self._writer.snapshot.get(self.names.console)
        if rows is None:
            raise InvariantBroken("the console topic was not read by this session")
        return self._reader.console(rows)

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        """Write rows and records in one transaction."""
        self._writer.write(changes, also)

    def wait_until(self, instant: Millis) -> None:
        """Return when the brokers' clock has passed an instant; for after everything was written.

        Their clock goes on by this machine's from where it was; rather too late than too early.
        """
        while (now := self.now + self.age) <= instant:
            self._clock.sleep((instant - now) / 1_000 + 0.01)


def found_subscription(state: State, subscription_id: str) -> Subscription:
    """Return a subscription that can be read.

    Raises:
        InputRefused: There is none.
        ConfigurationError: It cannot be read.
    """
    found = state.current.subscriptions.get(subscription_id)
    if found is None:
        raise no_subscription(state, subscription_id)
    if isinstance(found, UnreadableSubscription):
        raise ConfigurationError(f"subscription {subscription_id!r} cannot be read: {found.why}")
    return found


def refuse_pull(subscription: Subscription, what: str) -> None:
    """Refuse an act that sends something to a subscription to which nothing is ever sent.

    Args:
        subscription: The subscription.
        what: The act, such as `a test`.

    Raises:
        InputRefused: Its endpoint is `pull`.
    """
    if subscription.endpoint.is_pull:
        raise InputRefused(
            f"subscription {subscription.id!r} has the endpoint `pull`: {what} would send something, and its"
            " partner reads events from the pull door instead"
        )


def refuse_not_started(subscription: Subscription, what: str, now: Millis) -> None:
    """Refuse an act that begins runs before every worker has the subscription's row.

    One that still has the row of an earlier life of its id would cancel them, as of a deleted subscription.

    Args:
        subscription: The subscription.
        what: The act, such as `a replay`.
        now: The present.

    Raises:
        InputRefused: It starts later.
    """
    if now <= subscription.active_from:
        starts_at = to_rfc3339(subscription.active_from)
        raise InputRefused(
            f"subscription {subscription.id!r} starts at {starts_at}: request {what} after that"
        )


def at_revision(state: State, subscription_id: str, revision: int | None) -> Subscription:
    """Return a subscription that can be read, at a revision; None: at any.

    Raises:
        InputRefused: There is none.
        ConfigurationError: It cannot be read.
        Conflict: It is at another revision.
    """
    found = found_subscription(state, subscription_id)
    if revision not in (None, found.revision):
        raise Conflict(
            f"subscription {subscription_id!r} is at revision {found.revision}, not {revision}"
        )
    return found


def no_subscription(state: State, subscription_id: str) -> InputRefused:
    """Return the refusal of an id that no subscription has, not even a deleted one."""
    hint = did_you_mean(subscription_id, state.current.subscriptions)
    return InputRefused(f"there is no subscription {subscription_id!r}{hint}")


def found_partner(state: State, partner_id: str) -> Partner:
    """Return a partner.

    Raises:
        InputRefused: There is none.
    """
    found = state.current.partners.get(partner_id)
    if found is None:
        hint = did_you_mean(partner_id, state.current.partners)
        raise InputRefused(f"there is no partner {partner_id!r}{hint}")
    return found


def at_partner_revision(state: State, partner_id: str, revision: int | None) -> Partner:
    """Return a partner at a revision; None: at any.

    Raises:
        InputRefused: There is none.
        Conflict: It is at another revision.
    """
    found = found_partner(state, partner_id)
    if revision not in (None, found.revision):
        raise Conflict(f"partner {partner_id!r} is at revision {found.revision}, not {revision}")
    return found


def operators_tables(names: Topics) -> Sequence[str]:
    """Return the tables that operators' commands read and change."""
    return (names.schemas, names.partners, names.subscriptions, names.health)
