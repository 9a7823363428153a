"""Health tells whether a worker turns and whether it is ready, and never blames it for the broker."""

import asyncio
from collections.abc import Mapping, Sequence

from hookstream.entry.wiring import Wired

_BEAT = 1.0
_DEAD_AFTER = 30.0
"""Seconds without a turn of the event loop after which the process is of no use to anybody."""

_UNPOLLED_AFTER = 120.0
"""Seconds without a turn of a poll loop. A turn that waits for an absent broker takes a few, and one
that gives partitions up up to one."""


def alive(now: float, beat: float, polls: Sequence[float]) -> tuple[bool, Mapping[str, object]]:
    """Tell whether a process is of use to anybody, with the facts.

    Args:
        now: Monotonic seconds.
        beat: When the event loop last turned.
        polls: When each poll loop that runs last turned.
    """
    silence, unpolled = now - beat, now - min(polls, default=now)
    facts = {"seconds_since_turn": round(silence, 3), "seconds_since_poll": round(unpolled, 3)}
    return silence < _DEAD_AFTER and unpolled < _UNPOLLED_AFTER, facts


class Health:
    """The facts behind /healthz, /readyz and the gauges of /metrics."""

    def __init__(self, parts: Wired) -> None:
        """Count from now."""
        self._parts = parts
        self._beat = parts.clock.monotonic()

    async def beat(self) -> None:
        """Note that the event loop turns, for ever."""
        while True:
            self._beat = self._parts.clock.monotonic()
            await asyncio.sleep(_BEAT)

    def live(self) -> tuple[bool, Mapping[str, object]]:
        """Tell whether the event loop and both poll loops turn; the broker may be away."""
        parts = self._parts
        polls = (parts.events.turned_at(), parts.tiers.turned_at())
        return alive(parts.clock.monotonic(), self._beat, [at for at in polls if at is not None])

    def ready(self) -> tuple[bool, Mapping[str, object]]:
        """Tell whether the tables are current and partitions are held."""
        parts = self._parts
        current = parts.tables.current()
        held = len(parts.engine.events.owned) + len(parts.engine.tiers.owned)
        facts = {"tables_current": current, "partitions": held}
        return current and held > 0, facts

    def gauges(self) -> Mapping[str, float]:
        """Return the present value of every gauge, by its metric's name."""
        parts = self._parts
        now = parts.clock.now()
        oldest = [
            instant
            for instant in (
                parts.engine.events.oldest_unsettled(),
                parts.engine.tiers.oldest_unsettled(),
            )
            if instant is not None
        ]
        events = parts.engine.events.oldest_unsettled()
        next_due = parts.engine.room.next_due()
        return {
            "hookstream_oldest_unsettled_seconds": (now - min(oldest)) / 1000 if oldest else 0.0,
            "hookstream_lag_seconds": 0.0 if events is None else (now - events) / 1000,
            "hookstream_tier_overdue_seconds": (
                0.0 if next_due is None else max(0, now - next_due) / 1000
            ),
            "hookstream_tier_waiting_records": float(len(parts.engine.room)),
            "hookstream_table_age_seconds": parts.tables.age(),
            "hookstream_in_flight": float(parts.engine.lanes.in_flight),
            "hookstream_paused_partitions": float(parts.engine.room.paused),
            "hookstream_stopped_partitions": float(
                len(parts.events.stopped)
                + len(parts.tiers.stopped)
                + parts.engine.events.blocked
                + parts.engine.tiers.blocked
            ),
            "hookstream_connections": float(parts.sender.connections),
        }
