"""Undecodable records: grouped and listed, each as it stands on its topic, redriven or purged after a count."""

import shlex

from hookstream.core.access.scopes import Scope
from hookstream.core.model.event import UndecodableReason
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import UNDECODABLE
from hookstream.entry.pages.screens import set_aside
from hookstream.entry.pages.screens.set_aside import ALL, STATES, AsideKind

KIND = AsideKind(
    UNDECODABLE,
    "undecodable",
    "undecodable",
    "undecodable record",
    "undecodable records",
    {"topic": "topics", "reason": "reasons"},
    ("topic", "reason"),
    "Topic",
    "each is identified, decoded and matched again, with the subscriptions as they are now",
)
_ONE = KIND.path + "/{place}"
_REASONS = tuple(sorted(each.value for each in UndecodableReason))
_MOST_GROUPS = 20


async def list_undecodable_page(call: PageCall) -> Shown:
    """Show undecodable records, the newest first, and how many are open by topic and reason."""
    wanted = {name: call.filters.get(name) for name in KIND.conditions}
    listed = {**wanted, "open": set_aside.is_open(call), "cursor": call.cursor}
    found, counts = await call.api.each(
        ("/v1/undecodable", listed), ("/v1/undecodable/counts", {})
    )
    narrowed = set_aside.narrowed(KIND, call)
    is_all = call.filters.get("state") == ALL
    values = {
        "found": found,
        "groups": counts["groups"][:_MOST_GROUPS],
        "more_groups": max(0, len(counts["groups"]) - _MOST_GROUPS),
        "open_records": sum(each["records"] for each in counts["groups"]),
        "kind": KIND,
        "states": STATES,
        "reasons": _REASONS,
        "narrowed": narrowed,
        "can_act": call.caller.may(Scope.OPERATOR_WRITE),
        "export": shlex.join(set_aside.export_words(KIND, narrowed, is_all=is_all)),
    }
    return Shown(values)


async def show_undecodable(call: PageCall) -> Shown:
    """Show one record as it stands on its topic; operators' audit log has that somebody read it."""
    found = await call.api.get(at("/v1/undecodable/{}", call.params["place"]))
    record = found["record"]
    can_act = call.caller.may(Scope.OPERATOR_WRITE) and record["resolved"] is None
    values = {**set_aside.record_values(found), "kind": KIND, "can_act": can_act}
    return Shown(values, title=f"Undecodable record {record['position']}")


async def confirm_undecodable_redrive(call: PageCall) -> Shown:
    """Say what a redrive would take, before it begins."""
    return await set_aside.shown_redrive(KIND, call)


async def redrive_undecodable(call: PageCall) -> Moved:
    """Redrive undecodable records."""
    return await set_aside.redrive(KIND, call)


async def confirm_undecodable_purge(call: PageCall) -> Shown:
    """Say what a purge would take, before it begins."""
    return await set_aside.shown_purge(KIND, call)


async def purge_undecodable(call: PageCall) -> Moved:
    """Purge undecodable records."""
    return await set_aside.purge(KIND, call)


PAGES = (
    ConsolePage(
        "GET",
        KIND.path,
        list_undecodable_page,
        "undecodable.html",
        "Undecodable records",
        scope=Scope.OPERATOR_READ,
        nav="Undecodable",
        filters=(*KIND.listed_by, "state"),
    ),
    ConsolePage(
        "GET",
        KIND.path + "/redrive",
        confirm_undecodable_redrive,
        "set_aside_act.html",
        "Redrive undecodable records",
        scope=Scope.OPERATOR_WRITE,
        filters=KIND.filters,
    ),
    ConsolePage("POST", KIND.path + "/redrive", redrive_undecodable, scope=Scope.OPERATOR_WRITE),
    ConsolePage(
        "GET",
        KIND.path + "/purge",
        confirm_undecodable_purge,
        "set_aside_act.html",
        "Purge undecodable records",
        scope=Scope.OPERATOR_WRITE,
        filters=KIND.filters,
    ),
    ConsolePage("POST", KIND.path + "/purge", purge_undecodable, scope=Scope.OPERATOR_WRITE),
    ConsolePage(
        "GET",
        _ONE,
        show_undecodable,
        "undecodable_record.html",
        "Undecodable record",
        scope=Scope.OPERATOR_READ,
    ),
)
