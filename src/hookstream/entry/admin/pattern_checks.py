"""Checks patterns against the schemas of the versions that they will be applied to."""

from collections.abc import Iterator, Sequence

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.matching.checking import check
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.shape import Shape, shape_of
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.planning.fields import Subject


class PatternChecks:
    """Checks the patterns of partners and subscriptions on a book of schemas.

    Args:
        book: Every schema that is published.
    """

    def __init__(self, book: SchemaBook) -> None:
        self._book = book
        self._shapes: dict[tuple[str, int], Shape] = {}

    def problems(self, subject: Subject) -> Sequence[str]:
        """Return the problems of a subject's pattern."""
        match subject:
            case Partner():
                # Its subscriptions may be pinned to any version that there is.
                return _checked(
                    subject.grant.pattern, self._all_versions(subject.grant.event_types)
                )
            case Subscription():
                return _checked(subject.pattern, self._pinned(subject))

    def _all_versions(self, globs: tuple[str, ...]) -> Iterator[Shape]:
        for event_type in self._book.event_types():
            if asks_for(globs, event_type):
                for version in self._book.versions(event_type):
                    yield self._shape(event_type, version)

    def _pinned(self, subscription: Subscription) -> Iterator[Shape]:
        for event_type in self._book.event_types():
            if asks_for(subscription.event_types, event_type):
                pin = subscription.pin(event_type)
                version = self._book.latest(event_type) if pin == "latest" else pin
                if version in self._book.versions(event_type):
                    yield self._shape(event_type, version)

    def _shape(self, event_type: str, version: int) -> Shape:
        known = self._shapes.get((event_type, version))
        if known is None:
            reader = self._book.reader(event_type, version)
            # The book names a version only where it has a reader for it.
            tree = {} if reader is None else reader.tree
            known = self._shapes[event_type, version] = shape_of(event_type, version, tree)
        return known


def _checked(pattern: JsonObject | None, shapes: Iterator[Shape]) -> Sequence[str]:
    if pattern is None:
        return ()
    # The caller reports the path, and that it is a pattern's.
    return [problem.removeprefix("pattern ") for problem in check(pattern, list(shapes))]
