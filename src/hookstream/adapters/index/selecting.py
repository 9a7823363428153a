"""Applies filters to the index's rows, and reads the cursors of lists."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, takewhile
from typing import cast

from hookstream.adapters.index.answers import (
    MOST_LISTED,
    AttemptFilter,
    Cursor,
    DeliveryFilter,
    IndexedAttempt,
    IndexedDelivery,
)
from hookstream.adapters.index.attempt_rows import AttemptShape
from hookstream.adapters.index.delivery_views import LifeOrder, order_of
from hookstream.adapters.index.hour_reader import FoundLife, HourReader, MetAttempt, Place
from hookstream.adapters.index.packing import Packed, packed_delivery, packed_id
from hookstream.adapters.index.postings import Of
from hookstream.core.audit.history import DeliveryState
from hookstream.core.delivery.identity import is_batch_id
from hookstream.core.statistics.life import Ending
from hookstream.errors import InputRefused

_NOT_2XX = 300

_LARGEST = 2**62
"""Beyond any offset or instant that is added to."""


def id_asked(wanted: AttemptFilter) -> tuple[Of, Packed] | None:
    """Return the id by which a filter's attempts are looked up; None: it has none."""
    if wanted.delivery_id is not None:
        # A batch's id is not a delivery's.
        if is_batch_id(wanted.delivery_id):
            return Of.BATCH, packed_id(wanted.delivery_id)
        return Of.DELIVERY, packed_delivery(wanted.delivery_id)
    if wanted.event_id is not None:
        return Of.EVENT, packed_id(wanted.event_id)
    if wanted.entity_id is not None:
        return Of.ENTITY, packed_id(wanted.entity_id)
    return None


def met(reader: HourReader, wanted: AttemptFilter, before: Place | None) -> Iterable[MetAttempt]:
    """Return an hour's attempts that include the filter's, the newest first; none is older than its start."""
    since = wanted.since
    found = _met(reader, wanted, before)
    return found if since is None else takewhile(lambda each: each.place[0] >= since, found)


def _met(reader: HourReader, wanted: AttemptFilter, before: Place | None) -> Iterable[MetAttempt]:
    asked = id_asked(wanted)
    if asked is not None:
        return reader.matching(*asked, before)
    subs = reader.subscriptions(wanted.partner_id, wanted.subscriptions)
    upper = None if wanted.until is None else (wanted.until, -1, -1)
    bounds = [bound for bound in (before, upper) if bound is not None]
    failures = wanted.failed is True or _only_failures(wanted)
    return reader.attempts(subs, min(bounds, default=None), failures=failures)


def _only_failures(wanted: AttemptFilter) -> bool:
    """Return whether all selected attempts have failed, so that only failures need to be read."""
    return wanted.statuses is not None and wanted.statuses[0] >= _NOT_2XX


def selects(wanted: AttemptFilter, shape: AttemptShape, place: Place) -> bool:
    """Return whether a filter selects an attempt by its shape and time."""
    failed = shape.disposition not in ("complete", "cancel")
    words = (
        (wanted.subscriptions, shape.subscription_id),
        (wanted.event_types, shape.event_type),
        (wanted.outcomes, shape.outcome or "none"),
        (wanted.dispositions, shape.disposition),
    )
    return (
        wanted.partner_id in (None, shape.partner_id)
        and all(given is None or value in given for given, value in words)
        and wanted.failed in (None, failed)
        and _has_status(wanted, shape)
        and (wanted.since is None or place[0] >= wanted.since)
        and (wanted.until is None or place[0] < wanted.until)
    )


def _has_status(wanted: AttemptFilter, shape: AttemptShape) -> bool:
    if wanted.statuses is None:
        return True
    first, last = wanted.statuses
    return shape.status is not None and first <= shape.status <= last


def has_ids(wanted: AttemptFilter, attempt: IndexedAttempt) -> bool:
    """Return whether an attempt has every id of the filter; only one of them was used to find it."""
    entry = attempt.entry
    return (
        wanted.delivery_id in (None, entry.delivery_id, entry.batch_id)
        and wanted.event_id in (None, entry.event_id)
        and wanted.entity_id in (None, entry.entity_id)
    )


def lives_before(
    reader: HourReader, wanted: DeliveryFilter, before: LifeOrder | None
) -> Iterator[tuple[LifeOrder, FoundLife]]:
    """Yield the runs of a filter's interval before a key, the newest first, including those of one event."""
    subs = reader.subscriptions(wanted.partner_id, wanted.subscriptions)
    endings = frozenset(
        ending
        for ending, states in _STATES_OF.items()
        if wanted.states is None or wanted.states & states
    )
    upper = None if wanted.until is None else (wanted.until, -1, -1)
    bounds = [bound for bound in (before and before[:3], upper) if bound is not None]
    met = reader.lives(subs, min(bounds, default=None), endings)
    for place, together in groupby(met, key=lambda each: each[0]):
        if wanted.since is not None and place[0] < wanted.since:
            return
        lives = sorted(((order_of(life.key), life) for _, life in together), reverse=True)
        for key, life in lives:
            if before is None or key < before:
                yield key, life


_UNENDED = frozenset({DeliveryState.PENDING, DeliveryState.DEAD_LETTERED})
_STATES_OF: Mapping[Ending, frozenset[DeliveryState]] = {
    Ending.OPEN: _UNENDED,
    Ending.SKIPPED: _UNENDED,
    Ending.DEAD_LETTERED: _UNENDED,
    # No other has an entry that says so.
    Ending.CANCELLED: _UNENDED | {DeliveryState.CANCELLED},
    Ending.DELIVERED: frozenset({DeliveryState.COMPLETED}),
    Ending.DELIVERED_AT_ONCE: frozenset({DeliveryState.COMPLETED}),
}
"""The states that a run of an ending may be in: one that was dead-lettered may be redriven, for example."""


def selects_run(wanted: DeliveryFilter, each: IndexedDelivery) -> bool:
    """Return whether a filter selects a run in its present state."""
    state = each.state
    return (
        wanted.partner_id in (None, state.partner_id)
        and (wanted.subscriptions is None or state.subscription_id in wanted.subscriptions)
        and wanted.event_id in (None, state.event_id)
        and wanted.entity_id in (None, each.entity_id)
        and (wanted.event_types is None or state.event_type in wanted.event_types)
        and (wanted.states is None or state.state in wanted.states)
        and (wanted.since is None or each.origin_at >= wanted.since)
        and (wanted.until is None or each.origin_at < wanted.until)
    )


# Cursors.


def checked_cursor(after: Cursor | None, limit: int, kinds: tuple[type, ...]) -> None:
    """Check a list's limit and cursor.

    Raises:
        InputRefused: The limit is out of bounds, or the cursor is another list's.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise InputRefused(f"a page has 1 to {MOST_LISTED} items, not {limit}")
    if after is None:
        return
    if len(after) != len(kinds) or any(
        type(each) is not kind for each, kind in zip(after, kinds, strict=True)
    ):
        raise InputRefused("the cursor is not one of this list")
    if any(isinstance(each, int) and not -_LARGEST <= each <= _LARGEST for each in after):
        raise InputRefused("the cursor is not one of this list")


def place_of(after: Cursor | None, limit: int) -> Place | None:
    """Return the place in a cursor of attempts, or of records that were set aside; see `checked_cursor`."""
    checked_cursor(after, limit, (int, int, int))
    return None if after is None else cast("Place", tuple(after))


def key_of(after: Cursor | None, limit: int) -> LifeOrder | None:
    """Return the key in a cursor of deliveries; see `checked_cursor`."""
    checked_cursor(after, limit, (int, int, int, str, str, str))
    return None if after is None else cast("LifeOrder", tuple(after))
