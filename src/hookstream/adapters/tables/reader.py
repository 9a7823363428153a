"""Identifies and reads the rows of every table, for workers and operators alike."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from hookstream.adapters.tables import holds_and_skips, rows
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.tables.subscriptions import read_subscription
from hookstream.core.model.topics import Topics

RowKind: TypeAlias = Literal[
    "schema",
    "partner",
    "subscription",
    "hold",
    "skip",
    "start",
    "disabled",
    "failing",
    "writer",
    "other",
]

_WRITER_KEY = "writer"
"""The key of the table writer's own row: no subscription may have it as its id."""

MATCHING_NEEDS: frozenset[RowKind] = frozenset({"partner", "subscription", "hold", "disabled"})
"""Nothing is matched while a row of these kinds is unreadable: it may concern any event."""

_BY_PREFIX: Mapping[str, RowKind] = {"hold": "hold", "skip": "skip", "start": "start"}
_BY_SUFFIX: Mapping[str, RowKind] = {"disabled": "disabled", "failing": "failing"}
_READERS: Mapping[RowKind, Callable[[str, bytes], object]] = {
    "partner": rows.read_partner,
    "hold": holds_and_skips.read_hold,
    "skip": holds_and_skips.read_skip,
    "start": holds_and_skips.read_start,
    "disabled": rows.read_disabled,
    "failing": rows.read_failing,
}


def row_kind(key: str) -> RowKind:
    """Return a row's kind by its key in the subscriptions topic; `other`: unknown to this release."""
    if key == _WRITER_KEY:
        return "writer"
    head, slash, _ = key.partition("/")
    return _BY_PREFIX.get(head, "other") if slash else "subscription"


class RowReader:
    """Reads rows of any table.

    Args:
        topics: The names of the tables.
        keys: Decrypts the signing secrets, or passes them on encrypted.
    """

    def __init__(self, topics: Topics, keys: Keys) -> None:
        self._subscriptions, self._health = topics.subscriptions, topics.health
        self._of_one_kind: dict[str, RowKind] = {
            topics.schemas: "schema",
            topics.partners: "partner",
        }
        self._keys = keys

    def kind(self, table: str, key: str) -> RowKind:
        """Return a row's kind by its table and key; `other`: this reader does not read it."""
        if table == self._subscriptions:
            return row_kind(key)
        if table == self._health:
            _, slash, tail = key.rpartition("/")
            return _BY_SUFFIX.get(tail, "other") if slash else "other"
        return self._of_one_kind.get(table, "other")

    def read(self, kind: RowKind, key: str, value: bytes) -> object:
        """Return a row's value: a Partner, a Subscription or UnreadableSubscription, a Hold ….

        None if this reader does not read rows of its kind, and for an unreadable `failing` row, which is
        equivalent to no row.

        Raises:
            EnvelopeUnreadable: It cannot be read.
        """
        if kind == "subscription":
            return read_subscription(key, value, self._keys)
        read = _READERS.get(kind)
        return None if read is None else read(key, value)
