"""The list of subscriptions: their partners, states and endpoints."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.asking import PageProblem
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown

_STATES = (("", "any"), ("active", "active"), ("paused", "paused"), ("disabled", "disabled"))
"""The choices of the filter by state: values and labels."""


async def list_subscriptions_page(call: PageCall) -> Shown:
    """Show subscriptions in the order of their ids."""
    found = await call.api.get(
        "/v1/subscriptions",
        partner=call.filters.get("partner"),
        state=call.filters.get("state"),
        failing=call.filters.get("failing"),
        cursor=call.cursor,
    )
    rates = await _rates(call, [each["id"] for each in found["items"]])
    managing = call.caller.may(Scope.PARTNER_MANAGE)
    return Shown({"found": found, "managing": managing, "rates": rates})


def _choices(call: PageCall) -> dict[str, object]:
    held = "held" if call.by_operator else "suspended"
    return {"states": (*_STATES, (held, held))}


async def _rates(call: PageCall, names: list[str]) -> dict[str, Any]:
    """Return the counts of the last hour by subscription; none, if they are not available now."""
    if not names:
        return {}
    try:
        found = await call.api.get("/v1/statistics/by-subscription", subscription=tuple(names))
    except PageProblem:
        # The index is a cache: the list of subscriptions does not depend on it.
        return {}
    return {each["subscription"]: each["counts"] for each in found["items"]}


PAGES = (
    ConsolePage(
        "GET",
        "/ui/subscriptions",
        list_subscriptions_page,
        "subscriptions.html",
        "Subscriptions",
        nav="Subscriptions",
        filters=("partner", "state", "failing"),
        choices=_choices,
    ),
)
