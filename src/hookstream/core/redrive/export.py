"""The lines of an export: all that a person needs to act on dead letters somewhere else.

The first line says what was asked, then one line follows for each record, and the last one counts and
says what was left out: a text without it is not complete. Each line is a JSON object with its `kind`.
"""

import base64
from dataclasses import dataclass, field

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Header, Record
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.summary import DeadLetterSummary

EXPORT_FORMAT = 1

_SECRET_NAMES = (
    "api-key",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "password",
    "secret",
    "token",
)
"""Parts of names of upstream headers whose values may be secret, in lower case. hookstream itself writes
no secret into a header."""


def first_line(
    topic: str, selector: JsonObject, now: Millis, *, with_resolved: bool
) -> JsonObject:
    """Return the first line.

    Args:
        topic: The topic that is read.
        selector: The conditions, as `Selector.row` writes them.
        now: The present.
        with_resolved: Whether redriven and purged records are exported too.
    """
    return {
        "kind": "export",
        "format": EXPORT_FORMAT,
        "topic": topic,
        "selector": selector,
        "exported_at": to_rfc3339(now),
        "resolved_too": with_resolved,
    }


@dataclass(slots=True, frozen=True)
class ExportedEvent:
    """The event of a record: its bytes, and what they say."""

    value: bytes | None
    """None: the record was kept by reference, and its origin is gone."""
    from_origin: bool
    """Whether the bytes are those of the origin, since the record was kept by reference."""
    document: JsonObject | str
    """The event as it is delivered, or why it cannot be shown."""


@dataclass(slots=True)
class Export:
    """Makes the lines of records and counts them."""

    letters: int = 0
    redriven: int = 0
    """Left out: how many were redriven."""
    purged: int = 0
    """Left out: how many were purged."""
    without_value: int = 0
    """Exported without the event's bytes."""
    not_decoded: int = 0
    """Exported without the event as JSON."""
    began_again: bool = False
    """Whether the topic was deleted and created again, and is exported from its new start."""
    hidden: dict[str, int] = field(default_factory=dict)
    """How many values of upstream headers were left out, by name; at most `_MOST_NAMES` names."""

    def leave_out(self, resolved_by: ResolvedBy) -> None:
        """Count a record that is left out since it is not open."""
        self.redriven += resolved_by.purged is None
        self.purged += resolved_by.purged is not None

    def line(
        self,
        record: Record,
        summary: DeadLetterSummary,
        resolved_by: ResolvedBy | None,
        event: ExportedEvent,
    ) -> JsonObject:
        """Return the line of a record, and count it."""
        self.letters += 1
        self.without_value += event.value is None
        decoded = None if isinstance(event.document, str) else event.document
        self.not_decoded += decoded is None
        line: JsonObject = {
            "kind": "letter",
            **summary.as_json(resolved_by),
            "key": _text_or_base64(record.key),
            "headers": [self._header(header) for header in record.headers],
            "value_base64": _base64(event.value),
            "value_from_origin": event.from_origin,
            "event": decoded,
            "event_problem": event.document if isinstance(event.document, str) else None,
        }
        if record.headers_problem is not None:
            line["headers_problem"] = record.headers_problem
        return line

    def last_line(self) -> JsonObject:
        """Return the last line."""
        return {
            "kind": "end",
            "letters": self.letters,
            "left_out": {"redriven": self.redriven, "purged": self.purged},
            "without_value": self.without_value,
            "not_decoded": self.not_decoded,
            "hidden_headers": dict(sorted(self.hidden.items())),
            "began_again": self.began_again,
        }

    def note(self) -> str:
        """Return in one sentence what was exported and what was left out."""
        parts = [f"{self.letters:,} exported"]
        for count, what in (
            (self.redriven, "left out as redriven"),
            (self.purged, "left out as purged"),
            (self.without_value, "without the event's bytes, which are gone"),
            (self.not_decoded, "not decoded"),
        ):
            if count:
                parts.append(f"{count:,} {what}")
        hidden = sum(self.hidden.values())
        if hidden:
            parts.append(f"{counted(hidden, 'header value')} left out that may be secret")
        note = ", ".join(parts)
        if self.began_again:
            note += (
                "; the topic was deleted and created again meanwhile: the rest of the deleted one is gone, the"
                " new one was exported from its start"
            )
        return note

    def _header(self, header: Header) -> Json:
        name, value = header
        if value is not None and _may_be_secret(name):
            shown = name if name in self.hidden or len(self.hidden) < _MOST_NAMES else "(others)"
            self.hidden[shown] = self.hidden.get(shown, 0) + 1
            return {"name": name, "hidden": True}
        return {"name": name, **_text_or_base64(value)}


_MOST_NAMES = 100


def _may_be_secret(name: str) -> bool:
    lower = name.lower()
    return any(part in lower for part in _SECRET_NAMES)


def _text_or_base64(value: bytes | None) -> JsonObject:
    """Return bytes as `value` if they are text, otherwise as `base64`."""
    if value is None:
        return {"value": None}
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": _base64(value)}


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
