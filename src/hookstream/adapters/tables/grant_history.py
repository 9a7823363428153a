"""The grants that a partner held, as a field of its row: each different grant is written once.

The last entry is the row's own `grant`, so it has none of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hookstream.core.model import row_fields as fields
from hookstream.core.model.instant import Millis
from hookstream.core.model.row_fields import FieldKind, RowFields
from hookstream.core.model.subscription import Grant, HeldGrant

GRANT = RowFields(
    event_types=fields.TEXTS,
    environments=fields.TEXTS,
    pattern=fields.optional(fields.OBJECT),
    # Rows of older releases lack it.
    operator=FieldKind(lambda found: found is True),
).of(Grant)


@dataclass(slots=True, frozen=True)
class _Entry:
    """One entry as it is written."""

    since: Millis | None
    grant: Grant | None = None
    same_as: int | None = None
    """The number of the earlier entry, from 0, that has the same grant."""


_ENTRIES = fields.listed(
    RowFields(
        since=fields.optional(fields.INSTANT),
        grant=fields.optional(GRANT).sparse(),
        same_as=fields.optional(fields.WHOLE).sparse(),
    ).of(_Entry)
)


@dataclass(slots=True)
class WrittenHistory:
    """A history whose last grant is not known until the rest of the row is read."""

    earlier: list[HeldGrant] = field(default_factory=list)
    since: Sequence[Millis | None] = ()
    """Of the last grant; empty: the row has no history."""

    def ending_with(self, grant: Grant) -> tuple[HeldGrant, ...]:
        """Return the history, given the row's own grant."""
        return (*self.earlier, *(HeldGrant(grant, since) for since in self.since))


def _read(found: object) -> WrittenHistory:
    entries: tuple[_Entry, ...] = _ENTRIES.read(found)
    history = WrittenHistory(since=[entry.since for entry in entries[-1:]])
    latest: Millis | None = None
    for number, entry in enumerate(entries):
        if number and (entry.since is None or (latest is not None and entry.since <= latest)):
            raise ValueError(f"entry {number} is not later than the one before it")
        latest = entry.since
        if number < len(entries) - 1:
            history.earlier.append(HeldGrant(_grant(entry, number, history.earlier), entry.since))
    return history


def _grant(entry: _Entry, number: int, earlier: Sequence[HeldGrant]) -> Grant:
    if entry.grant is not None:
        return entry.grant
    if entry.same_as is None or not 0 <= entry.same_as < number:
        raise ValueError(f"entry {number} has no grant")
    return earlier[entry.same_as].grant


def _write(history: Sequence[HeldGrant]) -> object:
    written: list[object] = []
    known: list[object] = []
    for held in history:
        document = GRANT.write(held.grant)
        first = known.index(document) if document in known else None
        known.append(document)
        is_last = len(written) == len(history) - 1
        grant = None if is_last or first is not None else held.grant
        written.append(_Entry(held.since, grant, None if is_last else first))
    return _ENTRIES.write(written)


HISTORY = FieldKind(_read, _write).sparse([])
"""Reads a `WrittenHistory`; left out if it is empty, as earlier releases wrote the row."""
