"""Dead letters: grouped and listed, each as it stands on its topic, redriven or purged after a count."""

import shlex

from hookstream.core.access.scopes import Scope
from hookstream.core.model.outcome import DeadReason
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import DEAD_LETTERS
from hookstream.entry.pages.screens import set_aside
from hookstream.entry.pages.screens.set_aside import ALL, STATES, AsideKind

KIND = AsideKind(
    DEAD_LETTERS,
    "dead-letters",
    "dlq",
    "dead letter",
    "dead letters",
    {
        "subscription": "subscriptions",
        "partner": "partners",
        "event_type": "event_types",
        "reason": "reasons",
    },
    ("subscription", "partner", "event_type", "reason", "since", "until"),
    "Subscription",
    "each is delivered again under its webhook-id, with a schedule that begins again",
)
_ONE = KIND.path + "/{place}"
_OF_DELIVERY = "/ui/deliveries/{delivery_id}/dead-letters"
_LISTED = ("subscription", "partner", "event_type", "reason", "event", "delivery")
_REASONS = tuple(sorted(each.value for each in DeadReason))
_MOST_GROUPS = 20


async def list_dead_letters_page(call: PageCall) -> Shown:
    """Show dead letters, the newest first, and how many are open by subscription and reason."""
    wanted: dict[str, str | None] = {name: call.filters.get(name) for name in _LISTED}
    times = {name: time_in(call.filters.get(name, ""), call.now) for name in ("since", "until")}
    listed = {**wanted, **times, "open": set_aside.is_open(call), "cursor": call.cursor}
    whose = {name: wanted[name] for name in ("subscription", "partner")}
    found, counts = await call.api.each(
        ("/v1/dead-letters", listed), ("/v1/dead-letters/counts", whose)
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
        "is_selected": not (wanted["event"] or wanted["delivery"]),
        "can_redrive": call.caller.may(Scope.PARTNER_MANAGE),
        "can_purge": call.caller.may(Scope.OPERATOR_WRITE),
        "export": shlex.join(set_aside.export_words(KIND, narrowed, is_all=is_all)),
    }
    return Shown(values)


async def show_dead_letter(call: PageCall) -> Shown:
    """Show one dead letter as it stands on its topic; operators' audit log has that somebody read it."""
    found = await call.api.get(at("/v1/dead-letters/{}", call.params["place"]))
    values = set_aside.record_values(found)
    place = found["dead_letter"]["position"]
    values["can_redrive"] = (
        call.caller.may(Scope.OPERATOR_WRITE) and found["dead_letter"]["resolved"] is None
    )
    return Shown({**values, "kind": KIND}, title=f"Dead letter {place}")


async def show_dead_letters_of_delivery(call: PageCall) -> Shown:
    """Show the dead letters of a delivery with their events; the audit log has that somebody read them."""
    delivery_id = call.params["delivery_id"]
    found = await call.api.get(
        at("/v1/deliveries/{}/dead-letters", delivery_id), cursor=call.cursor
    )
    shown = [set_aside.event_text(each["event"]) for each in found["items"]]
    values = {"found": found, "delivery": delivery_id, "events": shown}
    return Shown(values, title=f"Dead letters of {delivery_id}")


async def confirm_redrive(call: PageCall) -> Shown:
    """Say what a redrive would take, before it begins."""
    return await set_aside.shown_redrive(KIND, call)


async def redrive_dead_letters(call: PageCall) -> Moved:
    """Redrive dead letters."""
    return await set_aside.redrive(KIND, call)


async def confirm_purge(call: PageCall) -> Shown:
    """Say what a purge would take, before it begins."""
    return await set_aside.shown_purge(KIND, call)


async def purge_dead_letters(call: PageCall) -> Moved:
    """Purge dead letters."""
    return await set_aside.purge(KIND, call)


PAGES = (
    ConsolePage(
        "GET",
        KIND.path,
        list_dead_letters_page,
        "dead_letters.html",
        "Dead letters",
        nav="Dead letters",
        filters=(*_LISTED, "state", "since", "until"),
    ),
    ConsolePage(
        "GET",
        KIND.path + "/redrive",
        confirm_redrive,
        "set_aside_act.html",
        "Redrive dead letters",
        scope=Scope.PARTNER_MANAGE,
        filters=KIND.filters,
    ),
    ConsolePage("POST", KIND.path + "/redrive", redrive_dead_letters, scope=Scope.PARTNER_MANAGE),
    ConsolePage(
        "GET",
        KIND.path + "/purge",
        confirm_purge,
        "set_aside_act.html",
        "Purge dead letters",
        scope=Scope.OPERATOR_WRITE,
        filters=KIND.filters,
    ),
    ConsolePage("POST", KIND.path + "/purge", purge_dead_letters, scope=Scope.OPERATOR_WRITE),
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
