"""Undecodable records: groups, a list, each record, and its redrive, purge and export."""

from hookstream.core.access.scopes import Scope
from hookstream.core.model.event import UndecodableReason
from hookstream.entry.pages.asking import Query, at
from hookstream.entry.pages.page import ConsolePage, Downloaded, Moved, PageCall, Shown
from hookstream.entry.pages.places import UNDECODABLE
from hookstream.entry.pages.screens import set_aside
from hookstream.entry.pages.screens.set_aside import AsideKind

KIND = AsideKind(
    path=UNDECODABLE,
    source="undecodable",
    command="undecodable",
    one="undecodable record",
    many="undecodable records",
    conditions={"topic": "topics", "reason": "reasons"},
    listed_by=("topic", "reason"),
    of="topic",
    whose=(),
    groups={"reason": "reason", "topic": "topic"},
    reasons=tuple(sorted(each.value for each in UndecodableReason)),
    redriven="each is identified, decoded and matched again, with the subscriptions as they are now",
)
_ONE = KIND.path + "/{place}"


async def list_undecodable_page(call: PageCall) -> Shown:
    """Show undecodable records, newest first, and the counts of open ones by what they have in common."""
    wanted: dict[str, Query] = {name: call.filters.get(name) for name in KIND.conditions}
    values = await set_aside.listed_values(KIND, call, wanted)
    return Shown(values)


async def show_undecodable(call: PageCall) -> Shown:
    """Show one record as its topic has it; operators' audit log records who read it."""
    found = await call.api.get(at("/v1/undecodable/{}", call.params["place"]))
    record = found["record"]
    can_act = call.caller.may(Scope.OPERATOR_WRITE) and record["resolved"] is None
    values = {**set_aside.record_values(found), "kind": KIND, "can_act": can_act}
    return Shown(values, title=f"Undecodable record {record['position']}")


async def confirm_undecodable_redrive(call: PageCall) -> Shown:
    """Show what a redrive would take, before it begins."""
    return await set_aside.shown_redrive(KIND, call)


async def redrive_undecodable(call: PageCall) -> Moved:
    """Redrive undecodable records."""
    return await set_aside.redrive(KIND, call)


async def confirm_undecodable_purge(call: PageCall) -> Shown:
    """Show what a purge would take, before it begins."""
    return await set_aside.shown_purge(KIND, call)


async def purge_undecodable(call: PageCall) -> Moved:
    """Purge undecodable records."""
    return await set_aside.purge(KIND, call)


async def export_undecodable_page(call: PageCall) -> Downloaded:
    """Return undecodable records with their bytes; operators' audit log records who exported them."""
    return await set_aside.exported(KIND, call)


PAGES = (
    ConsolePage(
        "GET",
        KIND.path,
        list_undecodable_page,
        "undecodable.html",
        "Undecodable records",
        scope=Scope.OPERATOR_READ,
        nav="Undecodable",
        filters=(*KIND.listed_by, "state", "group"),
        choices=set_aside.choices_of(KIND),
    ),
    *set_aside.pages_of(
        KIND,
        confirm_undecodable_redrive,
        redrive_undecodable,
        confirm_undecodable_purge,
        purge_undecodable,
        export_undecodable_page,
        redrives=Scope.OPERATOR_WRITE,
        exports=Scope.OPERATOR_READ,
    ),
    ConsolePage(
        "GET",
        _ONE,
        show_undecodable,
        "undecodable_record.html",
        "Undecodable record",
        scope=Scope.OPERATOR_READ,
    ),
)
