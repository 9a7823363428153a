"""The `standard` body format: an event as the JSON document that a partner receives."""

from hookstream.core.avro.values import timestamp_micros
from hookstream.core.model.event import Event
from hookstream.core.model.json import Json, JsonObject


def standard_document(event: Event, version: int, data: Json) -> JsonObject:
    """Return the `standard` body of an event, its keys in the order in which they are written.

    Args:
        event: The event.
        version: The version of its type that the subscription receives.
        data: Its data at that version, rendered.
    """
    return {
        "type": event.revision.event_type,
        "version": version,
        "timestamp": timestamp_micros(event.occurred_at),
        "id": event.event_id,
        "environment": event.environment,
        "entity_id": event.entity_id,
        "data": data,
    }
