"""Routes of published schemas and mappings, for operators: all revisions, single ones, and their sources."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.schema_types import types
from hookstream.entry.admin.schemas import mappings, revisions, shown_by_name
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.resources.event_types import DocumentShown
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.errors import InputRefused

_TAG = "schemas"


class NamedSchemaQuery(ApiInput, frozen=True):
    """The version to show."""

    version: Annotated[int, Meta(ge=1)] | None = None
    """A version of an event type; default: the newest."""


class RevisionShown(ApiOutput, frozen=True):
    """A published revision of a version of an event type."""

    event_type: str
    version: int
    revision: int
    fingerprint: str
    published_at: str
    reader: bool
    """Whether payloads of the version are made with it."""


class RevisionsPage(ApiOutput, frozen=True):
    """Revisions by event type, version and number."""

    items: tuple[RevisionShown, ...]
    next: str | None
    faults: tuple[str, ...]
    """Problems of published schemas that are not used."""


class MappingsPage(ApiOutput, frozen=True):
    """Mappings in the order of their names; their sources are as in files."""

    items: tuple[dict[str, Any], ...]
    next: str | None


class RegisteredShown(ApiOutput, frozen=True):
    """The id of a schema in a registry."""

    registry: str
    id: str


class TypeOriginShown(ApiOutput, frozen=True, omit_defaults=True):
    """A version of an event type and its source, or a registry's schema that belongs to no event type."""

    event_type: str | None
    """Null: it belongs to no event type."""
    version: int | None
    source: str
    """`published`, `mapping`, `hookstream`, or `registry` for a schema that belongs to no event type."""
    registered: tuple[RegisteredShown, ...]
    revisions: int = 0
    record: str | None = None
    """The full name of the record of a schema that belongs to no event type."""
    why: str = ""
    """Why it belongs to no event type."""


class TypeOriginsPage(ApiOutput, frozen=True):
    """Versions of event types by name and number, then schemas that belong to no event type."""

    items: tuple[TypeOriginShown, ...]
    next: str | None


def list_schemas(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return every published revision."""
    state = call.services.state()
    every = revisions(state, call.services.settings.topics_names.schemas)
    found, following = page_of(call, every, _revision_key)
    items = tuple(msgspec.convert(each, RevisionShown) for each in found)
    return ApiAnswer(RevisionsPage(items=items, next=following, faults=state.schema_faults))


def list_mappings(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return every mapping."""
    found, following = page_of(
        call, mappings(call.services.state()), lambda each: str(each["mapping"])
    )
    return ApiAnswer(MappingsPage(items=found, next=following))


def get_schema(call: Call[NamedSchemaQuery, None]) -> ApiAnswer:
    """Return the schema of an event type, or a mapping."""
    try:
        found = shown_by_name(call.services.state(), call.params["name"], call.query.version)
    except InputRefused as absent:
        raise RequestRefused(ProblemKind.NOT_FOUND, str(absent)) from None
    return ApiAnswer(DocumentShown(document=found))


def list_type_origins(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return the source of each version of each event type."""
    numbered = enumerate(types(call.services.state().book))
    found, following = page_of(call, numbered, lambda each: f"{each[0]:09}")
    return ApiAnswer(
        TypeOriginsPage(items=tuple(_origin(each) for _, each in found), next=following)
    )


def _revision_key(revision: JsonObject) -> str:
    # No name contains the separator of the parts, which sorts before all other characters.
    return f"{revision['event_type']}\0{revision['version']:09}\0{revision['revision']:09}"


def _origin(found: JsonObject) -> TypeOriginShown:
    fields: dict[str, Any] = {**found, "source": found["from"]}
    del fields["from"]
    fields["registered"] = tuple(RegisteredShown(**each) for each in fields["registered"])
    return TypeOriginShown(**fields)


ROUTES = (
    Route(
        "GET",
        "/v1/schemas",
        Scope.OPERATOR_READ,
        "List every published revision of every event type.",
        list_schemas,
        RevisionsPage,
        query=PageQuery,
        refusals=(ProblemKind.INVALID_CURSOR,),
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/schemas/{name}",
        Scope.OPERATOR_READ,
        "Show the published schema of an event type, or a mapping.",
        get_schema,
        DocumentShown,
        query=NamedSchemaQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/mappings",
        Scope.OPERATOR_READ,
        "List the mappings of foreign records.",
        list_mappings,
        MappingsPage,
        query=PageQuery,
        refusals=(ProblemKind.INVALID_CURSOR,),
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/type-origins",
        Scope.OPERATOR_READ,
        "List the sources of the versions of event types.",
        list_type_origins,
        TypeOriginsPage,
        query=PageQuery,
        refusals=(ProblemKind.INVALID_CURSOR,),
        tag=_TAG,
    ),
)
