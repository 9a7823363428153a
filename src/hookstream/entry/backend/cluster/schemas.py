"""Published schemas and mappings as the tables have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin import schema_types
from hookstream.entry.admin.schema_documents import SchemaDocuments
from hookstream.entry.admin.schemas import SchemaPublisher, mappings, revisions, shown_by_name
from hookstream.entry.admin.schemas_shown import ShownSchemas, mark_of, shown_schemas
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.schema_ports import SchemaListing


@dataclass(slots=True, frozen=True)
class ClusterSchemaFolder:
    """Implements `SchemaFolder`."""

    cluster: ClusterAccess
    publisher: SchemaPublisher

    @property
    def count(self) -> int:
        return self.publisher.count

    @property
    def mappings(self) -> int:
        return self.publisher.mappings

    def checked(self, against: str | None) -> ShownSchemas:
        return shown_schemas(self.publisher.checked(against, self.cluster.state))

    def planned(self) -> ShownSchemas:
        return shown_schemas(self.publisher.planned(self.cluster.state()))

    def publish(self, shown: ShownSchemas) -> None:
        self.cluster.change(
            lambda writer: self.publisher.publish(writer, lambda made: mark_of(made) == shown.mark)
        )


@dataclass(slots=True, frozen=True)
class ClusterSchemas:
    """Implements `SchemaCommands`."""

    cluster: ClusterAccess

    def listed(self) -> SchemaListing:
        state = self.cluster.state()
        topic = self.cluster.settings.topics_names.schemas
        return SchemaListing(revisions(state, topic), mappings(state), state.schema_faults)

    def shown(self, name: str, version: int | None) -> JsonObject:
        return shown_by_name(self.cluster.state(), name, version)

    def folder(self, folder: Path, remove: Sequence[str] = ()) -> ClusterSchemaFolder:
        return ClusterSchemaFolder(self.cluster, SchemaPublisher(folder, remove))

    def book(self) -> SchemaBook:
        return self.cluster.state().book

    def types(self) -> Sequence[JsonObject]:
        return list(schema_types.types(self.cluster.state().book))

    def json_schema(
        self,
        event_type: str,
        version: int | None,
        body_format: BodyFormat,
        content: Content,
        *,
        batch: bool,
    ) -> JsonObject:
        return self._documents().json_schema(
            event_type, version, body_format, content, batch=batch
        )

    def sample(self, event_type: str, version: int | None, sample_format: str) -> JsonObject:
        return self._documents().sample(event_type, version, sample_format)

    def _documents(self) -> SchemaDocuments:
        return SchemaDocuments(self.cluster.state().book)
