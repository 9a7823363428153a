"""The `cloudevents` body is a CloudEvent in structured mode.

Source: cloudevents/spec, version 1.0.2, with the JSON event format and the HTTP binding. `source` and
`id` identify an event together, and stay the same on every attempt.
"""

from typing import cast
from urllib.parse import quote

from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Content

MEDIA_TYPE = "application/cloudevents+json"


def attributes(document: JsonObject, content: Content) -> JsonObject:
    """Return the attributes of an event in the order in which they are written, before its data.

    Args:
        document: The `standard` body.
        content: Thin content has no data, and so no `datacontenttype`.
    """
    environment, event_type = cast("str", document["environment"]), cast("str", document["type"])
    found: JsonObject = {
        "specversion": "1.0",
        "id": document["id"],
        # A URI reference: an environment may have characters that one cannot hold.
        "source": f"/{quote(environment, safe='')}/{quote(event_type, safe='')}",
        "type": event_type,
        "subject": document["entity_id"],
        "time": document["timestamp"],
    }
    if content is Content.FULL:
        found["datacontenttype"] = "application/json"
    return {**found, "environment": environment, "dataversion": document["version"]}
