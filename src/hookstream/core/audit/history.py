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
    job: str | None = None
    """The job whose run it belongs to; None: the delivery's first life, redrives included."""
    purge: "Purge | None" = None
    """Its purge. It stays dead-lettered: nobody wants it delivered any more."""

    @property
    def is_open(self) -> bool:
        """Whether it was neither redriven nor purged."""
        return self.redriven_by is None and self.purge is None


@dataclass(slots=True, frozen=True)
class Redrive:
    """A dead letter of the delivery was redriven."""

    at: Millis
    job_id: str
    place: str


@dataclass(slots=True, frozen=True)
class Purge:
    """A dead letter of the delivery was purged."""

    at: Millis
    """When it was requested."""
    job_id: str
    place: str
    by: str
    """Who purged it."""
    why: str


HistoryEntry: TypeAlias = AuditEntry | DeadLettered | Redrive | Purge


_STATES = {"cancel": DeliveryState.CANCELLED, "dead_letter": DeliveryState.DEAD_LETTERED}


@dataclass(slots=True, frozen=True)
class DeliveryHistory:
    """All that the topics still have about one delivery id.

    An id is computed from the event's id. If a producer gave one id to several events, one delivery
    id identifies several deliveries: `by_origin` separates them. Each has a run for every job that sent
    it again: `by_run` separates these.
    """

    delivery_id: str
    entries: tuple[AuditEntry, ...]
    deaths: tuple[DeadLettered, ...]

    @property
    def state(self) -> DeliveryState:
        """The state of its newest run: completed if that ever was, otherwise that of its latest entry.

        Of several events under one id, the first of completed, pending, cancelled, dead-lettered.
        """
        lives = self.by_origin()
        if len(lives) > 1:
            states = {life.state for life in lives.values()}
            return next(state for state in DeliveryState if state in states)
        runs = self.by_run()
        if len(runs) > 1:
            return list(runs.values())[-1].state
        if self.completed:
            return DeliveryState.COMPLETED
        moments = self.moments()
        if not moments:
            return DeliveryState.UNKNOWN
        match moments[-1]:
            case Redrive():
                return DeliveryState.PENDING
            case DeadLettered() | Purge():
                return DeliveryState.DEAD_LETTERED
            case AuditEntry(disposition=disposition):
                return _STATES.get(disposition, DeliveryState.PENDING)

    @property
    def purge(self) -> Purge | None:
        """The purge that ended it; None: it is not dead-lettered, or its last dead letter is open."""
        moments = self.moments()
        last = moments[-1] if moments else None
        dead = self.state is DeliveryState.DEAD_LETTERED
        return last if dead and isinstance(last, Purge) else None

    @property
    def completed(self) -> bool:
        """Whether any run completed: the receiver has had the event, whatever became of a later run."""
        return any(entry.disposition == "complete" for entry in self.entries)

    def within(self, since: Millis | None, until: Millis | None) -> "DeliveryHistory":
        """Return what happened from `since` on and before `until`; None: without a bound."""

        def is_within(at: Millis) -> bool:
            return (since is None or at >= since) and (until is None or at < until)

        return DeliveryHistory(
            self.delivery_id,
            tuple(entry for entry in self.entries if is_within(entry.started_at)),
            tuple(death for death in self.deaths if is_within(death.at)),
        )

    def by_run(self) -> "dict[str | None, DeliveryHistory]":
        """Return the history of each run by its job, in the order in which they began.

        None is the job of the first life, with its redrives.
        """
        began: dict[str | None, Millis] = {}
        for at, job in (
            *((entry.started_at, entry.job_id) for entry in self.entries),
            *((death.at, death.job) for death in self.deaths),
        ):
            began[job] = min(at, began.get(job, at))
        if len(began) <= 1:
            return {next(iter(began), None): self}
        return {
            job: DeliveryHistory(
                self.delivery_id,
                tuple(entry for entry in self.entries if entry.job_id == job),
                tuple(death for death in self.deaths if death.job == job),
            )
            for job in sorted(began, key=lambda job: (began[job], job is not None))
        }

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
            if death.purge is not None:
                moments.append((max(death.at, death.purge.at), 2, death.purge))
        moments.sort(key=lambda moment: moment[:2])
        return [moment for _, _, moment in moments]
