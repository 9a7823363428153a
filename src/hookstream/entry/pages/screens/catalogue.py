"""The catalogue: event types, their versions, body fields, samples, and changes between versions."""

from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.schema_fields import differences, fields_of

_TYPES = "/v1/event-types/{}"


async def list_event_types_page(call: PageCall) -> Shown:
    """Show the event types that the caller may ask for."""
    return Shown({"found": await call.api.get("/v1/event-types", cursor=call.cursor)})


async def show_event_type(call: PageCall) -> Shown:
    """Show one version of an event type, compared with another one if the query names it."""
    event_type = call.params["event_type"]
    known = await call.api.get(at(_TYPES, event_type))
    version = call.filters.get("version", str(known["latest"]))
    against = call.filters.get("against", "")
    path = _TYPES + "/versions/{}/"
    schema, sample = await call.api.each(
        (at(path + "schema", event_type, version), {}),
        (at(path + "sample", event_type, version), {}),
    )
    fields = fields_of(schema["document"])
    changed = None
    if against:
        other = await call.api.get(at(path + "schema", event_type, against))
        changed = differences(fields_of(other["document"]), fields)
    return Shown(
        {
            "known": known,
            "version": version,
            "against": against,
            "fields": fields,
            "changed": changed,
            "schema": schema["document"],
            "sample": sample["document"],
            "others": [str(each) for each in known["versions"] if str(each) != version],
        },
        title=event_type,
    )


PAGES = (
    ConsolePage(
        "GET",
        "/ui/catalogue",
        list_event_types_page,
        "catalogue.html",
        "Catalogue",
        nav="Catalogue",
    ),
    ConsolePage(
        "GET",
        "/ui/catalogue/{event_type}",
        show_event_type,
        "event_type.html",
        "Event type",
        filters=("version", "against"),
    ),
)
