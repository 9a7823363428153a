"""Halves a refused batch until it finds the member that caused the refusal.

The search assumes that there is one such member. It takes one request for each halving and one for all members
that were set aside as probably innocent: with the refused request at most `ceil(log2 n) + 2`. If several
members are at fault, one of them is found, and the request with those set aside is refused again: all of these
are retried by their own schedules, in other batches.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

REFUSES_BODY = frozenset({400, 413, 422})
"""The statuses that may concern the body of one member, or the size of all members together."""

HALVED_AGAIN_AFTER = 60.0
"""Seconds for which a lane halves no batch after a search in which nothing was accepted: its endpoint
refuses every body, so halving finds nothing."""

T = TypeVar("T")


class Halving(Generic[T]):
    """The search in one refused batch.

    Args:
        members: The members of the batch, at least two, the oldest first.
    """

    __slots__ = ("_aside", "_left", "_suspects", "accepted")

    def __init__(self, members: Sequence[T]) -> None:
        self._suspects = list(members)
        """At least one of them is at fault."""
        self._aside: list[T] = []
        self._left = (len(members) - 1).bit_length() + 1
        """How many more requests may be made: `ceil(log2 n) + 1`."""
        self.accepted = False
        """Whether any request of the search was accepted."""

    def members(self) -> list[T]:
        """Return the unsettled members, the oldest first: `probe` and those after it."""
        return self._suspects + self._aside

    def probe(self) -> list[T]:
        """Return the members of the next request; none: the search is over."""
        suspects = self._suspects
        if not suspects:
            return list(self._aside)
        return suspects[: max(1, len(suspects) // 2)]

    def answered(self, *, accepted: bool) -> list[T]:
        """Record whether the request with `probe` was accepted, or refused with a status of `REFUSES_BODY`.

        Returns:
            Members to settle as refused although they were not sent alone. Accepted members, and one that was
            sent alone, are settled by their answer.
        """
        probe = self.probe()
        self._left -= 1
        self.accepted |= accepted
        if not self._suspects:
            self._aside = []
            return [] if accepted or len(probe) == 1 else probe
        others = self._suspects[len(probe) :]
        if accepted:
            self._suspects = others
        else:
            # They are older than those set aside before: the suspects are a range of the batch.
            self._aside = others + self._aside
            self._suspects = probe if len(probe) > 1 else []
        if len(self._suspects) == 1 and self._aside and self._left == 1:
            # It is at fault, since all members sent with it were accepted. The last request is for the others.
            found, self._suspects = self._suspects, []
            return found
        return []
