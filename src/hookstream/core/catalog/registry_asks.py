"""Decides when a registry is asked for an id, so that ids drawn at random neither flood it nor memory.

1. An id that the registry does not have is asked for again after 10 s, not before.
2. A registry is asked at most 50 times a second, 100 at once.
3. The time that answers of no use took is charged as well: a slow registry and a stream of ids that it
   does not have take at most half of the time. What must not be asked waits as an unknown schema does.
"""

from collections import OrderedDict
from typing import Final

from hookstream.core.model.registered import NotFound, RegistryAnswer, Unusable

ASK_AGAIN: Final = 10.0
"""Seconds for which a registry's "not found" is believed."""
RATE: Final = 50.0
"""Requests a second."""
BURST: Final = 100.0
_LONGEST_REST: Final = 20.0
"""Seconds for which a slow registry is asked nothing."""
KNOWN: Final = 4_096
"""The most ids of a registry that are kept as not found; the oldest is dropped first.

More than are asked for in `ASK_AGAIN` seconds, so dropping one asks no earlier."""


class RegistryAsks:
    """What may be asked of one registry. Times are monotonic seconds."""

    def __init__(self) -> None:
        """Allow a burst of requests."""
        self._useless: OrderedDict[str, tuple[float, NotFound | Unusable]] = OrderedDict()
        """Ids by when the answer was received, oldest first."""
        self._tokens = BURST
        self._counted_at = float("-inf")

    def known(self, schema_id: str, now: float) -> NotFound | Unusable | None:
        """Return what the registry answered for an id less than 10 s ago."""
        found = self._useless.get(schema_id)
        if found is None:
            return None
        answered_at, answer = found
        if not 0 <= now - answered_at < ASK_AGAIN:
            del self._useless[schema_id]
            return None
        return answer

    def spend(self, now: float) -> bool:
        """Return whether the registry may be asked now, and count the request."""
        elapsed = max(0.0, now - self._counted_at)
        self._tokens = min(BURST, self._tokens + elapsed * RATE)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def answered(self, schema_id: str, answer: RegistryAnswer, took: float, now: float) -> None:
        """Note an answer and the seconds that it took."""
        if not isinstance(answer, NotFound | Unusable):
            self._useless.pop(schema_id, None)
            return
        # Twice: while it took that long, as many requests were allowed again.
        self._tokens = max(-_LONGEST_REST * RATE, self._tokens - 2 * took * RATE)
        self._useless[schema_id] = (now, answer)
        self._useless.move_to_end(schema_id)
        if len(self._useless) > KNOWN:
            self._useless.popitem(last=False)

    def __len__(self) -> int:
        """Return how many ids are kept."""
        return len(self._useless)
