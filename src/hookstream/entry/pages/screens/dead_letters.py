"""Dead letters: groups, a list, each record, and its redrive, purge and export."""

from hookstream.core.access.scopes import Scope
from hookstream.core.model.outcome import DeadReason
from hookstream.entry.pages.asking import Query, at
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, Downloaded, Moved, PageCall, Shown
from hookstream.entry.pages.places import DEAD_LETTERS
from hookstream.entry.pages.screens import set_aside
from hookstream.entry.pages.screens.set_aside import AsideKind

KIND = AsideKind(
    path=DEAD_LETTERS,
    source="dead-letters",
    command="dlq",
    one="dead letter",
    many="dead letters",
    conditions={
        "subscription": "subscriptions",
        "partner": "partners",
        "event_type": "event_types",
        "reason": "reasons",
        "status": "statuses",
        "host": "hosts",
    },
    listed_by=(
        "subscription",
        "partner",
        "event_type",
        "reason",
        "status",
        "host",
        "since",
        "until",
    ),
    of="subscription",
    whose=("subscription", "partner"),
    groups={"reason": "reason", "host": "endpoint", "status": "last status"},
    reasons=tuple(sorted(each.value for each in DeadReason)),
    redriven="each is delivered again under its webhook-id, with a new schedule",
)
_ONE = KIND.path + "/{place}"
_OF_DELIVERY = "/ui/deliveries/{delivery_id}/dead-letters"
_LISTED = (*KIND.conditions, "event", "delivery")


async def list_dead_letters_page(call: PageCall) -> Shown:
    """Show dead letters, newest first, and the counts of open ones by what they have in common."""
    wanted: dict[str, Query] = {name: call.filters.get(name) for name in _LISTED}
    times = {name: time_in(call.filters.get(name, ""), call.now) for name in ("since", "until")}
    values = await set_aside.listed_values(KIND, call, {**wanted, **times})
    return Shown({**values, "can_redrive": call.caller.may(Scope.PARTNER_MANAGE)})


async def show_dead_letter(call: PageCall) -> Shown:
    """Show one dead letter as its topic has it; operators' audit log records who read it."""
    found = await call.api.get(at("/v1/dead-letters/{}", call.params["place"]))
    values = set_aside.record_values(found)
    place = found["dead_letter"]["position"]
    values["can_redrive"] = (
        call.caller.may(Scope.OPERATOR_WRITE) and found["dead_letter"]["resolved"] is None
    )
    return Shown({**values, "kind": KIND}, title=f"Dead letter {place}")


async def show_dead_letters_of_delivery(call: PageCall) -> Shown:
    """Show the dead letters of a delivery with their events; operators' audit log records who read them."""
    delivery_id = call.params["delivery_id"]
    found = await call.api.get(
        at("/v1/deliveries/{}/dead-letters", delivery_id), cursor=call.cursor
    )
    shown = [set_aside.event_text(each["event"]) for each in found["items"]]
    values = {"found": found, "delivery": delivery_id, "events": shown}
    return Shown(values, title=f"Dead letters of {delivery_id}")


async def confirm_redrive(call: PageCall) -> Shown:
    """Show what a redrive would take, before it begins."""
    return await set_aside.shown_redrive(KIND, call)


async def redrive_dead_letters(call: PageCall) -> Moved:
    """Redrive dead letters."""
    return await set_aside.redrive(KIND, call)


async def confirm_purge(call: PageCall) -> Shown:
    """Show what a purge would take, before it begins."""
    return await set_aside.shown_purge(KIND, call)


async def purge_dead_letters(call: PageCall) -> Moved:
    """Purge dead letters."""
    return await set_aside.purge(KIND, call)


async def export_dead_letters_page(call: PageCall) -> Downloaded:
    """Return dead letters with their events; operators' audit log records who exported them."""
    return await set_aside.exported(KIND, call)


PAGES = (
    ConsolePage(
        "GET",
        KIND.path,
        list_dead_letters_page,
        "dead_letters.html",
        "Dead letters",
        nav="Dead letters",
        filters=(*_LISTED, "state", "group", "since", "until"),
        choices=set_aside.choices_of(KIND),
    ),
    *set_aside.pages_of(
        KIND,
        confirm_redrive,
        redrive_dead_letters,
        confirm_purge,
        purge_dead_letters,
        export_dead_letters_page,
        redrives=Scope.PARTNER_MANAGE,
        exports=Scope.PARTNER_READ,
    ),
    ConsolePage(
        "GET", _ONE, show_dead_letter, "dead_letter.html", "Dead letter", scope=Scope.OPERATOR_READ
    ),
    ConsolePage(
        "GET",
        _OF_DELIVERY,
        show_dead_letters_of_delivery,
        "dead_letters_of_delivery.html",
        "Dead letters of a delivery",
    ),
)
