# ruff: noqa: RUF009 - `_set` declares a field, as dataclasses.field does
"""The settings in their groups, each with its meaning, unit, bounds and default.

What stands here is all that there is: `docs/settings.md` lists the same, and a test holds it to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis, parse_duration
from hookstream.core.model.topics import Topics
from hookstream.settings import kinds
from hookstream.settings.kinds import Scalar, SettingKind

T = TypeVar("T")

KIND = "kind"
"""Where a field's metadata holds its Kind."""

ENVIRONMENT_ONLY = "environment_only"
"""Where a field's metadata says that the settings file may not hold it."""

_TIERS = "0s 5s 30s 1m 5m 15m 30m 1h 2h 6h 12h 24h"
_MIB = 1 << 20


def _set(
    default: T, kind: SettingKind[T], *, shown: bool = True, environment_only: bool = False
) -> T:
    """Declare a setting; one that may hold a secret is not `shown` in a repr."""
    about = {KIND: kind, ENVIRONMENT_ONLY: environment_only}
    made: T = field(default=default, metadata=about, repr=shown)
    return made


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The cluster and how it is spoken to."""

    bootstrap_servers: str = _set("127.0.0.1:9092", kinds.text(empty=False))
    """Where to find the cluster: `host:port`, several separated by commas."""
    group_protocol: str = _set("consumer", kinds.one_of("consumer", "classic"))
    """The protocol of consumer groups: `consumer` is KIP-848, `classic` is for brokers without it."""
    group_instance_id: str | None = _set(None, kinds.optional(kinds.text(most=249)))
    """The name of this member over restarts (static membership); with `classic` only."""
    client: Mapping[str, Scalar] = field(
        default_factory=dict, repr=False, metadata={KIND: kinds.client_settings()}
    )
    """Any settings of librdkafka (TLS, SASL), passed on as they are."""


@dataclass(frozen=True, slots=True)
class TopicsSettings:
    """How hookstream's own topics are named and made."""

    prefix: str = _set("hookstream", kinds.topic_prefix())
    """What the names of hookstream's own topics and groups begin with."""
    partitions: int = _set(12, kinds.whole(1, 1000))
    """Partitions of each topic that is not a table."""
    replication: int | None = _set(None, kinds.optional(kinds.whole(1, 7)))
    """Replicas of each partition; unset: 3 where the cluster has three brokers, else what it has."""


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """Which events are read."""

    topics: tuple[str, ...] = _set(("printprice.*",), kinds.many(kinds.text(empty=False), least=1))
    """The event topics, by name or with `*` for any characters."""
    accept_create_time: bool = _set(default=False, kind=kinds.flag())
    """Whether event topics may carry their producers' time instead of the broker's."""
    max_record_bytes: int = _set(_MIB, kinds.size(1024, 64 * _MIB))
    """The largest record that is decoded, in bytes; a larger one is undecodable."""
    max_values: int = _set(25_000, kinds.whole(1_000, 10_000_000))
    """How many values a record may hold; one with more is undecodable. Decoding 25,000 values takes
    10 to 30 ms, in which a worker does nothing else. What else it does with a large event, it does
    in a thread beside its event loop."""


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """What may leave the machine, and how much of it at once."""

    allow: tuple[str, ...] = _set((), kinds.networks())
    """Private address ranges that may be delivered to all the same."""
    https_only: bool = _set(default=True, kind=kinds.flag())
    """Whether endpoints must be https."""
    max_in_flight: int = _set(512, kinds.whole(1, 10_000))
    """Attempts that a worker makes at once."""
    probe_every: Millis = _set(30 * SECOND, kinds.duration(SECOND, 30 * MINUTE))
    """How often an endpoint that is down is attempted, at the least: it begins after 5 s."""
    max_idle: int = _set(2_000, kinds.whole(1, 100_000))
    """Idle connections that a worker keeps; fewer where it may not open so many files."""
    connect_timeout: Millis = _set(5 * SECOND, kinds.duration(100, MINUTE))
    """How long a connection may take, its address and TLS included."""
    max_body_bytes: int = _set(_MIB, kinds.size(1024, 16 * _MIB))
    """The largest body that is sent, in bytes; a delivery that needs more is dead-lettered."""
    max_response_bytes: int = _set(65_536, kinds.size(1024, 16 * _MIB))
    """How much of an answer is read before the connection is closed, in bytes."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """When what could not be delivered is tried again."""

    tiers: tuple[Millis, ...] = _set(
        tuple(parse_duration(delay) for delay in _TIERS.split()), kinds.ladder()
    )
    """The delays that have a topic. Topics of other delays are still read, not written."""
    unknown_schema_grace: Millis = _set(HOUR, kinds.duration(0, 7 * DAY))
    """How long a record may wait for its schema to be published before it is undecodable."""
    absent_grace: Millis = _set(7 * DAY, kinds.duration(0, 14 * DAY))
    """How long a delivery waits for a subscription that is in no table before it is given up."""
    paused_for: Millis = _set(14 * DAY, kinds.duration(0, 90 * DAY))
    """How long a delivery waits for a paused subscription before it is given up."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When an endpoint that only fails is given up."""

    disable_after: Millis = _set(5 * DAY, kinds.duration(0, 90 * DAY))
    """How long an endpoint may answer nothing but failures before it is disabled; `0s`: for ever."""
    disable_attempts: int = _set(10, kinds.whole(1, 1_000_000))
    """How many failures in that time a worker must have seen itself before it disables."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process."""

    listen: str = _set("127.0.0.1:9464", kinds.text(empty=False))
    """Where metrics and health are served, `host:port`; port 0 takes a free one."""
    drain_deadline: Millis = _set(25 * SECOND, kinds.duration(0, HOUR))
    """How long a worker may take to end after SIGTERM: draining, committing and closing."""
    stuck_after: Millis = _set(5 * MINUTE, kinds.duration(10 * SECOND, DAY))
    """How long nothing may become of a record in hand before `/healthz` turns red."""
    max_clock_skew: Millis = _set(30 * SECOND, kinds.duration(SECOND, HOUR))
    """How far this machine's clock may be from the brokers' before no attempt begins."""
    max_deliveries: int = _set(2000, kinds.whole(1, 100_000))
    """Deliveries held in memory before intake stops."""
    max_bytes: int = _set(64 * _MIB, kinds.size(_MIB, 1 << 34))
    """Bytes of events held in memory before intake stops."""
    waiting_room_bytes: int = _set(32 * _MIB, kinds.size(_MIB, 1 << 34))
    """Memory for what waits in tiers until it is due: its bytes, and 2 KB each."""
    name: str = _set("", kinds.text(most=200))
    """What the audit log calls this worker; unset: host and process id."""


@dataclass(frozen=True, slots=True)
class TablesSettings:
    """The tables: partners, subscriptions, schemas."""

    activation_lead: Millis = _set(2 * SECOND, kinds.duration(0, MINUTE))
    """How far ahead a change of state takes effect: longer than a worker's tables may lag."""
    prune_share: float = _set(0.1, kinds.fraction())
    """Which part of what a folder of definitions owns `--prune` deletes without `--confirm-delete`."""
    allow_empty: bool = _set(default=False, kind=kinds.flag())
    """Whether a worker starts although a table is empty (usually a wrong prefix)."""


@dataclass(frozen=True, slots=True)
class KeysSettings:
    """The keys that encrypt signing secrets at rest."""

    file: Path | None = _set(None, kinds.path())
    """The key ring's file, as `hookstream dev keys` makes one."""
    ring: str | None = _set(
        None, kinds.optional(kinds.text(most=65_536)), shown=False, environment_only=True
    )
    """The key ring itself as JSON; before `file` where both are set."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """OpenTelemetry traces."""

    exporter: str = _set("none", kinds.one_of("none", "otlp", "file"))
    """Where spans go."""
    ratio: float = _set(0.01, kinds.fraction())
    """How many of the traces that begin here are sampled; others follow their parent."""
    file: Path | None = _set(None, kinds.path())
    """Where the exporter `file` appends spans, one JSON object a line."""
    endpoint: str | None = _set(None, kinds.optional(kinds.text()))
    """The URL of the OTLP/HTTP collector; unset: OpenTelemetry's own default."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log on standard error."""

    level: str = _set("info", kinds.one_of("debug", "info", "warning", "error"))
    """The least level that is written; at `debug` each delivered attempt has a line too."""
    format: str = _set("json", kinds.one_of("json", "console"))
    """JSON lines, or coloured text for a person."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicsSettings = TopicsSettings()
    events: EventsSettings = EventsSettings()
    egress: EgressSettings = EgressSettings()
    retry: RetrySettings = RetrySettings()
    health: HealthSettings = HealthSettings()
    worker: WorkerSettings = WorkerSettings()
    tables: TablesSettings = TablesSettings()
    keys: KeysSettings = KeysSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()

    @property
    def topics_names(self) -> Topics:
        """The names of hookstream's own topics and groups under the prefix that is set."""
        return Topics(self.topics.prefix)
