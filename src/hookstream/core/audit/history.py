"""The life of a delivery is told from its audit entries and its dead letters, in one order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import Millis


class DeliveryState(StrEnum):
    """What has become of a delivery so far."""

    COMPLETED = "completed"
    PENDING = "pending"
    CANCELLED = "cancelled"
    DEAD_LETTERED = "dead-lettered"
    UNKNOWN = "unknown"
    """Neither an audit entry nor a dead letter tells of it within the window read."""


@dataclass(slots=True, frozen=True)
class DeadLettered:
    """One dead letter of the delivery."""

    at: Millis
    place: str
    """Where it stands, `3@1042`."""
    reason: str
    detail: str
    attempt: int
    """Attempts made when it was given up."""
    redriven_by: str | None = None
    """The job that resolved it; None: it is open."""
    redriven_at: Millis | None = None
    """When that job was asked; None where its row is gone."""
    origin: str = ""
    """Where its event first stood, `topic-partition@offset`; empty where the letter names none."""


@dataclass(slots=True, frozen=True)
class Redrive:
    """A dead letter of the delivery came back to life."""

    at: Millis
    job_id: str
    place: str


HistoryEntry: TypeAlias = AuditEntry | DeadLettered | Redrive


_STANDINGS = {"cancel": DeliveryState.CANCELLED, "dead_letter": DeliveryState.DEAD_LETTERED}


@dataclass(slots=True, frozen=True)
class DeliveryHistory:
    """All that the topics still show of one delivery id.

    An id is computed from the event's id. Where a producer gave one id to several events, one
    delivery id names several deliveries: `by_origin` separates them.
    """

    delivery_id: str
    entries: tuple[AuditEntry, ...]
    deaths: tuple[DeadLettered, ...]

    @property
    def standing(self) -> DeliveryState:
        """What has become of it: completed for ever once it was, else what the last moment says.

        Of several events under one id, the first of completed, pending, cancelled, dead-lettered.
        """
        lives = self.by_origin()
        if len(lives) > 1:
            standings = {life.standing for life in lives.values()}
            return next(standing for standing in DeliveryState if standing in standings)
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
                return _STANDINGS.get(disposition, DeliveryState.PENDING)

    def by_origin(self) -> "dict[str, DeliveryHistory]":
        """Return the life of each event under this id, by `topic-partition@offset`, oldest first.

        A dead letter that names no origin belongs to the only event, or stands under an empty name.
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
        """Return everything that happened to it, in the order of time."""
        told: list[tuple[Millis, int, HistoryEntry]] = [
            (entry.started_at, 0, entry) for entry in self.entries
        ]
        for death in self.deaths:
            told.append((death.at, 1, death))
            if death.redriven_by is not None:
                # The job's row may be gone: then it is only known that it came after the death.
                at = death.at if death.redriven_at is None else death.redriven_at
                told.append((at, 2, Redrive(at, death.redriven_by, death.place)))
        told.sort(key=lambda moment: moment[:2])
        return [moment for _, _, moment in told]
