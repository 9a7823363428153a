"""Explains by its id why an event was delivered or not."""

import shlex

from hookstream.core.model.record_place import read_place
from hookstream.entry.pages.asking import Query
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown
from hookstream.entry.pages.screens.delivery_steps import shown_steps


async def explain_event_page(call: PageCall) -> Shown:
    """Show why an event was delivered or not; operators' audit log records who asked."""
    wanted = call.filters.get("event", "").strip()
    if not wanted:
        return Shown({"found": None, "wanted": ""})
    subscription = call.filters.get("subscription", "").strip()
    since = time_in(call.filters.get("since", "").strip(), call.now)
    is_place = call.by_operator and read_place(wanted) is not None
    asked: dict[str, Query] = {"place" if is_place else "event": wanted}
    found = await call.api.get("/v1/explain", **asked, subscription=subscription, since=since)
    for event in found["events"]:
        for each in event["subscriptions"]:
            each["steps"] = shown_steps(each["timeline"] or ())
    command = ["hookstream", "explain", wanted]
    command += [subscription] if subscription else []
    command += ["--since", since] if since else []
    return Shown({"found": found, "wanted": wanted, "command": shlex.join(command)})


PAGES = (
    ConsolePage(
        "GET",
        "/ui/explain",
        explain_event_page,
        "explain.html",
        "Explain",
        nav="Explain",
        filters=("event", "subscription", "since"),
    ),
)
