"""A cursor is where a reader of one subscription stands: of each partition the next offset.

Topics are known by their ids (KIP-516): one that was created again is another topic. A cursor is sealed
before it is handed out, since offsets tell the traffic of the whole platform; it is padded, since its length
would tell something of them too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from hookstream.core.model.instant import Millis
from hookstream.core.model.varint import varint, varints

MOST_BYTES: Final = 4_352
"""The most bytes of a cursor. Sealed and as text it has less than 6,000 characters, which every HTTP server
and proxy takes in a URL: 12 partitions take about 90 bytes, 600 partitions fit in any case."""
_VERSION: Final = 1
_ID_BYTES: Final = 16
_HEAD: Final = 3
_PADDED_TO: Final = 64
_MOST_TOPICS: Final = 65_535
_LARGEST: Final = 2**63 - 1

EARLIEST: Final = "earliest"
"""Stands for a cursor: from the subscription's `active_from` on, as without a cursor."""
LATEST: Final = "latest"
"""Stands for a cursor: from what is appended next on."""


@dataclass(slots=True, frozen=True)
class Cursor:
    """Where a reader stands."""

    active_from: Millis
    """The subscription's: another one means that the subscription was deleted and created again."""
    topics: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """By topic id, 32 hex digits, the next offset of each partition. One that is not here was never read."""


@dataclass(slots=True, frozen=True)
class TooManyPartitions:
    """A cursor over so many partitions would be larger than a URL may be."""

    partitions: int


def encoded(cursor: Cursor) -> bytes | TooManyPartitions:
    """Return the bytes of a cursor, `MOST_BYTES` at most."""
    ids = sorted(topic_id for topic_id, partitions in cursor.topics.items() if partitions)
    numbers = [varint(max(0, cursor.active_from))]
    for topic_id in ids:
        partitions = cursor.topics[topic_id]
        numbers.append(varint(len(partitions)))
        before = -1
        for partition, offset in sorted(partitions.items()):
            numbers += (varint(partition - before - 1), varint(offset))
            before = partition
    body = b"".join(numbers)
    head = bytes([_VERSION]) + min(len(ids), _MOST_TOPICS).to_bytes(2, "big")
    made = head + b"".join(bytes.fromhex(topic_id) for topic_id in ids) + body
    made += bytes(-len(made) % _PADDED_TO)
    if len(made) > MOST_BYTES or len(ids) > _MOST_TOPICS:
        return TooManyPartitions(sum(map(len, cursor.topics.values())))
    return made


def read_cursor(payload: bytes) -> Cursor | None:
    """Return the cursor in bytes from `encoded`; None: it is none, or one of a newer release."""
    if len(payload) < _HEAD or len(payload) > MOST_BYTES or payload[0] != _VERSION:
        return None
    count = int.from_bytes(payload[1:_HEAD], "big")
    begin = _HEAD + count * _ID_BYTES
    numbers = varints(payload[begin:])
    if begin >= len(payload) or numbers is None:
        return None
    ids = [payload[at : at + _ID_BYTES].hex() for at in range(_HEAD, begin, _ID_BYTES)]
    left = iter(numbers)
    try:
        active_from = next(left)
        topics = {topic_id: _partitions(left) for topic_id in ids}
    except (StopIteration, ValueError):
        return None
    return None if any(left) else Cursor(active_from, topics)


def _partitions(numbers: Iterator[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    before = -1
    for _ in range(next(numbers)):
        before += next(numbers) + 1
        offset = next(numbers)
        if max(before, offset) > _LARGEST:
            raise ValueError(offset)
        found[before] = offset
    return found
