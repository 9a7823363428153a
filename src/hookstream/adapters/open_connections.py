"""Bounds the open connections of a server, in total and per address.

At the bound, a new connection replaces the oldest idle one: what a client does now matters more than what
it kept open.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol


class Endable(Protocol):
    """A connection that can be ended. Hashable by identity."""

    @property
    def is_idle(self) -> bool:
        """Whether it may be ended for another one."""

    def end(self) -> None:
        """Close it at once and discard unwritten data. `OpenConnections.remove` comes before it returns."""


class OpenConnections:
    """The connections. Owned by one event loop.

    Args:
        most: The most at once.
        most_of_address: The most of one address; None: all of them.
        is_exempt: Whether an address may have any number of them: a proxy, which has those of many clients.
    """

    def __init__(
        self,
        most: int,
        most_of_address: int | None = None,
        is_exempt: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._most = most
        self._most_of_address = most if most_of_address is None else most_of_address
        self._is_exempt = is_exempt
        self._open: dict[Endable, str] = {}
        """Each with its address, in the order in which they were opened."""
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def __iter__(self) -> Iterator[Endable]:
        """Return an iterator over the connections that are open now."""
        return iter(list(self._open))

    def add(self, connection: Endable, address: str) -> bool:
        """Add a new connection; return whether there is room for it. If there is none, it is not added."""
        of_address = self._of_address[address] >= self._most_of_address
        if of_address and not self._is_exempt(address) and not self._make_room(address):
            return False
        if len(self._open) >= self._most and not self._make_room(None):
            return False
        self._open[connection] = address
        self._of_address[address] += 1
        return True

    def remove(self, connection: Endable) -> None:
        """Forget a connection, if it is known."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def _make_room(self, address: str | None) -> bool:
        """End the oldest idle connection, of an address if one is given."""
        for connection, its_address in self._open.items():
            if connection.is_idle and address in (None, its_address):
                connection.end()
                self.remove(connection)
                return True
        return False
