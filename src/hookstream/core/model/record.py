"""A record is one entry of a Kafka partition, as it was read or as it is to be written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from hookstream.core.model.instant import Millis

Header: TypeAlias = tuple[str, bytes | None]
Headers: TypeAlias = Sequence[Header]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(slots=True)
class Record:
    """A record as it was read. Treated as immutable; not frozen, since one is made per event."""

    topic: str
    partition: int
    offset: int
    timestamp: Millis
    """When the broker appended it (`LogAppendTime`), or what the producer claimed (`CreateTime`)."""
    key: bytes | None
    value: bytes | None
    """None: a tombstone."""
    headers: Headers
    append_time: bool = True
    """False where the topic stamps records with `CreateTime`."""
    headers_problem: str | None = None
    """Why `headers` are not the names that were written: a name is not UTF-8. None: they are."""

    @property
    def where(self) -> TopicPartition:
        """The partition that it was read from."""
        return TopicPartition(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of key, value and headers: what it costs to hold it."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size


@dataclass(slots=True)
class OutgoingRecord:
    """A record as it is to be written; the partition follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Origin(NamedTuple):
    """Where an event first stood in the log: its coordinates in upstream's topic."""

    topic: str
    partition: int
    offset: int
    timestamp: Millis

    @property
    def place(self) -> str:
        """`topic-partition@offset`."""
        return f"{self.topic}-{self.partition}@{self.offset}"


def header_text(headers: Headers, name: str) -> str | None:
    """Return the last value of a header as text, or None where it is missing or not UTF-8."""
    for key, value in reversed(headers):
        if key == name:
            if value is None:
                return None
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None
