"""Checks patterns and templates on the published schemas of the versions that they will see."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from typing import TypeAlias

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.delivery.bodies.template import TemplateRefused, compile_template
from hookstream.core.delivery.bodies.template_check import DataSchema, losses
from hookstream.core.delivery.bodies.template_check import check as check_template
from hookstream.core.matching.checking import check
from hookstream.core.matching.directory import asks_for
from hookstream.core.matching.shape import Shape, shape_of
from hookstream.core.model.parts import joined
from hookstream.core.model.subscription import BodyFormat, Partner, Subscription
from hookstream.core.planning.fields import Subject

_AskedTypes: TypeAlias = Callable[[tuple[str, ...]], Sequence[str]]


def pattern_checks(book: SchemaBook) -> Callable[[Subject], Sequence[str]]:
    """Return a check of a subject's pattern on the published schemas of the versions that it receives."""
    asked_by = _asked_types(book)

    @cache
    def shape(event_type: str, version: int) -> Shape:
        reader = book.reader(event_type, version)
        # The book names a version only where it has a reader for it.
        return shape_of(event_type, version, {} if reader is None else reader.tree)

    def problems(subject: Subject) -> Sequence[str]:
        asked = subject.grant if isinstance(subject, Partner) else subject
        if asked.pattern is None:
            return ()
        shapes = [shape(*received) for received in _received(book, subject, asked_by)]
        # The caller reports the path, and that it is a pattern's.
        return [problem.removeprefix("pattern ") for problem in check(asked.pattern, shapes)]

    return problems


def template_checks(book: SchemaBook) -> Callable[[Subscription], Sequence[tuple[str, str]]]:
    """Return the same for a subscription's template: each problem has its place in the template."""
    asked_by = _asked_types(book)

    def problems(subscription: Subscription) -> Sequence[tuple[str, str]]:
        if subscription.format is not BodyFormat.TEMPLATE:
            return ()
        try:
            template = compile_template(subscription.template)
        except TemplateRefused as refused:
            return [(refused.path, refused.reason)]
        received = _received(book, subscription, asked_by)
        schemas = (_data_schema(book, *each) for each in received)
        return check_template(template, [each for each in schemas if each is not None])

    return problems


def template_losses(
    subscription: Subscription, before: SchemaBook, after: SchemaBook
) -> Iterator[tuple[str, int, str]]:
    """Yield what a subscription's template loses by the versions that it gets from new schemas.

    Each is the event type, its version and a sentence. A type that it did not get before is left
    out: no path of the template was written for it.

    Args:
        subscription: The subscription; of one with another format nothing is yielded.
        before: The published schemas.
        after: The same with the new ones.
    """
    if subscription.format is not BodyFormat.TEMPLATE:
        return
    template = compile_template(subscription.template)
    got = dict(_received(before, subscription, _asked_types(before)))
    for event_type, version in _received(after, subscription, _asked_types(after)):
        old = _data_schema(before, event_type, got.get(event_type, 0))
        new = _data_schema(after, event_type, version)
        if old is None or new is None:
            continue
        for place, why in dict.fromkeys(losses(template, old, new)):
            yield event_type, version, f"{joined('template', place)}: {why}"


def _data_schema(book: SchemaBook, event_type: str, version: int) -> DataSchema | None:
    reader = book.reader(event_type, version)
    if reader is None or reader.data is None:
        return None
    return DataSchema(event_type, version, reader.data)


def _asked_types(book: SchemaBook) -> _AskedTypes:
    """Return what returns the published types that globs request: many subscriptions have the same globs."""

    @cache
    def asked(globs: tuple[str, ...]) -> Sequence[str]:
        return [each for each in book.event_types() if asks_for(globs, each)]

    return asked


def _received(book: SchemaBook, subject: Subject, asked_by: _AskedTypes) -> list[tuple[str, int]]:
    """Return each requested event type that is published, with the versions received of it."""
    asked = subject.grant if isinstance(subject, Partner) else subject
    return [
        (event_type, version)
        for event_type in asked_by(asked.event_types)
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
