"""Keeps operators' requests to skip records that stop their partitions; nothing else skips a record.

A skip names one offset and covers the record that had it when the skip was requested: if the topic is created
again, another record gets that offset.
"""

import asyncio

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition

_REMEMBERED = 10_000
"""The most skips that are kept; the oldest is dropped first. A skip is needed until its record was skipped."""

_BELOW_SECONDS = 120.0
"""Seconds for which a start at an offset skips failed steps below it: a write may still be in flight."""


class Skips:
    """The skips of operators, by partition and offset."""

    def __init__(self) -> None:
        """Start without a skip."""
        self._asked_at: dict[tuple[TopicPartition, int], Millis] = {}
        self._below: dict[TopicPartition, int] = {}
        """The offsets at which operators started partitions: failed steps below them are skipped."""
        self._forgets: dict[TopicPartition, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()

    def skip(self, where: TopicPartition, offset: int, asked_at: Millis) -> None:
        """Add a skip, and wake the step that waits for it."""
        self._asked_at.pop((where, offset), None)
        self._asked_at[where, offset] = asked_at
        if len(self._asked_at) > _REMEMBERED:
            del self._asked_at[next(iter(self._asked_at))]
        self._changed.set()
        self._changed = asyncio.Event()

    def skip_below(self, where: TopicPartition, offset: int) -> None:
        """Skip failed steps below an offset; a step that fails minutes later needs another skip."""
        self._below[where] = offset
        self._changed.set()
        self._changed = asyncio.Event()
        earlier = self._forgets.get(where)
        if earlier is not None:
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._forgets[where] = loop.call_later(_BELOW_SECONDS, self._forget_below, where)

    def _forget_below(self, where: TopicPartition) -> None:
        del self._below[where], self._forgets[where]

    def given_since(self, instant: Millis) -> list[tuple[TopicPartition, int]]:
        """Return the skips since an instant, the oldest first."""
        return [place for place, asked_at in self._asked_at.items() if asked_at >= instant]

    def covers(self, record: Record) -> bool:
        """Return whether an operator skipped a record."""
        if record.offset < self._below.get(record.where, 0):
            return True
        asked_at = self._asked_at.get((record.where, record.offset))
        if asked_at is None:
            return False
        # A producer's clock may be ahead by any amount, so its timestamp proves nothing.
        return not record.append_time or record.timestamp <= asked_at

    async def requested_within(self, seconds: float, record: Record) -> bool:
        """Wait at most `seconds` for a skip of a record; return whether it came."""
        try:
            async with asyncio.timeout(seconds):
                while not self.covers(record):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
