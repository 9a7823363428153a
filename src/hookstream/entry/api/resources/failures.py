"""Routes of failure groups: list and show them; acknowledge, resolve and reopen them."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.failures.book import FailureBook
from hookstream.core.failures.groups import (
    LONGEST_NOTE,
    Act,
    Actor,
    FailureGroup,
    GroupState,
    SeenErrors,
)
from hookstream.core.model.instant import DAY, HOUR, Millis, to_rfc3339
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.failures import (
    SelectedGroups,
    SummedGroups,
    act_on,
    last_attempts,
    seen_of,
    summed,
    visible_group,
)
from hookstream.entry.api.fields import OPERATORS_SEE, ApiInput, ApiOutput, Instant
from hookstream.entry.api.filters import (
    OfPartner,
    WhosePageQuery,
    WindowShown,
    Words,
    instant,
    shown_window,
    whose,
    words,
)
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.resources.delivery_views import AttemptShown, shown_indexed
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "failures"
_COUNTED: Millis = DAY
"""The time for which errors are counted by default."""
_LATEST = 1 << 53
"""Later than every change."""

State = Literal["open", "acknowledged", "resolved", "reopened"]


class FailureGroupsQuery(WhosePageQuery, frozen=True):
    """The filters of the list of failure groups, and the time for which errors are counted."""

    state: tuple[State, ...] = ()
    outcome: Words = ()
    since: Instant | None = None
    """    Errors are counted from then on, to the hour; default: the last day. If there are many, only those of the newest
    hours are counted: the answer says from when on."""


class FailureSumsQuery(PageQuery, frozen=True):
    """The filters of the sums over failure groups, and the time for which errors are counted."""

    partner: OfPartner = None
    """Only those of this partner."""
    state: tuple[State, ...] = ()
    outcome: Words = ()
    since: Instant | None = None
    """    Errors are counted from then on, to the hour; default: the last day. If there are many, only those of the newest
    hours are counted: the answer says from when on."""


class FailureGroupQuery(ApiInput, frozen=True):
    """The time for which its errors are counted."""

    since: Instant | None = None
    """    Errors are counted from then on, to the hour; default: the last day. If there are many, only those of the newest
    hours are counted: the answer says from when on."""


class FailureActGiven(ApiInput, frozen=True, kw_only=True):
    """The note for a change of a failure group's state."""

    note: Annotated[str, Meta(max_length=LONGEST_NOTE)] = ""
    """What is known, or was done."""


class FailureGroupState(ApiOutput, frozen=True):
    """A failure group, and its state."""

    id: str
    subscription: str
    partner: str
    outcome: str
    """The outcome of its attempts; `none`: their deliveries ended without an attempt."""
    status: int | None
    """The HTTP status of the answers; null: there was none."""
    error: str
    """The error without numbers, ids, times and addresses; empty if the status says all."""
    state: str
    opened_at: str
    changed_at: str
    """When it got its state."""
    actor: str
    """Who set the state: `partner`, `operator`, or hookstream (`itself`)."""
    partner_note: str
    """The partner's note; empty: the last change was not the partner's."""
    by: Annotated[str, OPERATORS_SEE]
    """The token and request that set the state; empty: none."""
    note: Annotated[str, OPERATORS_SEE]
    """The note of that change."""
    revision: int


class FailureGroupShown(FailureGroupState, frozen=True):
    """A failure group, and its errors of the counted time."""

    first_seen: str
    last_seen: str
    """The time of the last known error, whether counted or not."""
    count: int
    """Attempts that failed, and deliveries that ended without one."""
    deliveries: int
    """The number of their deliveries."""
    deliveries_exact: bool
    """Whether that number is exact; false: within about 9 %."""
    example: str | None
    """The unchanged text of the newest error; null: none is counted."""
    delivery: str | None
    """Its delivery."""


class FailureGroupsPage(ApiOutput, frozen=True):
    """Failure groups, last changed first."""

    items: tuple[FailureGroupShown, ...]
    next: str | None
    since: str
    """Errors are counted from then on: later than requested, if there are many, or the index has less."""
    window: WindowShown


class FailureGroupFound(ApiOutput, frozen=True):
    """A failure group, and its newest attempts of the counted time."""

    group: FailureGroupShown
    attempts: tuple[AttemptShown, ...]
    since: str
    """Errors are counted from then on: later than requested, if there are many, or the index has less."""
    window: WindowShown


class FailureSumShown(ApiOutput, frozen=True):
    """The failure groups of all subscriptions with similar errors."""

    outcome: str
    status: int | None
    error: str
    subscriptions: int
    partners: int
    open: int
    acknowledged: int
    resolved: int
    reopened: int
    changed_at: str
    """The last change of one of them."""
    last_seen: str
    count: int
    deliveries: int
    deliveries_exact: bool
    example: str | None
    delivery: str | None


class FailureSumsPage(ApiOutput, frozen=True):
    """Errors across all subscriptions, those of most subscriptions first."""

    items: tuple[FailureSumShown, ...]
    next: str | None
    since: str
    """Errors are counted from then on: later than requested, if there are many, or the index has less."""
    window: WindowShown


def list_failure_groups(call: Call[FailureGroupsQuery, None]) -> ApiAnswer:
    """Return failure groups."""
    query, mine = call.query, whose(call)
    book = call.services.failures()
    selected = SelectedGroups(
        mine["partner_id"], query.subscription, words(query.state), words(query.outcome)
    ).of(book)
    groups, following = page_of(call, selected, _place)
    since, window, seen = _seen(call, book, list(groups), query.since)
    return ApiAnswer(
        FailureGroupsPage(
            items=tuple(_shown(group, seen.get(group.id)) for group in groups),
            next=following,
            since=to_rfc3339(since),
            window=window,
        )
    )


def sum_failure_groups(call: Call[FailureSumsQuery, None]) -> ApiAnswer:
    """Return failure groups summed over subscriptions and partners."""
    query = call.query
    book = call.services.failures()
    groups = SelectedGroups(query.partner, None, words(query.state), words(query.outcome)).of(book)
    since, window, seen = _seen(call, book, groups, query.since)
    found, following = page_of(call, summed(groups, seen), _sum_place)
    return ApiAnswer(
        FailureSumsPage(
            items=tuple(map(_shown_sum, found)),
            next=following,
            since=to_rfc3339(since),
            window=window,
        )
    )


def get_failure_group(call: Call[FailureGroupQuery, None]) -> ApiAnswer:
    """Return one failure group with its newest attempts."""
    book = call.services.failures()
    group = _group_of(call, book)
    since, window, seen = _seen(call, book, [group], call.query.since)
    attempts = last_attempts(call.services.index(), book, group, since)
    return ApiAnswer(
        FailureGroupFound(
            group=_shown(group, seen.get(group.id)),
            attempts=tuple(shown_indexed(each, to_operator=call.by_operator) for each in attempts),
            since=to_rfc3339(since),
            window=window,
        ),
        revision=group.revision,
    )


def acknowledge_failure_group(call: Call[Any, FailureActGiven]) -> ApiAnswer:
    """Acknowledge a failure group."""
    return _act(call, Act.ACKNOWLEDGE)


def resolve_failure_group(call: Call[Any, FailureActGiven]) -> ApiAnswer:
    """Resolve a failure group."""
    return _act(call, Act.RESOLVE)


def reopen_failure_group(call: Call[Any, FailureActGiven]) -> ApiAnswer:
    """Reopen a resolved failure group."""
    return _act(call, Act.REOPEN)


def _act(call: Call[Any, FailureActGiven], act: Act) -> ApiAnswer:
    name = _group_of(call, call.services.failures()).id

    def answer(group: FailureGroup, _: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(FailureGroupState(**_state(group)), revision=group.revision)

    return call.change(
        lambda writer: act_on(writer, call.caller, name, act, call.body.note, call.revision),
        answer,
    )


def _group_of(call: Call[Any, Any], book: FailureBook) -> FailureGroup:
    """Return the group that the path names, which is the caller's.

    Raises:
        RequestRefused: There is none, or it is another partner's.
    """
    name = call.params["group_id"]
    found = visible_group(book, call.caller, name)
    if found is None:
        raise RequestRefused(ProblemKind.NOT_FOUND, f"there is no failure group {name!r}")
    return found


def _seen(
    call: Call[Any, Any], book: FailureBook, groups: list[FailureGroup], since: str | None
) -> tuple[Millis, WindowShown, dict[str, SeenErrors]]:
    """Return the start of the counted time, the index's window, and its failure groups."""
    index = call.services.index()
    asked = instant(since, "since")
    window = index.window()
    counted = max(call.services.now() - _COUNTED if asked is None else asked, window.since or 0)
    # The index has whole hours, so the start is rounded to one.
    counted -= counted % HOUR
    seen = seen_of(index, book, groups, counted)
    return seen.since, shown_window(window), dict(seen.by_id)


def _place(group: FailureGroup) -> str:
    """Return the key of a group's place in lists."""
    return f"{_LATEST - group.changed:016d}/{group.id}"


def _sum_place(found: SummedGroups) -> str:
    """Return the key of a sum's place in lists; more subscriptions come first."""
    return f"{_LATEST - found.subscriptions:016d}/{found.error!s}"


def _state(group: FailureGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "subscription": group.subscription_id,
        "partner": group.partner_id,
        "outcome": group.outcome,
        "status": group.status,
        "error": group.text,
        "state": group.state.value,
        "opened_at": to_rfc3339(group.opened),
        "changed_at": to_rfc3339(group.changed),
        "actor": group.actor.value,
        "partner_note": group.note if group.actor is Actor.PARTNER else "",
        "by": group.by,
        "note": group.note,
        "revision": group.revision,
    }


def _counts(seen: SeenErrors | None) -> dict[str, Any]:
    return {
        "count": 0 if seen is None else seen.count,
        "deliveries": 0 if seen is None else seen.deliveries.count,
        "deliveries_exact": seen is None or seen.deliveries.is_exact,
        "example": None if seen is None else seen.example,
        "delivery": None if seen is None else seen.delivery_id,
    }


def _shown(group: FailureGroup, seen: SeenErrors | None) -> FailureGroupShown:
    first, last = group.first_seen, group.last_seen
    if seen is not None:
        first, last = min(first, seen.first_at), max(last, seen.last_at)
    return FailureGroupShown(
        **_state(group),
        **_counts(seen),
        first_seen=to_rfc3339(first),
        last_seen=to_rfc3339(last),
    )


def _shown_sum(found: SummedGroups) -> FailureSumShown:
    return FailureSumShown(
        outcome=found.error.outcome,
        status=found.error.status,
        error=found.error.text,
        subscriptions=found.subscriptions,
        partners=found.partners,
        open=found.states[GroupState.OPEN],
        acknowledged=found.states[GroupState.ACKNOWLEDGED],
        resolved=found.states[GroupState.RESOLVED],
        reopened=found.states[GroupState.REOPENED],
        changed_at=to_rfc3339(found.changed),
        last_seen=to_rfc3339(found.last_seen),
        **_counts(found.seen),
    )


def _act_route(word: str, summary: str, handler: Any, act: str) -> Route:  # noqa: ANN401
    return Route(
        "POST",
        f"/v1/failure-groups/{{group_id}}/{word}",
        Scope.PARTNER_MANAGE,
        summary,
        handler,
        FailureGroupState,
        body=FailureActGiven,
        takes_revision=True,
        is_idempotent=True,
        tag=_TAG,
        # The operations event may be sent to the partner, so it does not name the operator.
        act=act,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/failure-groups",
        Scope.PARTNER_READ,
        "List groups of similar errors, by subscription.",
        list_failure_groups,
        FailureGroupsPage,
        query=FailureGroupsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/failure-groups/by-error",
        Scope.OPERATOR_READ,
        "List similar errors, summed over subscriptions and partners.",
        sum_failure_groups,
        FailureSumsPage,
        query=FailureSumsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/failure-groups/{group_id}",
        Scope.PARTNER_READ,
        "Show a failure group and its newest attempts.",
        get_failure_group,
        FailureGroupFound,
        query=FailureGroupQuery,
        tag=_TAG,
    ),
    _act_route(
        "acknowledge",
        "Acknowledge a failure group.",
        acknowledge_failure_group,
        "failure_group.acknowledged",
    ),
    _act_route(
        "resolve",
        "Resolve a failure group.",
        resolve_failure_group,
        "failure_group.resolved",
    ),
    _act_route(
        "reopen",
        "Reopen a resolved failure group.",
        reopen_failure_group,
        "failure_group.reopened",
    ),
)
