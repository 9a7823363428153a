"""Checks patterns and templates on the published schemas of the versions that they will see."""

from collections.abc import Callable, Collection, Sequence
from functools import cache

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.delivery.bodies.template import TemplateRefused, compile_template
from hookstream.core.delivery.bodies.template_check import DataSchema
from hookstream.core.delivery.bodies.template_check import check as check_template
from hookstream.core.matching.checking import check
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.shape import Shape, shape_of
from hookstream.core.model.subscription import BodyFormat, Partner, Subscription
from hookstream.core.planning.fields import Subject


def pattern_checks(book: SchemaBook) -> Callable[[Subject], Sequence[str]]:
    """Return a check of a subject's pattern on the published schemas of the versions that it receives."""

    @cache
    def shape(event_type: str, version: int) -> Shape:
        reader = book.reader(event_type, version)
        # The book names a version only where it has a reader for it.
        return shape_of(event_type, version, {} if reader is None else reader.tree)

    def problems(subject: Subject) -> Sequence[str]:
        asked = subject.grant if isinstance(subject, Partner) else subject
        if asked.pattern is None:
            return ()
        shapes = [shape(*received) for received in _received(book, subject)]
        # The caller reports the path, and that it is a pattern's.
        return [problem.removeprefix("pattern ") for problem in check(asked.pattern, shapes)]

    return problems


def template_checks(book: SchemaBook) -> Callable[[Subscription], Sequence[tuple[str, str]]]:
    """Return the same for a subscription's template: each problem has its place in the template."""

    def problems(subscription: Subscription) -> Sequence[tuple[str, str]]:
        if subscription.format is not BodyFormat.TEMPLATE:
            return ()
        try:
            template = compile_template(subscription.template)
        except TemplateRefused as refused:
            return [(refused.path, refused.reason)]
        schemas = []
        for event_type, version in _received(book, subscription):
            reader = book.reader(event_type, version)
            if reader is not None and reader.data is not None:
                schemas.append(DataSchema(event_type, version, reader.data))
        return check_template(template, schemas)

    return problems


def _received(book: SchemaBook, subject: Subject) -> list[tuple[str, int]]:
    """Return each requested event type that is published, with the versions received of it."""
    asked = subject.grant if isinstance(subject, Partner) else subject
    return [
        (event_type, version)
        for event_type in book.event_types()
        if asks_for(asked.event_types, event_type)
        for version in _versions(book, subject, event_type)
    ]


def _versions(book: SchemaBook, subject: Subject, event_type: str) -> Collection[int]:
    published = book.versions(event_type)
    if isinstance(subject, Partner):
        # Its subscriptions may be pinned to any version that there is.
        return published
    pin = subject.pin(event_type)
    version = book.latest(event_type) if pin == "latest" else pin
    return [version] if version in published else []
