"""The ports of the pipeline: narrow Protocols that adapters and test doubles implement."""

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
        """Whether the clock shows the brokers' time, or never will."""

    @property
    def needs_timestamp(self) -> bool:
        """Whether a broker's timestamp should be requested now."""

    def agrees(self) -> bool:
        """Return whether attempts may begin and deliveries may expire by this clock now."""

    def why(self) -> str:
        """Return why not, with the remedy."""

    def unstamped(self, refusal: str | None = None) -> None:
        """Record an acknowledgement without a broker's time; `refusal`: why the request was refused."""

    def look(self) -> None:
        """Log problems of the clock; called once a second."""


# Records in.


class AssignmentListener(Protocol):
    """Is notified when partitions are assigned and revoked. Called on the event loop, in order."""

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        """Take over partitions: their records follow, from these offsets on, including settled ones."""

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Release partitions: drop their queued work, wait a moment, and return the positions to commit.

        Must return within half a second, because the group and the partitions that stay wait for it.
        """

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget partitions that another member already has: nothing of them may be committed."""

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        """The last commit for these partitions failed; commit them again."""

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        """The records in [first, next_offset) were gone before they were read.

        It precedes `on_assigned` with `next_offset` for the same partition. If an operator skipped the records
        of an assigned partition that had stopped, it precedes the record at `next_offset`.
        """

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        """An assigned partition has stopped. `remedy` says how to resume it.

        If its offsets were lost, this is called instead of `on_assigned`, which follows once an operator has
        named a position; a partition that was being read is reported lost first. If its next records cannot
        be fetched, it stays assigned and resumes automatically.
        """

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        """An operator resumes a stopped partition at `begin`; records below it are skipped.

        It follows `on_gap` if some of the skipped records have not been read yet.
        """


class RecordSource(Protocol):
    """A member of a consumer group. Records are returned only on request, so each request grants credit."""

    @property
    def exist(self) -> int:
        """How many partitions the group's topics have; 0: not known yet."""

    async def take(self, most: int) -> Sequence[Record]:
        """Wait up to 0.2 s for a record and return it with all others that are ready, at most `most`.

        Empty if none came. Call it again only after it has returned.
        """

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit offsets of next records without waiting; partitions that are not assigned are ignored.

        A failure is logged, and `on_commit_failed` of the listener is called.
        """

    def pause(self, partition: TopicPartition) -> None:
        """Stop fetching a partition until `resume`; prefetched records are discarded."""

    def resume(self, partition: TopicPartition) -> None:
        """Fetch a paused partition again."""


# Records out.


@dataclass(slots=True, frozen=True)
class WriteRefused:
    """The broker or the client refused a record for good (it is too large, the topic does not exist)."""

    detail: str
    too_large: bool


Acknowledged: TypeAlias = Callable[[WriteRefused | None], None]


class RecordSink(Protocol):
    """Durable writes, acknowledged by all in-sync replicas, without a bound on the wait."""

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """Write a record; `acknowledged` is called once, later, on the event loop.

        It never blocks and never raises: a full client queue only delays the write. A fatal producer error
        ends the process instead, with nothing acknowledged.
        """


# Decoding.


class Codec(Protocol):
    """Schemas and Avro: names a record's schema, decodes it, resolves and renders its versions."""

    def identify(
        self, record: Record, topic: str | None = None
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        """Name the record's schema from its framing alone, without decoding it.

        The meaning of a schema id depends on the event topic, `topic`; None: the record's own topic.
        """

    def load(self, identified: Identified, record: Record) -> int:
        """Return an upper bound of the values to decode from the record. It is cheap, however large that is."""

    def counted(self, event: Event) -> int:
        """Return the exact number by counting the event's values, which takes some microseconds."""

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

        `origin` becomes `Event.origin`; None: the record's own position. `event_id` is the id of an event whose
        record names none (`Identified.by_position`).

        This, `document` and `encode` may be called in a thread.
        """

    def latest(self, event_type: str) -> int:
        """Return the newest published version of a type, or 0."""

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        """Return the `standard` body of the event at a version, as plain JSON.

        Refused: the version cannot be resolved from the event's, or a value cannot be rendered.
        """

    def body(self, event: Event, version: int) -> bytes | None:
        """Return the exact bytes that encoding `document` would give, if they are cached; else None."""

    def excerpt(self, event: Event, version: int, paths: Paths) -> JsonObject | None:
        """Return `document`, from whose data anything may be missing that is not at these paths.

        A pattern that uses no other paths evaluates both alike. None: it would take as long as `document`,
        which callers keep for the delivery.
        """

    def encode(self, value: Json) -> bytes:
        """Return the JSON text of a value as UTF-8 bytes, without spaces."""


class Offload(Protocol):
    """Runs computations one after another in a thread, while the event loop does other work."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Return the result of `compute`, or raise its exception. It must change only its own objects."""


class OwnRecords(Protocol):
    """hookstream's own records, for the audit, operations and health topics."""

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
        """Return the health table's record of the time since which an endpoint fails."""

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
    """Including the endpoint's credentials, if they do not change."""
    body: bytes
    timeout: Millis
    tls: TlsIdentity | None = None
    """The identity of the connection; None: no client certificate, and the machine's authorities."""
    token: TokenRequest | None = None
    """The token to send; None: none, or the headers have it."""
    batch_id: str | None = None
    """The id of its batch; None: it has one event and no batch."""


Permitted: TypeAlias = Callable[[], bool]
"""Returns whether a request may begin now. It is cheap, never raises, and changes nothing."""


def always_permitted() -> bool:
    """Permit every request: for callers without data that could be stale."""
    return True


@dataclass(slots=True)
class Continuation(Generic[T]):
    """Work that must be awaited: whoever gets it runs it or drops it."""

    run: Callable[[], Awaitable[T]]


class Exchange(Protocol):
    """A request that was written and is not answered yet."""

    def abandon(self) -> None:
        """Close its connection; its `answered` is never called."""


Answered: TypeAlias = Callable[
    [Answer | Withheld | Continuation[Answer | Withheld] | Exception], None
]
"""Takes the result of a request: its answer, a continuation that returns it, or a defect of the sender."""


class Sender(Protocol):
    """Makes one HTTP request; every result of it is an Answer, never an exception."""

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        """Send and wait for the status line within the timeout. Cancellation closes the connection.

        `permitted` is called directly before the first byte of each copy of the request is written, after
        the connection and the handshake, with no await in between. If it returns False, no byte of that copy
        is written, the connection is kept, and the result is `Withheld`. The result is also `Withheld`, after
        a short pause, if a local resource is short and no connection can be made.
        """

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Withheld | Continuation[Answer | Withheld]:
        """Do as `send` does, without a coroutine if nothing must be awaited, such as a connection.

        Args:
            post: The request.
            permitted: As for `send`.
            answered: Called once, in a later iteration of the event loop, if an exchange is returned.

        Returns:
            The exchange that began; Withheld, as for `send`; or a continuation if something must be awaited
            before the first byte.
        """


PublicKeySigning: TypeAlias = Callable[[bytes], Sign]
"""Returns the function that signs with the ed25519 key of a seed of 32 bytes."""


# Observability.


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
        """The W3C `traceparent` that makes this span a parent."""

    def decoded(self, event_type: str, event_id: str) -> None:
        """Add the event of the record that is processed."""

    def decided(self, disposition: Disposition) -> None:
        """Add the disposition of the span's delivery."""

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """End the span; `error`: the reason of a failure."""


class Tracer(Protocol):
    """Makes spans of sampled traces; returns None for all others."""

    def process(
        self,
        record: Record,
        traceparent: str | None,
        group: str,
        state: Delivery | UnmatchedEvent | None = None,
    ) -> Span | None:
        """Start `process <topic>` (CONSUMER), child of the record's context or a root.

        `state` is the state in the headers of a tier record.
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
        """An attempt was made, or a delivery ended without one; its disposition is counted too."""

    def delivered(self, event_type: str, latency: Millis) -> None:
        """A first delivery arrived: milliseconds from the record's append to the 2xx."""

    def deferral(self, reason: str) -> None:
        """A delivery was deferred without an attempt."""

    def gap(self, topic: str, records: int) -> None:
        """Records were gone from the log before they were read."""

    def unmatched(self, event_type: str) -> None:
        """An event that no subscription matched was settled."""

    def event_id_reused(self, event_type: str, *, conflict: bool) -> None:
        """A second record has an event id, with other bytes (a conflict) or the same."""

    def copies_merged(self) -> None:
        """Two copies of one delivery were merged into one."""


class Logger(Protocol):
    """The structured log."""

    def attempt(self, record: AttemptRecord) -> None:
        """Log the canonical line of an attempt."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator may want to know."""

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator should look at."""

    def error(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator must act on."""


class Tables(Protocol):
    """The compacted topics, kept in memory."""

    def current(self) -> bool:
        """Return whether every table was known to be complete at most `FRESH_FOR` seconds ago.

        The age counts from the moment when the request was sent to the brokers.
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
    """Resumes a partition that stopped before it was read, if an operator has named its start."""
