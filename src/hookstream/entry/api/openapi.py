"""The OpenAPI 3.1 document of the route table, for one caller: its routes, its fields, its events."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hookstream import __version__
from hookstream.core.access.scopes import Caller
from hookstream.core.model.json import JsonObject
from hookstream.entry.api.fields import ApiInput, masks
from hookstream.entry.api.problems import ProblemDocument, ProblemKind
from hookstream.entry.api.requests import as_json
from hookstream.entry.api.routes import Route, RouteTable

_REF = "#/components/schemas/{name}"
_EVERYWHERE = (
    ProblemKind.MALFORMED,
    ProblemKind.UNAUTHENTICATED,
    ProblemKind.FORBIDDEN,
    ProblemKind.NOT_FOUND,
    ProblemKind.TIMEOUT,
    ProblemKind.URI_TOO_LONG,
    ProblemKind.INVALID,
    ProblemKind.TOO_MANY_REQUESTS,
    ProblemKind.INTERNAL,
    ProblemKind.UNAVAILABLE,
)
"""Kinds of problems that every route may answer."""


def openapi_document(
    table: RouteTable, caller: Caller, webhooks: Mapping[str, JsonObject]
) -> JsonObject:
    """Return the document.

    Args:
        table: The routes.
        caller: The document's reader: routes and fields that its scope does not allow are left out.
        webhooks: The JSON Schemas of the bodies of the events that the caller may get, by event type.
    """
    routes = [route for route in table.routes if caller.may(route.scope)]
    structs: list[Any] = [ProblemDocument]
    structs += [each for route in routes for each in (route.body, route.answer) if each]
    _, components = msgspec.json.schema_components(structs, ref_template=_REF)
    for struct in structs:
        _leave_out(components, struct, caller)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "hookstream",
            "version": __version__,
            "description": "Signed webhooks of the platform's events.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "webhooks": {name: _webhook(name, schema) for name, schema in webhooks.items()},
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    found = as_json(document)
    return found if isinstance(found, dict) else {}


def _leave_out(components: dict[str, Any], struct: type, caller: Caller) -> None:
    """Remove the fields of a type that the caller may neither see nor set."""
    for path, scope in masks(struct).items():
        if not caller.may(scope):
            name = path.replace("[]", "").replace("{}", "").split(".")[-1]
            for schema in components.values():
                found = schema.get("properties", {}).get(name, {})
                if found.get("x-scope") == scope.value:
                    del schema["properties"][name]
                    schema["required"] = [
                        each for each in schema.get("required", []) if each != name
                    ]


def _operation(route: Route) -> JsonObject:
    parameters: list[Any] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.parameters
    ]
    parameters += _query(route.query)
    if route.takes_revision:
        parameters.append(
            _header("If-Match", "The ETag of the version that was read, or `*`.", needed=True)
        )
    if route.is_idempotent:
        text = "A repeated request with the same key gets the first answer, and is not carried out again."
        parameters.append(_header("Idempotency-Key", text, needed=False))
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "x-scope": route.scope.value,
        "parameters": parameters,
        "responses": _responses(route),
    }
    if route.body is not None:
        schema = {"$ref": _REF.format(name=route.body.__name__)}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _query(query: type[ApiInput]) -> list[Any]:
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    schema = components[query.__name__]
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": _without_null(each)}
        for name, each in schema.get("properties", {}).items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out rather than null."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not options:
        return schema
    rest = {name: each for name, each in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **options[0]} if len(options) == 1 else {**rest, "anyOf": options}


def _header(name: str, text: str, *, needed: bool) -> JsonObject:
    schema: JsonObject = {"type": "string"}
    return {
        "name": name,
        "in": "header",
        "required": needed,
        "description": text,
        "schema": schema,
    }


def _responses(route: Route) -> dict[str, Any]:
    said = "Lines, each of this type." if route.is_in_pieces else "Done."
    found: dict[str, Any] = {str(route.status): {"description": said}}
    if route.answer is not None:
        schema = {"$ref": _REF.format(name=route.answer.__name__)}
        found[str(route.status)]["content"] = {route.media_type: {"schema": schema}}
    kinds = [*_EVERYWHERE, *route.refusals]
    if route.body is not None:
        kinds += [ProblemKind.TOO_LARGE, ProblemKind.UNSUPPORTED_MEDIA_TYPE]
    if route.takes_revision:
        kinds += [ProblemKind.CONFLICT, ProblemKind.REVISION_REQUIRED]
    if route.is_idempotent:
        kinds += [ProblemKind.CONFLICT]
    problem = {
        "application/problem+json": {"schema": {"$ref": _REF.format(name="ProblemDocument")}}
    }
    for kind in kinds:
        found.setdefault(str(kind.status), {"description": kind.value.title, "content": problem})
    return found


def _webhook(event_type: str, schema: JsonObject) -> JsonObject:
    return {
        "post": {
            "operationId": f"on {event_type}",
            "summary": f"An event {event_type}, signed by Standard Webhooks.",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema}},
            },
            "responses": {"2XX": {"description": "The event is accepted."}},
        }
    }
