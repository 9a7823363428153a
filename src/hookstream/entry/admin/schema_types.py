"""The event types that workers know, and where each version came from."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from hookstream.adapters.avro.published import declared, own_schemas
from hookstream.adapters.avro.registered import Foreign, Meaning
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.mapped_schema import is_mapped
from hookstream.core.model.event import Revision
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.mapping import may_apply
from hookstream.core.model.registered import RegisteredId


def types(book: SchemaBook) -> Iterator[JsonObject]:
    """Yield every version of every event type, and every registry's schema that is none of them.

    `from` is `published`, `mapping` for what mappings make of foreign records, or `hookstream` for what it
    publishes itself; `registered` has the registries and ids whose records are of that version; `why` says
    why a schema makes no events.
    """
    own = {declared(tree)[0] for tree in own_schemas()}
    registered: dict[tuple[str, int], list[Json]] = defaultdict(list)
    others: list[JsonObject] = []
    for schema in book.registered:
        for meaning in _meanings(book, schema):
            match meaning:
                case Revision():
                    registered[meaning.event_type, meaning.event_version].append(_id(schema))
                case Foreign():
                    why = "no mapping makes events of it"
                    others.append(_other(schema, meaning.name, why))
                case _:
                    others.append(_other(schema, None, str(getattr(meaning, "detail", meaning))))
    for event_type in book.event_types():
        for version in book.versions(event_type):
            yield {
                "event_type": event_type,
                "version": version,
                "revisions": sum(each.revision[:2] == (event_type, version) for each in book),
                "from": _source(book, event_type, version, own),
                "registered": registered[event_type, version],
            }
    yield from others


def _meanings(book: SchemaBook, schema: RegisteredId) -> list[Meaning | None]:
    """Return what a registry's schema is and, of a foreign one, what each of its mappings makes of it."""
    meaning = book.registered.meaning(schema)
    if not isinstance(meaning, Foreign):
        return [meaning]
    found: list[Meaning | None] = []
    versions: set[tuple[str, int]] = set()
    for mapping in book.mapped.mappings:
        if may_apply(mapping, meaning.name):
            fit = book.mapped.fit(mapping, meaning)
            version = fit[:2] if isinstance(fit, Revision) else None
            # Several topics may have mappings to one type.
            if version is None or version not in versions:
                found.append(fit)
            if version is not None:
                versions.add(version)
    return found or [meaning]


def _source(book: SchemaBook, event_type: str, version: int, own: Collection[str]) -> str:
    reader = book.reader(event_type, version)
    if reader is not None and is_mapped(reader.tree):
        return "mapping"
    return "hookstream" if event_type in own else "published"


def _id(schema: RegisteredId) -> JsonObject:
    return {"registry": schema.registry, "id": schema.id}


def _other(schema: RegisteredId, record: str | None, why: str) -> JsonObject:
    return {
        "event_type": None,
        "version": None,
        "record": record,
        "from": "registry",
        "registered": [_id(schema)],
        "why": why,
    }
