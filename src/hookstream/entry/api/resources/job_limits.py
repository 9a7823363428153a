"""Applies partners' limits to the jobs that they start and resume; operators have no such limits."""

from typing import Any

from hookstream.core.access.limits import job_problem, replayable_events
from hookstream.core.model.subscription import Partner
from hookstream.entry.admin.subscription_writing import LimitExceeded
from hookstream.entry.api.routes import Call


def most_events_of(call: Call[Any, Any], asked: int | None) -> int | None:
    """Return the number of events after which a replay ends: at most the rest of the partner's events per day."""
    partner = _partner(call)
    if partner is None:
        return asked
    left = replayable_events(partner.limits, call.services.jobs(), _own(call), call.services.now())
    # Of nothing one is wanted, so that it is refused with the figures.
    return max(1, left) if asked is None else asked


def refuse_beyond_limits(call: Call[Any, Any], events: int | None = None) -> None:
    """Refuse a partner's job beyond its limits.

    Args:
        call: The request.
        events: How many events it may replay; None: it replays none.

    Raises:
        LimitExceeded: Its limit of running jobs or of replayed events is reached.
    """
    partner = _partner(call)
    if partner is None:
        return
    now = call.services.now()
    found = job_problem(partner.limits, call.services.jobs(), _own(call), now, events)
    if found is not None:
        raise LimitExceeded([found])


def _partner(call: Call[Any, Any]) -> Partner | None:
    """Return the calling partner; None: the caller is an operator."""
    return call.services.state().current.partners.get(call.caller.partner_id or "")


def _own(call: Call[Any, Any]) -> frozenset[str]:
    known = call.services.state().current.subscriptions.values()
    return frozenset(each.id for each in known if each.partner_id == call.caller.partner_id)
