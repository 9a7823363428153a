"""A selector picks dead letters; each selected one becomes a delivery again, with its history."""

from collections.abc import Collection
from dataclasses import dataclass

from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.delivery_headers import read_delivery
from hookstream.core.model.header_reading import LetterProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Headers
from hookstream.core.model.subscription import DEFAULT_EXPIRY


@dataclass(slots=True, frozen=True)
class Selector:
    """The dead letters for which every given condition holds."""

    subscription_ids: frozenset[str] | None = None
    """None here and below: any."""
    event_types: frozenset[str] | None = None
    """Exact names."""
    reasons: frozenset[str] | None = None
    since: Millis | None = None
    """Appended to the dead-letter topic at this instant or later."""
    until: Millis | None = None
    """Appended before this instant."""
    partner_ids: frozenset[str] | None = None

    def selects(self, headers: Headers, timestamp: Millis) -> bool:
        """Return whether a dead letter is selected; `timestamp` is its append time."""
        if self.since is not None and timestamp < self.since:
            return False
        if self.until is not None and timestamp >= self.until:
            return False
        wanted = (
            (names.SUBSCRIPTION_ID, self.subscription_ids),
            (names.EVENT_TYPE, self.event_types),
            (names.REASON, self.reasons),
            (names.PARTNER_ID, self.partner_ids),
        )
        if all(words is None for _, words in wanted):
            return True
        values = dict(headers)
        return all(words is None or _is_one_of(values.get(name), words) for name, words in wanted)


def redriven(
    headers: Headers, *, now: Millis, expires_after: Millis = DEFAULT_EXPIRY
) -> Delivery | LetterProblem:
    """Return the delivery of a dead letter for `retry.0s`.

    Its identity, origin, trace, last error and attempt count are kept; the schedule starts at its
    first delay again.

    Args:
        headers: The dead letter's headers.
        now: The present.
        expires_after: How long the delivery may live from now on: the subscription's own value, if
            it is known.
    """
    delivery = read_delivery(headers)
    if isinstance(delivery, LetterProblem):
        return delivery
    delivery.trigger = Trigger.REDRIVE
    delivery.step = 0
    delivery.expires_at = now + expires_after
    delivery.due_at = None
    delivery.deferrals = 0
    delivery.deferred_reason = None
    delivery.deferred_since = None
    return delivery


def _is_one_of(value: bytes | None, words: Collection[str]) -> bool:
    return value is not None and value.decode(errors="replace") in words
