"""Reads what a registry answers: only its own "not found" means that it does not have an id.

Everything that is neither a schema nor that answer counts as not reached: a proxy's 404, a wrong path and
a page for people say nothing about an id.

Source: the HTTP API of Confluent's schema registry, `GET /schemas/ids/{id}`.
"""

from dataclasses import dataclass
from typing import Final

from hookstream.core.avro.reader import SchemaRefused
from hookstream.core.catalog.references import closed
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.json import Json
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    RegisteredSchema,
    Unreachable,
    Unusable,
)

MAX_REFERENCES: Final = 100
"""Schemas that one schema may refer to, directly and through others."""

_OK, _NOT_FOUND = 200, 404
_SCHEMA_NOT_FOUND: Final = 40403
_REFUSED: Final = (401, 403)
_SHOWN = 200
"""Characters of an answer that are shown."""


@dataclass(slots=True, frozen=True)
class Wanted:
    """A schema that another one refers to."""

    subject: str
    version: int


@dataclass(slots=True, frozen=True)
class SchemaText:
    """A schema as the registry keeps it: its text, and what it refers to."""

    text: str
    references: tuple[Wanted, ...]


def schema_answer(
    schema: RegisteredId, status: int, body: Json
) -> SchemaText | NotFound | Unusable | Unreachable:
    """Return what the answer to the request for an id says.

    Args:
        schema: What was asked for.
        status: The HTTP status.
        body: The body as JSON; None where it is none.
    """
    if status == _NOT_FOUND and _code(body) == _SCHEMA_NOT_FOUND:
        return NotFound(said(status, body))
    if status != _OK:
        return Unreachable(said(status, body))
    if not isinstance(body, dict) or not isinstance(text := body.get("schema"), str):
        return Unreachable("it answered 200, and the body is no schema")
    kind = body.get("schemaType", "AVRO")
    if kind != "AVRO":
        return unusable(schema, f"it is of the type {str(kind)[:_SHOWN]}, and Avro is read only")
    references = _references(body.get("references"))
    if references is None:
        return Unreachable("it answered 200, and the references of the schema are malformed")
    return SchemaText(text, references)


def reference_answer(wanted: Wanted, status: int, body: Json) -> SchemaText | Unreachable:
    """Return what the answer to the request for a reference says. Its absence is the registry's fault."""
    if status == _OK and isinstance(body, dict):
        text, references = body.get("schema"), _references(body.get("references"))
        if isinstance(text, str) and references is not None:
            return SchemaText(text, references)
    why = "the body is no schema" if status == _OK else said(status, body)
    return Unreachable(f"the reference {wanted.subject} version {wanted.version}: {why}")


def whole(schema: RegisteredId, tree: Json, references: list[Json]) -> RegisteredSchema | Unusable:
    """Return a schema with its references written out, if it can and may be used.

    Args:
        schema: Its name.
        tree: Its text as JSON.
        references: The texts of all schemas that it refers to, as JSON.
    """
    try:
        found = closed(tree, references)
    except SchemaRefused as refused:
        return unusable(schema, str(refused))
    if not isinstance(found, dict) or found.get("type") != "record":
        return unusable(schema, "it is not a record")
    harm = hostile(found)
    return unusable(schema, harm[0]) if harm else RegisteredSchema(found)


def unusable(schema: RegisteredId, why: str) -> Unusable:
    """Return that a schema can never be used."""
    detail = f"schema {schema} must not be used: {why}"
    return Unusable(Undecodable(UndecodableReason.HOSTILE_SCHEMA, detail))


def said(status: int, body: Json) -> str:
    """Return an answer that is an error, in a few words of the registry's own."""
    answer = f"it answered {status}"
    if isinstance(body, dict):
        code, words = _code(body), body.get("message")
        if code not in (None, status):
            answer += f" ({code})"
        if isinstance(words, str) and words:
            answer += f": {_printable(words)}"
    if status in _REFUSED:
        answer += ". Check its username and password, or its token"
    return answer


def _code(body: Json) -> int | None:
    code = body.get("error_code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None


def _printable(text: str) -> str:
    shown = "".join(each if each.isprintable() else " " for each in text[: _SHOWN + 1])
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"


def _references(found: Json) -> tuple[Wanted, ...] | None:
    """Return the references of a schema; None: they are malformed."""
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > MAX_REFERENCES:
        return None
    wanted: list[Wanted] = []
    for each in found:
        if not isinstance(each, dict):
            return None
        subject, version = each.get("subject"), each.get("version")
        if not isinstance(subject, str) or type(version) is not int:
            return None
        wanted.append(Wanted(subject, version))
    return tuple(wanted)
