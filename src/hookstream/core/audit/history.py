"""A delivery's history is assembled from its audit entries and its dead letters, in time order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import Millis


class DeliveryState(StrEnum):
    """The state of a delivery, derived from its history."""

    COMPLETED = "completed"
    PENDING = "pending"
    CANCELLED = "cancelled"
    DEAD_LETTERED = "dead-lettered"
    UNKNOWN = "unknown"
    """Neither an audit entry nor a dead letter mentions it within the window read."""


@dataclass(slots=True, frozen=True)
class DeadLettered:
    """One dead letter of the delivery."""

    at: Millis
    place: str
    """Its position in the topic, `3@1042`."""
    reason: str
    detail: str
    attempt: int
    """Attempts made before it was dead-lettered."""
    redriven_by: str | None = None
    """The job that resolved it; None: it is open."""
    redriven_at: Millis | None = None
    """When that job was requested; None if its row is gone."""
    origin: str = ""
    """The event's original position, `topic-partition@offset`; empty if the dead letter has none."""


@dataclass(slots=True, frozen=True)
class Redrive:
    """A dead letter of the delivery was redriven."""

    at: Millis
    job_id: str
    place: str


HistoryEntry: TypeAlias = AuditEntry | DeadLettered | Redrive


_STATES = {"cancel": DeliveryState.CANCELLED, "dead_letter": DeliveryState.DEAD_LETTERED}


@dataclass(slots=True, frozen=True)
class DeliveryHistory:
    """All that the topics still have about one delivery id.

    An id is computed from the event's id. If a producer gave one id to several events, one delivery
    id identifies several deliveries: `by_origin` separates them.
    """

    delivery_id: str
    entries: tuple[AuditEntry, ...]
    deaths: tuple[DeadLettered, ...]

    @property
    def state(self) -> DeliveryState:
        """Its state: completed if it ever was, otherwise that of the latest entry.

        Of several events under one id, the first of completed, pending, cancelled, dead-lettered.
        """
        lives = self.by_origin()
        if len(lives) > 1:
            states = {life.state for life in lives.values()}
            return next(state for state in DeliveryState if state in states)
        if any(entry.disposition == "complete" for entry in self.entries):
            return DeliveryState.COMPLETED
        moments = self.moments()
        if not moments:
            return DeliveryState.UNKNOWN
        match moments[-1]:
            case Redrive():
                return DeliveryState.PENDING
            case DeadLettered():
                return DeliveryState.DEAD_LETTERED
            case AuditEntry(disposition=disposition):
                return _STATES.get(disposition, DeliveryState.PENDING)

    def by_origin(self) -> "dict[str, DeliveryHistory]":
        """Return the history of each event under this id, by `topic-partition@offset`, oldest first.

        A dead letter without an origin belongs to the only event, or is listed under an empty name.
        """
        origins = list(dict.fromkeys(entry.origin.place for entry in self.entries))
        origins += [death.origin for death in self.deaths]
        named = [origin for origin in dict.fromkeys(origins) if origin]
        if len(named) <= 1:
            return {named[0] if named else "": self}
        return {
            origin: DeliveryHistory(
                self.delivery_id,
                tuple(entry for entry in self.entries if entry.origin.place == origin),
                tuple(death for death in self.deaths if death.origin == origin),
            )
            for origin in dict.fromkeys(origins)
        }

    def moments(self) -> list[HistoryEntry]:
        """Return everything that happened to it, in time order."""
        moments: list[tuple[Millis, int, HistoryEntry]] = [
            (entry.started_at, 0, entry) for entry in self.entries
        ]
        for death in self.deaths:
            moments.append((death.at, 1, death))
            if death.redriven_by is not None:
                # If the job's row is gone, it is only known that it came after the dead letter.
                at = death.at if death.redriven_at is None else death.redriven_at
                moments.append((at, 2, Redrive(at, death.redriven_by, death.place)))
        moments.sort(key=lambda moment: moment[:2])
        return [moment for _, _, moment in moments]
