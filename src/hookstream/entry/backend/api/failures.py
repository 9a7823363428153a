"""Failure groups through the API."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from hookstream.core.failures.groups import Act, Actor, FailureGroup, GroupState
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.entry.api.page_query import MOST_IN_PAGE
from hookstream.entry.api.resources.failures import (
    FailureActGiven,
    FailureGroupFound,
    FailureGroupQuery,
    FailureGroupShown,
    FailureGroupsPage,
    FailureGroupsQuery,
    FailureGroupState,
    FailureSumShown,
    FailureSumsPage,
    FailureSumsQuery,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.listing import WindowWatch
from hookstream.entry.backend.api.past import attempt_in
from hookstream.entry.backend.failure_ports import (
    CountedErrors,
    FailureFacts,
    FailureListing,
    FailureRead,
    FailureSums,
    SummedFailures,
    WantedFailures,
)
from hookstream.errors import InputRefused

_NEVER: Final[Millis] = 1 << 62
_GROUPS: Final = "/v1/failure-groups"
_GROUP: Final = "/v1/failure-groups/{group_id}"


@dataclass(slots=True, frozen=True)
class ApiFailures:
    """Failure groups that the token may see. Implements `FailureCommands`."""

    api: ApiClient

    def listed(self, wanted: WantedFailures, limit: int) -> FailureListing:
        watch, since = _watch(wanted.since), 0
        found: list[FailureFacts] = []
        for page in self.api.pages(
            _GROUPS,
            FailureGroupsPage,
            FailureGroupsQuery,
            subscription=wanted.subscription,
            partner=wanted.partner,
            state=_words(wanted.states),
            outcome=_words(wanted.outcomes),
            since=_time(wanted.since),
            limit=min(limit, MOST_IN_PAGE),
        ):
            watch.note(page.window)
            since = from_rfc3339(page.since)
            found.extend(map(_facts, islice(page.items, limit - len(found))))
            if len(found) == limit:
                break
        return FailureListing(found, since, watch.said)

    def summed(self, wanted: WantedFailures, limit: int) -> FailureSums:
        if wanted.subscription is not None:
            raise InputRefused("--subscription: omit it; errors are summed over subscriptions")
        watch, since = _watch(wanted.since), 0
        found: list[SummedFailures] = []
        for page in self.api.pages(
            f"{_GROUPS}/by-error",
            FailureSumsPage,
            FailureSumsQuery,
            partner=wanted.partner,
            state=_words(wanted.states),
            outcome=_words(wanted.outcomes),
            since=_time(wanted.since),
            limit=min(limit, MOST_IN_PAGE),
        ):
            watch.note(page.window)
            since = from_rfc3339(page.since)
            found.extend(map(_sum, islice(page.items, limit - len(found))))
            if len(found) == limit:
                break
        return FailureSums(found, since, watch.said)

    def found(self, name: str, since: Millis | None) -> FailureRead:
        watch = _watch(since)
        query = FailureGroupQuery(since=_time(since))
        shown = self.api.get(path(_GROUP, group_id=name), FailureGroupFound, query)
        watch.note(shown.window)
        attempts = [attempt_in(each) for each in shown.attempts]
        return FailureRead(_facts(shown.group), attempts, from_rfc3339(shown.since), watch.said)

    def act(self, name: str, act: Act, note: str, revision: int | None) -> FailureGroup:
        where = path(f"{_GROUP}/{act}", group_id=name)
        given = FailureActGiven(note=note)
        done = self.api.change("POST", where, FailureGroupState, given, revision=revision)
        return _group(done, from_rfc3339(done.opened_at), from_rfc3339(done.changed_at))


def _watch(since: Millis | None) -> WindowWatch:
    """Return the notes of windows; with the default time, the start of the count is printed anyway."""
    return WindowWatch(_NEVER if since is None else since)


def _words(values: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(sorted(values))


def _time(at: Millis | None) -> str | None:
    return None if at is None else to_rfc3339(at)


def _facts(shown: FailureGroupShown) -> FailureFacts:
    first, last = from_rfc3339(shown.first_seen), from_rfc3339(shown.last_seen)
    return FailureFacts(_group(shown, first, last), _counted(shown))


def _counted(shown: FailureGroupShown | FailureSumShown) -> CountedErrors:
    return CountedErrors(
        from_rfc3339(shown.last_seen),
        shown.count,
        shown.deliveries,
        shown.deliveries_exact,
        shown.example,
        shown.delivery,
    )


def _group(shown: FailureGroupState, first_seen: Millis, last_seen: Millis) -> FailureGroup:
    return FailureGroup(
        id=shown.id,
        partner_id=shown.partner,
        subscription_id=shown.subscription,
        outcome=shown.outcome,
        status=shown.status,
        text=shown.error,
        state=GroupState(shown.state),
        opened=from_rfc3339(shown.opened_at),
        changed=from_rfc3339(shown.changed_at),
        first_seen=first_seen,
        last_seen=last_seen,
        actor=Actor(shown.actor),
        by=shown.by,
        # Partners see only their own.
        note=shown.note or shown.partner_note,
        revision=shown.revision,
    )


def _sum(shown: FailureSumShown) -> SummedFailures:
    return SummedFailures(
        shown.outcome,
        shown.status,
        shown.error,
        shown.subscriptions,
        shown.partners,
        {
            GroupState.OPEN: shown.open,
            GroupState.ACKNOWLEDGED: shown.acknowledged,
            GroupState.RESOLVED: shown.resolved,
            GroupState.REOPENED: shown.reopened,
        },
        from_rfc3339(shown.changed_at),
        _counted(shown),
    )
