"""Recent event ids are remembered with the record that used each, so that a second use is noticed.

An event id is the identity of one event within its type. Two records that carry one id are the same
event written twice (equal bytes, a duplicate) or a producer's mistake (a conflict). Neither is
merged: both are delivered, under one `webhook-id`, and a receiver that deduplicates drops the second.
"""

from dataclasses import dataclass

from hookstream.core.model.record import Origin

_ORIGINS_KEPT = 8
"""Records remembered for one id. One id for everything must not make an entry grow."""


@dataclass(slots=True, frozen=True)
class Reuse:
    """A second record carries an event id."""

    first: Origin
    """The record that was seen with the id first."""
    conflict: bool
    """True: its bytes differ. False: it is a duplicate."""


class RecentEventIds:
    """The ids of the latest `capacity` events of one worker, each with the records that carried it.

    It holds hashes, neither ids nor values: about 350 bytes an event, whatever a producer writes.

    Args:
        capacity: Ids remembered; the one that was first seen longest ago is forgotten first.
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
        """Remember that a record carries an id; return the reuse where another record did before.

        Args:
            event_type: The event's type: an id is an identity within its type.
            event_id: The event's id.
            origin: Where the record first stood. The same origin is the same event: a retry, or a
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
