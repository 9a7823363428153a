"""A body of any format but `template` is a head of its own, and the bytes of the event's data."""

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


def with_data(head: bytes, data: bytes) -> bytes:
    """Return a body with full content.

    Args:
        head: The JSON text of a head, an object with at least one key.
        data: The JSON text of the event's data.
    """
    return b'%b,"%b":%b}' % (head[:-1], standard.DATA.encode(), data)


def media_type(body_format: BodyFormat) -> str:
    """Return the `content-type` of a body."""
    match body_format:
        case BodyFormat.STANDARD | BodyFormat.TEMPLATE:
            return standard.MEDIA_TYPE
        case BodyFormat.CLOUDEVENTS:
            return cloudevents.MEDIA_TYPE
