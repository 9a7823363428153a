"""Replays: counts past events, then delivers them to a subscription again."""

from collections.abc import Mapping
from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.core.model.counted import counted
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.inputs import decimal_in, number_in, time_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import REPLAYS

_AGES = (("1h", "the last hour"), ("24h", "the last day"), ("7d", "the last 7 days"))
_FILTERS = ("subscription", "since", "until", "event_types", "as_granted_today")


async def preview_replay_page(call: PageCall) -> Shown:
    """Count what a replay would deliver, if the filters name one, and offer it."""
    wanted = {name: text.strip() for name, text in call.filters.items() if text.strip()}
    subscription = wanted.get("subscription", "")
    known = await call.api.get(at("/v1/subscriptions/{}", subscription)) if subscription else None
    values = {"wanted": wanted, "subscription": known, "ages": _AGES, "found": None, "act": None}
    if known is None or not wanted.get("since"):
        return Shown(values)
    given = wanted | {
        name: time_in(wanted[name], call.now) for name in ("since", "until") if name in wanted
    }
    path = at("/v1/subscriptions/{}/replays/preview", given["subscription"])
    found = (await call.api.act("POST", path, _body(given))).body
    # Events that are published meanwhile were not counted.
    given |= {"since": found["since"], "until": found["until"]}
    act = _starting(given, found) if found["events"] else None
    unknown = found["events"] - sum(each["events"] for each in found["event_types"])
    return Shown({**values, "found": found, "act": act, "unknown": unknown})


async def start_replay_page(call: PageCall) -> Moved:
    """Begin the replay that was counted, and show its job."""
    form = call.form
    body = _body(form)
    if rate := form.get("rate", "").strip():
        body["rate"] = decimal_in(rate)
    path = at("/v1/subscriptions/{}/replays", form.get("subscription", ""))
    job = (await call.api.act("POST", path, body, key=call.key)).body["id"]
    return Moved(at("/ui/jobs/{}", job), f"{job} was requested: live deliveries go first")


def _body(given: Mapping[str, str]) -> dict[str, object]:
    """Return the body of the request for a preview, or, with what fixed the preview, for its replay."""
    body: dict[str, object] = {
        name: given[name] for name in ("since", "until", "preview") if given.get(name)
    }
    if types := _types(given):
        body["event_types"] = types
    if given.get("as_granted_today"):
        body["as_granted_today"] = True
    if most := given.get("most_events"):
        body["most_events"] = number_in(most)
    return body


def _types(given: Mapping[str, str]) -> list[str]:
    return given.get("event_types", "").replace(",", " ").split()


def _starting(given: dict[str, str], found: dict[str, Any]) -> PageAct:
    name, events, token = given["subscription"], found["events"], found.get("preview")
    fixed = given | ({"preview": token} if token else {"most_events": str(events)})
    which = (
        "Exactly the counted events are delivered."
        if token
        else "No more than that are delivered."
    )
    if token:
        words = ["--preview", token]
    else:
        words = ["--from", given["since"], "--to", given["until"]]
        words += [word for each in _types(given) for word in ("--event-type", each)]
        words += ["--as-granted-today"] if given.get("as_granted_today") else []
    return PageAct(
        "Replay",
        f"Delivers {counted(events, 'event')} of the past to {name} again, whether or not it got them, behind live deliveries. {which}",
        REPLAYS,
        "POST",
        at("/v1/subscriptions/{}/replays", name),
        _body(fixed),
        command=("replay", "start", name, *words),
        fields=fixed,
    )


PAGES = (
    ConsolePage(
        "GET",
        REPLAYS + "/new",
        preview_replay_page,
        "replay.html",
        "Replay",
        scope=Scope.PARTNER_MANAGE,
        filters=_FILTERS,
    ),
    ConsolePage("POST", REPLAYS, start_replay_page, scope=Scope.PARTNER_MANAGE),
)
