"""Remembers recent event ids with their records, so that reuse of an id is detected.

An event id identifies one event within its type. Two records with one id are the same event written
twice (equal bytes, a duplicate) or a producer's mistake (a conflict). They are not merged: both are
delivered under one `webhook-id`, and a receiver that deduplicates drops the second.
"""

from dataclasses import dataclass

from hookstream.core.model.record import Origin

_ORIGINS_KEPT = 8
"""The most records remembered for one id. It bounds an entry if a producer reuses one id for all."""


@dataclass(slots=True, frozen=True)
class Reuse:
    """A second record has the same event id."""

    first: Origin
    """The first record seen with the id."""
    conflict: bool
    """True: its bytes differ. False: it is a duplicate."""


class RecentEventIds:
    """The ids of the latest `capacity` events of one worker, each with its records.

    It keeps hashes, neither ids nor values: about 350 bytes an event, whatever the producer writes.

    Args:
        capacity: The number of ids remembered; the oldest is evicted first.
    """

    __slots__ = ("_by_id", "_capacity")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_id: dict[int, list[tuple[Origin, int]]] = {}

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._by_id)

    def note(
        self, event_type: str, event_id: str, origin: Origin, value: bytes | None
    ) -> Reuse | None:
        """Remember a record's id. Return the reuse if another record had it before.

        Args:
            event_type: The event's type: ids are unique within a type.
            event_id: The event's id.
            origin: The record's original position. The same origin is the same event: a retry, or a
                record that is read again.
            value: The record's bytes.
        """
        key = hash((event_type, event_id))
        seen = self._by_id.get(key)
        if seen is None:
            if len(self._by_id) >= self._capacity:
                del self._by_id[next(iter(self._by_id))]
            self._by_id[key] = [(origin, hash(value))]
            return None
        if any(origin == known for known, _ in seen):
            return None
        bytes_hash = hash(value)
        reuse = Reuse(seen[0][0], conflict=all(bytes_hash != known for _, known in seen))
        if len(seen) >= _ORIGINS_KEPT:
            del seen[1]
        seen.append((origin, bytes_hash))
        return reuse
