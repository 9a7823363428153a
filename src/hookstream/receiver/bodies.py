"""Reads the events from the body of a verified request, and validates them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hookstream.errors import ConfigurationError, HookstreamError
from hookstream.receiver.verification import Verified

BATCH_TYPE = "hookstream.batch"
"""The `type` of a body that holds several events."""
_EVENTS = (
    {"type", "version", "timestamp", "id", "environment", "entity_id"},
    {"specversion", "id", "source", "type", "time"},
)
"""What every `standard` body has, and what every CloudEvent has."""
MAX_PROBLEMS = 20
"""How many problems of one event are named."""


@dataclass(slots=True, frozen=True)
class Member:
    """One event of a body."""

    key: str
    """The same for every copy of the event, alone or in any batch: deduplicate by it."""
    event: dict[str, Any]
    """The event: a `standard` body or a CloudEvent."""


def members(verified: Verified, body: bytes) -> list[Member]:
    """Return the events of a verified body: those of a batch in order, or the only one.

    A body that is neither a `standard` one nor a CloudEvent (a template's) is one member, whose key
    is the id of the request.

    Args:
        verified: What `verify` returned.
        body: The same bytes.

    Raises:
        BodyRefused: It is not JSON, or neither an object nor a list of objects.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise BodyRefused([f"the body is not JSON: {problem}"]) from None
    batch: Any = document if isinstance(document, list) else [document]
    if isinstance(document, dict) and document.get("type") == BATCH_TYPE:
        batch = document.get("events")
    if not isinstance(batch, list) or not all(isinstance(event, dict) for event in batch):
        raise BodyRefused(["the body is neither an event nor a batch of events"])
    return [Member(_key(event) or verified.id, event) for event in batch]


def _key(event: Mapping[str, Any]) -> str | None:
    """Return the identity of an event; None for an object of another shape, whatever its `id` is."""
    if not any(names <= event.keys() for names in _EVENTS):
        return None
    # An id identifies an event within its type.
    return f"{event['type']}/{event['id']}"


class BodyRefused(HookstreamError):
    """Raised when a verified body is not what was agreed: answer 422, and it is sent again.

    Args:
        problems: One sentence for each problem, with its place.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class BodySchema:
    """Validates events by the JSON Schema that `hookstream schemas jsonschema` prints.

    Args:
        schema: The document, of any size and with any keyword of JSON Schema 2020-12. Formats
            are not asserted: the document's patterns cover them.

    Raises:
        ConfigurationError: The package `jsonschema` is not installed, or `schema` is not a JSON Schema.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415  optional
        except ImportError:
            raise ConfigurationError(
                "validating bodies needs jsonschema: pip install hookstream[receiver]"
            ) from None
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as problem:
            raise ConfigurationError(f"it is no JSON Schema: {problem.message}") from None
        self._validator = Draft202012Validator(schema)

    def check(self, event: Mapping[str, Any]) -> None:
        """Check one event, such as `Member.event`.

        Raises:
            BodyRefused: It is not valid; `MAX_PROBLEMS` problems are named at most.
        """
        problems = []
        for problem in self._validator.iter_errors(event):
            place = problem.json_path.removeprefix("$").removeprefix(".")
            # The message about a large value contains it.
            problems.append(f"{place}: {problem.message[:200]}".removeprefix(": "))
            if len(problems) == MAX_PROBLEMS:
                break
        if problems:
            raise BodyRefused(problems)
