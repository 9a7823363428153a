"""Operations events: changes with their actors, and hookstream's automatic actions."""

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, PageCall, Shown


async def list_operations_page(call: PageCall) -> Shown:
    """Show operations events, newest first."""
    times = {name: time_in(call.filters.get(name, ""), call.now) for name in ("since", "until")}
    filters = {**call.filters, **{name: at for name, at in times.items() if at}}
    found = await call.api.get("/v1/operations", **filters, cursor=call.cursor)
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
