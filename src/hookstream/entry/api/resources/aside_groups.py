"""Routes that count open dead letters and undecodable records by one property, in a bounded number of groups."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from hookstream.adapters.index.answers import AsideGroup, Whose, Window
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.redrive.groups import NONE, GroupBy, Grouping
from hookstream.core.redrive.summary import GroupCount
from hookstream.entry.admin.dead_letter_groups import by_host
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.filters import (
    WhoseQuery,
    WindowShown,
    Words,
    at_hosts,
    shown_window,
    whose,
    words,
)
from hookstream.entry.api.resources.aside import counted_of
from hookstream.entry.api.routes import ApiAnswer, Call, Route


class DeadLetterGroupsQuery(WhoseQuery, frozen=True):
    """The property by which open dead letters are counted, and the filters."""

    by: Literal["reason", "host", "status", "subscription"] = "reason"
    reason: Words = ()
    status: Words = ()
    """HTTP statuses of the last answer."""
    host: Words = ()
    """Only of subscriptions whose endpoint is at these hosts now."""


class UndecodableGroupsQuery(ApiInput, frozen=True):
    """The property by which open undecodable records are counted, and the filters."""

    by: Literal["reason", "topic"] = "reason"
    topic: Words = ()
    reason: Words = ()


class NamedGroupShown(ApiOutput, frozen=True):
    """Open records with one property in common."""

    name: str | None
    """The reason, host, status, subscription or topic; null: none, such as the status without an answer."""
    records: int
    oldest: str
    newest: str


class NamedGroupsShown(ApiOutput, frozen=True):
    """Open records, counted by one property; largest group first, at most 1,000."""

    by: str
    groups: tuple[NamedGroupShown, ...]
    smaller_groups: NamedGroupShown | None
    """All others together; null: there are none."""
    window: WindowShown


def group_dead_letters(call: Call[DeadLetterGroupsQuery, None]) -> ApiAnswer:
    """Return open dead letters by one property."""
    query, of = call.query, whose(call)
    if query.host:
        of["subscriptions"] = at_hosts(call, query.host, of["subscriptions"])
    found = call.services.index().dead_letter_counts(Whose(**of))
    reasons, statuses, by = words(query.reason), words(query.status), GroupBy(query.by)
    kept = (
        each
        for each in found.groups
        if (reasons is None or each.reason in reasons)
        and (statuses is None or each.status in statuses)
    )
    grouping = by_host(call.services.state().current.subscriptions)
    names: dict[GroupBy, Callable[[AsideGroup], str]] = {
        GroupBy.REASON: lambda each: each.reason,
        GroupBy.STATUS: lambda each: each.status,
        GroupBy.SUBSCRIPTION: lambda each: each.of,
        GroupBy.HOST: lambda each: grouping.host_of(each.of) or "",
    }
    return _answer(by, kept, names[by], found.window)


def group_undecodable(call: Call[UndecodableGroupsQuery, None]) -> ApiAnswer:
    """Return open undecodable records by one property."""
    found = call.services.index().undecodable_counts()
    topics, reasons, by = (
        words(call.query.topic),
        words(call.query.reason),
        GroupBy(call.query.by),
    )
    kept = (
        each
        for each in found.groups
        if (topics is None or each.of in topics) and (reasons is None or each.reason in reasons)
    )
    names: dict[GroupBy, Callable[[AsideGroup], str]] = {
        GroupBy.REASON: lambda each: each.reason,
        GroupBy.TOPIC: lambda each: each.of,
    }
    return _answer(by, kept, names[by], found.window)


def _answer(
    by: GroupBy, kept: Iterable[AsideGroup], name: Callable[[AsideGroup], str], window: Window
) -> ApiAnswer:
    grouping = Grouping(by)
    for each in kept:
        grouping.count(name(each), counted_of(each))
    groups = tuple(_shown(of, count) for of, count in grouping.largest_first())
    others = grouping.others
    return ApiAnswer(
        NamedGroupsShown(
            by=by.value,
            groups=groups,
            smaller_groups=None if others is None else _shown(NONE, others),
            window=shown_window(window, aside=True),
        )
    )


def _shown(name: str, count: GroupCount) -> NamedGroupShown:
    return NamedGroupShown(
        name=None if name == NONE else name,
        records=count.records,
        oldest=to_rfc3339(count.oldest),
        newest=to_rfc3339(count.newest),
    )


def _route(path: str, scope: Scope, summary: str, handler: Any, query: Any, tag: str) -> Route:  # noqa: ANN401
    return Route("GET", path, scope, summary, handler, NamedGroupsShown, query=query, tag=tag)


ROUTES = (
    _route(
        "/v1/dead-letters/groups",
        Scope.PARTNER_READ,
        "Count the open dead letters by reason, endpoint, status or subscription.",
        group_dead_letters,
        DeadLetterGroupsQuery,
        "dead letters",
    ),
    _route(
        "/v1/undecodable/groups",
        Scope.OPERATOR_READ,
        "Count the open undecodable records by reason or topic.",
        group_undecodable,
        UndecodableGroupsQuery,
        "undecodable",
    ),
)
