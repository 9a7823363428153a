"""What the pages of dead letters and undecodable records share: lists, groups, the record, acts with a count."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hookstream.adapters.json_bytes import indented
from hookstream.core.access.scopes import Scope
from hookstream.entry.api.problems import invalid
from hookstream.entry.pages.acts import REASON, PageAct
from hookstream.entry.pages.asking import Query, at
from hookstream.entry.pages.inputs import decimal_in, time_in
from hookstream.entry.pages.page import (
    ConsolePage,
    Downloaded,
    Moved,
    PageCall,
    PageChoices,
    PageHandler,
    Shown,
)

OPEN, RESOLVED, ALL = "", "resolved", "all"
STATES = ((OPEN, "open"), (RESOLVED, "redriven or purged"), (ALL, "any"))
_IS_OPEN = {OPEN: "true", RESOLVED: "false"}
_OF = "of_"
"""The prefix of conditions in a form, which has a `reason` of its own."""
_TIMES = ("since", "until")
_MOST_BASE64 = 4_000
"""Characters of a record's value on a page."""
_MOST_GROUPS = 20
_MOST_EXPORTED = 100_000
"""Records of a file: the most that the API returns in one answer."""
_OF_LISTS = ("state", "group")
"""Filters of a list that select nothing for an act."""
_PREVIEW = "/v1/dead-letters/preview"


@dataclass(slots=True, frozen=True)
class AsideKind:
    """One of the two kinds of records."""

    path: str
    """Of its pages."""
    source: str
    """Its name for the API."""
    command: str
    """Its group of commands."""
    one: str
    many: str
    conditions: Mapping[str, str]
    """Conditions of a selector by the filters of pages; those of every kind are left out."""
    listed_by: tuple[str, ...]
    """The filters of their list that are conditions of an act, too."""
    of: str
    """The filter, and the field of counts, by which records are counted together with the reason."""
    whose: tuple[str, ...]
    """The filters that counts have."""
    groups: Mapping[str, str]
    """The single properties by which open records are counted: each filter, and its label."""
    reasons: tuple[str, ...]
    redriven: str
    """The effect of a redrive, for people."""

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters by which records are selected for an act."""
        return (*self.conditions, *_TIMES, "place")

    def counted(self, number: int) -> str:
        """Return a count with its noun."""
        return f"{number:,} {self.one if number == 1 else self.many}"


async def listed_values(
    kind: AsideKind, call: PageCall, listed: Mapping[str, Query]
) -> dict[str, object]:
    """Return what a list shows: its records, and the counts of open ones by what they have in common."""
    by = call.filters.get("group", "")
    if by and by not in kind.groups:
        raise invalid(f"{by!r} counts nothing", "group", "choose one of the list")
    counted = [*kind.whose, *kind.groups] if by else kind.whose
    # Counts by a property are not narrowed by it: the other groups are shown too.
    within = {name: call.filters[name] for name in counted if name in call.filters and name != by}
    path = f"/v1/{kind.source}/{'groups' if by else 'counts'}"
    counting: tuple[str, Mapping[str, Query]] = path, {**within, "by": by}
    found, counts = await call.api.each(
        (f"/v1/{kind.source}", {**listed, "open": is_open(call), "cursor": call.cursor}), counting
    )
    groups, others = counts["groups"], counts.get("smaller_groups")
    shown = narrowed(kind, call)
    return {
        "found": found,
        "groups": groups[:_MOST_GROUPS],
        "more_groups": max(0, len(groups) - _MOST_GROUPS),
        "open_records": sum(each["records"] for each in (*groups, *((others,) if others else ()))),
        "by": by,
        "within": within | ({"group": by} if by else {}),
        "narrowed": shown,
        # A filter that narrows only the list would be ignored by an act.
        "is_selected": all(name in _OF_LISTS or name in kind.filters for name in call.filters),
        "can_purge": call.caller.may(Scope.OPERATOR_WRITE),
        "export": exporting(kind, shown, is_all=call.filters.get("state") == ALL),
        "export_link": {**shown, "state": call.filters.get("state")},
    }


def choices_of(kind: AsideKind) -> PageChoices:
    """Return what the form of a list needs besides its filters."""
    found = {
        "group_choices": (("", f"{kind.of} and reason"), *kind.groups.items()),
        "kind": kind,
        "states": STATES,
    }
    return lambda _: found


async def exported(kind: AsideKind, call: PageCall) -> Downloaded:
    """Return the records that a list has, as a file."""
    state = call.filters.get("state", OPEN)
    if state not in (OPEN, ALL):
        raise invalid("an export has open records, or all", "state")
    wanted = {name: call.filters.get(name) for name in kind.conditions}
    times = {name: time_in(call.filters.get(name, ""), call.now) for name in _TIMES}
    pieces, media_type = await call.api.pieces(
        f"/v1/{kind.source}/export",
        **wanted,
        **times,
        resolved=state == ALL,
        limit=_MOST_EXPORTED,
        cursor=call.cursor,
    )
    return Downloaded(pieces, media_type, f"{kind.source}.jsonl")


def pages_of(
    kind: AsideKind,
    confirm_redrive: PageHandler,
    redrive: PageHandler,
    confirm_purge: PageHandler,
    purge: PageHandler,
    export: PageHandler,
    *,
    redrives: Scope,
    exports: Scope,
) -> tuple[ConsolePage, ...]:
    """Return the pages that redrive, purge and export records.

    Args:
        kind: The kind of records.
        confirm_redrive: Counts before a redrive.
        redrive: Starts it.
        confirm_purge: Counts before a purge.
        purge: Starts it.
        export: Returns the file.
        redrives: Who may redrive.
        exports: Who may export.
    """
    confirms, filters = "set_aside_act.html", kind.filters
    redriving, purging = f"{kind.path}/redrive", f"{kind.path}/purge"
    writes = Scope.OPERATOR_WRITE
    return (
        ConsolePage(
            "GET",
            redriving,
            confirm_redrive,
            confirms,
            f"Redrive {kind.many}",
            redrives,
            filters=filters,
        ),
        ConsolePage("POST", redriving, redrive, scope=redrives),
        ConsolePage(
            "GET", purging, confirm_purge, confirms, f"Purge {kind.many}", writes, filters=filters
        ),
        ConsolePage("POST", purging, purge, scope=writes),
        ConsolePage(
            "GET",
            f"{kind.path}/export",
            export,
            scope=exports,
            filters=(*kind.conditions, *_TIMES, "state"),
        ),
    )


def is_open(call: PageCall) -> str | None:
    """Return which records a list asks for; None: all.

    Raises:
        RequestRefused: They have no such state.
    """
    state = call.filters.get("state", OPEN)
    if state not in dict(STATES):
        raise invalid(f"{state!r} is no state of them", "state", "choose one of the list")
    return _IS_OPEN.get(state)


def narrowed(kind: AsideKind, call: PageCall) -> dict[str, str]:
    """Return the conditions that a list passes to an act: its filters, with its times made absolute."""
    found = {name: call.filters[name] for name in kind.filters if name in call.filters}
    return found | {
        name: time_in(found[name], call.now).strip() for name in _TIMES if name in found
    }


def record_values(found: Mapping[str, Any]) -> dict[str, object]:
    """Return what a page shows of a record on its topic."""
    value = found["value_base64"]
    return {
        "found": found,
        "pretty": event_text(found["event"]),
        "value": None if value is None else value[:_MOST_BASE64],
        "is_cut": value is not None and len(value) > _MOST_BASE64,
    }


def event_text(event: str | None) -> str | None:
    """Return an event's JSON for people, its numbers exact; None: there is none."""
    if event is None:
        return None
    return indented(event.encode("utf-8", "surrogatepass")) or event


async def shown_redrive(kind: AsideKind, call: PageCall) -> Shown:
    """Count what a redrive would take, and offer it."""
    wanted, counted = await _counted(kind, call, "redrive")
    act = _redrive(kind, call, wanted, counted) if counted["records"] else None
    return _shown(kind, wanted, counted, act, takes_rate=True)


async def shown_purge(kind: AsideKind, call: PageCall) -> Shown:
    """Count what a purge would take, and offer it."""
    wanted, counted = await _counted(kind, call, "purge")
    act = _purge(kind, call, wanted, counted) if counted["records"] else None
    return _shown(kind, wanted, counted, act, takes_rate=False)


async def redrive(kind: AsideKind, call: PageCall) -> Moved:
    """Start a redrive, and show its job."""
    body = _body(kind, call, _fixed(call))
    if rate := call.form.get("rate", "").strip():
        body["rate"] = decimal_in(rate)
    job = (await call.api.act("POST", "/v1/redrives", body, key=call.key)).body
    return Moved(at("/ui/jobs/{}", job["id"]), f"{job['id']} was requested: {kind.redriven}")


async def purge(kind: AsideKind, call: PageCall) -> Moved:
    """Start a purge, and show its job."""
    body = _body(kind, call, _fixed(call)) | {"why": call.form.get("reason", "")}
    job = (await call.api.act("POST", "/v1/purges", body, key=call.key)).body
    return Moved(
        at("/ui/jobs/{}", job["id"]), f"{job['id']} was requested: no redrive takes these records"
    )


def _fixed(call: PageCall) -> dict[str, str]:
    """Return the conditions that an act's form fixed."""
    return {
        name.removeprefix(_OF): value for name, value in call.form.items() if name.startswith(_OF)
    }


async def _counted(
    kind: AsideKind, call: PageCall, act: str
) -> tuple[dict[str, str], dict[str, Any]]:
    wanted = narrowed(kind, call)
    body = _body(kind, call, wanted) | {"act": act}
    return wanted, (await call.api.act("POST", _PREVIEW, body)).body


def _body(kind: AsideKind, call: PageCall, given: Mapping[str, str]) -> dict[str, object]:
    """Return the body of a request: its conditions, and what a preview fixed."""
    selector: dict[str, object] = {
        name: [given[filter_]] for filter_, name in kind.conditions.items() if given.get(filter_)
    }
    selector |= {name: given[name] for name in _TIMES if given.get(name)}
    if place := given.get("place"):
        selector["positions"] = [place]
    body: dict[str, object] = {"selector": selector}
    if call.by_operator:
        # A partner sends no source: it has one kind, and no preview fixes what it takes.
        body["source"] = kind.source
    if preview := given.get("preview"):
        body["preview"] = preview
    return body


def _shown(
    kind: AsideKind,
    wanted: dict[str, str],
    counted: dict[str, Any],
    act: PageAct | None,
    *,
    takes_rate: bool,
) -> Shown:
    values = {
        "kind": kind,
        "counted": counted,
        "act": act,
        "wanted": wanted,
        "back": {name: value for name, value in wanted.items() if name in kind.listed_by},
        "group_label": kind.of.capitalize(),
        "takes_rate": takes_rate,
    }
    return Shown(values)


def _redrive(
    kind: AsideKind, call: PageCall, wanted: dict[str, str], counted: dict[str, Any]
) -> PageAct:
    number, token = counted["records"], counted.get("preview")
    fixed = "Takes exactly these, and nothing newer." if token else "Takes what is open then."
    given = wanted | ({"preview": token} if token else {})
    words = _run_words(kind, wanted, token)
    return PageAct(
        "Redrive",
        f"Redrives {kind.counted(number)}: {kind.redriven}. {fixed}",
        f"{kind.path}/redrive",
        "POST",
        "/v1/redrives",
        _body(kind, call, given),
        command=() if words is None else (kind.command, "redrive", *words, "--yes"),
        fields={_OF + name: value for name, value in given.items()},
    )


def _purge(
    kind: AsideKind, call: PageCall, wanted: dict[str, str], counted: dict[str, Any]
) -> PageAct:
    number, token = counted["records"], counted.get("preview")
    given = wanted | ({"preview": token} if token else {})
    words = _run_words(kind, wanted, token)
    return PageAct(
        "Purge",
        f"Purges {kind.counted(number)}: they stay on their topic, but no redrive takes them any more."
        " This cannot be undone.",
        f"{kind.path}/purge",
        "POST",
        "/v1/purges",
        _body(kind, call, given),
        command=()
        if words is None
        else (kind.command, "purge", *words, "--because", REASON, "--yes"),
        reason_field="why",
        is_grave=True,
        fields={_OF + name: value for name, value in given.items()},
    )


def _run_words(kind: AsideKind, wanted: Mapping[str, str], token: str | None) -> list[str] | None:
    """Return the conditions of an act as a command takes them; None: it has none of that name."""
    if not wanted.get("host"):
        return _words(kind, wanted, token)
    # A token has all conditions, also those that the command does not know.
    return ["--preview", token] if token else None


def _words(kind: AsideKind, wanted: Mapping[str, str], token: str | None) -> list[str]:
    """Return the conditions as a command takes them."""
    words = [wanted["place"]] if wanted.get("place") else []
    for name in (*kind.conditions, *_TIMES):
        if wanted.get(name):
            words += [f"--{name.replace('_', '-')}", wanted[name]]
    return words + (["--preview", token] if token else [])


def exporting(kind: AsideKind, wanted: Mapping[str, str], *, is_all: bool) -> str:
    """Return the command that exports what a list shows; empty: it has not all of its conditions."""
    if wanted.get("host"):
        return ""
    given = {name: value for name, value in wanted.items() if name != "place"}
    every = ("--all",) if is_all else ()
    words = ("hookstream", kind.command, "export", *_words(kind, given, None), *every, "FILE")
    return shlex.join(words)
