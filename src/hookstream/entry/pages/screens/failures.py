"""Failure groups: similar errors, their state, and their newest attempts."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.core.failures.groups import GroupState
from hookstream.entry.pages.acts import REASON, PageAct
from hookstream.entry.pages.asking import Answer, Query, at
from hookstream.entry.pages.inputs import time_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import FAILURES

_ONE = FAILURES + "/{group_id}"
_BY_ERROR = FAILURES + "/by-error"
_ALL = "all"
_UNRESOLVED = tuple(each.value for each in GroupState if each is not GroupState.RESOLVED)
STATES = (
    ("", "any but resolved"),
    *((each.value, each.value) for each in GroupState),
    (_ALL, "any"),
)
_COMMANDS = {"acknowledge": "ack", "resolve": "resolve", "reopen": "reopen"}
_OFFERED = {
    GroupState.OPEN: ("acknowledge", "resolve"),
    GroupState.REOPENED: ("acknowledge", "resolve"),
    GroupState.ACKNOWLEDGED: ("resolve",),
    GroupState.RESOLVED: ("reopen",),
}
_SAYS = {
    "acknowledge": "Acknowledges 1 failure group: someone is working on it. It stays acknowledged until it is resolved,"
    " however often it fails.",
    "resolve": "Resolves 1 failure group. A later error reopens it.",
    "reopen": "Reopens 1 failure group, which was resolved too early.",
}


async def list_failures_page(call: PageCall) -> Shown:
    """Show failure groups, last changed first."""
    asked = _asked(call, "subscription", "partner", "outcome")
    found = await call.api.get("/v1/failure-groups", cursor=call.cursor, **asked)
    return Shown({"found": found, "by_error": _BY_ERROR})


async def sum_failures_page(call: PageCall) -> Shown:
    """Show errors across all subscriptions, those of most subscriptions first."""
    asked = _asked(call, "partner", "outcome")
    found = await call.api.get("/v1/failure-groups/by-error", cursor=call.cursor, **asked)
    return Shown({"found": found})


async def show_failure(call: PageCall) -> Shown:
    """Show one failure group with its newest attempts, and offer its actions."""
    since = time_in(call.filters.get("since", ""), call.now)
    answer = await call.api.asked(_path("/v1/failure-groups/{}", call), since=since)
    acts = _acts(answer) if call.caller.may(Scope.PARTNER_MANAGE) else []
    return Shown({"found": answer.body, "acts": acts, "by_operator": call.by_operator})


async def acknowledge_failure(call: PageCall) -> Moved:
    """Acknowledge a failure group."""
    return await _acted(call, "acknowledge", "It is acknowledged")


async def resolve_failure(call: PageCall) -> Moved:
    """Resolve a failure group."""
    return await _acted(call, "resolve", "It is resolved: a later error reopens it")


async def reopen_failure(call: PageCall) -> Moved:
    """Reopen a failure group."""
    return await _acted(call, "reopen", "It is open again")


async def _acted(call: PageCall, act: str, said: str) -> Moved:
    await call.api.act(
        "POST",
        _path("/v1/failure-groups/{}/" + act, call),
        {"note": call.form.get("note", "").strip()},
        key=call.key,
        revision=call.form.get("revision", ""),
    )
    return Moved(_path("/ui/failures/{}", call), said)


def _choices(call: PageCall) -> dict[str, object]:
    del call
    return {"states": STATES}


def _asked(call: PageCall, *names: str) -> dict[str, Query]:
    """Return the parameters of the API's request: the filters of these names, the states and `since`."""
    asked: dict[str, Query] = {name: call.filters.get(name) for name in names}
    state = call.filters.get("state", "")
    if state != _ALL:
        asked["state"] = state or _UNRESOLVED
    asked["since"] = time_in(call.filters.get("since", ""), call.now)
    return asked


def _path(template: str, call: PageCall) -> str:
    return at(template, call.params["group_id"])


def _acts(answer: Answer) -> list[PageAct]:
    group: dict[str, Any] = answer.body["group"]
    state, name = group["state"], group["id"]
    offered = _OFFERED[GroupState(state)] if state in {*GroupState} else ()
    return [
        PageAct(
            act.capitalize(),
            _SAYS[act],
            at("/ui/failures/{}/" + act, name),
            "POST",
            at("/v1/failure-groups/{}/" + act, name),
            {"note": REASON},
            revision=answer.revision,
            command=("failures", _COMMANDS[act], name, "--note", REASON),
        )
        for act in offered
    ]


PAGES = (
    ConsolePage(
        "GET",
        FAILURES,
        list_failures_page,
        "failures.html",
        "Failure groups",
        nav="Failures",
        filters=("state", "subscription", "partner", "outcome", "since"),
        choices=_choices,
    ),
    ConsolePage(
        "GET",
        _BY_ERROR,
        sum_failures_page,
        "failures_by_error.html",
        "Failures by error",
        scope=Scope.OPERATOR_READ,
        filters=("state", "partner", "outcome", "since"),
        choices=_choices,
    ),
    ConsolePage("GET", _ONE, show_failure, "failure.html", "Failure group", filters=("since",)),
    ConsolePage("POST", _ONE + "/acknowledge", acknowledge_failure, scope=Scope.PARTNER_MANAGE),
    ConsolePage("POST", _ONE + "/resolve", resolve_failure, scope=Scope.PARTNER_MANAGE),
    ConsolePage("POST", _ONE + "/reopen", reopen_failure, scope=Scope.PARTNER_MANAGE),
)
