"""The overview: deliveries in the last hour, day or whole index, and what needs attention."""

from functools import partial

from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.pictures import overview_pictures, reasons_picture
from hookstream.entry.pages.places import HOME

_WINDOWS = {"1h": "last hour", "24h": "last day", "all": "whole index"}
"""By their names in the URL."""


async def show_overview(call: PageCall) -> Shown:
    """Show the overview of everything, a partner, or a subscription."""
    window = _window(call)
    found = await call.api.get(
        "/v1/overview",
        window=window,
        subscription=call.filters.get("subscription"),
        partner=call.filters.get("partner"),
    )
    return Shown(
        {
            "found": found,
            "windows": [*_WINDOWS.items()],
            "narrowed": {
                each: call.filters[each]
                for each in ("subscription", "partner")
                if each in call.filters
            },
            # Drawn when the template needs them: outside of the event loop.
            "pictures": partial(overview_pictures, found),
            "reasons_chart": partial(reasons_picture, found["dead_letters"]),
        }
    )


def _window(call: PageCall) -> str:
    name = call.filters.get("window", "1h")
    return name if name in _WINDOWS else "1h"


def _choices(call: PageCall) -> dict[str, object]:
    return {"window": _window(call)}


PAGES = (
    ConsolePage(
        "GET",
        HOME,
        show_overview,
        "overview.html",
        "Overview",
        nav="Overview",
        filters=("window", "subscription", "partner"),
        choices=_choices,
    ),
)
