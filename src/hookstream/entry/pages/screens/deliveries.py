"""The list of deliveries: their runs, filtered by partner, subscription, event, state and time."""

from hookstream.entry.pages.asking import at
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown

PATH = "/ui/deliveries"
_PASSED_ON = (
    "state",
    "subscription",
    "partner",
    "event_type",
    "event",
    "entity",
    "since",
    "until",
)
STATES = ("pending", "completed", "dead-lettered", "cancelled")


async def list_deliveries_page(call: PageCall) -> Shown | Moved:
    """Show runs of deliveries, newest event first; a `webhook-id` leads to its delivery."""
    wanted = call.filters.get("delivery", "").strip()
    if wanted:
        return Moved(at(PATH + "/{}", wanted))
    asked = {name: call.filters.get(name) for name in _PASSED_ON}
    for name in ("since", "until"):
        asked[name] = time_in(call.filters.get(name, ""), call.now)
    found = await call.api.get("/v1/deliveries", cursor=call.cursor, **asked)
    return Shown({"found": found})


def _choices(call: PageCall) -> dict[str, object]:
    del call
    return {"states": [("", "any"), *((each, each) for each in STATES)]}


PAGES = (
    ConsolePage(
        "GET",
        PATH,
        list_deliveries_page,
        "deliveries.html",
        "Deliveries",
        nav="Deliveries",
        filters=("delivery", *_PASSED_ON),
        choices=_choices,
    ),
)
