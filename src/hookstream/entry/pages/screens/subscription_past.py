"""Tries a made-up event on a subscription, and leads to the replay of its past events."""

from typing import Any

import msgspec

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.problems import ProblemKind
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import PageProblem, at, query_text
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import REPLAYS
from hookstream.entry.pages.screens.subscription import API, ONE, PAGE, asked_types
from hookstream.entry.pages.showing import json_lines

_TRY = f"{ONE}/try"
_RECOVER = f"{ONE}/recover"


async def try_event_page(call: PageCall) -> Shown:
    """Fill in a sample of an event type that it asks for."""
    name = call.params["subscription_id"]
    found = await call.api.get(at(API, name))
    types = await asked_types(call, found)
    chosen = call.filters.get("event_type", "")
    chosen = chosen if chosen in types else (types or [""])[0]
    text = ""
    if chosen:
        path = at("/v1/event-types/{}/versions/latest/sample", chosen)
        sample = await call.api.find(path)
        text = "" if sample is None else json_lines(sample["document"])
    return Shown(_trial(name, text, {"types": types, "chosen": chosen}), title=f"Try {name}")


async def tried_event_page(call: PageCall) -> Shown:
    """Show whether it would get the event, or the conditions that are not met."""
    name, text = call.params["subscription_id"], call.form.get("event", "")
    try:
        answer = await call.api.act("POST", at(API + "/try", name), {"event": text})
    except PageProblem as problem:
        # The form keeps the typed text; for an unknown subscription, nothing is shown.
        if problem.document.status != ProblemKind.INVALID.status:
            raise
        shown = _trial(name, text, {"problem": problem.document})
        return Shown(shown, status=problem.document.status, title=f"Try {name}")
    return Shown(_trial(name, text, {"trial": answer.body}), title=f"Try {name}")


def _trial(name: str, text: str, more: dict[str, Any]) -> dict[str, Any]:
    act = PageAct(
        "Try it",
        "Checks this event against its event types, its partner's grant, its environments, its state and its filter,"
        " as if it were published now. Nothing is written or sent.",
        at(PAGE + "/try", name),
        "POST",
        at(API + "/try", name),
        {"event": _document(text)},
    )
    values = {"subscription": name, "text": text, "act": act, "types": [], "chosen": ""}
    return {**values, "trial": None, "problem": None, **more}


def _document(text: str) -> Any:  # noqa: ANN401  JSON
    """Return an event as the line for a terminal has it: text that is not JSON stays a text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


async def recover_page(call: PageCall) -> Moved:
    """Redirect to the replay of its past events, the one page that begins it."""
    name = call.params["subscription_id"]
    # An unknown subscription is refused here, not by the page that it leads to.
    await call.api.get(at(API, name))
    times = {each: call.filters.get(each) for each in ("since", "until")}
    return Moved(f"{REPLAYS}/new?{query_text({'subscription': name, **times})}")


PAGES = (
    ConsolePage(
        "GET",
        _TRY,
        try_event_page,
        "subscription_try.html",
        "Try an event",
        filters=("event_type",),
    ),
    ConsolePage("POST", _TRY, tried_event_page, "subscription_try.html", "Try an event"),
    ConsolePage(
        "GET",
        _RECOVER,
        recover_page,
        filters=("since", "until"),
        scope=Scope.PARTNER_MANAGE,
    ),
)
