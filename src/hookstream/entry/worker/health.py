"""Liveness and readiness of a worker; an unavailable broker never makes it unhealthy."""

import asyncio
from collections.abc import Mapping, Sequence
from math import nan
from typing import Protocol

from hookstream.adapters.telemetry.stacks import stacks
from hookstream.core.model.instant import Millis
from hookstream.entry.worker.wiring import Wired
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.watchdog import Watchdog

_BEAT = 1.0
_DEAD_AFTER = 30.0
"""Seconds without an event loop iteration after which the process is unhealthy."""

_UNPOLLED_AFTER = 120.0
"""Seconds without a poll loop iteration after which the process is unhealthy. Waiting for an
unavailable broker takes a few seconds, revoking partitions up to one."""


_LONGEST = 300
"""The most characters of a fact."""


def alive(
    now: float, beat: float, polls: Sequence[float], watch: "StuckCheck"
) -> tuple[bool, Mapping[str, object]]:
    """Return whether a process is healthy, with the facts.

    Args:
        now: Monotonic seconds.
        beat: Time of the last event loop iteration.
        polls: Time of the last iteration of each running poll loop.
        watch: Whether the records taken are stuck.
    """
    silence, unpolled = now - beat, now - min(polls, default=now)
    facts = {
        "seconds_since_turn": round(silence, 3),
        "seconds_since_poll": round(unpolled, 3),
        "oldest_in_hand_seconds": round(watch.seconds, 3),
    }
    turns = silence < _DEAD_AFTER and unpolled < _UNPOLLED_AFTER
    return turns and not watch.stuck, facts


def matching(
    unreadable: Mapping[str, str], held: int, *, current: bool, clock: str = ""
) -> tuple[bool, Mapping[str, object]]:
    """Return whether a process matches events, with the facts.

    Args:
        unreadable: Unreadable table rows, with the reason: any of them stops matching.
        held: The number of assigned partitions.
        current: Whether the tables were recently read to their ends.
        clock: Why the machine's clock is not usable; empty if it is.
    """
    facts: dict[str, object] = {
        "tables_current": current,
        "unreadable_rows": len(unreadable),
        "partitions": held,
    }
    if clock:
        facts["clock"] = clock[:_LONGEST]
    if unreadable:
        key, why = next(iter(unreadable.items()))
        facts["unreadable_row"] = f"{key}: {why}"[:_LONGEST]
    return current and not unreadable and not clock and held > 0, facts


class StuckCheck(Protocol):
    """The state of the watchdog."""

    @property
    def seconds(self) -> float:
        """Seconds for which the current oldest unfinished record has been the oldest."""

    @property
    def stuck(self) -> bool:
        """Whether that exceeds the limit."""


class Health:
    """The facts behind /healthz, /readyz and the gauges of /metrics."""

    def __init__(self, parts: Wired, stuck_after: Millis) -> None:
        """Count from now."""
        self._parts = parts
        self._unexpected = Unexpected(parts.logger)
        self._watch = Watchdog(
            (parts.engine.events, parts.engine.tiers),
            parts.engine.room,
            parts.engine.gate,
            parts.clock,
            parts.logger,
            stacks,
            bound=stuck_after,
        )
        self._beat = parts.clock.monotonic()

    async def beat(self) -> None:
        """Record event loop iterations and check the progress of work, forever."""
        while True:
            self._beat = self._parts.clock.monotonic()
            try:
                self._watch.look()
            except Exception as error:  # noqa: BLE001  who only looks ends nothing
                self._unexpected.note(error, Step.NOTIFY)
            await asyncio.sleep(_BEAT)

    def live(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether all loops run and records make progress; the broker may be unavailable."""
        parts = self._parts
        turned = (parts.events.turned_at(), parts.tiers.turned_at())
        polls = [at for at in turned if at is not None]
        return alive(parts.clock.monotonic(), self._beat, polls, self._watch)

    def ready(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether events are matched: tables current and readable, partitions assigned."""
        parts = self._parts
        held = len(parts.engine.events.owned) + len(parts.engine.tiers.owned)
        clock = "" if parts.clock.agrees() else parts.clock.why()
        current = parts.tables.current()
        return matching(parts.directory.blind, held, current=current, clock=clock)

    def gauges(self) -> Mapping[str, float]:
        """Return the current value of every gauge, by its metric's name."""
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
            "hookstream_oldest_unsettled_seconds": max(0, now - min(oldest)) / 1000
            if oldest
            else 0.0,
            "hookstream_in_hand_seconds": self._watch.seconds,
            "hookstream_open_transaction_seconds": parts.events.hidden_seconds(),
            "hookstream_lag_seconds": 0.0 if events is None else max(0, now - events) / 1000,
            "hookstream_tier_overdue_seconds": (
                0.0 if next_due is None else max(0, now - next_due) / 1000
            ),
            "hookstream_tier_waiting_records": float(len(parts.engine.room)),
            "hookstream_table_age_seconds": parts.tables.age(),
            "hookstream_clock_skew_seconds": skew
            if (skew := parts.clock.skew) is not None
            else nan,
            "hookstream_unreadable_rows": float(len(parts.directory.blind)),
            "hookstream_in_flight": float(parts.engine.lanes.in_flight),
            "hookstream_queued": float(parts.engine.lanes.waiting),
            "hookstream_open_breakers": float(parts.engine.lanes.open_breakers),
            "hookstream_paused_partitions": float(parts.engine.room.paused),
            "hookstream_stopped_partitions": float(
                len(parts.events.stopped)
                + len(parts.tiers.stopped)
                + parts.engine.events.blocked
                + parts.engine.tiers.blocked
            ),
            "hookstream_unread_partitions": float(parts.events.unread + parts.tiers.unread),
            "hookstream_holds": float(len(parts.directory.holds)),
            "hookstream_connections": float(parts.sender.connections),
            "hookstream_egress_short_seconds": parts.sender.short_seconds,
        }
