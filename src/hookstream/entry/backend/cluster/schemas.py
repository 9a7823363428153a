"""Published schemas and mappings as the tables have them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin import schema_types
from hookstream.entry.admin.schema_documents import SchemaDocuments
from hookstream.entry.admin.schemas import mappings, revisions, shown_by_name
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.schema_ports import SchemaListing


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
