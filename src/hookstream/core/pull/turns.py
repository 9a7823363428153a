"""Whose turn it is to read what lies behind the head of the log: few read at once, and partners share that."""

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(slots=True)
class Turns(Generic[T]):
    """Tickets that wait for a turn, by partner, and those that have one.

    The next turn goes to a partner with the fewest running turns, of those to the one that waits since the
    longest time without a turn; within a partner to its oldest ticket.
    """

    at_once: int
    """The most turns at once."""
    most_waiting: int
    """The most tickets that wait."""
    most_of_partner: int
    """The most tickets of one partner that wait."""
    _waiting: "OrderedDict[str, deque[T]]" = field(default_factory=OrderedDict)
    _running: "Counter[str]" = field(default_factory=Counter)

    @property
    def running(self) -> int:
        """How many have a turn."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return sum(map(len, self._waiting.values()))

    def join(self, partner_id: str, ticket: T) -> bool:
        """Queue a ticket; False: too many wait."""
        queue = self._waiting.get(partner_id)
        if self.waiting >= self.most_waiting or (
            queue is not None and len(queue) >= self.most_of_partner
        ):
            return False
        if queue is None:
            queue = self._waiting[partner_id] = deque()
        queue.append(ticket)
        return True

    def next(self) -> T | None:
        """Return the ticket that has a turn from now on; None: nobody may begin, or nobody waits."""
        if self.running >= self.at_once or not self._waiting:
            return None
        # Of equals the first in the order of the dictionary: a partner that was served goes to its end.
        partner_id = min(self._waiting, key=lambda each: self._running[each])
        queue = self._waiting[partner_id]
        ticket = queue.popleft()
        if queue:
            self._waiting.move_to_end(partner_id)
        else:
            del self._waiting[partner_id]
        self._running[partner_id] += 1
        return ticket

    def give_up(self, partner_id: str, ticket: T) -> bool:
        """Remove a ticket that waits no longer; False: it does not wait."""
        queue = self._waiting.get(partner_id)
        if queue is None or ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del self._waiting[partner_id]
        return True

    def end(self, partner_id: str) -> None:
        """End one turn of a partner."""
        self._running[partner_id] -= 1
        if self._running[partner_id] <= 0:
            del self._running[partner_id]
