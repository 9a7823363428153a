"""Parses a record's position in commands, `topic/partition@offset`, and distinguishes it from an id."""

import re
from typing import Final, NamedTuple

from hookstream.core.model.record import Origin, TopicPartition
from hookstream.errors import InputRefused

MOST_DIGITS: Final = 18
"""Of an offset; any such number is one that Kafka has."""
_PARTITION_DIGITS: Final = 9
_SHOWN: Final = 60
"""The most characters of a wrong place that its error repeats."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_SHAPE = re.compile(r"([^/]*)/([^/@]*)@([^/@]*)\Z")
_AS_ORIGINS_ARE_SHOWN = re.compile(r"([A-Za-z0-9._-]{1,240})-([0-9]{1,9})@([0-9]{1,18})\Z")
_NUMBER = re.compile(r"[+-]?[0-9]+\Z")
_HOW = "a place is written TOPIC/PARTITION@OFFSET, such as {}. If it is an event's id: --id"


class RecordPlace(NamedTuple):
    """Where a record is."""

    at: TopicPartition
    offset: int


def read_place(text: str) -> RecordPlace | None:
    """Return the place that a text is; None: it neither is one nor looks like one, so it may be an id.

    Raises:
        InputRefused: It looks like a place (one of both numbers is there) and is none; the text says why.
    """
    found = _SHAPE.match(text)
    if found is None:
        origin = _AS_ORIGINS_ARE_SHOWN.match(text)
        if origin is None:
            return None
        topic, partition, offset = origin.groups()
        raise InputRefused(f"{text} is no place: {_HOW.format(f'{topic}/{partition}@{offset}')}")
    topic, partition, offset = found.groups()
    if not (_NUMBER.match(partition) or _NUMBER.match(offset)):
        return None
    wrong = _wrong(topic, partition, offset)
    if wrong:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise InputRefused(f"{shown} is no place: {wrong}; {_HOW.format('orders/0@42')}")
    return RecordPlace(TopicPartition(topic, int(partition)), int(offset))


def place_of(origin: Origin) -> str:
    """Return a place as `read_place` reads it."""
    return f"{origin.topic}/{origin.partition}@{origin.offset}"


def _wrong(topic: str, partition: str, offset: str) -> str:
    """Return what is wrong with the parts of a place; empty: nothing is."""
    if not topic:
        return "it names no topic"
    if not _TOPIC.match(topic):
        return "its topic has characters that no topic has, or more than 249 of them"
    for what, part, most in (
        ("partition", partition, _PARTITION_DIGITS),
        ("offset", offset, MOST_DIGITS),
    ):
        if not part:
            return f"it has no {what}"
        if not (part.isascii() and part.isdigit()):
            return f"its {what} is not a number from 0 on"
        if len(part) > most:
            return f"its {what} has {len(part)} digits, and {most} at most are read"
    return ""
