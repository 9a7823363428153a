"""How many different things were met, in bounded memory: exactly while they are few, and else nearly."""

import struct
from bisect import bisect_left
from collections.abc import Iterable

MOST_HASHES = 128
"""Up to so many different things are counted exactly; beyond, the error is 9 % (one standard deviation)."""

HASH_BYTES = 8
_SPACE = 1 << 8 * HASH_BYTES


class Distinct:
    """A set of things, of which the smallest hashes are kept: the smaller they are, the more things there are.

    It does not change. What was stored is read once its hashes are asked for: of most sets, they never are.

    Args:
        hashes: The smallest `MOST_HASHES` hashes, of 64 bits, in ascending order.
    """

    __slots__ = ("_hashes", "_unread")

    def __init__(self, hashes: tuple[int, ...] = ()) -> None:
        self._hashes: tuple[int, ...] | None = hashes
        self._unread = b""

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same set."""
        return isinstance(other, Distinct) and self.hashes == other.hashes

    def __hash__(self) -> int:
        """Return the hash of the set."""
        return hash(self.hashes)

    @property
    def hashes(self) -> tuple[int, ...]:
        """The smallest `MOST_HASHES` hashes, in ascending order."""
        found = self._hashes
        if found is None:
            number = len(self._unread) // HASH_BYTES
            every = struct.unpack(f">{number}Q", self._unread)
            found = self._hashes = tuple(sorted(set(every))[:MOST_HASHES])
        return found

    @staticmethod
    def of(hashes: Iterable[int]) -> "Distinct":
        """Return the set of things with these hashes, in any order and with repetitions."""
        return Distinct(tuple(sorted(set(hashes))[:MOST_HASHES]))

    @staticmethod
    def read(*stored: bytes) -> "Distinct":
        """Return the union of the sets that `stored` returned."""
        made = Distinct()
        made._hashes, made._unread = None, b"".join(stored)
        return made

    @staticmethod
    def union(sets: Iterable["Distinct"]) -> "Distinct":
        """Return the union: things that are in several count once."""
        return Distinct.read(*(each.raw() for each in sets))

    def raw(self) -> bytes:
        """Return bytes that `read` takes; of a set whose hashes nobody asked for, those that it was read from."""
        return self._unread if self._hashes is None else self.stored()

    def stored(self) -> bytes:
        """Return it as bytes: eight for each hash, at most 1 KB."""
        return struct.pack(f">{len(self.hashes)}Q", *self.hashes)

    def joined(self, other: "Distinct") -> "Distinct":
        """Return the union: things that are in both count once."""
        if not self.hashes or not other.hashes:
            return self if self.hashes else other
        further = other.hashes
        if not self.is_exact:
            # Of what is beyond the largest that is kept, nothing is.
            further = further[: bisect_left(further, self.hashes[-1])]
        # Two runs in order are merged in one pass.
        both = dict.fromkeys(sorted(self.hashes + further))
        return Distinct(tuple(both)[:MOST_HASHES]) if further else self

    @property
    def is_exact(self) -> bool:
        """Whether `count` is exact."""
        return len(self.hashes) < MOST_HASHES

    @property
    def count(self) -> int:
        """How many different things there are."""
        if self.is_exact:
            return len(self.hashes)
        return round((MOST_HASHES - 1) * _SPACE / max(self.hashes[-1], 1))
