"""Liveness and readiness of a worker; an unavailable broker never makes it unhealthy."""

from collections.abc import Mapping
from math import nan

from hookstream.adapters.telemetry.stacks import stacks
from hookstream.core.model.instant import Millis
from hookstream.entry.heartbeat import DEAD_AFTER, Heartbeat
from hookstream.entry.worker.wiring import Wired
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.watchdog import Watchdog

_UNPOLLED_AFTER = 120.0
"""Seconds without a poll loop iteration after which the process is unhealthy. Waiting for an
unavailable broker takes a few seconds, revoking partitions up to one."""


_LONGEST = 300
"""The most characters of a fact."""


def alive(
    silence: float, unpolled: float, oldest: float, *, stuck: bool
) -> tuple[bool, Mapping[str, object]]:
    """Return whether a process is healthy, with the facts.

    Args:
        silence: Seconds since the last event loop iteration.
        unpolled: Seconds since the last iteration of the poll loop that is silent for longest.
        oldest: Seconds for which the oldest unfinished record has been the oldest.
        stuck: Whether that exceeds the limit.
    """
    facts = {
        "seconds_since_turn": round(silence, 3),
        "seconds_since_poll": round(unpolled, 3),
        "oldest_in_hand_seconds": round(oldest, 3),
    }
    turns = silence < DEAD_AFTER and unpolled < _UNPOLLED_AFTER
    return turns and not stuck, facts


def matching(
    unreadable: Mapping[str, str], assigned: int, *, current: bool, clock: str = ""
) -> tuple[bool, Mapping[str, object]]:
    """Return whether a process matches events, with the facts.

    Args:
        unreadable: Unreadable table rows, with the reason: any of them stops matching.
        assigned: The number of assigned partitions.
        current: Whether the tables were recently read to their ends.
        clock: Why the machine's clock is not usable; empty if it is.
    """
    facts: dict[str, object] = {
        "tables_current": current,
        "unreadable_rows": len(unreadable),
        "partitions": assigned,
    }
    if clock:
        facts["clock"] = clock[:_LONGEST]
    if unreadable:
        key, why = next(iter(unreadable.items()))
        facts["unreadable_row"] = f"{key}: {why}"[:_LONGEST]
    return current and not unreadable and not clock and assigned > 0, facts


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
        self._heartbeat = Heartbeat(parts.clock.monotonic)

    async def beat(self) -> None:
        """Record event loop iterations and check the progress of work, forever."""
        await self._heartbeat.run(self._look)

    def _look(self) -> None:
        try:
            self._watch.look()
        except Exception as error:  # noqa: BLE001  a failed check must not end the worker
            self._unexpected.note(error, Step.NOTIFY)

    def live(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether all loops run and records make progress; the broker may be unavailable."""
        parts, watch = self._parts, self._watch
        polls = parts.events.turned_at, parts.tiers.turned_at
        unpolled = parts.clock.monotonic() - min(polls)
        return alive(self._heartbeat.silence, unpolled, watch.seconds, stuck=watch.stuck)

    def ready(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether events are matched: tables current and readable, partitions assigned."""
        parts = self._parts
        assigned = len(parts.engine.events.owned) + len(parts.engine.tiers.owned)
        clock = "" if parts.clock.agrees() else parts.clock.why()
        current = parts.tables.current()
        return matching(parts.directory.blind, assigned, current=current, clock=clock)

    def gauges(self) -> Mapping[str, float]:
        """Return the current value of every gauge, by its metric's name."""
        parts = self._parts
        now = parts.clock.now()

        def since(instant: Millis | None) -> float:
            return 0.0 if instant is None else max(0, now - instant) / 1000

        events = since(parts.engine.events.oldest_unsettled())
        tiers = since(parts.engine.tiers.oldest_unsettled())
        skew = parts.clock.skew
        return {
            "hookstream_oldest_unsettled_seconds": max(events, tiers),
            "hookstream_in_hand_seconds": self._watch.seconds,
            "hookstream_open_transaction_seconds": parts.events.open_transaction_seconds(),
            "hookstream_lag_seconds": events,
            "hookstream_tier_overdue_seconds": since(parts.engine.room.next_due()),
            "hookstream_tier_waiting_records": float(len(parts.engine.room)),
            "hookstream_table_age_seconds": parts.tables.age(),
            "hookstream_clock_skew_seconds": nan if skew is None else skew,
            "hookstream_unreadable_rows": float(len(parts.directory.blind)),
            "hookstream_in_flight": float(parts.engine.lanes.in_flight),
            "hookstream_queued": float(parts.engine.lanes.waiting),
            "hookstream_open_breakers": float(len(parts.engine.lanes.open_breakers)),
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
            **parts.jobs.gauges(now),
        }
