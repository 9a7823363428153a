"""What the topics of a run contain, read with a plain Kafka client, a record at a time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, cast

from confluent_kafka import (
    OFFSET_END,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from examples.demo.log import Place

T = TypeVar("T")

_PATIENCE = 60.0
_TIMEOUT = 30
_AT_LAST = 60
"""Seconds after which an answer counts as missing, whatever the client reports."""

NO_ANSWER = (KafkaException, TimeoutError)


class Record(NamedTuple):
    """One record."""

    place: Place
    offset: int
    timestamp: int
    """Milliseconds since 1970 at which the broker appended it."""
    key: bytes
    value: bytes
    headers: dict[str, str]


@dataclass(slots=True, frozen=True)
class Positions:
    """What both groups had committed, and where each partition ended."""

    committed: dict[Place, int]
    ends: dict[Place, int]

    def open(self, place: Place, offset: int) -> bool:
        """Return whether a record was there and not settled."""
        return self.committed.get(place, 0) <= offset < self.ends.get(place, 0)


@dataclass(slots=True)
class Family:
    """The clients that query the broker, and the lock that their users take."""

    asking: threading.Lock = field(default_factory=threading.Lock)
    members: list["Topics"] = field(default_factory=list)


class Topics:
    """The topics of one run, for one thread.

    None of its clients lives through a broker's death: librdkafka 2.16 may end the whole process then
    (the assertion `eonce->refcnt > 0`), where it has queried a partition's leader.
    """

    def __init__(
        self, servers: str, prefix: str, events: list[str], family: "Family | None" = None
    ) -> None:
        self._servers = servers
        self._prefix = prefix
        self._known_admin: AdminClient | None = None
        self._consumers: dict[str, Consumer] = {}
        self.family = family or Family()
        self.family.members.append(self)
        self.events = events
        self.groups = (prefix, f"{prefix}.retry")

    def for_another_thread(self) -> "Topics":
        """Return the same with its own connections."""
        return Topics(self._servers, self._prefix, self.events, self.family)

    @contextmanager
    def while_away(self) -> Iterator[None]:
        """Prevent queries while the broker is down."""
        with self.family.asking:
            for each in self.family.members:
                each.close()
            yield

    def close(self) -> None:
        """End every connection; the next query opens new ones."""
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()
        self._known_admin = None

    def tiers(self) -> list[str]:
        """Return every tier."""
        found = self._patiently(lambda: self._of("ends").list_topics(timeout=_TIMEOUT).topics)
        return sorted(name for name in found if name.startswith(f"{self._prefix}.retry."))

    def committed(self) -> dict[Place, int]:
        """Return what both groups have committed."""
        read = (self.events, self.tiers())
        return self._patiently(lambda: self.look_committed(read))

    def look_committed(self, read: Sequence[Sequence[str]]) -> dict[Place, int]:
        """Return the same of topics by group, or raise where the broker does not answer now."""
        found: dict[Place, int] = {}
        for group, topics in zip(self.groups, read, strict=True):
            asked = self._partitions(topics, OFFSET_INVALID)
            for answer in self._of(group).committed(asked, timeout=_TIMEOUT):
                found[answer.topic, answer.partition] = max(_checked(answer).offset, 0)
        return found

    def ends(self, topics: Iterable[str] | None = None) -> dict[Place, int]:
        """Return where each partition ends, of events and tiers by default."""
        wanted = [*self.events, *self.tiers()] if topics is None else list(topics)
        return self._patiently(lambda: self.look_ends(wanted))

    def look_ends(self, wanted: Sequence[str]) -> dict[Place, int]:
        """Return the same, or raise where the broker does not answer now."""
        asked = self._partitions(wanted, OFFSET_END)
        return {
            (answer.topic, answer.partition): _checked(answer).offset
            for answer in self._of("ends").offsets_for_times(asked, timeout=_TIMEOUT)
        }

    def _partitions(self, topics: Sequence[str], offset: int) -> list[TopicPartition]:
        known = self._of("ends").list_topics(timeout=_TIMEOUT).topics
        found = []
        for topic in topics:
            for number, about in known[topic].partitions.items() if topic in known else ():
                if about.leader < 0:
                    raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
                found.append(TopicPartition(topic, number, offset))
        return found

    def _of(self, group: str) -> Consumer:
        """Return a consumer that queries for a group and never joins it."""
        if group not in self._consumers:
            self._consumers[group] = Consumer(
                {
                    "bootstrap.servers": self._servers,
                    "group.id": group,
                    "enable.auto.commit": False,
                    "log_level": 0,
                }
            )
        return self._consumers[group]

    def look_owners(self) -> dict[Place, str]:
        """Return which member of the groups owns each partition, according to the broker."""
        if self._known_admin is None:
            self._known_admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        answers = self._known_admin.describe_consumer_groups(
            list(self.groups), request_timeout=_TIMEOUT
        )
        return {
            (held.topic, held.partition): member.member_id
            for answer in answers.values()
            for member in answer.result(_AT_LAST).members
            if member.assignment is not None
            for held in member.assignment.topic_partitions
        }

    def positions(self) -> Positions:
        """Return both: the commits first, so that nothing is missed between them."""
        committed = self.committed()
        return Positions(committed, self.ends())

    def lag(self) -> int:
        """Return how many records are not settled."""
        now = self.positions()
        return sum(end - now.committed.get(place, 0) for place, end in now.ends.items())

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Query again while a restarted broker is not ready."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return ask()
            except NO_ANSWER as failure:
                if time.monotonic() > deadline:
                    raise SystemExit(f"the broker does not answer: {failure}") from failure
                time.sleep(0.2)

    def own(self, name: str) -> list[str]:
        """Return the full name of one of hookstream's topics, as a list."""
        return [f"{self._prefix}.{name}"]

    def read(
        self, topics: Iterable[str], since: Mapping[Place, int] | None = None
    ) -> Iterator[Record]:
        """Yield the records that topics contain now, from offsets or from the beginning."""
        starts = since or {}
        ends = {place: end for place, end in self.ends(topics).items() if end}
        left = {place for place, end in ends.items() if starts.get(place, 0) < end}
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "chaos-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(*place, starts.get(place, 0)) for place in left])
            while left:
                for found in consumer.consume(1000, 1.0):
                    place = (found.topic() or "", found.partition() or 0)
                    error = found.error()
                    if error is not None:
                        if error.name() != "_PARTITION_EOF":
                            raise KafkaException(error)
                        left.discard(place)
                        continue
                    headers = cast("list[tuple[str, bytes | None]]", found.headers() or [])
                    yield Record(
                        place,
                        found.offset() or 0,
                        found.timestamp()[1],
                        bytes(found.key() or b""),
                        found.value() or b"",
                        {name: (value or b"").decode(errors="replace") for name, value in headers},
                    )
        finally:
            consumer.close()


def _checked(answer: TopicPartition) -> TopicPartition:
    if answer.error is not None:
        raise KafkaException(answer.error)
    return answer
