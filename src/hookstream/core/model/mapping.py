"""A mapping says which event type a foreign record is, and where each field of its envelope comes from.

A foreign record is one whose schema is not ours: it declares no event type and has no envelope. The
mapping is chosen by topic and by the full name of the record; the whole record becomes `data`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from hookstream.core.model.json import JsonObject

TOPIC_GLOB: Final = re.compile(r"[A-Za-z0-9._*?-]{1,249}")
"""A topic's name, in which `*` stands for any text and `?` for one character."""
MAX_TOPICS: Final = 50
FIELD_PATH: Final = re.compile(
    r"(?=.{1,400}\Z)[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,9}"
)
"""Names of fields, from the outermost on."""
HEADER_NAME: Final = re.compile(r"[\x21-\x7e]{1,200}")

_VALUE: Final = "-value"
_HASHED_BYTES: Final = 16


class TimeUnit(StrEnum):
    """What a plain number counts, from 1970 on."""

    SECONDS = "seconds"
    MILLIS = "millis"
    MICROS = "micros"
    NANOS = "nanos"


class FieldSource(NamedTuple):
    """A field of the record."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        """Return it for messages."""
        return f"field {'.'.join(self.path)}"


class HeaderSource(NamedTuple):
    """A header of the record, its last one of that name, in UTF-8."""

    name: str

    def __str__(self) -> str:
        """Return it for messages."""
        return f"header {self.name}"


class ConstantSource(NamedTuple):
    """The same text for every record."""

    text: str

    def __str__(self) -> str:
        """Return it for messages."""
        return f"constant {self.text!r}"


EnvelopeSource: TypeAlias = FieldSource | HeaderSource | ConstantSource


def source_document(source: EnvelopeSource | None) -> JsonObject:
    """Return a source as it is written in files and rows; None is the record's position."""
    match source:
        case FieldSource(path=path):
            return {"field": ".".join(path)}
        case HeaderSource(name=name):
            return {"header": name}
        case ConstantSource(text=text):
            return {"constant": text}
        case None:
            return {"position": True}


def source_of(document: object) -> EnvelopeSource | None:
    """Return the source that `source_document` wrote.

    Raises:
        ValueError: It is none. The message follows the name of the field.
    """
    match document:
        case {"field": str(path), **rest} if not rest and FIELD_PATH.fullmatch(path):
            return FieldSource(tuple(path.split(".")))
        case {"header": str(name), **rest} if not rest and HEADER_NAME.fullmatch(name):
            return HeaderSource(name)
        case {"constant": str(text), **rest} if not rest:
            return ConstantSource(text)
        case {"position": True, **rest} if not rest:
            return None
        case _:
            raise ValueError("is none of {field: PATH}, {header: NAME}, {constant: TEXT}")


@dataclass(slots=True, frozen=True)
class Mapping:
    """The mapping of one kind of foreign record. Exactly one of `record` and `subject` is given."""

    name: str
    topics: tuple[str, ...]
    """Globs: see `TOPIC_GLOB`."""
    event_type: str
    versions: tuple[int, ...]
    """The versions of the event type that records may be of, ascending."""
    entity_id: EnvelopeSource
    environment: EnvelopeSource
    event_id: EnvelopeSource | None = None
    """None: the record's position, see `position_id`."""
    occurred_at: EnvelopeSource | None = None
    """None: the record's time."""
    unit: TimeUnit | None = None
    """The unit of `occurred_at` if it is a plain number."""
    record: str | None = None
    """The full name of the record."""
    subject: str | None = None
    """The subject of its schema, by any of the three strategies that need no registry: see `applies`."""
    revision: int = 1

    @property
    def chosen_by(self) -> str:
        """The record or subject, for messages."""
        return f"record {self.record}" if self.record else f"subject {self.subject}"


def applies(mapping: Mapping, topic: str, record: str) -> bool:
    """Return whether a mapping is that of a record.

    A subject is compared with the names that Confluent's serializers give it: `<topic>-value`,
    `<record>`, `<topic>-<record>`.

    Args:
        mapping: The mapping.
        topic: The event topic that the record was produced to.
        record: The full name of the record in the schema that it was written with.
    """
    if mapping.record is not None:
        chosen = mapping.record == record
    else:
        chosen = mapping.subject in (f"{topic}{_VALUE}", record, f"{topic}-{record}")
    return chosen and any(fnmatchcase(topic, glob) for glob in mapping.topics)


def may_apply(mapping: Mapping, record: str) -> bool:
    """Return whether a mapping is that of records of a name, on some topic.

    A subject that has a topic in it is tried with the topics that the mapping names in full.
    """
    topics = [glob for glob in mapping.topics if is_exact(glob)]
    return (
        mapping.record == record
        or any(applies(mapping, topic, record) for topic in topics)
        or mapping.subject == record
    )


def look_up(mappings: Iterable[Mapping], topic: str, record: str) -> Mapping | None:
    """Return the only mapping of a record; None if it has none, or more than one.

    Two are refused when they are published, so more than one means that a row was written otherwise.
    """
    found = [each for each in mappings if applies(each, topic, record)]
    return found[0] if len(found) == 1 else None


def overlap(one: Mapping, other: Mapping) -> bool:
    """Return whether there can be a record that both mappings are of."""
    return any(
        _compatible(record, other_record)
        and _compatible(topic, other_topic)
        and _share(one, other, topic or other_topic)
        for topic, record in _choices(one)
        for other_topic, other_record in _choices(other)
    )


def is_exact(glob: str) -> bool:
    """Return whether a glob matches one topic only, the one of its name."""
    return not ("*" in glob or "?" in glob)


def position_id(topic_id: bytes, partition: int, offset: int) -> str:
    """Return the event id of a record that has none of its own: 32 hex digits.

    It is a hash, as offsets would show partners how many events the platform has. The topic's id
    (KIP-516) is random, and another one once the topic is created again.

    Args:
        topic_id: The 16 bytes of the topic's id.
        partition: The partition.
        offset: The offset.
    """
    place = b"v1\0" + topic_id + f"\0{partition}\0{offset}".encode()
    return hashlib.sha256(place).digest()[:_HASHED_BYTES].hex()


_Choice: TypeAlias = tuple[str | None, str | None]
"""The topic and the record that a mapping demands together; None: any."""


def _choices(mapping: Mapping) -> Iterator[_Choice]:
    if mapping.record is not None:
        yield None, mapping.record
        return
    subject = mapping.subject or ""
    yield None, subject
    if subject.endswith(_VALUE):
        yield subject.removesuffix(_VALUE), None
    for at in range(1, len(subject)):
        if subject[at] == "-":
            yield subject[:at], subject[at + 1 :]


def _compatible(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _share(one: Mapping, other: Mapping, topic: str | None) -> bool:
    """Return whether both have a topic in common, the given one if any."""
    if topic is None:
        return any(_meet(glob, another) for glob in one.topics for another in other.topics)
    return all(any(fnmatchcase(topic, glob) for glob in each.topics) for each in (one, other))


@lru_cache(4_096)
def _meet(one: str, other: str) -> bool:
    """Return whether some text matches both globs."""
    reached = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        at, to = pending.pop()
        for step in _steps(one, other, at, to):
            if step not in reached:
                reached.add(step)
                pending.append(step)
    return (len(one), len(other)) in reached


def _steps(one: str, other: str, at: int, to: int) -> Iterator[tuple[int, int]]:
    """Yield the places in both globs after one more character, or after a star that takes none."""
    mine, theirs = one[at : at + 1], other[to : to + 1]
    if mine == "*":
        yield at + 1, to
    if theirs == "*":
        yield at, to + 1
    if not mine or not theirs:
        return
    if mine == "*" and theirs != "*":
        yield at, to + 1
    elif theirs == "*" and mine != "*":
        yield at + 1, to
    elif mine == theirs or "?" in (mine, theirs):
        yield at + 1, to + 1
