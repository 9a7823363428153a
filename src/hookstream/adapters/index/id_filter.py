"""A filter of a closed hour's ids of deliveries, events and entities, with one byte per id.

It is a Bloom filter: it never denies an id that is there, and admits about two of a hundred that are not. So a
look-up by an id opens the files that have it, and few others. It is memory-mapped; a query reads four bytes.
"""

import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from hookstream.adapters.index.postings import Of

_MAGIC = b"hsids1"
_HEAD = struct.Struct("<6sxxQ")
_QUESTIONS = 4
_BITS_EACH = 8
_LOW = (1 << 64) - 1
_LEAST_BITS = 512


def _numbers(kind: Of, hashed: int) -> tuple[int, int]:
    """Return two numbers derived from a hash by multiplication, so that a hash of few bits suffices."""
    mixed = (hashed + 1 + (kind << 40)) * 0x9E3779B97F4A7C15 & _LOW
    mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & _LOW
    return mixed >> 20, mixed & 0xFFFFFFFF | 1


class FilterBuilder:
    """Builds a filter in several steps.

    Args:
        ids: The expected maximum of ids; with more, it admits more false positives.
    """

    def __init__(self, ids: int) -> None:
        self._bits = max(_LEAST_BITS, ids * _BITS_EACH)
        self._bytes = bytearray((self._bits + 7) // 8)

    def add(self, kind: Of, hashes: Iterable[int]) -> None:
        """Add the hashes of ids of one kind (`postings.hash_of`)."""
        found, bits = self._bytes, self._bits
        for hashed in hashes:
            first, second = _numbers(kind, hashed)
            for question in range(_QUESTIONS):
                at = (first + question * second) % bits
                found[at >> 3] |= 1 << (at & 7)

    def write(self, path: Path) -> None:
        """Write it; the file appears when it is complete."""
        beside = path.with_name(path.name + ".new")
        beside.write_bytes(_HEAD.pack(_MAGIC, self._bits) + self._bytes)
        beside.replace(path)


class IdFilter:
    """A filter in its file.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a filter, or is truncated.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self._map = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        if len(self._map) < _HEAD.size:
            raise ValueError(f"{path.name} is too short for a filter")
        magic, self._bits = _HEAD.unpack_from(self._map)
        if magic != _MAGIC or len(self._map) != _HEAD.size + (self._bits + 7) // 8:
            raise ValueError(f"{path.name} is not a filter of delivery ids")

    def may_have(self, kind: Of, hashed: int) -> bool:
        """Return whether an id of this kind and hash may be in the file; False: it is not there."""
        first, second = _numbers(kind, hashed)
        for question in range(_QUESTIONS):
            at = (first + question * second) % self._bits
            if not self._map[_HEAD.size + (at >> 3)] >> (at & 7) & 1:
                return False
        return True

    def close(self) -> None:
        """Close it."""
        self._map.close()

    def __enter__(self) -> Self:
        """Use it until the end of a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
