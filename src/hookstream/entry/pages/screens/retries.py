"""Waiting deliveries, counted by tier, subscription, reason and due time."""

from functools import partial

from hookstream.core.statistics.due import MOST_HOURS
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.pictures import due_picture
from hookstream.entry.pages.places import RETRIES, WAITING

_HOURS = ("1", "6", "24", str(MOST_HOURS))
_USUAL = "6"


async def show_retries(call: PageCall) -> Shown:
    """Show the counts of waiting deliveries."""
    asked = call.filters.get("hours", _USUAL)
    hours = asked if asked in _HOURS else _USUAL
    narrowed = {
        each: call.filters[each]
        for each in ("tier", "subscription", "partner")
        if each in call.filters
    }
    found = await call.api.get("/v1/pending/histogram", hours=hours, **narrowed)
    return Shown(
        {
            "found": found,
            "hours": hours,
            "every_hours": _HOURS,
            "narrowed": narrowed,
            # Drawn when the template needs it: outside of the event loop.
            "picture": partial(due_picture, found, WAITING, narrowed),
            "waiting_path": WAITING,
        }
    )


PAGES = (
    ConsolePage(
        "GET",
        RETRIES,
        show_retries,
        "retries.html",
        "Retries",
        nav="Retries",
        filters=("hours", "tier", "subscription", "partner"),
    ),
)
