"""Routes about the API itself: the caller, and the OpenAPI document."""

from contextlib import suppress
from typing import Any, cast

from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat
from hookstream.entry.admin.schema_documents import SchemaDocuments
from hookstream.entry.api.caller import granted_types
from hookstream.entry.api.fields import ApiOutput
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.errors import InputRefused

_TAG = "about"


class CallerShown(ApiOutput, frozen=True):
    """The caller of a token."""

    token: str
    """The token's public id."""
    scope: str
    partner: str | None
    """The one partner of a partner's token; null: an operator's."""


def get_me(call: Call[Any, None]) -> ApiAnswer:
    """Return the caller."""
    caller = call.caller
    return ApiAnswer(
        CallerShown(token=caller.token_id, scope=caller.scope.value, partner=caller.partner_id)
    )


def webhooks_of(call: Call[Any, None]) -> dict[str, JsonObject]:
    """Return the JSON Schema of the newest `standard` body of each event type that the caller may ask for."""
    documents = SchemaDocuments(call.services.state().book)
    found: dict[str, JsonObject] = {}
    for event_type in granted_types(call):
        # A type that is not delivered has no body.
        with suppress(InputRefused):
            found[event_type] = documents.json_schema(event_type, None, BodyFormat.STANDARD)
    return found


class OpenApiShown(ApiOutput, frozen=True):
    """An OpenAPI 3.1 document."""

    openapi: str
    info: dict[str, Any]
    security: tuple[dict[str, Any], ...]
    paths: dict[str, Any]
    webhooks: dict[str, Any]
    components: dict[str, Any]


def shown_openapi(document: JsonObject) -> OpenApiShown:
    """Return an OpenAPI document as the answer's body."""
    return OpenApiShown(**cast("dict[str, Any]", document))


ROUTES = (
    Route(
        "GET",
        "/v1/me",
        Scope.PARTNER_READ,
        "Show the caller of the token.",
        get_me,
        CallerShown,
        tag=_TAG,
    ),
)
