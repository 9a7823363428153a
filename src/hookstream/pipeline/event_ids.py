"""Counts, logs and publishes the reuse of an event id; it merges nothing."""

from hookstream.core.model.operations import OPERATIONS_EVENTS
from hookstream.core.model.record import Origin
from hookstream.core.offsets.event_ids import RecentEventIds
from hookstream.pipeline.defects import Step
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.ports import Ports, WriteRefused

_CAPACITY = 10_000
"""The events whose ids a worker remembers: about 3.5 MB."""

_LOG_EVERY = 60.0
"""Seconds between two log lines of one event type: a constant id would log every event."""

_RAISE_EVERY = 3600.0
"""Seconds between two operations events of one event type."""


class EventIds:
    """The ids of the events that a worker has taken lately."""

    def __init__(self, ports: Ports, fence: Fence) -> None:
        """Remember no id yet."""
        self._ports = ports
        self._fence = fence
        self._recent = RecentEventIds(_CAPACITY)
        # By event type; types are those of published schemas, so both stay small.
        self._logged: dict[str, float] = {}
        self._raised: dict[str, float] = {}

    def note(self, event_type: str, event_id: str, origin: Origin, value: bytes | None) -> None:
        """Record the event id of the record at `origin`; report another record with the same id.

        Nothing depends on it: a failure is logged.
        """
        try:
            reuse = self._recent.note(event_type, event_id, origin, value)
            if reuse is None or event_type in OPERATIONS_EVENTS:
                # After a crash, hookstream writes its own events again with a later time.
                return
            self._ports.metrics.event_id_reused(event_type, conflict=reuse.conflict)
            if reuse.conflict:
                self._conflict(event_type, event_id, reuse.first, origin)
        except Exception as error:  # noqa: BLE001  the fence
            self._fence.note(error, Step.NOTIFY)

    def _conflict(self, event_type: str, event_id: str, first: Origin, second: Origin) -> None:
        ports, now = self._ports, self._ports.clock.monotonic()
        if _passed(self._logged, event_type, now, _LOG_EVERY):
            ports.logger.warning(
                "event_id.conflict",
                event_type=event_type,
                event_id=event_id,
                first=first.place,
                second=second.place,
                remedy="two events have one id; receivers that deduplicate drop the second",
            )
        if _passed(self._raised, event_type, now, _RAISE_EVERY):
            event = ports.own_records.event_id_conflict(
                event_type, event_id, first, second, ports.clock.now()
            )
            ports.sink.write(event, self._written)

    def _written(self, refused: WriteRefused | None) -> None:
        if refused is not None:
            self._ports.logger.error("event_id.conflict_not_published", detail=refused.detail)


def _passed(last: dict[str, float], event_type: str, now: float, seconds: float) -> bool:
    """Return whether `seconds` passed since the last time that this returned True for a type."""
    before = last.get(event_type)
    if before is not None and now - before < seconds:
        return False
    last[event_type] = now
    return True
