"""Published schemas and mappings, through the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.resources import event_types
from hookstream.entry.api.resources.event_types import DocumentShown, SampleQuery
from hookstream.entry.api.resources.schemas import (
    MappingsPage,
    NamedSchemaQuery,
    RevisionsPage,
    TypeOriginShown,
    TypeOriginsPage,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.schema_ports import SchemaListing

_VERSION = "/v1/event-types/{event_type}/versions/{version}"


@dataclass(slots=True, frozen=True)
class ApiSchemas:
    """Implements `SchemaCommands`."""

    api: ApiClient

    def listed(self) -> SchemaListing:
        pages = list(self.api.pages("/v1/schemas", RevisionsPage, PageQuery))
        revisions = [msgspec.to_builtins(each) for page in pages for each in page.items]
        found = self.api.pages("/v1/mappings", MappingsPage, PageQuery)
        mappings = [each for page in found for each in page.items]
        return SchemaListing(revisions, mappings, pages[0].faults)

    def shown(self, name: str, version: int | None) -> JsonObject:
        where = path("/v1/schemas/{name}", name=name)
        return self.api.get(where, DocumentShown, NamedSchemaQuery(version=version)).document

    def types(self) -> Sequence[JsonObject]:
        pages = self.api.pages("/v1/type-origins", TypeOriginsPage, PageQuery)
        return [_type(each) for page in pages for each in page.items]

    def json_schema(
        self,
        event_type: str,
        version: int | None,
        body_format: BodyFormat,
        content: Content,
        *,
        batch: bool,
    ) -> JsonObject:
        query = msgspec.convert(
            {"format": body_format.value, "content": content.value, "batch": batch},
            event_types.SchemaQuery,
        )
        where = _version(event_type, version) + "/schema"
        return self.api.get(where, DocumentShown, query).document

    def sample(self, event_type: str, version: int | None, sample_format: str) -> JsonObject:
        query = msgspec.convert({"format": str(sample_format)}, SampleQuery)
        where = _version(event_type, version) + "/sample"
        return self.api.get(where, DocumentShown, query).document


def _version(event_type: str, version: int | None) -> str:
    return path(
        _VERSION, event_type=event_type, version="latest" if version is None else str(version)
    )


def _type(shown: TypeOriginShown) -> JsonObject:
    registered: Any = [msgspec.to_builtins(each) for each in shown.registered]
    found: JsonObject = {"event_type": shown.event_type, "version": shown.version}
    if shown.event_type is None:
        more: JsonObject = {"record": shown.record, "from": shown.source}
        return {**found, **more, "registered": registered, "why": shown.why}
    return {
        **found,
        "revisions": shown.revisions,
        "from": shown.source,
        "registered": registered,
    }
