"""The event types that workers know, and where each version came from."""

from collections import defaultdict
from collections.abc import Iterator

from hookstream.adapters.avro.published import declared, own_schemas
from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Revision
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.registered import RegisteredId


def types(book: SchemaBook) -> Iterator[JsonObject]:
    """Yield every version of every event type, and every registry's schema that is none of them.

    `from` is `published`, or `hookstream` for what it publishes itself; `registered` has the registries
    and ids whose records are of that version; `why` says why a schema makes no events.
    """
    own = {declared(tree)[0] for tree in own_schemas()}
    registered: dict[tuple[str, int], list[Json]] = defaultdict(list)
    others: list[JsonObject] = []
    for schema in book.registered:
        meaning = book.registered.meaning(schema)
        if isinstance(meaning, Revision):
            registered[meaning.event_type, meaning.event_version].append(_id(schema))
        elif isinstance(meaning, Foreign):
            why = "no mapping makes events of it"
            others.append(_other(schema, meaning.name, why))
        else:
            others.append(_other(schema, None, str(getattr(meaning, "detail", meaning))))
    for event_type in book.event_types():
        for version in book.versions(event_type):
            yield {
                "event_type": event_type,
                "version": version,
                "revisions": sum(each.revision[:2] == (event_type, version) for each in book),
                "from": "hookstream" if event_type in own else "published",
                "registered": registered[event_type, version],
            }
    yield from others


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
