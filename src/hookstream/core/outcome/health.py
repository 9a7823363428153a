"""Endpoint health over days: the first failure is noted, the first success clears it, too long disables.

What the health table says of a subscription is followed here; a worker's own writes count at once,
before they come back to it through the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.instant import HOUR, MINUTE, Millis, to_rfc3339
from hookstream.core.model.subscription import Failing

WRITTEN_EVERY: Millis = MINUTE
"""A worker notes of one subscription that it fails at most so often: one that flaps costs little."""

SEEN_FOR: Millis = HOUR
"""A worker gives up what it saw fail itself for so long, or for all of the period where that is
shorter: a stretch that it only heard of may hold days in which nothing was attempted."""


@dataclass(slots=True, frozen=True)
class HealthRules:
    """When an endpoint that only fails is given up."""

    disable_after: Millis
    """How long it must have answered nothing but failures; 0: it is never given up for that."""
    enough: int
    """Failures that this worker must have seen itself in that time."""


@dataclass(slots=True, frozen=True)
class NoteFailing:
    """The table is to say that the endpoint fails."""

    failing: Failing


@dataclass(slots=True, frozen=True)
class ClearFailing:
    """The table is to say nothing any more: it answered 2xx."""

    since: Millis
    """Since when it had failed."""


@dataclass(slots=True, frozen=True)
class GiveUp:
    """The subscription is to be disabled."""

    since: Millis
    failures: int

    @property
    def evidence(self) -> str:
        """What led to it, for a person."""
        return (
            f"nothing but failures since {to_rfc3339(self.since)},"
            f" {self.failures} of them seen by the worker that gave it up"
        )


Finding: TypeAlias = NoteFailing | ClearFailing | GiveUp


@dataclass(slots=True)
class _Spell:
    """A stretch of nothing but failures."""

    since: Millis
    failures: int = 0
    """Seen by this worker."""
    first: Millis | None = None
    """When this worker saw the first of them."""
    last: Millis | None = None
    """When this worker last saw one."""
    given_up: bool = False


class HealthBook:
    """Which subscriptions fail, as the table says and as this worker adds to it. For one owner."""

    __slots__ = ("_spells", "_written")

    def __init__(self) -> None:
        """Start with every endpoint in good health."""
        self._spells: dict[str, _Spell] = {}
        self._written: dict[str, Millis] = {}
        """When it was noted last of each that fails, the latest last."""

    @property
    def failing(self) -> Mapping[str, object]:
        """Those that fail, by subscription id: all that a success must be looked up in."""
        return self._spells

    @property
    def remembered(self) -> int:
        """How many times of writing are kept."""
        return len(self._written)

    def put(self, failing: Failing) -> None:
        """Take over a row: the last writer's word on since when counts."""
        spell = self._spells.get(failing.subscription_id)
        if spell is None:
            self._spells[failing.subscription_id] = _Spell(failing.since)
        else:
            spell.since = failing.since

    def drop(self, subscription_id: str) -> None:
        """Take over that a row was cleared: by a success, or with the enabling."""
        self._spells.pop(subscription_id, None)

    def failed(self, subscription_id: str, now: Millis, rules: HealthRules) -> Finding | None:
        """Return what a failed attempt makes of the health, or None for nothing new."""
        spell = self._spells.get(subscription_id)
        if spell is None or _is_stale(spell, now, rules):
            return self._begin(subscription_id, now)
        spell.failures += 1
        spell.last = now
        if spell.first is None:
            spell.first = now
        if (
            rules.disable_after > 0
            and now - spell.since >= rules.disable_after
            and spell.failures >= rules.enough
            and now - spell.first >= min(rules.disable_after, SEEN_FOR)
            and not spell.given_up
        ):
            # Said once: what is in flight meanwhile finds the row that disables.
            spell.given_up = True
            return GiveUp(spell.since, spell.failures)
        return None

    def _begin(self, subscription_id: str, now: Millis) -> NoteFailing | None:
        written = self._written
        while written:
            oldest = next(iter(written))
            if 0 <= now - written[oldest] < WRITTEN_EVERY:
                break
            del written[oldest]
        if 0 <= now - written.get(subscription_id, now + 1) < WRITTEN_EVERY:
            # A later failure begins it: what is not in the table is no stretch of anything.
            return None
        written.pop(subscription_id, None)
        written[subscription_id] = now
        self._spells[subscription_id] = _Spell(now, failures=1, first=now, last=now)
        return NoteFailing(Failing(subscription_id, now))

    def succeeded(self, subscription_id: str) -> ClearFailing | None:
        """Return that the note is to be cleared, where there is one."""
        spell = self._spells.pop(subscription_id, None)
        return None if spell is None else ClearFailing(spell.since)


def _is_stale(spell: _Spell, now: Millis, rules: HealthRules) -> bool:
    """Return whether so long nothing was attempted that the earlier failures prove nothing any more.

    A pause or a hold of a week must not end in a disabling at the first failure after it.
    """
    if spell.last is None:
        return False
    return now - spell.last >= max(rules.disable_after // 2, WRITTEN_EVERY) and not spell.given_up
