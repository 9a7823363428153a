"""Reads lines of JSON as events to send, in the shape in which events are delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from hookstream.adapters.exact_json import parse_exact, path_part
from hookstream.core.model.json import JsonObject
from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import EventRefused, InputRefused

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_PROBLEMS = 20
"""The most problems of one line that are reported."""

_REQUIRED = ((str,), "must be there, as text")
_OPTIONAL = ((str, NoneType), "must be text")
_FIELDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "type": _REQUIRED,
    "entity_id": _REQUIRED,
    "environment": _REQUIRED,
    "data": ((dict,), "must be there, as an object"),
    "version": ((int, NoneType), "must be a whole number"),
    "id": _OPTIONAL,
    "timestamp": _OPTIONAL,
}
"""The types of each field's values, NoneType if it may be missing, and the problem with any other type."""
_OUR_WORDS = {"event_id": "id", "occurred_at": "timestamp"}


@dataclass(slots=True, frozen=True)
class EventLine:
    """The fields of one line. `data` may contain `Numeral`s: numbers as they are written."""

    event_type: str
    entity_id: str
    environment: str
    data: JsonObject
    version: int | None
    event_id: str | None
    timestamp: str | None


class LineRefused(EventRefused):
    """Raised for a line whose own fields are wrong."""

    def __init__(self, problems: list[str], line: EventLine) -> None:
        super().__init__(problems)
        self.line = line
        """Its valid fields; the type is empty if it is invalid."""


def read_line(line: bytes) -> EventLine:
    """Read one line; `data` is checked against its schema later.

    Raises:
        InputRefused: It is not JSON, too long, nested too deep, or has a key twice in one object.
        LineRefused: Fields are missing, unknown or of a wrong kind; all of them are named.
    """
    if len(line) > MAX_LINE_BYTES:
        raise InputRefused(f"longer than {MAX_LINE_BYTES} bytes")
    found = parse_exact(line)
    if not isinstance(found, dict):
        raise InputRefused("not a JSON object")
    unknown = [name for name in found if name not in _FIELDS]
    # Only for the reported ones: a line has room for very many names.
    meant = {name: did_you_mean(name, _FIELDS) for name in unknown[:MAX_PROBLEMS]}
    problems = [
        f"{path_part(name)}: there is no such field{meant.get(name, '')}" for name in unknown
    ]
    valid: dict[str, Any] = {}
    for name, (types, wrong) in _FIELDS.items():
        value = found.get(name)
        if type(value) in types:
            valid[name] = value
        else:
            problems.append(f"{name}: {wrong}")
    read = EventLine(
        event_type=valid.get("type", ""),
        entity_id=valid.get("entity_id", ""),
        environment=valid.get("environment", ""),
        data=valid.get("data", {}),
        version=valid.get("version"),
        event_id=valid.get("id"),
        timestamp=valid.get("timestamp"),
    )
    if problems:
        raise LineRefused(problems, read)
    return read


def in_words_of_a_line(reason: str) -> str:
    """Return a reason with the envelope's fields named as a line names them."""
    for ours, theirs in _OUR_WORDS.items():
        if reason.startswith(ours):
            return theirs + reason[len(ours) :]
    return reason


def refusal(refused: InputRefused, more: Sequence[str] = ()) -> str:
    """Return all problems of a line, with the fields named as the line names them.

    At most `MAX_PROBLEMS` are named.

    Args:
        refused: Why it is refused.
        more: Further problems.
    """
    own = refused.problems if isinstance(refused, EventRefused) else (str(refused),)
    # If `data` is not an object, its schema has nothing to add.
    paths = {problem.partition(":")[0] for problem in own}
    problems = [
        *own,
        *(other for other in more if other.partition(":")[0].split(".")[0] not in paths),
    ]
    shown = [in_words_of_a_line(problem) for problem in problems[:MAX_PROBLEMS]]
    rest = ["and more"] if len(problems) > MAX_PROBLEMS else []
    return "; ".join([*shown, *rest])
