"""Event schemas for operators: checking files, publishing them, and listing what is published."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hookstream.adapters.avro.files import own_declared, read_schema_files
from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.core.catalog.publication import (
    Finding,
    KnownSchema,
    PublicationPlan,
    plan_publication,
)
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    BodyFormat,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    covers,
)
from hookstream.entry.admin.schema_checks import template_losses
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
        self._files = read_schema_files(folder)

    @property
    def count(self) -> int:
        """How many schemas the folder contains."""
        return len(self._files.schemas)

    def checked(self) -> PublicationPlan:
        """Return the plan for an empty cluster: its problems are those of the files."""
        return self._planned([], lambda _type, _version: False)

    def planned(self, state: State) -> PublicationPlan:
        """Return what publishing would add to what is published."""
        published = [
            KnownSchema(
                each.revision.event_type,
                each.revision.event_version,
                each.revision.fingerprint,
                each.number,
                each.tree,
            )
            for each in state.book
        ]

        def pinned(event_type: str, version: int) -> bool:
            subscriptions = state.current.subscriptions.values()
            return any(_receives(each, event_type, version) for each in subscriptions)

        made = self._planned(published, pinned)
        return replace(made, notes=(*made.notes, *_template_notes(state, made)))

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

    def _planned(
        self, published: Sequence[KnownSchema], pinned: Callable[[str, int], bool]
    ) -> PublicationPlan:
        files = self._files
        plan = plan_publication([*files.schemas, *own_declared()], published, pinned)
        return replace(
            plan,
            problems=(*files.problems, *plan.problems),
            notes=(*files.notes, *plan.notes),
        )


def _template_notes(state: State, made: PublicationPlan) -> Iterator[Finding]:
    """Yield what templates lose by new versions. It prevents nothing: their partner would block all."""
    templated = [
        each
        for each in state.current.subscriptions.values()
        if isinstance(each, Subscription)
        and each.format is BodyFormat.TEMPLATE
        and each.state is not SubscriptionState.DELETED
    ]
    if made.problems or not made.publications or not templated:
        return
    after = SchemaBook()
    for known in state.book:
        after.publish(known.tree, known.number)
    files: dict[tuple[str, int], str] = {}
    for new in made.publications:
        after.publish(new.schema.tree, new.number)
        files[new.schema.event_type, new.schema.version] = new.schema.where
    for subscription in templated:
        for event_type, version, why in template_losses(subscription, state.book, after):
            where = files.get((event_type, version))
            if where is not None:
                yield Finding(where, f"subscription {subscription.id}: {why}")


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


def _receives(
    subscription: Subscription | UnreadableSubscription, event_type: str, version: int
) -> bool:
    if not covers(subscription.event_types, event_type):
        return False
    match subscription:
        case Subscription():
            deleted = subscription.state is SubscriptionState.DELETED
            return not deleted and subscription.pin(event_type) == version
        case UnreadableSubscription():
            # Its pins cannot be read: any version may be meant.
            return True
