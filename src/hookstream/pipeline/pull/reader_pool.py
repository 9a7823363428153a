"""Lends pooled readers of the log to requests behind its head, which wait here for their turn."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from hookstream.core.model.record import TopicPartition
from hookstream.core.pull.page import Busy
from hookstream.core.pull.turns import Turns
from hookstream.pipeline.past_ports import PastLog, PastReader, Taken

MOST_WAITING: Final = 128
MOST_OF_PARTNER: Final = 32
"""Requests that wait for a turn, of all and of one partner."""
LONGEST: Final = 5.0
"""Seconds that a request waits for its turn."""
_IDLE: Final = 60.0
"""Seconds without a turn after which a reader is closed: it would go on fetching."""
RETRY_AFTER: Final = 2
"""Seconds after which a refused reader may ask again."""


@dataclass(eq=False)
class PooledReader:
    """One reader of the log, which keeps its connections from one turn to the next."""

    log: PastLog
    subscription_id: str = ""
    """Whom it read for last."""
    turns: int = 0
    """How many turns it had."""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    reader: PastReader | None = None
    next: dict[TopicPartition, int] = field(default_factory=dict)
    """Its position in each partition."""

    async def go_to(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions, from these offsets on; partitions that are there already are kept."""
        reader = self.reader
        if reader is None:
            self.next = dict(positions)
            self.reader = await self.stack.enter_async_context(self.log.read(positions))
            return
        left = [at for at in self.next if at not in positions]
        if left:
            await reader.drop(left)
        moved = {at: offset for at, offset in positions.items() if self.next.get(at) != offset}
        if moved:
            await reader.place(moved)
        self.next = dict(positions)

    async def take(self, most: int) -> Taken:
        """As PastReader says."""
        if self.reader is None:
            return Taken()
        taken = await self.reader.take(most)
        self.next.update({at: to for at, to in taken.positions.items() if at in self.next})
        return taken

    async def place(self, positions: Mapping[TopicPartition, int]) -> None:
        """As PastReader says."""
        if self.reader is not None:
            await self.reader.place(positions)
            self.next.update(positions)

    async def drop(self, at: TopicPartition) -> None:
        """Read no more of a partition."""
        if self.reader is not None and at in self.next:
            del self.next[at]
            await self.reader.drop([at])

    async def close(self) -> None:
        """Close the reader; the next turn makes another one."""
        self.reader = None
        self.next = {}
        stack, self.stack = self.stack, AsyncExitStack()
        await stack.aclose()


class ReaderPool:
    """The pooled readers, and the requests that wait for one."""

    def __init__(self, log: PastLog, readers: int) -> None:
        """Make readers when they are first needed."""
        self._turns: Turns[asyncio.Future[None]] = Turns(readers, MOST_WAITING, MOST_OF_PARTNER)
        self._free = [PooledReader(log) for _ in range(readers)]
        self._readers = tuple(self._free)

    async def close(self) -> None:
        """Close all readers."""
        for reader in self._readers:
            await reader.close()

    @asynccontextmanager
    async def turn(
        self, partner_id: str, subscription_id: str
    ) -> AsyncIterator[PooledReader | Busy]:
        """Wait for a turn and lend a reader, the one that read for this subscription last if it is free."""
        busy = await self._wait(partner_id)
        if busy is not None:
            yield busy
            return
        reader = min(self._free, key=lambda each: each.subscription_id != subscription_id)
        self._free.remove(reader)
        reader.subscription_id = subscription_id
        reader.turns += 1
        try:
            yield reader
        except BaseException:
            # A call may still run in its thread, so the reader's position is unknown.
            await reader.close()
            raise
        finally:
            self._free.append(reader)
            self._turns.end(partner_id)
            self._begin()

    async def _wait(self, partner_id: str) -> Busy | None:
        """Wait for a turn, which the caller ends; Busy: there was none in time."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._turns.join(partner_id, ticket):
            return Busy("too many readers are behind the head of the log", RETRY_AFTER)
        self._begin()
        try:
            async with asyncio.timeout(LONGEST):
                await ticket
        except BaseException as error:
            if not self._turns.give_up(partner_id, ticket):
                # It was given a turn at this very moment.
                self._turns.end(partner_id)
                self._begin()
            if not isinstance(error, TimeoutError):
                raise
            return Busy("it was not this reader's turn in time", RETRY_AFTER)
        return None

    async def tidy(self) -> None:
        """Close each reader that had no turn for a minute, again and again; never returns."""
        before: list[int] = []
        while True:
            turns = [each.turns for each in self._readers]
            for reader, now, then in zip(self._readers, turns, before, strict=False):
                if now == then and reader in self._free:
                    await reader.close()
            before = turns
            await asyncio.sleep(_IDLE)

    def _begin(self) -> None:
        while (ticket := self._turns.next()) is not None:
            if not ticket.done():
                ticket.set_result(None)
