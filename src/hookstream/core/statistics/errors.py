"""Errors of an endpoint by what they look like: what differs from one attempt to the next is taken out."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import Millis

MOST_PATTERNS = 200
"""How many patterns of one subscription are kept apart; further ones count together, with `OTHERS`."""

OTHERS = "(others)"
"""The text of the pattern that has all further ones."""

LONGEST = 200
"""The longest text of a pattern, in characters."""

_PARTS = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\[[0-9a-fA-F:.%]{2,}\](?::\d+)?"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}\b"), "<address>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b(?=\w*\d)[A-Za-z]{2,}_\w{8,}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)


def normalised(error: str) -> str:
    """Return an error's text without its addresses, ids, times and numbers, at most `LONGEST` characters."""
    for pattern, name in _PARTS:
        error = pattern.sub(name, error)
    return " ".join(error.split())[:LONGEST]


class Fingerprint(NamedTuple):
    """What errors are counted by."""

    subscription_id: str
    outcome: str
    """The outcome's word; `none`: the delivery ended without an attempt."""
    status: int | None
    text: str
    """The error, normalised; empty where the status says all."""


def fingerprint_of(entry: AuditEntry) -> Fingerprint | None:
    """Return what an audit entry's error counts for; None: it delivered, or was cancelled."""
    if entry.disposition in ("complete", "cancel"):
        return None
    error = entry.error or (entry.reason or "" if entry.outcome is None else "")
    return Fingerprint(
        entry.subscription_id, entry.outcome or "none", entry.status, normalised(error)
    )


@dataclass(slots=True, frozen=True)
class ErrorPattern:
    """Errors that look alike."""

    fingerprint: Fingerprint
    count: int
    """How many requests or ends: a request that was repeated after a crash counts, as it was made."""
    first_at: Millis
    last_at: Millis
    example: str
    """The newest error's text as it was, at most 512 characters."""
    delivery_id: str
    """Its delivery."""

    def join(self, other: "ErrorPattern") -> "ErrorPattern":
        """Return both together, for distinct records of one fingerprint."""
        newest = max(self, other, key=lambda each: (each.last_at, each.delivery_id))
        return ErrorPattern(
            self.fingerprint,
            self.count + other.count,
            min(self.first_at, other.first_at),
            newest.last_at,
            newest.example,
            newest.delivery_id,
        )
