"""A body of any format but `template` is a head of its own, and the bytes of the event's data.

The bytes of the data are the tail of the `standard` body, so an event is encoded once for all of them.
"""

from typing import Literal, TypeAlias

from hookstream.core.delivery.bodies import cloudevents, standard
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content

SharedFormat: TypeAlias = Literal[BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS]
"""A format whose bodies are the same for all subscriptions that have it."""


def head_of(document: JsonObject, shared: SharedFormat, content: Content) -> JsonObject:
    """Return the body without its data: the whole body if the content is thin.

    Args:
        document: The `standard` body.
        shared: The format.
        content: How much of the event the body contains.
    """
    match shared:
        case BodyFormat.STANDARD:
            return standard.identity(document)
        case BodyFormat.CLOUDEVENTS:
            return cloudevents.attributes(document, content)


_DATA_KEY = f',"{standard.DATA}":'.encode()


def data_of(body: bytes, head: bytes) -> bytes:
    """Return the JSON text of the data in a body with full content.

    Args:
        body: The body.
        head: The JSON text of its head.
    """
    return body[len(head) - 1 + len(_DATA_KEY) : -1]


def with_data(head: bytes, data: bytes) -> bytes:
    """Return a body with full content.

    Args:
        head: The JSON text of a head, an object with at least one key.
        data: The JSON text of the event's data.
    """
    return b"".join((head[:-1], _DATA_KEY, data, b"}"))


def media_type(body_format: BodyFormat) -> str:
    """Return the `content-type` of a body."""
    match body_format:
        case BodyFormat.STANDARD | BodyFormat.TEMPLATE:
            return standard.MEDIA_TYPE
        case BodyFormat.CLOUDEVENTS:
            return cloudevents.MEDIA_TYPE
