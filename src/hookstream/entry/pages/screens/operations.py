"""Operations events: changes with their actors, and hookstream's automatic actions."""

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown


async def list_operations_page(call: PageCall) -> Shown:
    """Show operations events, newest first."""
    found = await call.api.get("/v1/operations", **call.filters, cursor=call.cursor)
    return Shown({"found": found})


PAGES = (
    ConsolePage(
        "GET",
        "/ui/audit",
        list_operations_page,
        "operations.html",
        "Audit",
        scope=Scope.OPERATOR_READ,
        nav="Audit",
        filters=("type", "subscription", "partner", "since", "until"),
    ),
)
