"""Computes the partition of a key as workers' producers do: by murmur2, like Kafka's Java clients."""

from typing import Final

_MAGIC: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF
_WORD: Final = 4


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the partition that records with this key, which is not empty, are written to.

    Args:
        key: The key.
        partitions: How many partitions the topic has, 1 or more.
    """
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash with the seed of Kafka's clients."""
    hashed = _SEED ^ len(data)
    whole = len(data) - len(data) % _WORD
    for at in range(0, whole, _WORD):
        word = int.from_bytes(data[at : at + _WORD], "little") * _MAGIC & _MASK
        word = (word ^ word >> 24) * _MAGIC & _MASK
        hashed = hashed * _MAGIC & _MASK ^ word
    rest = data[whole:]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _MAGIC & _MASK
    hashed = (hashed ^ hashed >> 13) * _MAGIC & _MASK
    return hashed ^ hashed >> 15
