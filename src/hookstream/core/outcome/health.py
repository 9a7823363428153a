"""Tracks endpoint health over days: a first failure is recorded, a success clears it, too many days disable.

This follows the health table. A worker's own writes take effect at once, before it reads them back
from the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.instant import HOUR, MINUTE, Millis, to_rfc3339
from hookstream.core.model.subscription import Failing

WRITTEN_EVERY: Millis = MINUTE
"""The shortest interval at which a worker records one subscription as failing: flapping is cheap."""

SEEN_FOR: Millis = HOUR
"""A worker disables only after it has seen failures itself for this long, or for the whole period
if that is shorter: the table's period may include days without attempts."""


@dataclass(slots=True, frozen=True)
class HealthRules:
    """When an endpoint that only fails is disabled."""

    disable_after: Millis
    """How long it must have answered only with failures; 0: it is never disabled for that."""
    enough: int
    """The number of failures that this worker must have seen itself in that time."""


@dataclass(slots=True, frozen=True)
class NoteFailing:
    """Write to the table that the endpoint fails."""

    failing: Failing


@dataclass(slots=True, frozen=True)
class ClearFailing:
    """Clear the table's entry: the endpoint answered 2xx."""

    since: Millis
    """When its failures began."""


@dataclass(slots=True, frozen=True)
class GiveUp:
    """Disable the subscription."""

    since: Millis
    failures: int

    @property
    def evidence(self) -> str:
        """The evidence, for a person."""
        return (
            f"nothing but failures since {to_rfc3339(self.since)},"
            f" {self.failures} of them seen by the worker that disabled it"
        )


Finding: TypeAlias = NoteFailing | ClearFailing | GiveUp


@dataclass(slots=True)
class _Spell:
    """A period of failures without a success."""

    since: Millis
    failures: int = 0
    """Those seen by this worker."""
    first: Millis | None = None
    """When this worker saw its first one."""
    last: Millis | None = None
    """When this worker saw its last one."""
    given_up: bool = False


class HealthBook:
    """The failing subscriptions, from the table and from this worker's attempts. Single owner."""

    __slots__ = ("_spells", "_written")

    def __init__(self) -> None:
        """Start with every endpoint healthy."""
        self._spells: dict[str, _Spell] = {}
        self._written: dict[str, Millis] = {}
        """When each failing subscription was last recorded, the latest last."""

    @property
    def failing(self) -> Mapping[str, object]:
        """The failing ones, by subscription id: a success must look up only these."""
        return self._spells

    @property
    def remembered(self) -> int:
        """How many write times are kept."""
        return len(self._written)

    def put(self, failing: Failing) -> None:
        """Apply a row: the last writer determines when the failures began."""
        spell = self._spells.get(failing.subscription_id)
        if spell is None:
            self._spells[failing.subscription_id] = _Spell(failing.since)
        else:
            spell.since = failing.since

    def drop(self, subscription_id: str) -> None:
        """Apply the removal of a row: by a success, or when the subscription was enabled."""
        self._spells.pop(subscription_id, None)

    def failed(self, subscription_id: str, now: Millis, rules: HealthRules) -> Finding | None:
        """Record a failed attempt. Return the change of the endpoint's health; None if there is none."""
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
            # Returned once: deliveries in flight will find the row that disables.
            spell.given_up = True
            return GiveUp(spell.since, spell.failures)
        return None

    def _begin(self, subscription_id: str, now: Millis) -> NoteFailing | None:
        written = self._written
        forget_older(written, now, WRITTEN_EVERY)
        if 0 <= now - written.get(subscription_id, now + 1) < WRITTEN_EVERY:
            # A later failure starts the period: without a row in the table there is none.
            return None
        written.pop(subscription_id, None)
        written[subscription_id] = now
        self._spells[subscription_id] = _Spell(now, failures=1, first=now, last=now)
        return NoteFailing(Failing(subscription_id, now))

    def succeeded(self, subscription_id: str) -> ClearFailing | None:
        """Record a success. Return the clearing of the table's entry if there is one."""
        spell = self._spells.pop(subscription_id, None)
        return None if spell is None else ClearFailing(spell.since)


def forget_older(times: dict[str, Millis], now: Millis, age: Millis) -> None:
    """Delete times that are at least `age` old, or in the future; the oldest come first."""
    while times:
        oldest = next(iter(times))
        if 0 <= now - times[oldest] < age:
            return
        del times[oldest]


def _is_stale(spell: _Spell, now: Millis, rules: HealthRules) -> bool:
    """Return whether there was no attempt for so long that the earlier failures prove nothing.

    A pause or hold of a week must not end with a disabled endpoint at the first failure after it.
    """
    if spell.last is None:
        return False
    return now - spell.last >= max(rules.disable_after // 2, WRITTEN_EVERY) and not spell.given_up
