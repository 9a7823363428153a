"""The tables as operators' commands see and change them."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import TableRecord, read_tables
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.adapters.tables.reader import MATCHING_NEEDS, RowKind, RowReader
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.adapters.tables.sealed import Keys, SealedSecrets
from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import (
    Failing,
    Partner,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.model.topics import Topics
from hookstream.core.planning.plan import Current
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, Conflict, InputRefused, ProducerFenced
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


def state_of(rows: Mapping[str, Mapping[str, TableRecord]], names: Topics, keys: Keys) -> State:
    """Return the state in rows; unreadable rows are reported, not left out."""
    book = SchemaBook()
    faults = [
        why
        for key, row in rows[names.schemas].items()
        if row.value is not None and (why := book.put(key, row.value)) is not None
    ]
    reader = RowReader(names, keys)
    found: dict[RowKind, dict[str, Any]] = defaultdict(dict)
    unreadable: list[str] = []
    for table in (names.partners, names.subscriptions, names.health):
        for key, row in sorted(rows[table].items()):
            kind = reader.kind(table, key)
            try:
                if row.value is not None:
                    found[kind][key] = reader.read(kind, key, row.value)
            except EnvelopeUnreadable as why:
                if kind in MATCHING_NEEDS:
                    unreadable.append(str(why))
    disabled = {each.subscription_id: each for each in found["disabled"].values()}
    failing = {each.subscription_id: each for each in found["failing"].values() if each}
    latest = {event_type: book.latest(event_type) for event_type in book.event_types()}
    current = Current(found["partner"], found["subscription"], disabled, latest)
    holds = tuple(found["hold"].values())
    return State(current, book, tuple(unreadable), tuple(faults), rows, holds, failing)


def read_state(settings: Settings, keys: Keys = SEALED) -> State:
    """Read the tables once, without fencing their writer."""
    names = settings.topics_names
    rows = read_tables(reached(settings), _tables(names))
    return state_of(rows, names, keys)


class TablesSession:
    """The only writer of the tables while it is open: all others are fenced.

    Args:
        settings: The cluster and the names of the tables.
        keys: Decrypts the signing secrets, or passes them on encrypted.
    """

    def __init__(self, settings: Settings, keys: Keys, writer: TableWriter) -> None:
        self.names = settings.topics_names
        self._lead = settings.tables.activation_lead
        self._keys = keys
        self._writer = writer
        self.events = AvroOwnRecords(self.names, "cli", disabled_row, failing_row)
        """Encodes the operations events of operators' changes."""
        self.now: Millis = writer.broker_now()
        """The broker's time when the session began."""
        self._began = time.monotonic()
        self._is_fenced = False

    @property
    def takes_effect(self) -> Millis:
        """The instant from which a change is in effect: by then every worker has read it."""
        return self.now + self._lead

    def state(self) -> State:
        """Return the state of the tables, which no other writer can change now."""
        return state_of(self._writer.snapshot, self.names, self._keys)

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        """Write rows and records in one transaction."""
        self._writer.write(changes, also)

    def wait_until(self, instant: Millis) -> None:
        """Return when the broker's clock has passed an instant; for after everything was written."""
        while (now := self._present()) <= instant:
            time.sleep((instant - now) / 1_000 + 0.01)

    def _present(self) -> Millis:
        if not self._is_fenced:
            try:
                return self._writer.broker_now()
            except ProducerFenced:
                # What was written stays, but this writer cannot ask again.
                self._is_fenced = True
        # This machine's clock goes on from where the broker's was; rather too late than too early.
        return self.now + int((time.monotonic() - self._began) * 1_000)


@contextmanager
def writing(settings: Settings, keys: Keys = SEALED) -> Iterator[TablesSession]:
    """Become the one writer of the tables, for as long as the block runs."""
    names = settings.topics_names
    with TableWriter(
        reached(settings), names.writer, _tables(names), names.subscriptions
    ) as writer:
        yield TablesSession(settings, keys, writer)


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


def _tables(names: Topics) -> Sequence[str]:
    return (names.schemas, names.partners, names.subscriptions, names.health)
