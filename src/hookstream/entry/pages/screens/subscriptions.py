"""The list of subscriptions: whose each is, its state, and where it delivers."""

from hookstream.entry.pages.page import ConsolePage, PageCall, Shown


async def list_subscriptions_page(call: PageCall) -> Shown:
    """Show subscriptions in the order of their ids."""
    found = await call.api.get(
        "/v1/subscriptions", partner=call.filters.get("partner"), cursor=call.cursor
    )
    return Shown({"found": found})


PAGES = (
    ConsolePage(
        "GET",
        "/ui/subscriptions",
        list_subscriptions_page,
        "subscriptions.html",
        "Subscriptions",
        nav="Subscriptions",
        filters=("partner",),
    ),
)
