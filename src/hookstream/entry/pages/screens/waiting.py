"""The list of deliveries that wait for their next attempt, earliest due first."""

from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.places import WAITING

_FILTERS = ("tier", "reason", "due_from", "due_to", "subscription", "partner")


async def list_waiting(call: PageCall) -> Shown:
    """Show waiting deliveries, one by one."""
    wanted = {each: call.filters[each] for each in _FILTERS if each in call.filters}
    found = await call.api.get("/v1/pending", cursor=call.cursor, **wanted)
    return Shown({"found": found})


PAGES = (
    ConsolePage(
        "GET",
        WAITING,
        list_waiting,
        "waiting.html",
        "Waiting deliveries",
        filters=_FILTERS,
    ),
)
