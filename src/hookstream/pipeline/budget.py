"""Bounds the deliveries in a worker's memory, in number and in bytes; intake waits for it."""

import asyncio


class Budget:
    """Credit that intake spends and settling returns. It may be overdrawn by one record."""

    def __init__(self, deliveries: int, size: int) -> None:
        """Allow `deliveries` in memory at once, and records of `size` bytes in all."""
        self.most = deliveries
        """How many deliveries may be in memory at once."""
        self._deliveries = deliveries
        self._size = size
        self._free = asyncio.Event()
        self._free.set()

    @property
    def room(self) -> int:
        """How many more deliveries may be taken; 0 or less: none."""
        return self._deliveries if self._size > 0 else 0

    def take(self, size: int) -> None:
        """Spend the credit of one delivery of a record of `size` bytes."""
        self._deliveries -= 1
        self._size -= size
        if self.room <= 0:
            self._free.clear()

    def give(self, size: int) -> None:
        """Return the credit of one delivery."""
        self._deliveries += 1
        self._size += size
        if self.room > 0:
            self._free.set()

    async def wait(self) -> None:
        """Wait until a delivery may be taken."""
        await self._free.wait()
