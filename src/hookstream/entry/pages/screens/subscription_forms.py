"""The forms that create a subscription and change its definition."""

from collections.abc import Iterable, Mapping
from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.problems import ProblemDocument, RequestRefused
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import PageProblem, at
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.screens.subscription import API, ONE, PAGE, folder_of
from hookstream.entry.pages.screens.subscription_documents import document_of
from hookstream.entry.pages.screens.subscription_fields import (
    CHANGED,
    CREATED,
    URL,
    FieldGroup,
    FormField,
    InputKind,
    problems_of,
    shown_groups,
    texts_of,
)

NEW = "/ui/new-subscription"
"""No subscription's path: one may have the id `new`."""
_WAS = "was."


def _fields(groups: Iterable[FieldGroup]) -> list[FormField]:
    return [each for group in groups for each in group.fields]


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").replace("\r\n", "\n").strip()


def _typed(form: Mapping[str, str], groups: Iterable[FieldGroup]) -> dict[str, str]:
    return {each.name: _text(form, each.name) for each in _fields(groups)}


def _shown_again(
    typed: Mapping[str, str], was: Mapping[str, str], groups: Iterable[FieldGroup]
) -> dict[str, str]:
    """Return the typed values for the form to show again; of secrets, what it showed before."""
    return {
        each.name: was.get(each.name, "") if each.is_secret else typed.get(each.name, "")
        for each in _fields(groups)
    }


async def edit_subscription(call: PageCall) -> Shown:
    """Show the fields that may be changed."""
    answer = await call.api.asked(at(API, call.params["subscription_id"]))
    texts = texts_of(answer.body)
    return _editing(call, answer.body, answer.revision, {**texts, URL: ""}, texts)


def _groups(call: PageCall, found: Mapping[str, Any]) -> list[FieldGroup]:
    endpoint = found["endpoint"]
    ways = ", ".join(endpoint["auth"]) or "only the signature"
    groups = shown_groups(
        CHANGED,
        by_operator=call.by_operator,
        is_pull=endpoint["pull"],
        has_ca="ca" in endpoint["secrets"],
    )
    # A choice replaces all credentials, so the form begins with none chosen.
    kept = ("", f"as before: {ways}")
    return [
        group._replace(
            fields=tuple(
                each._replace(choices=(kept, *each.choices)) if each.name == "auth" else each
                for each in group.fields
            )
        )
        for group in groups
    ]


def _editing(
    call: PageCall,
    found: Mapping[str, Any],
    revision: str,
    values: Mapping[str, str],
    was: Mapping[str, str],
    problem: ProblemDocument | None = None,
    changes: list[dict[str, str]] | None = None,
) -> Shown:
    name = found["id"]
    groups = _groups(call, found)
    act = PageAct(
        "Change",
        f"Changes 1 subscription, {name}, for events published from then on and for deliveries that wait for their"
        " next attempt. Fields that you leave as they are do not change.",
        at(PAGE + "/edit", name),
        "PATCH",
        at(API, name),
        {"event_types": was["event_types"].splitlines()},
        revision=revision,
        fields={_WAS + each: text for each, text in was.items()},
    )
    shown = {
        "found": found,
        "groups": groups,
        "values": values,
        "act": act,
        "problem": problem,
        "wrong": problems_of(problem, groups),
        "changes": changes or [],
        "folder": folder_of(found),
        "types": [],
        "done": None,
    }
    status = 200 if problem is None else problem.status
    return Shown(shown, status=status, title=f"Change {name}")


def _changed(
    typed: Mapping[str, str], was: Mapping[str, str], groups: Iterable[FieldGroup]
) -> set[str]:
    """Return the fields that were changed in the form; a URL or a secret that is left empty is unchanged."""
    return {
        each.name
        for each in _fields(groups)
        if each.kind is not InputKind.CHECK
        and typed[each.name] != ("" if each.name == URL else was.get(each.name, ""))
    }


async def change_subscription_page(call: PageCall) -> Moved | Shown:
    """Change the fields that the form changed; if the subscription changed meanwhile, show the differences."""
    name, form = call.params["subscription_id"], call.form
    answer = await call.api.asked(at(API, name))
    groups, revision = _groups(call, answer.body), form.get("revision", "")
    typed = _typed(form, groups)
    now = texts_of(answer.body)
    was = {each: _text(form, _WAS + each) for each in now}
    changed = _changed(typed, was, groups)
    try:
        body = document_of(typed, was, changed)
        if not body:
            return Moved(at(PAGE, name), "Nothing was changed")
        await call.api.act(
            "PATCH", at(API, name), body, key=call.key, revision=revision, merges=True
        )
    except PageProblem as refused:
        problem = refused.document
    except RequestRefused as refused:
        problem = refused.document()
    else:
        return Moved(at(PAGE, name), "It was changed, with effect in two seconds")
    again = _shown_again(typed, was, groups)
    if problem.reason != "conflict":
        return _editing(call, answer.body, revision, again, was, problem)
    answer = await call.api.asked(at(API, name))
    now = texts_of(answer.body)
    fields = {each.name: each for each in _fields(groups)}
    differing = [
        {
            "label": fields[each].label,
            "was": was.get(each, ""),
            "now": text,
            "yours": typed[each] if each in changed and not fields[each].is_secret else "",
        }
        for each, text in now.items()
        if each in fields and text != was.get(each, "")
    ]
    mine = {each: again[each] for each in changed if each in again and not fields[each].is_secret}
    values = {**again, **now, URL: "", **mine}
    return _editing(call, answer.body, answer.revision, values, now, problem, differing)


async def new_subscription(call: PageCall) -> Shown:
    """Show an empty form."""
    values = {"partner": call.filters.get("partner", "")}
    return await _creating(call, values)


async def _creating(
    call: PageCall, values: Mapping[str, str], problem: ProblemDocument | None = None
) -> Shown:
    groups = shown_groups(CREATED, by_operator=call.by_operator, has_ca=False)
    types = await call.api.get("/v1/event-types", limit=200)
    sample = {"endpoint": {"url": "https://…"}, "event_types": ["…"]}
    if call.by_operator:
        sample = {"partner": "…", **sample}
    act = PageAct(
        "Create",
        "Creates 1 subscription. A generated signing secret is shown once.",
        NEW,
        "POST",
        "/v1/subscriptions",
        sample,
        command=("subscriptions", "create", "FILE") if call.by_operator else (),
    )
    shown = {
        "found": None,
        "groups": groups,
        "values": {each.name: values.get(each.name, "") for each in _fields(groups)},
        "act": act,
        "problem": problem,
        "wrong": problems_of(problem, groups),
        "changes": [],
        "folder": None,
        "types": [each["event_type"] for each in types["items"]],
        "done": None,
    }
    return Shown(shown, status=200 if problem is None else problem.status)


async def create_subscription_page(call: PageCall) -> Shown:
    """Create one, and show its signing secret only now."""
    groups = shown_groups(CREATED, by_operator=call.by_operator, has_ca=False)
    typed = _typed(call.form, groups)
    chosen = {each.name: each.choices[0][0] for each in _fields(groups) if each.choices}
    # Fields with their default value are left out of the definition.
    given = {each for each, text in typed.items() if text and text != chosen.get(each)}
    try:
        body = document_of(typed, {}, given)
        done = await call.api.act("POST", "/v1/subscriptions", body, key=call.key)
    except PageProblem as refused:
        return await _creating(call, _shown_again(typed, {}, groups), refused.document)
    except RequestRefused as refused:
        return await _creating(call, _shown_again(typed, {}, groups), refused.document())
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
