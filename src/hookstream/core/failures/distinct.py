"""How many different things were met, in bounded memory: exactly while they are few, and else nearly."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest

MOST_HASHES = 256
"""Up to so many different things are counted exactly; beyond, the error is 6 % (one standard deviation)."""

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
        return Distinct(tuple(nsmallest(MOST_HASHES, set(hashes))))

    @staticmethod
    def read(stored: bytes) -> "Distinct":
        """Return the set that `stored` returned."""
        return Distinct(
            tuple(
                int.from_bytes(stored[at : at + HASH_BYTES], "big")
                for at in range(0, len(stored), HASH_BYTES)
            )
        )

    def stored(self) -> bytes:
        """Return it as bytes: eight for each hash, at most 2 KB."""
        return b"".join(each.to_bytes(HASH_BYTES, "big") for each in self.hashes)

    def joined(self, other: "Distinct") -> "Distinct":
        """Return the union: things that are in both count once."""
        if not self.hashes or not other.hashes:
            return self if self.hashes else other
        return Distinct.of((*self.hashes, *other.hashes))

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
