"""Which scope sees and which sets each field of partners, subscriptions, holds and statuses.

Paths are those of definitions and of the documents that show them, with a dot between names. What is true of
all items of a list or mapping stands at the list's or mapping's own path, except for the fields of gaps.
A field without an entry does not exist: tests compare these tables with the values that have the fields.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.json import Json, JsonObject


class FieldAccess(NamedTuple):
    """Who may see and who may set a field: the least scope of each."""

    read: Scope
    write: Scope | None
    """None: nobody sets it; it follows from acts such as pausing."""


_THEIRS = FieldAccess(Scope.PARTNER_READ, Scope.PARTNER_MANAGE)
"""A partner's own choice."""
_SHOWN = FieldAccess(Scope.PARTNER_READ, Scope.OPERATOR_WRITE)
"""An operator's choice that the partner may know."""
_DERIVED = FieldAccess(Scope.PARTNER_READ, None)
_OPERATORS = FieldAccess(Scope.OPERATOR_READ, Scope.OPERATOR_WRITE)
"""An operator's choice that the partner may not know."""
_INTERNAL = FieldAccess(Scope.OPERATOR_READ, None)

FieldMask = Mapping[str, FieldAccess]

SUBSCRIPTION: Final[FieldMask] = {
    # The id that a partner's request makes is ours: `<partner>.<random>`.
    "id": _SHOWN,
    "partner": _SHOWN,
    "endpoint.pull": _THEIRS,
    "endpoint.url": _THEIRS,
    "endpoint.headers": _THEIRS,
    "endpoint.timeout": _THEIRS,
    "endpoint.signing_secrets": _THEIRS,
    "endpoint.auth": _THEIRS,
    # Whoever sets it decides whom the installation believes to be the endpoint.
    "endpoint.ca": _OPERATORS,
    "event_types": _THEIRS,
    "environments": _THEIRS,
    "pattern": _THEIRS,
    "versions": _THEIRS,
    "format": _THEIRS,
    "content": _THEIRS,
    "template": _THEIRS,
    "template_secrets": _THEIRS,
    "batch.max_events": _THEIRS,
    "batch.max_wait": _THEIRS,
    "retry.schedule": _THEIRS,
    "retry.expires_after": _THEIRS,
    "retry.final_statuses": _THEIRS,
    "limits.max_in_flight": _THEIRS,
    "limits.rate_limit": _THEIRS,
    "limits.weight": _OPERATORS,
    # It begins a replay, so the limits of jobs apply to it.
    "start_from": _THEIRS,
    "active_from": _DERIVED,
    "gaps.start": _DERIVED,
    "gaps.end": _DERIVED,
    "gaps.reason": _DERIVED,
    "gaps.filled_by": _DERIVED,
    "gaps.incomplete": _DERIVED,
    "state": _DERIVED,
    "revision": _DERIVED,
    "owner": _INTERNAL,
    "declared_at": _INTERNAL,
}
"""Of a subscription, as definitions name its fields."""

PARTNER: Final[FieldMask] = {
    "id": _SHOWN,
    "name": _SHOWN,
    "grant.event_types": _SHOWN,
    "grant.environments": _SHOWN,
    "grant.pattern": _SHOWN,
    # It opens operations events of other partners.
    "grant.operator": _OPERATORS,
    "limits.subscriptions": _SHOWN,
    "limits.max_in_flight": _SHOWN,
    "limits.weight": _OPERATORS,
    "limits.timeout": _SHOWN,
    "limits.running_jobs": _SHOWN,
    "limits.replayed_events_a_day": _SHOWN,
    "limits.requests_a_second": _SHOWN,
    "limits.scanned_records_a_second": _SHOWN,
    "granted_from": _DERIVED,
    "grants": _INTERNAL,
    "revision": _DERIVED,
    "owner": _INTERNAL,
}
"""Of a partner. `grants` are the earlier ones."""

HOLD: Final[FieldMask] = {
    "kind": _OPERATORS,
    "name": _OPERATORS,
    "reason": _OPERATORS,
    "since": _INTERNAL,
    "set_by": _INTERNAL,
    "revision": _INTERNAL,
}
"""Of a hold: a partner learns only that its deliveries are suspended (`status_for`)."""

STATUS: Final[FieldMask] = {
    "state": _DERIVED,
    "since": _DERIVED,
    "reason": _DERIVED,
    "evidence": _DERIVED,
    "hold": _INTERNAL,
}
"""Of what a subscription is doing now, after `status_for`."""

SUSPENDED: Final = "suspended"
"""The state that a partner is shown where operators see a hold: delivery is suspended."""
_UNREADABLE = "unreadable"


def hidden(mask: FieldMask, caller: Caller) -> frozenset[str]:
    """Return the paths of fields that a caller may not see."""
    return frozenset(path for path, access in mask.items() if not caller.may(access.read))


def visible(mask: FieldMask, caller: Caller, document: JsonObject) -> JsonObject:
    """Return a document without the fields that its caller may not see.

    Args:
        mask: The fields that it may have.
        caller: Who sees it.
        document: Nested as the paths of the mask are.
    """
    return _without(document, hidden(mask, caller), "")


def _without(document: JsonObject, paths: frozenset[str], above: str) -> JsonObject:
    return {
        name: _each(value, paths, f"{above}{name}.")
        for name, value in document.items()
        if above + name not in paths
    }


def _each(value: Json, paths: frozenset[str], above: str) -> Json:
    match value:
        case dict():
            return _without(value, paths, above)
        case list():
            return [_each(each, paths, above) for each in value]
        case _:
            return value


def status_for(caller: Caller, status: JsonObject) -> JsonObject:
    """Return a subscription's status as a caller may know it.

    To a partner a hold is `suspended`, without who and why and on what, and a row that cannot be read is
    that, without why.

    Args:
        caller: Who sees it.
        status: As operators see it, with a `state`.
    """
    if caller.partner_id is None:
        return status
    match status.get("state"):
        case "held":
            return {"state": SUSPENDED}
        case "unreadable":
            return {"state": _UNREADABLE}
        case _:
            return {
                name: value for name, value in status.items() if name not in hidden(STATUS, caller)
            }
