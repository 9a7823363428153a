"""Encodes the offsets settled above the committed one into the commit's metadata, so that a crash repeats little.

A commit names one offset, and all records above it count as unread. Offsets that are settled above it, while a
record below is still unsettled, are written to the commit's metadata as a short text:

    hs1:<offset committed>:<r or b>:<base64>

`r` has alternating lengths of unsettled and settled runs, each as a varint; `b` has one bit an
offset. The metadata is an optimisation; correctness never depends on it. Metadata that is corrupt, of
another release, or for another offset is ignored, and its records are delivered again.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from hookstream.core.model.varint import varint, varints

Span: TypeAlias = tuple[int, int]
"""Settled offsets: the first, and the one after the last."""

METADATA_BYTES = 3_000
"""Brokers accept 4,095 bytes of metadata a partition by default."""

REQUEST_BYTES = 512 << 10
"""For the metadata of all partitions in one commit: brokers reject a request with slightly more than 800 KB of it."""

_VERSION = "hs1"
_LONGEST = 4_096


class CommitPosition(NamedTuple):
    """The commit of a partition: the lowest unsettled offset, and the settled offsets above it."""

    offset: int
    metadata: str = ""


class CommitMetadata(NamedTuple):
    """The encoded metadata, and whether it covers all spans."""

    text: str
    whole: bool


NOTHING = CommitMetadata("", whole=True)


def metadata_room(partitions: int) -> int:
    """Return the maximum length of each partition's metadata when `partitions` partitions are committed together."""
    return min(METADATA_BYTES, REQUEST_BYTES // max(1, partitions))


def encode_metadata(base: int, spans: Sequence[Span], room: int) -> CommitMetadata:
    """Encode settled spans in the shorter form; if neither fits, encode as many as fit.

    Args:
        base: The committed offset, which is unsettled.
        spans: Settled offsets above it, ascending and disjoint.
        room: The maximum length of the metadata in characters.
    """
    if not spans:
        return NOTHING
    head = f"{_VERSION}:{base}:_:"
    most = (room - len(head)) // 4 * 3
    if most <= 0:
        return CommitMetadata("", whole=False)
    runs, in_runs = _runs(base, spans, most)
    bits, in_bits = _bits(base, spans, most)
    kind, covered, payload = max(("r", in_runs, runs), ("b", in_bits, bits), key=_better)
    if not covered:
        return CommitMetadata("", whole=False)
    text = f"{_VERSION}:{base}:{kind}:{base64.b64encode(payload).decode()}"
    return CommitMetadata(text, whole=covered == sum(end - start for start, end in spans))


def decode_metadata(text: str, base: int) -> tuple[Span, ...]:
    """Decode the settled spans above the committed offset; none if the metadata is not valid for it.

    Args:
        text: The commit's metadata, from any client.
        base: The committed offset.
    """
    if not text or len(text) > _LONGEST:
        return ()
    parts = text.split(":")
    if len(parts) != 4 or parts[:2] != [_VERSION, str(base)]:  # noqa: PLR2004  as in the docstring
        return ()
    try:
        payload = base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return ()
    match parts[2]:
        case "r":
            return _spans_of_runs(base, payload)
        case "b":
            return _spans_of_bits(base, payload)
        case _:
            return ()


def position_from(low: int, settled: Iterable[Span]) -> CommitPosition:
    """Return the position in a log that now starts at `low`, given the settled spans."""
    base = low
    above: list[Span] = []
    for start, end in settled:
        if start > base:
            above.append((start, end))
        else:
            base = max(base, end)
    return CommitPosition(base, encode_metadata(base, above, METADATA_BYTES).text)


def _better(written: tuple[str, int, bytes]) -> tuple[int, int]:
    _, covered, payload = written
    return covered, -len(payload)


def _runs(base: int, spans: Sequence[Span], most: int) -> tuple[bytes, int]:
    """Encode the spans as run lengths; also return how many offsets fit."""
    payload = bytearray()
    at, covered = base, 0
    for start, end in spans:
        run = varint(start - at) + varint(end - start)
        if len(payload) + len(run) > most:
            break
        payload += run
        covered += end - start
        at = end
    return bytes(payload), covered


def _spans_of_runs(base: int, payload: bytes) -> tuple[Span, ...]:
    lengths = varints(payload)
    if lengths is None or len(lengths) % 2 or 0 in lengths:
        return ()
    spans = []
    at = base
    for unsettled, settled in zip(lengths[::2], lengths[1::2], strict=True):
        start = at + unsettled
        at = start + settled
        spans.append((start, at))
    return tuple(spans)


def _bits(base: int, spans: Sequence[Span], most: int) -> tuple[bytes, int]:
    """Encode the spans as a bitmap; also return how many offsets fit."""
    limit = base + 8 * most
    bits, covered, last = 0, 0, base
    for start, end in spans:
        if start >= limit:
            break
        last = min(end, limit)
        bits |= ((1 << (last - start)) - 1) << (start - base)
        covered += last - start
    return bits.to_bytes((last - base + 7) // 8, "little"), covered


def _spans_of_bits(base: int, payload: bytes) -> tuple[Span, ...]:
    bits = int.from_bytes(payload, "little")
    if bits & 1:
        # The committed offset itself is never settled.
        return ()
    spans = []
    at = base
    while bits:
        unsettled = (bits & -bits).bit_length() - 1
        bits >>= unsettled
        settled = (~bits & (bits + 1)).bit_length() - 1
        bits >>= settled
        start = at + unsettled
        at = start + settled
        spans.append((start, at))
    return tuple(spans)
