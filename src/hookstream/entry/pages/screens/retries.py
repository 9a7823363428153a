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
    narrowed = {
        each: call.filters[each]
        for each in ("tier", "subscription", "partner")
        if each in call.filters
    }
    found = await call.api.get("/v1/pending/histogram", hours=_hours(call), **narrowed)
    return Shown(
        {
            "found": found,
            "every_hours": _HOURS,
            "narrowed": narrowed,
            # Drawn when the template needs it: outside of the event loop.
            "picture": partial(due_picture, found, WAITING, narrowed),
            "waiting_path": WAITING,
        }
    )


def _hours(call: PageCall) -> str:
    asked = call.filters.get("hours", _USUAL)
    return asked if asked in _HOURS else _USUAL


def _choices(call: PageCall) -> dict[str, object]:
    return {"hours": _hours(call)}


PAGES = (
    ConsolePage(
        "GET",
        RETRIES,
        show_retries,
        "retries.html",
        "Retries",
        nav="Retries",
        filters=("hours", "tier", "subscription", "partner"),
        choices=_choices,
    ),
)
