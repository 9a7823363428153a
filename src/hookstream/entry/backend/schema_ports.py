"""The ports for published schemas and mappings.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin.schemas_shown import ShownSchemas


class SchemaListing(NamedTuple):
    """Every published revision and every mapping, as `revisions` and `mapping_document` write them."""

    revisions: Sequence[JsonObject]
    mappings: Sequence[JsonObject]
    faults: Sequence[str] = ()
    """Problems of schemas that are not used."""


class SchemaDocumentCommands(Protocol):
    """Makes documents about the schemas of one source; otherwise like `SchemaDocuments`."""

    def json_schema(
        self,
        event_type: str,
        version: int | None,
        body_format: BodyFormat,
        content: Content,
        *,
        batch: bool,
    ) -> JsonObject:
        """Return the JSON Schema of a version's bodies; None: of the newest version."""

    def sample(self, event_type: str, version: int | None, sample_format: str) -> JsonObject:
        """Return the body of a realistic event, in the form that a word of `SampleFormat` names."""


class SchemaFolder(Protocol):
    """A folder of schemas and mappings."""

    @property
    def count(self) -> int:
        """How many schemas it contains, without those of mappings."""

    @property
    def mappings(self) -> int:
        """How many mappings it contains."""

    def checked(self, against: str | None) -> ShownSchemas:
        """Return the changes against the baseline of the comparison, as `SchemaPublisher` does."""

    def planned(self) -> ShownSchemas:
        """Return the changes that publishing would make."""

    def publish(self, shown: ShownSchemas) -> None:
        """Publish what was shown.

        Raises:
            Conflict: The published schemas changed, and with them the plan.
        """


class SchemaCommands(SchemaDocumentCommands, Protocol):
    """Lists, shows, documents and publishes schemas and mappings."""

    def listed(self) -> SchemaListing:
        """Return every revision by type, version and number, and every mapping by name."""

    def shown(self, name: str, version: int | None) -> JsonObject:
        """Return the schema of an event type, or a mapping; None: the newest version."""

    def folder(self, folder: Path, remove: Sequence[str] = ()) -> SchemaFolder:
        """Read a folder; `remove`: the published mappings to remove."""

    def book(self) -> SchemaBook:
        """Return the schemas whose shape the payloads of each version have."""

    def types(self) -> Sequence[JsonObject]:
        """Return every version of every event type with its source, as `types` yields them."""
