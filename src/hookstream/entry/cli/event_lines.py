"""A line of JSON is an event to be sent, in the shape in which events are delivered."""

from dataclasses import dataclass
from typing import cast

import orjson

from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

MAX_LINE_BYTES = 4 * 1024 * 1024

_TEXTS = ("type", "entity_id", "environment")
_FIELDS = frozenset({*_TEXTS, "version", "id", "timestamp", "data"})
_OUR_WORDS = {"event_id": "id", "occurred_at": "timestamp"}


@dataclass(slots=True, frozen=True)
class EventLine:
    """What one line says."""

    event_type: str
    entity_id: str
    environment: str
    data: JsonObject
    version: int | None
    event_id: str | None
    timestamp: str | None


def read_line(line: bytes) -> EventLine:
    """Read one line; what is in `data` is checked against its schema later.

    Raises:
        InputRefused: It is not JSON, or a field is missing, unknown or of a wrong kind.
    """
    if len(line) > MAX_LINE_BYTES:
        raise InputRefused(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        found: Json = orjson.loads(line)
    except ValueError as problem:
        raise InputRefused(f"not JSON: {problem}") from None
    if not isinstance(found, dict):
        raise InputRefused("not a JSON object")
    strangers = sorted(set(found) - _FIELDS)
    if strangers:
        raise InputRefused(f"{strangers[0][:80]}: there is no such field")
    for name in _TEXTS:
        if not isinstance(found.get(name), str):
            raise InputRefused(f"{name}: must be there, as text")
    if not isinstance(found.get("data"), dict):
        raise InputRefused("data: must be there, as an object")
    return EventLine(
        event_type=str(found["type"]),
        entity_id=str(found["entity_id"]),
        environment=str(found["environment"]),
        data=cast("JsonObject", found["data"]),
        version=_version(found.get("version")),
        event_id=_optional_text(found, "id"),
        timestamp=_optional_text(found, "timestamp"),
    )


def in_words_of_a_line(reason: str) -> str:
    """Return a reason with the envelope's fields named as a line names them."""
    for ours, theirs in _OUR_WORDS.items():
        if reason.startswith(ours):
            return theirs + reason[len(ours) :]
    return reason


def _version(found: Json) -> int | None:
    if found is None or type(found) is int:
        return found
    raise InputRefused("version: must be a whole number")


def _optional_text(found: JsonObject, name: str) -> str | None:
    value = found.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InputRefused(f"{name}: must be text")
