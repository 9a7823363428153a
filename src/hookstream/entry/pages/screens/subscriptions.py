"""The list of subscriptions: whose each is, its state, and where it delivers."""

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown

_STATES = (("", "any"), ("active", "active"), ("paused", "paused"), ("disabled", "disabled"))
"""What the filter by state offers: values, and their words."""


async def list_subscriptions_page(call: PageCall) -> Shown:
    """Show subscriptions in the order of their ids."""
    found = await call.api.get(
        "/v1/subscriptions",
        partner=call.filters.get("partner"),
        state=call.filters.get("state"),
        failing=call.filters.get("failing"),
        cursor=call.cursor,
    )
    held = ("held", "held") if call.by_operator else ("suspended", "suspended")
    managing = call.caller.may(Scope.PARTNER_MANAGE)
    return Shown({"found": found, "states": (*_STATES, held), "managing": managing})


PAGES = (
    ConsolePage(
        "GET",
        "/ui/subscriptions",
        list_subscriptions_page,
        "subscriptions.html",
        "Subscriptions",
        nav="Subscriptions",
        filters=("partner", "state", "failing"),
    ),
)
