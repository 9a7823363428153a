"""Event schemas for operators: checking files, publishing them, and listing what is published."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hookstream.adapters.avro.files import own_declared, read_schema_files
from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.core.catalog.publication import PublicationPlan, plan_publication
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.schema_baseline import Baseline, baseline, published_baseline
from hookstream.entry.admin.tables import State, writing
from hookstream.errors import Conflict
from hookstream.settings import Settings


class SchemaPublisher:
    """Publishes the schemas of a folder, and hookstream's own with them.

    Args:
        folder: Contains `<event type>/v<N>.avsc`.

    Raises:
        InputRefused: The folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = read_schema_files(folder)

    @property
    def count(self) -> int:
        """How many schemas the folder contains."""
        return len(self._files.schemas)

    def checked(self, against: str | None, published: Callable[[], State]) -> PublicationPlan:
        """Return the plan for what the files are compared with.

        Args:
            against: `topic`, a folder or a git revision, as `baseline` says; None: nothing, so that
                only the files' own problems are found.
            published: Reads the tables.

        Raises:
            InputRefused: What they are to be compared with cannot be read.
        """
        if against is None:
            return self._planned(Baseline())
        return self._planned(baseline(self._folder, against, self._files.schemas, published))

    def planned(self, state: State) -> PublicationPlan:
        """Return what publishing would add to what is published."""
        return self._planned(published_baseline(state))

    def publish(self, settings: Settings, shown: PublicationPlan) -> None:
        """Publish what a plan adds.

        Raises:
            Conflict: The tables changed, and with them the plan.
        """
        with writing(settings) as session:
            made = self.planned(session.state())
            if made.publications != shown.publications or made.problems:
                raise Conflict("the published schemas changed meanwhile: run it again")
            rows = [schema_row(each.schema.tree, each.number) for each in made.publications]
            topic = session.names.schemas
            session.write([TableChange(topic, key, value) for key, value in rows])

    def _planned(self, before: Baseline) -> PublicationPlan:
        files = self._files
        plan = plan_publication([*files.schemas, *own_declared()], before.known, before.pinned)
        return replace(
            plan,
            problems=(*files.problems, *plan.problems),
            notes=(*files.notes, *before.notes, *plan.notes),
        )


def revisions(state: State, topic: str) -> Iterator[JsonObject]:
    """Yield every published revision as JSON; `reader`: payloads of the version have its shape.

    Args:
        state: The tables.
        topic: The topic of the schemas.
    """
    for schema in state.book:
        revision = schema.revision
        event_type, version = revision.event_type, revision.event_version
        row = state.rows[topic][f"{event_type}/{version}/{revision.fingerprint}"]
        reader = state.book.reader(event_type, version)
        yield {
            "event_type": event_type,
            "version": version,
            "revision": schema.number,
            "fingerprint": revision.fingerprint,
            "published_at": to_rfc3339(row.timestamp),
            "reader": reader is not None and reader.number == schema.number,
        }
