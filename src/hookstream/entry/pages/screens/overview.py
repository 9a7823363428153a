"""The overview: what was delivered in the last hour, day or week, and which errors are the most frequent."""

from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis, format_duration, to_rfc3339
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.places import HOME

_WINDOWS: dict[str, tuple[str, Millis, Millis]] = {
    "1h": ("last hour", HOUR, 5 * MINUTE),
    "24h": ("last day", DAY, HOUR),
    "7d": ("last week", 7 * DAY, 6 * HOUR),
}
"""By their names in the URL: in words, how long, and in which steps."""


async def show_overview(call: PageCall) -> Shown:
    """Show the statistics of everything, or of a partner that looks."""
    name = call.filters.get("window", "1h")
    window = name if name in _WINDOWS else "1h"
    _, length, step = _WINDOWS[window]
    partner_id = call.caller.partner_id
    path = "/v1/statistics"
    if partner_id is not None:
        path = at("/v1/partners/{}/statistics", partner_id)
    # Whole minutes: what has not changed since is then the same page.
    since = to_rfc3339(call.now - call.now % MINUTE - length)
    found = await call.api.get(path, since=since, step=format_duration(step))
    windows = [(each, words) for each, (words, _, _) in _WINDOWS.items()]
    return Shown({"found": found, "window": window, "windows": windows})


PAGES = (
    ConsolePage(
        "GET",
        HOME,
        show_overview,
        "overview.html",
        "Overview",
        nav="Overview",
        filters=("window",),
    ),
)
