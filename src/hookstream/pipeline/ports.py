"""What the shell needs of the outside, as narrow Protocols: adapters and test doubles both fit them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from hookstream.core.delivery.signing import Sign
from hookstream.core.matching.directory import Directory
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.endpoint_identity import TlsIdentity, TokenRequest
from hookstream.core.model.event import Event, Identified, Undecodable, UnknownSchema
from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json, JsonObject, Paths
from hookstream.core.model.outcome import Answer, DeadReason, Disposition, Refused, Withheld
from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.model.registered import UnresolvedSchema
from hookstream.core.model.subscription import Disabled, Failing
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.outcome.health import HealthBook
from hookstream.pipeline.registry_ports import SchemaRegistries, SchemaRows, TopicIds
from hookstream.pipeline.skips import Skips
from hookstream.pipeline.without_registries import NoRegistries, NoTopicIds

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Millis:
        """Return wall-clock milliseconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""

    def moment(self) -> Moment:
        """Return the present on the two clocks by which ages of knowledge are counted."""


class Chance(Protocol):
    """The only source of randomness."""

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""


class Agreement(Protocol):
    """Whether the worker's clock can be trusted."""

    @property
    def known(self) -> bool:
        """Whether the clock shows the brokers' time, or is known never to."""

    @property
    def needs_timestamp(self) -> bool:
        """Whether a broker's timestamp should be requested now."""

    def agrees(self) -> bool:
        """Return whether attempts may begin and deliveries expire by this clock now."""

    def why(self) -> str:
        """Return why not, with the remedy."""

    def unstamped(self, refusal: str | None = None) -> None:
        """Note an acknowledgement without a broker's time; `refusal`: why the request was refused."""

    def look(self) -> None:
        """Log what an operator must know; called once a second."""


# Records in.


class AssignmentListener(Protocol):
    """Is notified when partitions come and go. Called on the event loop, in order."""

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        """Take over partitions: their records will come, from these offsets on, settled ones too."""

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Let go of partitions: drop what is queued, wait a moment, return what may be committed.

        Must return within half a second: the group waits for it, and its kept partitions with it.
        """

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget partitions that another member already has: nothing may be committed."""

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        """The last commit for these partitions failed; commit them again."""

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        """The records in [first, next_offset) were gone before they were read.

        Comes before `on_assigned` with `next_offset` for the same partition; of one that was stopped
        while it was assigned, as an operator left them out, before the record at `next_offset`.
        """

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        """An assigned partition has stopped. `remedy` says how to resume it.

        As its offsets were lost: comes instead of `on_assigned`, which follows once an operator
        named a position. A partition that was being read when its offsets vanished is lost first.
        Or as its next records cannot be fetched: then it stays assigned, and is read on by itself.
        """

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        """An operator resumes a stopped partition at `begin`; records below it are given up.

        Comes after `on_gap`, where records were not read yet that it leaves out.
        """


class RecordSource(Protocol):
    """A member of a consumer group. Records come only when asked for: asking is the credit."""

    @property
    def exist(self) -> int:
        """How many partitions the topics have that the group reads; 0: not known yet."""

    async def take(self, most: int) -> Sequence[Record]:
        """Wait up to 0.2 s for a record and return it with whatever else is ready, `most` at most.

        Empty where nothing came. Call it again only after it has returned.
        """

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit offsets of next records, without waiting; of partitions not assigned, nothing.

        A failure is logged, and the listener is notified by `on_commit_failed`.
        """

    def pause(self, partition: TopicPartition) -> None:
        """Fetch no more of a partition until `resume`; what was fetched ahead is thrown away."""

    def resume(self, partition: TopicPartition) -> None:
        """Fetch a paused partition again."""


# Records out.


@dataclass(slots=True, frozen=True)
class WriteRefused:
    """The broker or the client refused a record for good (it is too large, the topic is gone)."""

    detail: str
    too_large: bool


Acknowledged: TypeAlias = Callable[[WriteRefused | None], None]


class RecordSink(Protocol):
    """Durable writes: acknowledged by all in-sync replicas, waiting as long as the broker takes."""

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """Write a record; `acknowledged` is called once, later, on the event loop.

        Never blocks and never fails by itself: a full client queue only delays. A fatal producer
        error ends the process instead, with nothing acknowledged.
        """


# What a record says.


class Codec(Protocol):
    """Schemas and Avro: names a record's schema, decodes it, resolves and renders its versions."""

    def identify(
        self, record: Record, topic: str | None = None
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        """Name the record's schema from its framing alone, without decoding it.

        An id's meaning depends on the event topic, `topic`; None: it is the record's own.
        """

    def load(self, identified: Identified, record: Record) -> int:
        """Return how much work the record is: how many values are decoded of it, at most.

        It costs little itself, however large the record is.
        """

    def counted(self, event: Event) -> int:
        """Return the same by counting the event's values, which costs some microseconds."""

    def load_at(self, event: Event, version: int) -> int:
        """Return how much work a body of the event at a version is."""

    def decode(
        self,
        identified: Identified,
        record: Record,
        origin: Origin | None = None,
        event_id: str = "",
    ) -> "Event | Undecodable":
        """Decode the record and check its envelope.

        `origin` is the event's, and `Event.origin` then; None: the record's own place. `event_id` is that
        of an event whose record names none (`Identified.by_position`).

        This, `document` and `encode` may be called in a thread beside the event loop.
        """

    def latest(self, event_type: str) -> int:
        """Return the newest published version of a type, 0 where there is none."""

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        """Return the `standard` body of the event at a version, as plain JSON.

        Refused: the version cannot be resolved from the event's, or a value cannot be rendered.
        """

    def body(self, event: Event, version: int) -> bytes | None:
        """Return the exact bytes that encoding `document` would give, where they are at hand; else None."""

    def excerpt(self, event: Event, version: int, paths: Paths) -> JsonObject | None:
        """Return `document`, of whose data anything may be missing that is not at these paths.

        A pattern that asks for no other paths evaluates both alike. None where it would take as long as
        `document`, which callers keep for the delivery.
        """

    def encode(self, value: Json) -> bytes:
        """Return the JSON text of a value as UTF-8 bytes, without spaces."""


class Offload(Protocol):
    """Runs one computation after another, each while the event loop does other things."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Return, or raise, what `compute` does; it changes only its own objects: others run meanwhile."""


class OwnRecords(Protocol):
    """hookstream's own records: what it writes into the audit, operations and health topics."""

    def attempt(self, record: AttemptRecord) -> bytes:
        """Encode an audit record."""

    def endpoint_disabled(self, disabled: Disabled, partner_id: str, at: Millis) -> OutgoingRecord:
        """Return the operations event `endpoint.disabled`."""

    def endpoint_recovered(
        self, delivery: Delivery, failing_since: Millis, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `endpoint.recovered`, by the delivery that arrived."""

    def dead_lettered(self, delivery: Delivery, reason: DeadReason, at: Millis) -> OutgoingRecord:
        """Return the operations event `delivery.dead_lettered`."""

    def failing(self, failing: Failing) -> OutgoingRecord:
        """Return the health table's record that says since when an endpoint fails."""

    def healthy(self, subscription_id: str) -> OutgoingRecord:
        """Return the health table's record that clears `failing`."""

    def log_gap(
        self, partition: TopicPartition, first: int, next_offset: int, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `log.gap`: records in [first, next_offset) are gone."""

    def event_id_conflict(
        self, event_type: str, event_id: str, first: Origin, second: Origin, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `log.event_id_conflict`: two events carry one id."""

    def disabled(self, disabled: Disabled) -> OutgoingRecord:
        """Return the health table's record that disables a subscription."""


# Attempts.


@dataclass(slots=True)
class Post:
    """One POST, complete: exactly these bytes and headers are sent."""

    subscription_id: str
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    """With credentials, if the endpoint has any that do not change."""
    body: bytes
    timeout: Millis
    tls: TlsIdentity | None = None
    """The identity of the connection; None: no client certificate, and the machine's authorities."""
    token: TokenRequest | None = None
    """The token to send with it; None: none, or the headers have one."""
    batch_id: str | None = None
    """The id of the batch in it; None: it has one event as it is."""


Permitted: TypeAlias = Callable[[], bool]
"""Whether a request may begin now. Cheap, never raises, and changes nothing."""


def always_permitted() -> bool:
    """Permit every request: for callers without knowledge that could age."""
    return True


@dataclass(slots=True)
class Continuation(Generic[T]):
    """What is left to be done must be awaited: whoever gets it runs it, or gives it up."""

    run: Callable[[], Awaitable[T]]


class Exchange(Protocol):
    """A request that was written and is not answered yet."""

    def abandon(self) -> None:
        """Close its connection and never call its `answered`."""


Answered: TypeAlias = Callable[
    [Answer | Withheld | Continuation[Answer | Withheld] | Exception], None
]
"""Takes what a request came to: its answer; a rest, which ends with that; or a defect of the sender's."""


class Sender(Protocol):
    """Makes one HTTP request; whatever happens to it is an Answer, never an exception."""

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        """Send and wait for the status line within the timeout. Cancellation closes the connection.

        `permitted` is asked directly before the first byte of each copy of the request is written,
        with no await in between: after the dial and the handshake. Where it says no, not a byte
        of that copy is written, the connection is kept, and the result is `Withheld`. So it is, after
        a short pause, where no connection can be made for a want of our own.
        """

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Withheld | Continuation[Answer | Withheld]:
        """Do as `send` does, without a coroutine where everything is at hand: an open connection above all.

        Args:
            post: The request.
            permitted: As for `send`.
            answered: Called once, in a later turn of the event loop, where an exchange is returned.

        Returns:
            The exchange that began; Withheld, as for `send`; or the rest where something must be
            awaited, nothing written yet.
        """


PublicKeySigning: TypeAlias = Callable[[bytes], Sign]
"""Returns the function that signs with the ed25519 key of a seed of 32 bytes."""


# Seeing it.


class Span(Protocol):
    """One sampled span."""

    @property
    def trace_id(self) -> str:
        """32 hex digits."""

    @property
    def span_id(self) -> str:
        """16 hex digits."""

    @property
    def traceparent(self) -> str:
        """The W3C text that makes this span the parent of what comes next."""

    def decoded(self, event_type: str, event_id: str) -> None:
        """Add which event the record is that is processed."""

    def decided(self, disposition: Disposition) -> None:
        """Add what becomes of the one delivery that the span is about."""

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """End the span, failed where `error` names why."""


class Tracer(Protocol):
    """Makes spans for sampled traces only; None stands for every unsampled one."""

    def process(
        self,
        record: Record,
        traceparent: str | None,
        group: str,
        state: Delivery | UnmatchedEvent | None = None,
    ) -> Span | None:
        """Start `process <topic>` (CONSUMER), child of the record's context or a root.

        `state` is what the headers of a tier record say.
        """

    def post(self, parent: Span, url: str, delivery: Delivery, attempt: int) -> Span | None:
        """Start `POST` (CLIENT), the attempt of this number, from 1."""

    def send(
        self, parent: Span, topic: str, delivery: Delivery, disposition: Disposition
    ) -> Span | None:
        """Start `send <topic>` (PRODUCER); its traceparent goes into the record's headers."""

    def cancel(self, parent: Span, delivery: Delivery, disposition: Disposition) -> Span | None:
        """Start `cancel` (INTERNAL), of a delivery that ends without a record."""


class Metrics(Protocol):
    """Counters and histograms, by the few labels that stay bounded."""

    def records(self, topic: str, count: int) -> None:
        """Records taken from a topic."""

    def undecodable(self, reason: str) -> None:
        """A record went to the undecodable topic."""

    def attempt(self, record: AttemptRecord) -> None:
        """An attempt was made, or a delivery ended without one; counts its disposition too."""

    def delivered(self, event_type: str, latency: Millis) -> None:
        """A first delivery arrived: milliseconds from the record's append to the 2xx."""

    def deferral(self, reason: str) -> None:
        """A delivery was put back without an attempt."""

    def gap(self, topic: str, records: int) -> None:
        """Records were gone from the log before they were read."""

    def unmatched(self, event_type: str) -> None:
        """An event was settled that no subscription matched."""

    def event_id_reused(self, event_type: str, *, conflict: bool) -> None:
        """A second record carries an event id, with other bytes (a conflict) or the same."""

    def copies_merged(self) -> None:
        """Two copies of one delivery met, and one of them goes on."""


class Logger(Protocol):
    """The structured log."""

    def attempt(self, record: AttemptRecord) -> None:
        """The one canonical line of an attempt."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """What an operator may want to know."""

    def warning(self, event: str, **fields: str | float | None) -> None:
        """What an operator should look at."""

    def error(self, event: str, **fields: str | float | None) -> None:
        """What an operator must act on."""


class Tables(Protocol):
    """The compacted topics, kept in memory."""

    def current(self) -> bool:
        """Return whether every table was known complete at most `FRESH_FOR` seconds ago.

        Counted from when the question was asked that the brokers answered.
        """


@dataclass(slots=True, frozen=True)
class Ports:
    """Every port of the engine."""

    events: RecordSource
    """Started with `Engine.events` as its listener."""
    tiers: RecordSource
    """Started with `Engine.tiers` as its listener."""
    topics: Topics
    directory: Directory
    tables: Tables
    codec: Codec
    offload: Offload
    sink: RecordSink
    sender: Sender
    public_key_signing: PublicKeySigning
    own_records: OwnRecords
    clock: Clock
    agreement: Agreement
    """Whether `clock` can be trusted."""
    chance: Chance
    tracer: Tracer
    metrics: Metrics
    logger: Logger
    health: HealthBook = field(default_factory=HealthBook)
    skips: Skips = field(default_factory=Skips)
    registries: SchemaRegistries = field(default_factory=NoRegistries)
    topic_ids: TopicIds = field(default_factory=NoTopicIds)
    schema_rows: SchemaRows = field(default_factory=NoRegistries)
    on_stopped: Callable[[TopicPartition], None] = lambda _: None
    """Resumes a partition that stopped before it was read, where an operator has named its start."""
