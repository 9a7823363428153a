"""A refused batch is halved until the member is found that it was refused for.

The search assumes that there is one. It takes one request for each halving and one for all members that
were set aside as probably innocent: with the refused one at most `ceil(log2 n) + 2`. Where several
members are at fault, the one that is found is found all the same, and the request with those set aside
is refused again: all of them are retried by their own schedules, and meet in other batches.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

REFUSES_BODY = frozenset({400, 413, 422})
"""The statuses that may be about the body of one member, or about the size of all together."""

HALVED_AGAIN_AFTER = 60.0
"""Seconds for which a lane halves no batch after a search in which nothing was accepted: its endpoint
refuses every body, so that halving finds nothing."""

T = TypeVar("T")


class Halving(Generic[T]):
    """The search in one refused batch.

    Args:
        members: The members of the batch, at least two, the oldest first.
    """

    __slots__ = ("_aside", "_left", "_suspects", "accepted")

    def __init__(self, members: Sequence[T]) -> None:
        self._suspects = list(members)
        """One of them at least is at fault."""
        self._aside: list[T] = []
        self._left = (len(members) - 1).bit_length() + 1
        """How many more requests may be made: `ceil(log2 n) + 1`."""
        self.accepted = False
        """Whether any request of the search was accepted."""

    def members(self) -> list[T]:
        """Return those that are not settled, the oldest first: `probe` and what comes after it."""
        return self._suspects + self._aside

    def probe(self) -> list[T]:
        """Return what the next request contains; nothing: the search is over."""
        suspects = self._suspects
        if not suspects:
            return list(self._aside)
        return suspects[: max(1, len(suspects) // 2)]

    def answered(self, *, accepted: bool) -> list[T]:
        """Note whether the request with `probe` was accepted; the other answer is a status of `REFUSES_BODY`.

        Returns:
            Members that are settled now as refused, though they were not sent alone. A member that was
            sent alone, and what was accepted, is settled by its answer.
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
            # Older than what was set aside before: the suspects are a range of the batch.
            self._aside = others + self._aside
            self._suspects = probe if len(probe) > 1 else []
        if len(self._suspects) == 1 and self._aside and self._left == 1:
            # It is at fault, as all that were with it were accepted. The last request is the others'.
            found, self._suspects = self._suspects, []
            return found
        return []
