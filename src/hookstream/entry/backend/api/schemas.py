"""Published schemas and mappings, through the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from hookstream.adapters.avro.files import MAX_FILES
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.file_tree import files_below, shown
from hookstream.core.catalog.publication import Finding
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin.schema_baseline import PUBLISHED
from hookstream.entry.admin.schemas import SchemaPublisher
from hookstream.entry.admin.schemas_shown import (
    ShownMapping,
    ShownPublication,
    ShownSchemas,
    shown_schemas,
)
from hookstream.entry.admin.tables import State
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.resources import event_types
from hookstream.entry.api.resources.event_types import DocumentShown, SampleQuery
from hookstream.entry.api.resources.publishing import (
    SchemaFileGiven,
    SchemasGiven,
    SchemasPlanGiven,
    SchemasPlanShown,
)
from hookstream.entry.api.resources.schemas import (
    MappingsPage,
    NamedSchemaQuery,
    RevisionsPage,
    TypeOriginShown,
    TypeOriginsPage,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.schema_ports import SchemaListing
from hookstream.errors import InputRefused

_VERSION = "/v1/event-types/{event_type}/versions/{version}"


@dataclass(slots=True, frozen=True)
class ApiSchemaFolder:
    """Implements `SchemaFolder`: this process reads the files, and the console compares them."""

    api: ApiClient
    folder: Path
    publisher: SchemaPublisher
    remove: Sequence[str]

    @property
    def count(self) -> int:
        return self.publisher.count

    @property
    def mappings(self) -> int:
        return self.publisher.mappings

    def checked(self, against: str | None) -> ShownSchemas:
        if against == PUBLISHED:
            return self._planned(templates=False)
        return shown_schemas(self.publisher.checked(against, _no_tables))

    def planned(self) -> ShownSchemas:
        return self._planned(templates=True)

    def publish(self, shown: ShownSchemas) -> None:
        given = SchemasGiven(
            files=self._files(), remove_mappings=tuple(self.remove), mark=shown.mark
        )
        self.api.change("POST", "/v1/schema-files/publish", SchemasPlanShown, given)

    def _planned(self, *, templates: bool) -> ShownSchemas:
        own = self.publisher.files
        if own.problems:
            # They must be fixed before anything is compared.
            return ShownSchemas(problems=own.problems, notes=own.notes)
        given = SchemasPlanGiven(
            files=self._files(), remove_mappings=tuple(self.remove), templates=templates
        )
        found = self.api.change("POST", "/v1/schema-files/plan", SchemasPlanShown, given)
        return ShownSchemas(
            [
                ShownPublication(each.event_type, each.version, each.revision, each.novelty)
                for each in found.publications
            ],
            [
                ShownMapping(each.name, each.revision, each.new, each.lines)
                for each in found.mappings
            ],
            found.removed,
            found.unchanged,
            [Finding(each.where, each.what) for each in found.problems],
            [*own.notes, *(Finding(each.where, each.what) for each in found.notes)],
            found.mark,
        )

    def _files(self) -> tuple[SchemaFileGiven, ...]:
        """Return the files that can be read; the notes have the others."""
        unread = {each.where for each in self.publisher.files.notes}
        found = []
        for each in files_below(self.folder, most=MAX_FILES):
            path = each.path.relative_to(self.folder)
            if shown(path) not in unread:
                found.append(SchemaFileGiven(path=path.as_posix(), text=_text(each.path)))
        return tuple(found)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"{shown(path)} cannot be read: {error}") from None


def _no_tables() -> State:
    raise AssertionError("nothing published is compared here")


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

    def folder(self, folder: Path, remove: Sequence[str] = ()) -> ApiSchemaFolder:
        return ApiSchemaFolder(self.api, folder, SchemaPublisher(folder, remove), remove)

    def book(self) -> SchemaBook:
        found = SchemaBook()
        for page in self.api.pages("/v1/schemas", RevisionsPage, PageQuery):
            for each in page.items:
                if each.reader:
                    shown = self.shown(each.event_type, each.version)
                    found.publish(cast("JsonObject", shown["schema"]), each.revision)
        return found

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
