"""Shows the body of a delivery as text and as JSON, with the reasons why the sent body may differ."""

from collections.abc import Iterator

from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.json_output import indented
from hookstream.entry.backend.listing_ports import PayloadRead


def payload_text(found: PayloadRead) -> str:
    """Return a body for people: JSON indented, its numbers unchanged."""
    return indented(found.body) or found.body.decode(errors="replace")


def payload_reservations(found: PayloadRead) -> Iterator[str]:
    """Yield the source of a body, and the reasons why the sent body may differ."""
    where = found.found or ("its event's own record" if found.at_origin else "a copy of its event")
    yield f"rendered now from {where}, published {to_the_second(found.published_at)}"
    if found.changed_at is not None:
        when = to_the_second(found.changed_at)
        yield f"the subscription changed since the last attempt, at {when}: the sent body may differ"
    if found.version_sent is None:
        yield "no request of this delivery is known"
    elif found.version_sent != found.version:
        yield f"the last request had version {found.version_sent}; this is version {found.version}"


def payload_document(found: PayloadRead) -> JsonObject:
    """Return a body as JSON, in the text that would be sent; scripts rely on its keys."""
    return {
        "body": found.body.decode(errors="replace"),
        "content_type": found.content_type,
        "event_type": found.event_type,
        "version": found.version,
        "version_sent": found.version_sent,
        "published_at": to_rfc3339(found.published_at),
        "changed_at": None if found.changed_at is None else to_rfc3339(found.changed_at),
        "source": "origin" if found.at_origin else "copy",
        "found": found.found or None,
    }
