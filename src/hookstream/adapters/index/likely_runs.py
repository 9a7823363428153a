"""Excludes runs that a filter cannot select, with look-ups for many runs together.

Determining a run's state takes its entry, its tier records and its dead letters. A list of dead-lettered runs
encounters all that only wait, and a list of pending runs all that were dead-lettered, some of them redriven. Those
are excluded here by one index look-up each. No run that the filter selects is excluded; some that it does not
select may remain.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from hookstream.adapters.index.answers import DeliveryFilter
from hookstream.adapters.index.delivery_views import Runs
from hookstream.adapters.index.hour_reader import FoundLife
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import state_after
from hookstream.core.statistics.life import Ending

_USUAL: Final[Mapping[Ending, DeliveryState]] = {
    Ending.OPEN: DeliveryState.PENDING,
    Ending.SKIPPED: DeliveryState.PENDING,
    Ending.DEAD_LETTERED: DeliveryState.DEAD_LETTERED,
    Ending.CANCELLED: DeliveryState.CANCELLED,
    Ending.DELIVERED: DeliveryState.COMPLETED,
    Ending.DELIVERED_AT_ONCE: DeliveryState.COMPLETED,
}
"""The state of nearly every run with this ending: if it is selected, an index look-up is not worthwhile."""


def likely_runs(runs: Runs, wanted: DeliveryFilter, lives: Sequence[FoundLife]) -> list[bool]:
    """Return for each run whether a filter may select it, by its state and its event's type.

    Args:
        runs: Finds records of runs.
        wanted: The filter.
        lives: Rows of runs in their events' hours, at most a few hundred.
    """
    states, types = wanted.states, wanted.event_types
    doubtful = [states is not None and _USUAL[each.state.ending] not in states for each in lives]
    if types is None and not any(doubtful):
        return [True] * len(lives)
    # An open run has no entry that ended it.
    shapes = runs.newest_shapes(
        life
        for life, doubt in zip(lives, doubtful, strict=True)
        if types is not None or (doubt and life.state.ending > Ending.SKIPPED)
    )
    in_records: Collection[str] = ()
    if states is not None and any(doubtful):
        asked = [life for life, doubt in zip(lives, doubtful, strict=True) if doubt]
        in_records = _wanted_in_records(runs, states, asked)
    found: list[bool] = []
    for life, doubt in zip(lives, doubtful, strict=True):
        shape = shapes.get(life.key)
        likely = types is None or shape is None or shape.event_type in types
        if doubt and likely and life.delivery_id not in in_records:
            is_ended = life.state.ending > Ending.SKIPPED
            likely = is_ended and (
                shape is None or state_after(shape.disposition) in (states or ())
            )
        found.append(likely)
    return found


def _wanted_in_records(
    runs: Runs, states: Collection[DeliveryState], lives: Sequence[FoundLife]
) -> set[str]:
    """Return the deliveries with a tier record or a dead letter that may give a run one of some states."""
    found: set[str] = set()
    if DeliveryState.PENDING in states:
        found |= runs.waiting_among(lives)
    if DeliveryState.PENDING in states or DeliveryState.DEAD_LETTERED in states:
        found.update(
            delivery_id
            for delivery_id, is_resolved in runs.dead_among(lives).items()
            # If it is resolved, a job may have put its run into a tier again.
            if DeliveryState.DEAD_LETTERED in states or is_resolved
        )
    return found
