"""A record is an entry of a Kafka partition, either read or to be written."""

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
    """A record that was read. Treated as immutable; not frozen, because one is made per event."""

    topic: str
    partition: int
    offset: int
    timestamp: Millis
    """The broker's append time (`LogAppendTime`), or the producer's claim (`CreateTime`)."""
    key: bytes | None
    value: bytes | None
    """None: a tombstone."""
    headers: Headers
    append_time: bool = True
    """False if the topic uses `CreateTime`."""
    headers_problem: str | None = None
    """Why `headers` differ from what was written: a name is not UTF-8. None if they are exact."""

    @property
    def where(self) -> TopicPartition:
        """The partition that it was read from."""
        return TopicPartition(self.topic, self.partition)

    @property
    def origin(self) -> "Origin":
        """Its position, as the origin of what is made of it."""
        return Origin(self.topic, self.partition, self.offset, self.timestamp)

    @property
    def size(self) -> int:
        """Bytes of key, value and headers: its memory cost."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += len(name)
            if value:
                size += len(value)
        return size


@dataclass(slots=True)
class OutgoingRecord:
    """A record to be written. The key determines the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Origin(NamedTuple):
    """An event's original position in the log: its coordinates in the upstream topic."""

    topic: str
    partition: int
    offset: int
    timestamp: Millis

    @property
    def place(self) -> str:
        """`topic-partition@offset`."""
        return f"{self.topic}-{self.partition}@{self.offset}"


def header_text(headers: Headers, name: str) -> str | None:
    """Return the last value of a header as text; None if it is missing or not UTF-8."""
    for key, value in reversed(headers):
        if key == name:
            if value is None:
                return None
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None
