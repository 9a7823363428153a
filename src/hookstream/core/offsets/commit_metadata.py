"""Progress behind a hole is written into a commit, so that a crash repeats only what was unsettled.

A commit names one offset, and everything above it counts as unread. What was settled above it, while
one record below took its time, goes into the commit's metadata as a short text, the *note*:

    hs1:<offset committed>:<r or b>:<base64>

`r` holds lengths in turn, of what is unsettled and of what is settled, each as a varint; `b` holds
one bit an offset. A note is an economy and never a truth to rely on: one that is damaged, of another
release, or not about the offset that is committed is ignored, and its records are delivered again.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from hookstream.core.model.varint import varint, varints

Span: TypeAlias = tuple[int, int]
"""Settled offsets, from the first up to, not including, the second."""

NOTE_BYTES = 3_000
"""Brokers take 4,095 bytes of metadata a partition, unless they are set to less."""

REQUEST_BYTES = 512 << 10
"""Of all notes in one commit: brokers refuse a request with somewhat more than 800 KB of them."""

_VERSION = "hs1"
_LONGEST = 4_096


class CommitPosition(NamedTuple):
    """What is committed for a partition: the lowest unsettled offset, and what is settled above."""

    offset: int
    note: str = ""


class CommitMetadata(NamedTuple):
    """A note as it was written, and whether it says everything."""

    text: str
    whole: bool


NOTHING = CommitMetadata("", whole=True)


def note_room(partitions: int) -> int:
    """Return how long the note of each may be, where so many partitions are committed together."""
    return min(NOTE_BYTES, REQUEST_BYTES // max(1, partitions))


def write_note(base: int, spans: Sequence[Span], room: int) -> CommitMetadata:
    """Return the shorter way to write spans down; where neither fits, the beginning of them.

    Args:
        base: The offset that is committed, which is unsettled.
        spans: Settled offsets above it, ascending, apart from each other.
        room: How many characters the note may have.
    """
    if not spans:
        return NOTHING
    head = f"{_VERSION}:{base}:_:"
    most = (room - len(head)) // 4 * 3
    if most <= 0:
        return CommitMetadata("", whole=False)
    runs, told_by_runs = _runs(base, spans, most)
    bits, told_by_bits = _bits(base, spans, most)
    kind, told, payload = max(("r", told_by_runs, runs), ("b", told_by_bits, bits), key=_better)
    if not told:
        return CommitMetadata("", whole=False)
    text = f"{_VERSION}:{base}:{kind}:{base64.b64encode(payload).decode()}"
    return CommitMetadata(text, whole=told == sum(end - start for start, end in spans))


def read_note(text: str, base: int) -> tuple[Span, ...]:
    """Return the settled spans above the committed offset; none where the note does not say.

    Args:
        text: The commit's metadata, whoever wrote it.
        base: The offset that is committed.
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


def progress_from(low: int, settled: Iterable[Span]) -> CommitPosition:
    """Return the progress in a log that begins at `low` by now, of which these spans are settled."""
    base = low
    above: list[Span] = []
    for start, end in settled:
        if start > base:
            above.append((start, end))
        else:
            base = max(base, end)
    return CommitPosition(base, write_note(base, above, NOTE_BYTES).text)


def _better(written: tuple[str, int, bytes]) -> tuple[int, int]:
    _, told, payload = written
    return told, -len(payload)


def _runs(base: int, spans: Sequence[Span], most: int) -> tuple[bytes, int]:
    """Return the spans as lengths of runs, and how many offsets of them found room."""
    payload = bytearray()
    at, told = base, 0
    for start, end in spans:
        run = varint(start - at) + varint(end - start)
        if len(payload) + len(run) > most:
            break
        payload += run
        told += end - start
        at = end
    return bytes(payload), told


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
    """Return the spans as one bit an offset, and how many offsets of them found room."""
    limit = base + 8 * most
    bits, told, last = 0, 0, base
    for start, end in spans:
        if start >= limit:
            break
        last = min(end, limit)
        bits |= ((1 << (last - start)) - 1) << (start - base)
        told += last - start
    return bits.to_bytes((last - base + 7) // 8, "little"), told


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
