"""Routes that list and count dead letters and undecodable records, and list operations events."""

from typing import Annotated, Any

from hookstream.adapters.index.answers import (
    AsideGroup,
    AsideRecord,
    DeadLetterFilter,
    OperationsFilter,
    UndecodableFilter,
    Whose,
)
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.summary import Group, GroupCount
from hookstream.entry.api.fields import OPERATORS_SEE, ApiInput, ApiOutput, Identifier
from hookstream.entry.api.filters import (
    TimesQuery,
    WhoseQuery,
    WindowShown,
    Words,
    after,
    at_hosts,
    following,
    shown_window,
    times,
    whose,
    words,
)
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.routes import ApiAnswer, Call, Handler, NoQuery, Route

_TAG = "dead letters"


class DeadLettersQuery(TimesQuery, frozen=True):
    """The filters of the list of dead letters."""

    event_type: Words = ()
    event: Identifier | None = None
    delivery: Identifier | None = None
    reason: Words = ()
    status: Words = ()
    """HTTP statuses of the last answer."""
    host: Words = ()
    """Only of subscriptions whose endpoint is at these hosts now."""
    open: bool | None = None


class ResolutionShown(ApiOutput, frozen=True):
    """The job that resolved a record."""

    job: str
    by: str | None
    """Who purged it; null: it was redriven."""
    why: str | None
    at: str | None


class DeadLetterShown(ApiOutput, frozen=True):
    """One dead letter."""

    at: str
    delivery: str
    subscription: str
    partner: str
    event_type: str
    event: str | None
    attempts: str
    reason: str
    last: str
    job: str | None
    last_outcome: str
    """Empty, here and below: its headers do not have it."""
    last_status: str
    last_error: str
    event_at: str
    """When its event was published, from its headers."""
    by_reference: bool
    """Whether only its origin has its event."""
    resolved: str | None
    """`redriven` or `purged`; null: it is open."""
    resolved_by: Annotated[str | None, OPERATORS_SEE]
    resolution: Annotated[ResolutionShown | None, OPERATORS_SEE]
    detail: Annotated[str, OPERATORS_SEE]
    position: Annotated[str, OPERATORS_SEE]
    """Its position, as `hookstream dlq` and redrives take it."""
    origin: Annotated[str, OPERATORS_SEE]


class DeadLettersPage(ApiOutput, frozen=True):
    """Dead letters, the newest first."""

    items: tuple[DeadLetterShown, ...]
    next: str | None
    window: WindowShown


class GroupShown(ApiOutput, frozen=True):
    """Open dead letters of one subscription and reason."""

    subscription: str
    reason: str
    records: int
    oldest: str
    newest: str


class GroupsShown(ApiOutput, frozen=True):
    """Open dead letters, counted; largest group first."""

    groups: tuple[GroupShown, ...]
    window: WindowShown


class UndecodableGroupShown(ApiOutput, frozen=True):
    """Open undecodable records of one event topic and reason."""

    topic: str
    reason: str
    records: int
    oldest: str
    newest: str


class UndecodableGroupsShown(ApiOutput, frozen=True):
    """Open undecodable records, counted; largest group first."""

    groups: tuple[UndecodableGroupShown, ...]
    window: WindowShown


class UndecodableQuery(PageQuery, frozen=True):
    """The filters of the list of undecodable records."""

    topic: Words = ()
    reason: Words = ()
    open: bool | None = None


class UndecodableShown(ApiOutput, frozen=True):
    """One undecodable record."""

    at: str
    position: str
    origin: str
    reason: str
    detail: str
    event_at: str
    """When it was published, from its headers."""
    by_reference: bool
    resolved: str | None
    resolved_by: str | None
    resolution: ResolutionShown | None


class UndecodablePage(ApiOutput, frozen=True):
    """Undecodable records, the newest first."""

    items: tuple[UndecodableShown, ...]
    next: str | None
    window: WindowShown


class OperationsQuery(TimesQuery, frozen=True):
    """The filters of the list of operations events."""

    type: Words = ()


class OperationsEventShown(ApiOutput, frozen=True):
    """One event about hookstream itself: a change with its actor, a disabled endpoint, a gap."""

    at: str
    type: str
    id: str
    subscription: str
    partner: str
    data: dict[str, Any]


class OperationsPage(ApiOutput, frozen=True):
    """Operations events, the newest first."""

    items: tuple[OperationsEventShown, ...]
    next: str | None
    window: WindowShown


def list_dead_letters(call: Call[DeadLettersQuery, None]) -> ApiAnswer:
    """Return dead letters."""
    query = call.query
    of = whose(call)
    if query.host:
        of["subscriptions"] = at_hosts(call, query.host, of["subscriptions"])
    wanted = DeadLetterFilter(
        **of,
        **times(call),
        event_types=words(query.event_type),
        event_id=query.event,
        delivery_id=query.delivery,
        reasons=words(query.reason),
        statuses=words(query.status),
        open=query.open,
    )
    page = call.services.index().dead_letters(wanted, after(call), query.limit)
    items = tuple(shown_dead_letter(each, to_operator=call.by_operator) for each in page.items)
    window = shown_window(page.window, aside=True)
    return ApiAnswer(DeadLettersPage(items=items, next=following(call, page), window=window))


def count_dead_letters(call: Call[WhoseQuery, None]) -> ApiAnswer:
    """Return open dead letters by subscription and reason."""
    found = call.services.index().dead_letter_counts(Whose(**whose(call)))
    counted: dict[Group, GroupCount] = {}
    for each in found.groups:
        group, count = Group(each.of, each.reason), counted_of(each)
        known = counted.setdefault(group, count)
        if known is not count:
            known.add(count)
    largest_first = sorted(counted.items(), key=lambda item: (-item[1].records, item[0]))
    groups = tuple(
        GroupShown(
            subscription=group.of,
            reason=group.reason,
            records=count.records,
            oldest=to_rfc3339(count.oldest),
            newest=to_rfc3339(count.newest),
        )
        for group, count in largest_first
    )
    return ApiAnswer(GroupsShown(groups=groups, window=shown_window(found.window, aside=True)))


def list_undecodable(call: Call[UndecodableQuery, None]) -> ApiAnswer:
    """Return undecodable records."""
    query = call.query
    wanted = UndecodableFilter(
        origin_topics=words(query.topic), reasons=words(query.reason), open=query.open
    )
    page = call.services.index().undecodable(wanted, after(call), query.limit)
    items = tuple(map(shown_undecodable, page.items))
    window = shown_window(page.window, aside=True)
    return ApiAnswer(UndecodablePage(items=items, next=following(call, page), window=window))


def count_undecodable(call: Call[Any, None]) -> ApiAnswer:
    """Return open undecodable records by event topic and reason."""
    found = call.services.index().undecodable_counts()
    groups = tuple(
        UndecodableGroupShown(
            topic=each.of,
            reason=each.reason,
            records=each.records,
            oldest=to_rfc3339(each.oldest),
            newest=to_rfc3339(each.newest),
        )
        for each in found.groups
    )
    window = shown_window(found.window, aside=True)
    return ApiAnswer(UndecodableGroupsShown(groups=groups, window=window))


def list_operations(call: Call[OperationsQuery, None]) -> ApiAnswer:
    """Return operations events."""
    wanted = OperationsFilter(**whose(call), **times(call), types=words(call.query.type))
    page = call.services.index().operations(wanted, after(call), call.query.limit)
    items = tuple(
        OperationsEventShown(
            at=to_rfc3339(each.at),
            type=each.type,
            id=each.event_id,
            subscription=each.subscription_id,
            partner=each.partner_id,
            data=each.data,
        )
        for each in page.items
    )
    window = shown_window(page.window, aside=True)
    return ApiAnswer(OperationsPage(items=items, next=following(call, page), window=window))


def shown_undecodable(found: AsideRecord) -> UndecodableShown:
    """Return an undecodable record as it is shown."""
    summary, by = found
    return UndecodableShown(
        at=to_rfc3339(summary.at),
        position=str(summary.position),
        origin=summary.origin,
        reason=summary.reason,
        detail=summary.detail,
        event_at=summary.origin_at,
        by_reference=summary.by_reference,
        resolved=None if by is None else by.word,
        resolved_by=None if by is None else str(by),
        resolution=_resolution(by),
    )


def shown_dead_letter(found: AsideRecord, *, to_operator: bool) -> DeadLetterShown:
    """Return the view of a dead letter."""
    summary, by = found
    hidden = not to_operator and summary.reason == "not_granted"
    return DeadLetterShown(
        at=to_rfc3339(summary.at),
        delivery=summary.delivery_id,
        subscription=summary.subscription_id,
        partner=summary.partner_id,
        event_type=summary.event_type,
        event=None if hidden else summary.event_id,
        attempts=summary.attempt,
        reason=summary.reason,
        last=summary.last,
        job=summary.job or None,
        last_outcome=summary.last_outcome,
        last_status=summary.last_status,
        last_error=summary.last_error,
        event_at=summary.origin_at,
        by_reference=summary.by_reference,
        resolved=None if by is None else by.word,
        resolved_by=None if by is None else str(by),
        resolution=_resolution(by),
        detail=summary.detail,
        position=str(summary.position),
        origin=summary.origin,
    )


def counted_of(group: AsideGroup) -> GroupCount:
    """Return a mutable count of a group of the index."""
    return GroupCount(group.records, group.oldest, group.newest)


def _resolution(by: ResolvedBy | None) -> ResolutionShown | None:
    if by is None:
        return None
    if by.purged is None:
        return ResolutionShown(job=by.job_id, by=None, why=None, at=None)
    who, why, at = by.purged
    return ResolutionShown(job=by.job_id, by=who, why=why, at=to_rfc3339(at))


def _list(
    path: str,
    scope: Scope,
    summary: str,
    handler: Handler,
    answer: type[ApiOutput],
    query: type[ApiInput],
    tag: str,
) -> Route:
    return Route("GET", path, scope, summary, handler, answer, query=query, tag=tag)


ROUTES = (
    _list(
        "/v1/dead-letters",
        Scope.PARTNER_READ,
        "List dead letters.",
        list_dead_letters,
        DeadLettersPage,
        DeadLettersQuery,
        _TAG,
    ),
    _list(
        "/v1/dead-letters/counts",
        Scope.PARTNER_READ,
        "Count the open dead letters by subscription and reason.",
        count_dead_letters,
        GroupsShown,
        WhoseQuery,
        _TAG,
    ),
    _list(
        "/v1/undecodable",
        Scope.OPERATOR_READ,
        "List undecodable records.",
        list_undecodable,
        UndecodablePage,
        UndecodableQuery,
        "undecodable",
    ),
    _list(
        "/v1/undecodable/counts",
        Scope.OPERATOR_READ,
        "Count the open undecodable records by event topic and reason.",
        count_undecodable,
        UndecodableGroupsShown,
        NoQuery,
        "undecodable",
    ),
    _list(
        "/v1/operations",
        Scope.OPERATOR_READ,
        "List operations events: changes with their actors, and incidents.",
        list_operations,
        OperationsPage,
        OperationsQuery,
        "operations",
    ),
)
