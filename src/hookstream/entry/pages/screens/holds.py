"""Holds: lists, sets and clears them."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown

_HOLDS = "/ui/holds"
_EVERYTHING = "everything"
_MOST = 200
"""How many subscriptions of a partner are counted."""
KINDS = (
    ("endpoint", "a subscription's endpoint"),
    ("partner", "a partner"),
    ("event-type", "an event type"),
    (_EVERYTHING, "everything"),
)


async def list_holds_page(call: PageCall) -> Shown:
    """Show the holds in force, and offer to set one."""
    found = await call.api.get("/v1/holds", cursor=call.cursor)
    can_write = call.caller.may(Scope.OPERATOR_WRITE)
    rows = [(each, _clearing(each) if can_write else None) for each in found["items"]]
    return Shown({"found": found, "rows": rows, "setting": can_write})


def _choices(call: PageCall) -> dict[str, object]:
    del call
    return {"kinds": KINDS}


async def confirm_hold(call: PageCall) -> Shown | Moved:
    """Show what a hold would stop, before it is set."""
    kind = call.filters.get("kind", "")
    if kind not in dict(KINDS):
        return Moved(_HOLDS)
    name = "" if kind == _EVERYTHING else call.filters.get("name", "").strip()
    if not name and kind != _EVERYTHING:
        return Moved(_HOLDS, f"Give the id or name of {dict(KINDS)[kind]}")
    stops = await _stopped(call, kind, name)
    return Shown({"act": _setting(kind, name, stops)})


async def set_hold_page(call: PageCall) -> Moved:
    """Set a hold."""
    body = _body(call)
    await call.api.act("POST", "/v1/holds", body, key=call.key)
    return Moved(_HOLDS, f"{_subject(body)} is held: workers stop within two seconds")


async def clear_hold_page(call: PageCall) -> Moved:
    """Clear a hold."""
    body = _body(call)
    await call.api.act("POST", "/v1/holds/clear", body, key=call.key)
    return Moved(
        _HOLDS,
        f"{_subject(body)} is no longer held: waiting deliveries resume within five minutes",
    )


async def _stopped(call: PageCall, kind: str, name: str) -> str:
    """Return what a hold stops, in words and numbers."""
    match kind:
        case "endpoint":
            found = await call.api.get(at("/v1/subscriptions/{}", name))
            return f"the endpoint of {found['id']}, of partner {found['partner']}"
        case "partner":
            await call.api.get(at("/v1/partners/{}", name))
            page = await call.api.get("/v1/subscriptions", partner=name, limit=_MOST)
            count = f"{len(page['items']):,}" + (" or more" if page["next"] else "")
            return f"every endpoint of partner {name}; subscriptions: {count}"
        case "event-type":
            await call.api.get(at("/v1/event-types/{}", name))
            return f"every delivery of {name}"
        case _:
            return "every delivery of every partner"


def _setting(kind: str, name: str, stops: str) -> PageAct:
    words = (kind, name) if name else (kind,)
    return PageAct(
        "Hold",
        f"Stops {stops}. Attempts in flight finish; events are still matched, and their deliveries wait until"
        " the hold is cleared. Nothing is lost, and nothing expires meanwhile.",
        _HOLDS,
        "POST",
        "/v1/holds",
        _named(kind, name),
        command=("hold", "set", *words, "--reason", "WHY"),
        reason_field="reason",
        is_grave=True,
        fields={"kind": kind, "name": name},
    )


def _clearing(hold: dict[str, Any]) -> PageAct:
    kind, name = hold["kind"], hold["name"]
    words = (kind, name) if name else (kind,)
    return PageAct(
        "Clear",
        "Waiting deliveries resume within five minutes.",
        f"{_HOLDS}/clear",
        "POST",
        "/v1/holds/clear",
        _named(kind, name),
        command=("hold", "clear", *words, "--reason", "WHY"),
        reason_field="reason",
        fields={"kind": kind, "name": name},
    )


def _named(kind: str, name: str) -> dict[str, str]:
    return {"kind": kind} if kind == _EVERYTHING else {"kind": kind, "name": name}


def _body(call: PageCall) -> dict[str, str]:
    form = call.form
    named = _named(form.get("kind", ""), form.get("name", ""))
    return {**named, "reason": form.get("reason", "")}


def _subject(body: dict[str, str]) -> str:
    return " ".join(body[name] for name in ("kind", "name") if body.get(name)).capitalize()


PAGES = (
    ConsolePage(
        "GET",
        _HOLDS,
        list_holds_page,
        "holds.html",
        "Holds",
        scope=Scope.OPERATOR_READ,
        nav="Holds",
        choices=_choices,
    ),
    ConsolePage(
        "GET",
        f"{_HOLDS}/new",
        confirm_hold,
        "hold.html",
        "Hold",
        scope=Scope.OPERATOR_WRITE,
        filters=("kind", "name"),
        choices=_choices,
        asked_on="holds.html",
    ),
    ConsolePage("POST", _HOLDS, set_hold_page, scope=Scope.OPERATOR_WRITE),
    ConsolePage("POST", f"{_HOLDS}/clear", clear_hold_page, scope=Scope.OPERATOR_WRITE),
)
