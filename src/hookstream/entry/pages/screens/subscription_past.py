"""A subscription's events of the past: whether it would get one that is made up, and recovering those since a time."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import DAY, HOUR, to_rfc3339
from hookstream.entry.api.problems import ProblemKind
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import PageProblem, at
from hookstream.entry.pages.inputs import decimal_in, number_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.screens.subscription import API, ONE, PAGE, asked_types, sent_time
from hookstream.entry.pages.showing import json_lines

_TRY = f"{ONE}/try"
_RECOVER = f"{ONE}/recover"
_AGES = ((HOUR, "the last hour"), (DAY, "the last day"), (7 * DAY, "the last 7 days"))


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
    """Say whether it would get the event, and which condition says no."""
    name, text = call.params["subscription_id"], call.form.get("event", "")
    try:
        answer = await call.api.act("POST", at(API + "/try", name), {"event": text})
    except PageProblem as problem:
        # What was typed stays; of a subscription that there is not, nothing is shown.
        if problem.document.status != ProblemKind.INVALID.status:
            raise
        shown = _trial(name, text, {"problem": problem.document})
        return Shown(shown, status=problem.document.status, title=f"Try {name}")
    return Shown(_trial(name, text, {"trial": answer.body}), title=f"Try {name}")


def _trial(name: str, text: str, more: dict[str, Any]) -> dict[str, Any]:
    act = PageAct(
        "Try it",
        "Asks its event types, its partner's grant, its environments, its state and its filter about this event,"
        " as if it were published now. Nothing is written, and nothing is sent.",
        at(PAGE + "/try", name),
        "POST",
        at(API + "/try", name),
        {"event": _document(text)},
    )
    values = {"subscription": name, "text": text, "act": act, "types": [], "chosen": ""}
    return {**values, "trial": None, "problem": None, **more}


def _document(text: str) -> Any:  # noqa: ANN401  JSON
    """Return an event as the line for a terminal has it: what is no JSON stays a text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


async def recover_page(call: PageCall) -> Shown:
    """Count what a replay since a time would deliver, and offer it."""
    name = call.params["subscription_id"]
    found = await call.api.get(at(API, name))
    asked = {key: call.filters[key] for key in ("since", "until") if key in call.filters}
    count = None
    if "since" in asked:
        path = at(API + "/replays/preview", name)
        count = (await call.api.act("POST", path, asked)).body
    ages = [(to_rfc3339(call.now - age), words) for age, words in _AGES]
    return Shown(
        {
            "found": found,
            "ages": ages,
            "count": count,
            "act": None if count is None else _recovery(name, count),
        },
        title=f"Recover {name}",
    )


def _recovery(name: str, count: dict[str, Any]) -> PageAct | None:
    since, until = sent_time(count["since"]), sent_time(count["until"])
    if since is None or until is None or not count["events"]:
        return None
    given = {"since": since, "until": until}
    if token := count.get("preview"):
        given["preview"] = token
    else:
        # Without a preview nothing says how many they are by the time of the replay.
        given["most_events"] = str(count["events"])
    return PageAct(
        "Replay",
        f"Delivers {count['events']:,} events again, each marked as a replay. Its endpoint may have got some of"
        " them before: they have the ids that they had then.",
        at(PAGE + "/recover", name),
        "POST",
        at(API + "/replays", name),
        _replay_body(given),
        command=("replay", "start", name, "--from", since, "--to", until),
        fields=given,
    )


async def start_recovery_page(call: PageCall) -> Moved:
    """Begin the replay that was counted, and show its job."""
    name = call.params["subscription_id"]
    body = _replay_body(call.form)
    done = await call.api.act("POST", at(API + "/replays", name), body, key=call.key)
    job = done.body["id"]
    return Moved(at("/ui/jobs/{}", job), f"{job} replays them")


def _replay_body(given: Mapping[str, str]) -> dict[str, object]:
    body: dict[str, object] = {
        key: given[key] for key in ("since", "until", "preview") if given.get(key)
    }
    if rate := given.get("rate", "").strip():
        body["rate"] = decimal_in(rate)
    if most := given.get("most_events", ""):
        body["most_events"] = number_in(most)
    return body


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
        "subscription_recover.html",
        "Recover",
        filters=("since", "until"),
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage("POST", _RECOVER, start_recovery_page, scope=Scope.PARTNER_MANAGE),
)
