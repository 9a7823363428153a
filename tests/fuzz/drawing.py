"""Draws records as unknown, broken and hostile programs write them, from one seed.

Each has an expectation, which is what is guaranteed for it: what is valid must arrive, what can be
no event must be undecodable, and everything must be settled.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from examples.printprice.generator import events
from tests import untrusted
from tests.conftest import ROOT
from tests.doubles.lives import FIELDS
from tests.raw_kafka import RawRecord

from hookstream.adapters.avro.audit_reader import EVENT_TYPE as ATTEMPT
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    tier_headers,
    undecodable_headers,
)
from hookstream.core.model.event import Undecodable
from hookstream.core.model.framing import SINGLE_OBJECT_BODY, VALUE_SCHEMA_ID
from hookstream.core.model.instant import DAY, MINUTE, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Header, Origin, Record

WANTED = "pricing.completed"
SUBSCRIPTION = "crm"
STRANGE_ORIGIN = "strange.topic"
"""The topic that forged states name: none makes a record of an event topic count as settled."""

RawHeaders = tuple[tuple[bytes, bytes | None], ...]

_LARGE = 700_000
_TIMES = (
    -1,
    0,
    1,
    -(2**40),
    1_795_854_458_871,
    1_795_854_458_871_000,
    253_402_300_799_999,
    253_402_300_800_000,
    2**62,
    4_102_444_800_000,
)
_NAMES = (
    b"traceparent",
    b"tracestate",
    b"hs-subscription-id",
    b"hs-attempt",
    b"HS-Step",
    b"hs-origin-timestamp",
    b"__connect.errors.topic",
    b"__value_schema_id",
    b"x-tenant",
    b"",
    b"a\0b",
    b"\x1b[31m",
    "größe".encode(),
    "\u202e".encode(),
)
_NOT_TEXT = (
    b"Gr\xf6\xdfe",
    b"\xff",
    b"\xed\xa0\x80",
    b"hs-subscription-id\xff",
    b"\xc3",
    b"\\x\xff",
)
_TRACES = (
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"00-00000000000000000000000000000000-0000000000000000-01",
    b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    b"00-",
    b"\xff\xfe",
    b"k=v," * 400,
)


class Expected(Enum):
    """What must become of a record."""

    DELIVERED = "delivered"
    """The endpoint accepts it."""
    REPORTED = "reported"
    """It is undecodable, or a record reports its delivery."""
    UNDECODABLE = "undecodable"
    SETTLED = "settled"
    """Its offset is committed; whether a record reports it depends on its content."""
    UNMATCHED = "unmatched"
    """It is undecodable, and its event is not sent."""
    ANYTHING = "anything"
    """No worker reads its topic."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A record to be written."""

    topic: str
    """Without the prefix."""
    record: RawRecord
    expected: Expected
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, to be written and removed again."""

    table: str
    key: str
    value: bytes


class Drawing:
    """An endless draw; the same seed draws the same records, but for the present time in them."""

    def __init__(self, seed: int, now: Millis) -> None:
        self._random = Random(seed)
        self._now = now
        trees: list[JsonObject] = [
            json.loads(path.read_text()) for path in sorted((ROOT / "schemas").rglob("*.avsc"))
        ]
        book = SchemaBook([*trees, *own_schemas()])
        self._encoder = EventEncoder(book)
        self._happenings = list(events(seed=seed % 1_000, n=600))
        self._wanted = [h for h in self._happenings if h.event_type == WANTED]
        attempt = book.reader(ATTEMPT, book.latest(ATTEMPT))
        assert attempt is not None
        self._audit = attempt.encode(FIELDS)
        self._pool = [self._sound()[1] for _ in range(50)]

    def record(self) -> Drawn:
        """Draw the next record."""
        chance = self._random.random()
        if chance < 0.68:
            return self._event()
        if chance < 0.76:
            return self._timed()
        if chance < 0.88:
            return self._tier()
        if chance < 0.90:
            return Drawn("operations", self._raw(self._value()), Expected.SETTLED)
        return self._ours()

    def rows(self, sound: Sequence[Row], count: int) -> list[Row]:
        """Draw rows of tables; none has the key of a row that is in use."""
        drawn: list[Row] = []
        used = {row.key for row in sound}
        while len(drawn) < count:
            row = self._random.choice(sound)
            key = untrusted.key(self._random, row.key, f"{row.key}-untrusted")
            if key and key not in used and len(key) < 5_000:
                value = untrusted.changed_row(self._random, row.value)
                drawn.append(Row(row.table, key, value[:100_000]))
        return drawn

    # Records of event topics.

    def _event(self) -> Drawn:
        topic = f"events.{WANTED}"
        random = self._random
        chance = random.random()
        if chance < 0.08:
            event_id, value = self._sound()
            headers = self._headers(odd=0.1)
            return Drawn(topic, self._raw(value, headers), Expected.DELIVERED, event_id)
        if chance < 0.13:
            return Drawn(topic, self._raw(self._other()), Expected.SETTLED)
        if chance < 0.14:
            return self._confluent(topic)
        if chance < 0.16:
            # An unpublished schema: it waits, and is then undecodable.
            value = b"\xc3\x01" + random.randbytes(8 + random.randrange(40))
            return Drawn(topic, self._raw(value), Expected.UNDECODABLE)
        if chance < 0.5:
            sound = random.choice(self._pool)
            value = sound[:10] + untrusted.changed_bytes(random, sound[10:])
            return Drawn(topic, self._raw(value), Expected.REPORTED)
        junk = self._junk()
        framed = junk is not None and junk[:2] == b"\xc3\x01"
        return Drawn(topic, self._raw(junk), Expected.SETTLED if framed else Expected.UNDECODABLE)

    def _confluent(self, topic: str) -> Drawn:
        """A record in a framing of Confluent's; no registry serves the topic."""
        random = self._random
        event_id, value = self._sound()
        body = value[SINGLE_OBJECT_BODY:]
        guid = (VALUE_SCHEMA_ID.encode(), b"\1" + random.randbytes(16))
        if random.random() < 0.3:
            # A header that another program left: the bytes name the schema.
            return Drawn(topic, self._raw(value, (guid,)), Expected.DELIVERED, event_id)
        if random.random() < 0.5:
            cut = random.choice((0, len(body), random.randrange(len(body))))
            return Drawn(topic, self._raw(body[:cut], (guid,)), Expected.UNDECODABLE)
        framed = b"\0" + random.randbytes(4) + body
        cut = random.choice((len(framed), random.randrange(1, 6)))
        headers = ((guid[0], random.randbytes(random.randrange(20))),)
        drawn = headers if random.random() < 0.5 else ()
        return Drawn(topic, self._raw(framed[:cut], drawn), Expected.UNDECODABLE)

    def _timed(self) -> Drawn:
        """A record of a topic that keeps its producers' times."""
        value, time = self._value(), self._random.choice(_TIMES)
        return Drawn("events.times", self._raw(value, timestamp=time), Expected.SETTLED)

    def _sound(self) -> tuple[str, bytes]:
        happening = self._random.choice(self._wanted)
        event_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return event_id, self._encoder.encode(
            WANTED,
            {
                "event_id": event_id,
                "occurred_at": "2026-11-28T08:00:00Z",
                "entity_id": happening.entity_id,
                "environment": "production",
                "data": happening.data,
            },
        )

    def _other(self) -> bytes:
        happening = self._random.choice(self._happenings)
        if happening.event_type == WANTED:
            return self._audit
        return self._encoder.encode(
            happening.event_type,
            {
                "event_id": str(uuid.UUID(int=self._random.getrandbits(128))),
                "occurred_at": "2026-11-28T08:00:00Z",
                "entity_id": happening.entity_id,
                "environment": "production",
                "data": happening.data,
            },
            happening.version,
        )

    def _junk(self) -> bytes | None:
        random = self._random
        match random.randrange(6):
            case 0:
                return None
            case 1:
                return b""
            case 2:
                return b"\xc3\x01"[: random.randrange(3)] + random.randbytes(random.randrange(9))
            case 3:
                return json.dumps(untrusted.value(random)).encode("utf-8", "surrogatepass")[:9_999]
            case 4 if random.random() < 0.001:
                return random.randbytes(1) * _LARGE
            case _:
                return b"\0" + random.randbytes(random.randrange(60))

    def _value(self) -> bytes | None:
        match self._random.randrange(4):
            case 0:
                return self._junk()
            case 1:
                return self._sound()[1]
            case 2:
                return untrusted.changed_bytes(self._random, self._audit)
            case _:
                return untrusted.changed_bytes(self._random, self._random.choice(self._pool))

    # Records of our own topics.

    def _tier(self) -> Drawn:
        random = self._random
        topic = f"retry.{random.choice(('0s', '1s', '2s'))}"
        event_id, value = self._sound()
        headers = self._state(event_id)
        chance = random.random()
        if chance < 0.25:
            broken = [*headers, (random.choice(_NOT_TEXT), b"1")]
            random.shuffle(broken)
            raw = RawRecord(value, b"k", broken)
            return Drawn(topic, raw, Expected.UNMATCHED, event_id)
        if chance < 0.8:
            headers = self._changed(headers)
        if chance > 0.9:
            headers = list(self._headers(odd=0.5))
        sent = value if chance < 0.7 else self._value()
        return Drawn(topic, RawRecord(sent, self._key(), headers), Expected.SETTLED)

    def _ours(self) -> Drawn:
        """A record of a topic that only tools read."""
        random = self._random
        origin = Origin(STRANGE_ORIGIN, 0, random.randrange(10**6), self._now)
        match random.randrange(3):
            case 0:
                state = self._delivery("e", origin)
                headers = dead_letter_headers(
                    state, (), DeadReason.EXPIRED, "late", written_at=self._now
                )
                return self._shown("dead-letters", random.choice(self._pool), headers)
            case 1:
                at = Record(STRANGE_ORIGIN, 0, 1, self._now, b"k", b"v", ())
                headers = undecodable_headers(
                    at, Undecodable("malformed", "no"), written_at=self._now
                )
                return self._shown("undecodable", self._junk(), headers)
            case _:
                value = untrusted.changed_bytes(random, self._audit)
                raw = RawRecord(value, self._key(), self._headers(odd=0.1))
                return Drawn("attempts", raw, Expected.ANYTHING)

    def _shown(self, topic: str, value: bytes | None, headers: list[Header]) -> Drawn:
        raw = RawRecord(value, self._key(), self._changed(_raw_headers(headers)))
        return Drawn(topic, raw, Expected.ANYTHING)

    def _state(self, event_id: str) -> list[tuple[bytes, bytes | None]]:
        origin = Origin(STRANGE_ORIGIN, 0, self._random.randrange(10**6), self._now)
        if self._random.random() < 0.4:
            return _raw_headers(
                tier_headers(UnmatchedEvent(origin, self._now), (), written_at=self._now)
            )
        state = self._delivery(event_id, origin)
        return _raw_headers(tier_headers(state, (), written_at=self._now))

    def _delivery(self, event_id: str, origin: Origin) -> Delivery:
        return Delivery(
            f"msg_{self._random.getrandbits(60)}",
            self._random.choice((SUBSCRIPTION, "untrusted")),
            SUBSCRIPTION,
            WANTED,
            event_id,
            origin,
            first_at=self._now - MINUTE,
            expires_at=self._now + DAY,
            due_at=self._now,
        )

    def _changed(
        self, headers: list[tuple[bytes, bytes | None]]
    ) -> list[tuple[bytes, bytes | None]]:
        """Headers of which a few are untrusted."""
        random = self._random
        found = list(headers)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(found))
            drawn = untrusted.text(random).encode("utf-8", "surrogatepass")[:9_999]
            match random.randrange(8):
                case 0 if len(found) > 1:
                    del found[at]
                case 1:
                    found.insert(at, (found[at][0], drawn))
                case 2:
                    found[at] = (found[at][0], None)
                case 3:
                    value = untrusted.changed_bytes(random, found[at][1] or b"")
                    found[at] = (found[at][0], value)
                case 4 if random.random() < 0.5:
                    found[at] = (random.choice(_NOT_TEXT), found[at][1])
                case _ if b"due-at" not in found[at][0] or random.random() < 0.01:
                    # A time far ahead is waited for, and costs a hop every few seconds.
                    found[at] = (found[at][0], drawn)
        return found

    # What any record has.

    def _raw(
        self,
        value: bytes | None,
        headers: RawHeaders | None = None,
        timestamp: int | None = None,
    ) -> RawRecord:
        drawn = self._headers(odd=0.3) if headers is None else headers
        return RawRecord(value, self._key(), drawn, timestamp)

    def _key(self) -> bytes | None:
        random = self._random
        match random.randrange(8):
            case 0:
                return None
            case 1:
                return b""
            case 2:
                return random.randbytes(random.randrange(20))
            case 3 if random.random() < 0.01:
                return b"k" * 30_000
            case _:
                return b"key-%d" % random.randrange(100)

    def _headers(self, *, odd: float) -> RawHeaders:
        random = self._random
        if random.random() > odd:
            return ()
        if random.random() < 0.002:
            return ((random.choice((b"many", b"\xff")), b"1"),) * 2_000
        return tuple(
            (
                random.choice(_NOT_TEXT if random.random() < 0.3 else _NAMES),
                random.choice((None, b"", b"1", *_TRACES)),
            )
            for _ in range(random.randrange(1, 4))
        )


def _raw_headers(headers: Sequence[Header]) -> list[tuple[bytes, bytes | None]]:
    return [(name.encode(), value) for name, value in headers]
