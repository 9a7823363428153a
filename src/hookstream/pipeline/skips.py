"""An operator's word steps over a record that stops its partition; nothing else ever does.

The word names one offset and holds for the record that stood there when it was given: were the topic
created again, another one would stand there.
"""

import asyncio

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition

_REMEMBERED = 10_000
"""Words that are kept; the oldest goes first. One is needed only until its record was stepped over."""

_BELOW_SECONDS = 120.0
"""For how long a word that gives up what stands below an offset counts: a write may be under way."""


class Skips:
    """The words that were given, by partition and offset."""

    def __init__(self) -> None:
        """Know of none."""
        self._asked_at: dict[tuple[TopicPartition, int], Millis] = {}
        self._below: dict[TopicPartition, int] = {}
        """Of partitions that were let go on at an offset: what stands still below it is given up."""
        self._forgets: dict[TopicPartition, asyncio.TimerHandle] = {}
        self._heard = asyncio.Event()

    def hear(self, where: TopicPartition, offset: int, asked_at: Millis) -> None:
        """Take a word over; whoever waits for it goes on at once."""
        self._asked_at.pop((where, offset), None)
        self._asked_at[where, offset] = asked_at
        if len(self._asked_at) > _REMEMBERED:
            del self._asked_at[next(iter(self._asked_at))]
        self._heard.set()
        self._heard = asyncio.Event()

    def hear_below(self, where: TopicPartition, offset: int) -> None:
        """Give up what stands still below an offset; what stops there minutes later needs another word."""
        self._below[where] = offset
        self._heard.set()
        self._heard = asyncio.Event()
        earlier = self._forgets.get(where)
        if earlier is not None:
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._forgets[where] = loop.call_later(_BELOW_SECONDS, self._forget_below, where)

    def _forget_below(self, where: TopicPartition) -> None:
        del self._below[where], self._forgets[where]

    def given_since(self, instant: Millis) -> list[tuple[TopicPartition, int]]:
        """Return what was stepped over since an instant, the oldest word first."""
        return [place for place, asked_at in self._asked_at.items() if asked_at >= instant]

    def covers(self, record: Record) -> bool:
        """Return whether a record is to be stepped over."""
        if record.offset < self._below.get(record.where, 0):
            return True
        asked_at = self._asked_at.get((record.where, record.offset))
        if asked_at is None:
            return False
        # A producer's clock proves nothing about the word: it may be ahead by any time.
        return not record.append_time or record.timestamp <= asked_at

    async def heard_within(self, seconds: float, record: Record) -> bool:
        """Wait for the word on a record, so many seconds at most, and tell whether it was given."""
        try:
            async with asyncio.timeout(seconds):
                while not self.covers(record):
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True
