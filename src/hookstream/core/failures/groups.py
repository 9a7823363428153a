"""A failure group and its states: it opens by itself, people act on it, and it resolves by itself or by them."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from hookstream.core.failures.distinct import Distinct
from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.json import json_text
from hookstream.core.statistics.errors import Fingerprint

ID_PREFIX: Final = "fg-"
_ID_BYTES = 16

KEPT_RESOLVED: Final[Millis] = 14 * DAY
"""For so long the row of a resolved group stays, longer than any index has its errors: those of before would
open it again."""

LONGEST_NOTE: Final = 500
"""Characters of a note."""


class GroupState(StrEnum):
    """Where a failure group stands."""

    OPEN = "open"
    """It fails, and nobody has said that they know."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody has said that they know."""
    RESOLVED = "resolved"
    """It does not fail any more."""
    REOPENED = "reopened"
    """It failed again after it was resolved; otherwise as `open`."""


class Act(StrEnum):
    """What somebody does with a failure group."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"


class Actor(StrEnum):
    """Who brought a group into its state."""

    ITSELF = "itself"
    """Nobody: it follows from what was seen."""
    PARTNER = "partner"
    OPERATOR = "operator"


@dataclass(slots=True, frozen=True)
class FailureGroup:
    """Errors of one subscription that look alike, and their state."""

    id: str
    partner_id: str
    subscription_id: str
    outcome: str
    status: int | None
    text: str
    """The error without numbers, ids, times and addresses."""
    state: GroupState
    opened: Millis
    """When it was opened first."""
    changed: Millis
    """When it came into its state, or its note was changed; by the brokers' clock."""
    first_seen: Millis
    last_seen: Millis
    """As was known at `changed`; an index may know of later ones."""
    actor: Actor = Actor.ITSELF
    by: str = ""
    """Who acted: the token's id and the request. Empty: nobody did."""
    note: str = ""
    """What they said."""
    revision: int = 1

    @property
    def fingerprint(self) -> Fingerprint:
        """What its errors have in common."""
        return Fingerprint(self.subscription_id, self.outcome, self.status, self.text)


class Errors(NamedTuple):
    """Whose errors, and what they have in common."""

    partner_id: str
    fingerprint: Fingerprint


@dataclass(slots=True, frozen=True)
class SeenErrors:
    """What an index has of one group's errors within some time."""

    count: int
    """Attempts that failed, and ends without one."""
    first_at: Millis
    last_at: Millis
    example: str
    """The newest error's text as it was."""
    delivery_id: str
    """Its delivery."""
    deliveries: Distinct

    def joined(self, other: "SeenErrors") -> "SeenErrors":
        """Return both together, for distinct records."""
        newest = max(self, other, key=lambda each: (each.last_at, each.delivery_id))
        return SeenErrors(
            self.count + other.count,
            min(self.first_at, other.first_at),
            newest.last_at,
            newest.example,
            newest.delivery_id,
            self.deliveries.joined(other.deliveries),
        )


def together(seen: Sequence[SeenErrors]) -> SeenErrors:
    """Return all of some together, at least one, for distinct records."""
    newest = max(seen, key=lambda each: (each.last_at, each.delivery_id))
    return SeenErrors(
        sum(each.count for each in seen),
        min(each.first_at for each in seen),
        newest.last_at,
        newest.example,
        newest.delivery_id,
        Distinct.union(each.deliveries for each in seen),
    )


@dataclass(slots=True, frozen=True)
class ActRefused:
    """Why nothing was done."""

    why: str


@lru_cache(maxsize=20_000)
def group_id(errors: Errors) -> str:
    """Return the id of the group of some errors: the same in every console and at any time."""
    named = json_text([errors.partner_id, *errors.fingerprint])
    digest = hashlib.sha256(named.encode(errors="surrogatepass")).digest()[:_ID_BYTES]
    return ID_PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()


def after_errors(
    group: FailureGroup | None, errors: Errors, seen: SeenErrors, now: Millis
) -> FailureGroup | None:
    """Return the group after errors of it were seen; None: they change nothing.

    Args:
        group: As it is; None: there is none.
        errors: Whose and which errors were seen.
        seen: What was seen of them.
        now: The brokers' time.
    """
    if group is None:
        subscription_id, outcome, status, text = errors.fingerprint
        return FailureGroup(
            group_id(errors),
            errors.partner_id,
            subscription_id,
            outcome,
            status,
            text,
            GroupState.OPEN,
            opened=now,
            changed=now,
            first_seen=seen.first_at,
            last_seen=seen.last_at,
        )
    if group.state is not GroupState.RESOLVED or seen.last_at <= group.changed:
        return None
    return _moved(group, GroupState.REOPENED, now, last_seen=seen.last_at)


def after_quiet(
    group: FailureGroup,
    last_at: Millis | None,
    success_at: Millis | None,
    now: Millis,
    quiet: Millis,
) -> FailureGroup | None:
    """Return the group resolved by itself; None: it is resolved already, or not over yet.

    It is over when its subscription had a success after the last of its errors, and none of them for so long.

    Args:
        group: As it is.
        last_at: Its last error, as far as an index knows that has the last `quiet`.
        success_at: The last success of its subscription, likewise.
        now: The brokers' time.
        quiet: For how long it must not have been seen.
    """
    last = max(group.last_seen, last_at or 0)
    # Somebody who reopens it says that it is not over.
    since = max(last, group.changed) if group.state is GroupState.REOPENED else last
    if group.state is GroupState.RESOLVED or now - since < quiet:
        return None
    if success_at is None or success_at <= since:
        return None
    return _moved(group, GroupState.RESOLVED, now, last_seen=last)


def after_its_subscription(group: FailureGroup, now: Millis) -> FailureGroup | None:
    """Return the group after its subscription was deleted; None: it is resolved already."""
    if group.state is GroupState.RESOLVED:
        return None
    return _moved(group, GroupState.RESOLVED, now, last_seen=group.last_seen)


def after_act(
    group: FailureGroup, act: Act, actor: Actor, by: str, note: str, now: Millis
) -> FailureGroup | ActRefused:
    """Return the group after somebody acted on it, or why they cannot.

    Whoever acknowledges an acknowledged group takes the place of who did before.

    Args:
        group: As it is.
        act: What they do.
        actor: Who acts: an operator, or the group's partner.
        by: Their token and request.
        note: What they say.
        now: The brokers' time.
    """
    is_resolved = group.state is GroupState.RESOLVED
    if act is Act.REOPEN and not is_resolved:
        return ActRefused(f"failure group {group.id!r} is {group.state}, not resolved")
    if act is not Act.REOPEN and is_resolved:
        return ActRefused(f"failure group {group.id!r} is resolved already")
    to = {
        Act.ACKNOWLEDGE: GroupState.ACKNOWLEDGED,
        Act.RESOLVE: GroupState.RESOLVED,
        Act.REOPEN: GroupState.REOPENED,
    }[act]
    moved = _moved(group, to, now, last_seen=group.last_seen)
    return replace(moved, actor=actor, by=by, note=note)


def _moved(
    group: FailureGroup, state: GroupState, now: Millis, *, last_seen: Millis
) -> FailureGroup:
    """Return a group in another state, into which it came by itself."""
    return replace(
        group,
        state=state,
        changed=now,
        last_seen=max(group.last_seen, last_seen),
        actor=Actor.ITSELF,
        by="",
        note="",
        revision=group.revision + 1,
    )
