"""Routes that plan and publish schemas and mappings from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from hookstream.adapters.file_tree import SentFile, SentTree
from hookstream.core.access.scopes import Scope
from hookstream.core.catalog.publication import Finding
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.schema_baseline import PUBLISHED
from hookstream.entry.admin.schemas import SchemaPublisher, SchemasPlan
from hookstream.entry.admin.schemas_shown import ShownSchemas, mark_of, shown_schemas
from hookstream.entry.api.fields import ApiInput, ApiOutput, Identifier
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.errors import ConfigurationError

_TAG = "schemas"
LARGEST_FILES = 8 << 20
"""Bytes of a request with files."""
MOST_FILES = 5_000
_FOLDER: Final = Path("/sent")
"""The folder name for error texts, which no answer shows."""


class SchemaFileGiven(ApiInput, frozen=True):
    """One file of a folder of schemas."""

    path: Annotated[str, Meta(min_length=1, max_length=1_000)]
    """Relative to the folder: `<event type>/v<N>.avsc`, `mappings/<name>.yaml`, or a schema that a mapping names."""
    text: Annotated[str, Meta(max_length=256 * 1024)]


class _FilesGiven(ApiInput, frozen=True):
    files: Annotated[tuple[SchemaFileGiven, ...], Meta(min_length=1, max_length=MOST_FILES)]
    remove_mappings: Annotated[tuple[Identifier, ...], Meta(max_length=1_000)] = ()
    """Names of published mappings that are removed."""


class SchemasPlanGiven(_FilesGiven, frozen=True):
    """Files to compare with the published schemas and mappings."""

    templates: bool = True
    """Whether the plan notes the values that templates of subscriptions would lose."""


class SchemasGiven(_FilesGiven, frozen=True, kw_only=True):
    """Files to publish."""

    mark: Annotated[str, Meta(max_length=100)]
    """The `plan` of the plan that was shown: only that is written."""


class PublicationShown(ApiOutput, frozen=True):
    """A revision that would be published."""

    event_type: str
    version: int
    revision: int
    novelty: str
    """The new part: `event type`, `version`, `revision` or `documentation`."""


class MappingPlanned(ApiOutput, frozen=True):
    """A mapping that would be written."""

    name: str
    revision: int
    new: bool
    lines: tuple[str, ...]
    """Its fields, or its changes."""


class FindingShown(ApiOutput, frozen=True):
    """One sentence about one file."""

    where: str
    what: str


class SchemasPlanShown(ApiOutput, frozen=True):
    """The changes of publishing; with problems, nothing is published."""

    publications: tuple[PublicationShown, ...]
    mappings: tuple[MappingPlanned, ...]
    removed: tuple[str, ...]
    unchanged: int
    problems: tuple[FindingShown, ...]
    notes: tuple[FindingShown, ...]
    mark: str
    """Changes if anything else would be written."""


def plan_schemas(call: Call[Any, SchemasPlanGiven]) -> ApiAnswer:
    """Return the changes that publishing files would make."""
    with call.services.large_body():
        publisher, state = _publisher(call), call.services.state()
        if call.body.templates:
            return ApiAnswer(_shown(publisher.planned(state)))
        return ApiAnswer(_shown(publisher.checked(PUBLISHED, lambda: state)))


def publish_schemas(call: Call[Any, SchemasGiven]) -> ApiAnswer:
    """Publish files, if the plan is still the one that was shown."""
    with call.services.large_body():
        publisher, mark = _publisher(call), call.body.mark

        def act(writer: ChangeWriter) -> SchemasPlan:
            return publisher.publish(writer, lambda made: mark_of(made) == mark)

        return call.change(act, lambda made, _: ApiAnswer(_shown(made), subject=""))


def _publisher(call: Call[Any, Any]) -> SchemaPublisher:
    files = [
        SentFile(each.path, each.text.encode("utf-8", "surrogatepass")) for each in call.body.files
    ]
    tree = SentTree(_FOLDER, files)
    try:
        return SchemaPublisher(_FOLDER, call.body.remove_mappings, tree)
    except ConfigurationError:
        raise invalid("they contain no schemas (<event type>/v<N>.avsc)", "files") from None


def _shown(plan: SchemasPlan) -> SchemasPlanShown:
    shown: ShownSchemas = shown_schemas(plan)
    return SchemasPlanShown(
        publications=tuple(
            PublicationShown(
                event_type=each.event_type,
                version=each.version,
                revision=each.revision,
                novelty=each.novelty,
            )
            for each in shown.publications
        ),
        mappings=tuple(
            MappingPlanned(
                name=each.name, revision=each.revision, new=each.is_new, lines=tuple(each.lines)
            )
            for each in shown.mappings
        ),
        removed=tuple(shown.removed),
        unchanged=shown.unchanged,
        problems=_findings(shown.problems),
        notes=_findings(shown.notes),
        mark=shown.mark,
    )


def _findings(found: Sequence[Finding]) -> tuple[FindingShown, ...]:
    return tuple(FindingShown(where=each.where, what=each.what) for each in found)


ROUTES = (
    Route(
        "POST",
        "/v1/schema-files/plan",
        Scope.OPERATOR_READ,
        "Show what publishing schemas and mappings would change.",
        plan_schemas,
        SchemasPlanShown,
        body=SchemasPlanGiven,
        largest_body=LARGEST_FILES,
        needs_no_key="it changes nothing",
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/schema-files/publish",
        Scope.OPERATOR_WRITE,
        "Publish schemas and mappings, by the plan that was shown.",
        publish_schemas,
        SchemasPlanShown,
        body=SchemasGiven,
        largest_body=LARGEST_FILES,
        is_idempotent=True,
        tag=_TAG,
        act="schemas.published",
    ),
)
