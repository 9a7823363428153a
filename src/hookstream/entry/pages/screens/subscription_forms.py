"""Forms of a subscription's definition: a new one, and the fields of one that are changed most."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.problems import ProblemDocument, ProblemKind, RequestRefused
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import PageProblem, at
from hookstream.entry.pages.inputs import decimal_in, number_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.screens.subscription import API, ONE, PAGE, folder_of
from hookstream.entry.pages.showing import json_lines

NEW = "/ui/new-subscription"
"""No subscription's path: one may have the id `new`."""
_WAS = "was."
_URL = "url"
_PATTERN = "pattern"


class _Field(NamedTuple):
    """A field of the form."""

    name: str
    label: str
    hint: str = ""
    rows: int = 0
    """0: it has one line."""


_FIELDS = (
    _Field(_URL, "URL", "nobody is shown its path again"),
    _Field("event_types", "Event types", "one a line; order.* has all that begin so", 4),
    _Field("environments", "Environments", "one a line; all that are granted, if left out", 2),
    _Field(_PATTERN, "Filter", "an EventBridge pattern as JSON; every event, if left out", 8),
    _Field("timeout", "Timeout of a request"),
    _Field("max_in_flight", "Requests in flight at most"),
    _Field("rate_limit", "Requests a second at most", "not bounded, if left out"),
)
_OF_NEW = (
    _Field("partner", "Partner"),
    _Field("id", "Its id", "one is made, if left out"),
    *_FIELDS[:4],
    _Field(
        "start_from",
        "Events since",
        "of the past, too: a time, or earliest; only new ones, if left out",
    ),
)
_OPERATORS = ("partner", "id")


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a subscription as the form has them."""
    limits, pattern = found["limits"], found["pattern"]
    return {
        _URL: found["endpoint"]["url"],
        "event_types": "\n".join(found["event_types"]),
        "environments": "\n".join(found["environments"] or ()),
        _PATTERN: json_lines(pattern) if pattern else "",
        "timeout": found["endpoint"]["timeout"],
        "max_in_flight": str(limits["max_in_flight"]),
        "rate_limit": "" if limits["rate_limit"] is None else f"{limits['rate_limit']:g}",
    }


def _typed(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").replace("\r\n", "\n").strip()


def _changed(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that were changed in the form; an empty URL stays what it is."""
    typed = {each.name: _typed(form, each.name) for each in _FIELDS}
    return {
        name: text
        for name, text in typed.items()
        if text != _typed(form, _WAS + name) and (text or name != _URL)
    }


def _lines(text: str) -> list[str]:
    return [line for each in text.splitlines() if (line := each.strip())]


def _pattern(text: str) -> msgspec.Raw | None:
    """Return the filter with its numbers as they were typed."""
    if not text:
        return None
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise RequestRefused(ProblemKind.INVALID, "it is no JSON", field=_PATTERN) from None
    return msgspec.Raw(text.encode("utf-8", "surrogatepass"))


_PARTS = {
    _URL: "endpoint",
    "timeout": "endpoint",
    "max_in_flight": "limits",
    "rate_limit": "limits",
}
"""In which part of a definition fields of the form are; others are at its top."""
_READERS: Mapping[str, Callable[[str], object]] = {
    "event_types": _lines,
    "environments": lambda text: _lines(text) or None,
    _PATTERN: _pattern,
    "max_in_flight": number_in,
    "rate_limit": lambda text: decimal_in(text) if text else None,
}
"""How fields are read that are not sent as they were typed."""


def _document(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return fields of the form as the API has them; what is empty is none.

    Raises:
        RequestRefused: The filter is no JSON.
    """
    body: dict[str, Any] = {}
    for name, text in texts.items():
        part = body.setdefault(_PARTS[name], {}) if name in _PARTS else body
        part[name] = _READERS[name](text) if name in _READERS else text
    return body


async def edit_subscription(call: PageCall) -> Shown:
    """Show the fields that may be changed."""
    answer = await call.api.asked(at(API, call.params["subscription_id"]))
    texts = _texts(answer.body)
    return _editing(answer.body, answer.revision, {**texts, _URL: ""}, texts)


def _editing(
    found: Mapping[str, Any],
    revision: str,
    values: Mapping[str, str],
    was: Mapping[str, str],
    problem: ProblemDocument | None = None,
    changes: list[dict[str, str]] | None = None,
) -> Shown:
    name = found["id"]
    is_pull = found["endpoint"]["pull"]
    fields = [each for each in _FIELDS if not (is_pull and each.name in (_URL, "timeout"))]
    act = PageAct(
        "Change",
        f"Changes 1 subscription, {name}: what is published from then on, and what waits for its next attempt, go by"
        " it. Fields that are left as they are stay.",
        at(PAGE + "/edit", name),
        "PATCH",
        at(API, name),
        {each.name: was[each.name] for each in fields[1:2]},
        revision=revision,
        fields={_WAS + each: text for each, text in was.items()},
    )
    shown = {
        "found": found,
        "fields": fields,
        "values": values,
        "was": was,
        "act": act,
        "problem": problem,
        "changes": changes or [],
        "folder": folder_of(found),
        "types": [],
        "done": None,
    }
    status = 200 if problem is None else problem.status
    return Shown(shown, status=status, title=f"Change {name}")


async def change_subscription_page(call: PageCall) -> Moved | Shown:
    """Change what was changed in the form; if the subscription was changed meanwhile, say what differs."""
    name, form = call.params["subscription_id"], call.form
    changed, revision = _changed(form), form.get("revision", "")
    try:
        if not changed:
            await call.api.get(at(API, name))
            return Moved(at(PAGE, name), "Nothing was changed")
        await call.api.act(
            "PATCH",
            at(API, name),
            _document(changed),
            key=call.key,
            revision=revision,
            merges=True,
        )
    except PageProblem as refused:
        problem = refused.document
    except RequestRefused as refused:
        problem = refused.document()
    else:
        return Moved(at(PAGE, name), "It is changed, from two seconds from now")
    answer = await call.api.asked(at(API, name))
    now = _texts(answer.body)
    was = {each: _typed(form, _WAS + each) for each in now}
    if problem.reason != "conflict":
        values = {**was, _URL: "", **changed}
        return _editing(answer.body, revision, values, was, problem)
    labels = {each.name: each.label for each in _FIELDS}
    differing = [
        {"label": labels[each], "was": was[each], "now": text, "yours": changed.get(each, "")}
        for each, text in now.items()
        if text != was[each]
    ]
    values = {**now, _URL: "", **changed}
    return _editing(answer.body, answer.revision, values, now, problem, differing)


async def new_subscription(call: PageCall) -> Shown:
    """Show an empty form."""
    values = {"partner": call.filters.get("partner", "")}
    return await _creating(call, values)


async def _creating(
    call: PageCall, values: Mapping[str, str], problem: ProblemDocument | None = None
) -> Shown:
    fields = [each for each in _OF_NEW if call.by_operator or each.name not in _OPERATORS]
    types = await call.api.get("/v1/event-types", limit=200)
    sample = {"endpoint": {"url": "https://…"}, "event_types": ["…"]}
    if call.by_operator:
        sample = {"partner": "…", **sample}
    act = PageAct(
        "Create",
        "Creates 1 subscription. Its signing secret is made with it, and shown once.",
        NEW,
        "POST",
        "/v1/subscriptions",
        sample,
        command=("subscriptions", "create", "FILE") if call.by_operator else (),
    )
    shown = {
        "found": None,
        "fields": fields,
        "values": {each.name: values.get(each.name, "") for each in fields},
        "was": {},
        "act": act,
        "problem": problem,
        "changes": [],
        "folder": None,
        "types": [each["event_type"] for each in types["items"]],
        "done": None,
    }
    return Shown(shown, status=200 if problem is None else problem.status)


async def create_subscription_page(call: PageCall) -> Shown:
    """Create one, and show its signing secret this once."""
    typed = {
        each.name: text
        for each in _OF_NEW
        if (call.by_operator or each.name not in _OPERATORS)
        and (text := _typed(call.form, each.name))
    }
    try:
        body = _document(typed)
        done = await call.api.act("POST", "/v1/subscriptions", body, key=call.key)
    except PageProblem as refused:
        return await _creating(call, typed, refused.document)
    except RequestRefused as refused:
        return await _creating(call, typed, refused.document())
    return Shown({"done": done.body}, title="New subscription")


PAGES = (
    ConsolePage(
        "GET",
        f"{ONE}/edit",
        edit_subscription,
        "subscription_form.html",
        "Change a subscription",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "POST",
        f"{ONE}/edit",
        change_subscription_page,
        "subscription_form.html",
        "Change a subscription",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "GET",
        NEW,
        new_subscription,
        "subscription_form.html",
        "New subscription",
        filters=("partner",),
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "POST",
        NEW,
        create_subscription_page,
        "subscription_form.html",
        "New subscription",
        scope=Scope.PARTNER_MANAGE,
    ),
)
