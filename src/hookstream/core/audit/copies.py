"""Copies of an attempt's audit entry, which a crash leaves behind, count as one."""

from collections.abc import Iterable
from typing import NamedTuple

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import Millis


class Merged(NamedTuple):
    """One attempt, or a run's end without one."""

    entry: AuditEntry
    """Of copies the one that completed, else the newest."""
    copies: int
    """How many entries there are of it, at least 1."""


def merged(entries: Iterable[AuditEntry]) -> list[Merged]:
    """Return attempts in time order, the copies of each merged.

    Copies have the same event, run, attempt and trigger: an attempt that was made again after a crash.
    """
    kept: dict[tuple[object, ...], Merged] = {}
    for entry in entries:
        key = (
            entry.origin.place,
            entry.job_id,
            entry.attempt,
            entry.trigger,
            entry.outcome is None,
        )
        known = kept.get(key)
        if known is None:
            kept[key] = Merged(entry, 1)
        else:
            better = entry if _rank(entry) > _rank(known.entry) else known.entry
            kept[key] = Merged(better, known.copies + 1)
    return sorted(kept.values(), key=lambda each: (each.entry.started_at, each.entry.attempt))


def _rank(entry: AuditEntry) -> tuple[bool, Millis]:
    return entry.disposition == "complete", entry.started_at
