"""Routes of event types, with JSON Schemas and samples of their bodies."""

from typing import Any, Literal, cast

from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin.schema_documents import (
    SchemaDocuments,
    no_schema,
    no_version,
)
from hookstream.entry.api.caller import granted_types
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused, not_found
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "event types"


class EventTypeShown(ApiOutput, frozen=True):
    """An event type that the caller may ask for."""

    event_type: str
    versions: tuple[int, ...]
    latest: int


class EventTypesPage(ApiOutput, frozen=True):
    """Event types in the order of their names."""

    items: tuple[EventTypeShown, ...]
    next: str | None
    """The cursor of the following ones; null: there are no more."""


class SchemaQuery(ApiInput, frozen=True):
    """The format of the described bodies."""

    format: Literal["standard", "cloudevents"] = "standard"
    content: Literal["full", "thin"] = "full"
    batch: bool = False


class SampleQuery(ApiInput, frozen=True):
    """The format of the sample."""

    format: Literal["standard", "cloudevents", "input"] = "standard"
    """`input`: as operators send events, with names of branches if a union needs them."""


class DocumentShown(ApiOutput, frozen=True):
    """A document: a JSON Schema, or a body."""

    document: dict[str, Any]


def list_event_types(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return the event types that the caller may ask for."""
    book = call.services.state().book
    types, following = page_of(call, granted_types(call), str)
    items = tuple(
        EventTypeShown(
            event_type=each, versions=tuple(book.versions(each)), latest=book.latest(each)
        )
        for each in types
    )
    return ApiAnswer(EventTypesPage(items=items, next=following))


def get_event_type(call: Call[Any, None]) -> ApiAnswer:
    """Return one event type."""
    event_type = _known(call)
    book = call.services.state().book
    shown = EventTypeShown(
        event_type=event_type,
        versions=tuple(book.versions(event_type)),
        latest=book.latest(event_type),
    )
    return ApiAnswer(shown)


def get_event_type_schema(call: Call[SchemaQuery, None]) -> ApiAnswer:
    """Return the JSON Schema of the bodies of a version."""
    event_type, version = _known(call), _version(call)
    query = call.query
    documents = SchemaDocuments(call.services.state().book)
    found = documents.json_schema(
        event_type,
        version,
        BodyFormat(query.format),
        Content(query.content),
        batch=query.batch,
    )
    return ApiAnswer(DocumentShown(document=cast("dict[str, Any]", found)))


def get_event_type_sample(call: Call[SampleQuery, None]) -> ApiAnswer:
    """Return the body of a sample event of a version."""
    event_type, version = _known(call), _version(call)
    if call.query.format == "input" and not call.by_operator:
        raise RequestRefused(ProblemKind.FORBIDDEN, "this format is for operators", field="format")
    found: JsonObject = SchemaDocuments(call.services.state().book).sample(
        event_type, version, call.query.format
    )
    return ApiAnswer(DocumentShown(document=cast("dict[str, Any]", found)))


def _known(call: Call[Any, None]) -> str:
    event_type = call.params["event_type"]
    if event_type not in granted_types(call):
        if not call.by_operator:
            raise not_found()
        absent = no_schema(call.services.state().book, event_type)
        raise RequestRefused(ProblemKind.NOT_FOUND, str(absent))
    return event_type


def _version(call: Call[Any, None]) -> int | None:
    text = call.params["version"]
    if text == "latest":
        return None
    book, event_type = call.services.state().book, call.params["event_type"]
    if text not in map(str, book.versions(event_type)):
        if not call.by_operator:
            raise not_found()
        raise RequestRefused(ProblemKind.NOT_FOUND, str(no_version(book, event_type, text)))
    return int(text)


ROUTES = (
    Route(
        "GET",
        "/v1/event-types",
        Scope.PARTNER_READ,
        "List the event types that may be asked for.",
        list_event_types,
        EventTypesPage,
        query=PageQuery,
        refusals=(ProblemKind.INVALID_CURSOR,),
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/event-types/{event_type}",
        Scope.PARTNER_READ,
        "Show one event type.",
        get_event_type,
        EventTypeShown,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/event-types/{event_type}/versions/{version}/schema",
        Scope.PARTNER_READ,
        "Show the JSON Schema of a version's bodies; `latest` is the newest version.",
        get_event_type_schema,
        DocumentShown,
        query=SchemaQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/event-types/{event_type}/versions/{version}/sample",
        Scope.PARTNER_READ,
        "Show the body of a sample event of a version; `latest` is the newest version.",
        get_event_type_sample,
        DocumentShown,
        query=SampleQuery,
        tag=_TAG,
    ),
)
