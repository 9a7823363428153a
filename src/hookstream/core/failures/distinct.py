"""How many different things were met, in bounded memory: exactly while they are few, and else nearly."""

import struct
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

MOST_HASHES = 128
"""Up to so many different things are counted exactly; beyond, the error is 9 % (one standard deviation)."""

HASH_BYTES = 8
_SPACE = 1 << 8 * HASH_BYTES


@dataclass(slots=True, frozen=True)
class Distinct:
    """A set of things, of which the smallest hashes are kept: the smaller they are, the more things there are."""

    hashes: tuple[int, ...] = ()
    """The smallest `MOST_HASHES` hashes, of 64 bits, in ascending order."""

    @staticmethod
    def of(hashes: Iterable[int]) -> "Distinct":
        """Return the set of things with these hashes, in any order and with repetitions."""
        return Distinct(tuple(sorted(set(hashes))[:MOST_HASHES]))

    @staticmethod
    def read(stored: bytes) -> "Distinct":
        """Return the set that `stored` returned."""
        return Distinct(struct.unpack(f">{len(stored) // HASH_BYTES}Q", stored))

    @staticmethod
    def union(stored: Iterable[bytes]) -> "Distinct":
        """Return the union of sets as `stored` returned them."""
        together = b"".join(stored)
        return Distinct.of(struct.unpack(f">{len(together) // HASH_BYTES}Q", together))

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
