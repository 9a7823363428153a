# ruff: noqa: RUF009 - `_set` declares a field, as dataclasses.field does
"""The settings in their groups, each with its meaning, unit, bounds and default.

This is the complete list. `docs/settings.md` is generated from it, and a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis, parse_duration
from hookstream.core.model.topic_globs import covers
from hookstream.core.model.topics import Topics
from hookstream.settings import kinds
from hookstream.settings.kinds import Scalar, SettingKind

T = TypeVar("T")

KIND = "kind"
"""The key of a field's Kind in its metadata."""

ENVIRONMENT_ONLY = "environment_only"
"""The metadata key that marks a setting as not allowed in the settings file."""

_TIERS = "0s 5s 30s 1m 5m 15m 30m 1h 2h 6h 12h 24h"
_MIB = 1 << 20


def _set(
    default: T, kind: SettingKind[T], *, shown: bool = True, environment_only: bool = False
) -> T:
    """Declare a setting. One that may be secret is not `shown` in a repr."""
    about = {KIND: kind, ENVIRONMENT_ONLY: environment_only}
    made: T = field(default=default, metadata=about, repr=shown)
    return made


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The cluster and the connection to it."""

    bootstrap_servers: str = _set("127.0.0.1:9092", kinds.text(empty=False))
    """The bootstrap servers, `host:port`, separated by commas."""
    group_protocol: str = _set("consumer", kinds.one_of("consumer", "classic"))
    """The consumer group protocol: `consumer` is KIP-848, `classic` is for brokers without it."""
    group_instance_id: str | None = _set(None, kinds.optional(kinds.text(most=249)))
    """The static membership name of this member; with `classic` only."""
    client: Mapping[str, Scalar] = field(
        default_factory=dict, repr=False, metadata={KIND: kinds.client_settings()}
    )
    """Any librdkafka settings (TLS, SASL), passed on unchanged."""


@dataclass(frozen=True, slots=True)
class TopicsSettings:
    """Names and creation of hookstream's own topics."""

    prefix: str = _set("hookstream", kinds.topic_prefix())
    """The prefix of hookstream's own topics and groups."""
    partitions: int = _set(12, kinds.whole(1, 1000))
    """Partitions of each topic that is not a table."""
    replication: int | None = _set(None, kinds.optional(kinds.whole(1, 7)))
    """Replicas of each partition; unset: 3, or the number of brokers if there are fewer than three."""


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """The events that are consumed."""

    topics: tuple[str, ...] = _set(("printprice.*",), kinds.many(kinds.text(empty=False), least=1))
    """The event topics, by name or with `*` for any characters."""
    accept_create_time: bool = _set(default=False, kind=kinds.flag())
    """Whether event topics may have `CreateTime` timestamps instead of the broker's."""
    max_record_bytes: int = _set(_MIB, kinds.size(1024, 64 * _MIB))
    """The largest record that is decoded, in bytes; a larger one is undecodable."""
    max_values: int = _set(25_000, kinds.whole(1_000, 10_000_000))
    """The most values in a record; one with more is undecodable. Decoding 25,000 values takes 10 to
    30 ms and blocks the worker's event loop. Other work on a large event is done in a thread."""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """A schema registry with Confluent's API, under its own name: 1 to 40 of `a-z 0-9 _`, a letter first."""

    urls: tuple[str, ...] = _set((), kinds.registry_urls())
    """The addresses of its replicas, with the path of Confluent's API if there is one. Required."""
    topics: tuple[str, ...] = _set((), kinds.topic_globs())
    """The event topics whose records have ids of this registry. Required; no other registry may have
    the same topic."""
    ca: Path | None = _set(None, kinds.path())
    """A PEM file of the authorities that are trusted instead of the machine's."""
    username: str | None = _set(None, kinds.optional(kinds.text(empty=False)))
    """The user of basic authentication."""
    password: str | None = _set(
        None, kinds.optional(kinds.text(empty=False)), shown=False, environment_only=True
    )
    """The user's password; it takes precedence over `password_file`."""
    password_file: Path | None = _set(None, kinds.path())
    """The file with the user's password. It is read again when the registry refuses it."""
    token: str | None = _set(
        None, kinds.optional(kinds.text(empty=False)), shown=False, environment_only=True
    )
    """The token of bearer authentication; it takes precedence over `token_file`."""
    token_file: Path | None = _set(None, kinds.path())
    """The file with the token. It is read again when the registry refuses it."""
    timeout: Millis = _set(5 * SECOND, kinds.duration(100, MINUTE))
    """The time limit of a request to one replica."""


NAMED_GROUPS: Mapping[str, type[RegistrySettings]] = {"registry": RegistrySettings}
"""Groups that may occur any number of times, each under a name: `[registry.main]`."""


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """Outgoing requests: where they may go, and how many at once."""

    allow: tuple[str, ...] = _set((), kinds.networks())
    """Private address ranges that deliveries may go to."""
    https_only: bool = _set(default=True, kind=kinds.flag())
    """Whether endpoints must use https."""
    max_in_flight: int = _set(512, kinds.whole(1, 10_000))
    """Concurrent attempts of a worker."""
    probe_every: Millis = _set(30 * SECOND, kinds.duration(SECOND, 30 * MINUTE))
    """The longest time between probes of an endpoint that is down; the first probe is after 5 s."""
    max_idle: int = _set(2_000, kinds.whole(1, 100_000))
    """Idle connections that a worker keeps; fewer if its limit of open files is lower."""
    connect_timeout: Millis = _set(5 * SECOND, kinds.duration(100, MINUTE))
    """The time limit of a connection, including DNS and TLS."""
    max_body_bytes: int = _set(_MIB, kinds.size(1024, 16 * _MIB))
    """The largest body that is sent, in bytes; a delivery with a larger one is dead-lettered."""
    max_response_bytes: int = _set(65_536, kinds.size(1024, 16 * _MIB))
    """How much of a response is read before the connection is closed, in bytes."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """When failed deliveries are retried."""

    tiers: tuple[Millis, ...] = _set(
        tuple(parse_duration(delay) for delay in _TIERS.split()), kinds.ladder()
    )
    """The delays that have a topic. Topics of other delays are still read, but not written."""
    unknown_schema_grace: Millis = _set(HOUR, kinds.duration(0, 7 * DAY))
    """How long a record waits for its schema to be published before it is undecodable."""
    absent_grace: Millis = _set(7 * DAY, kinds.duration(0, 14 * DAY))
    """How long a delivery waits for a subscription that is missing from the table before it is
    dead-lettered."""
    paused_for: Millis = _set(14 * DAY, kinds.duration(0, 90 * DAY))
    """How long a delivery waits for a paused subscription before it is dead-lettered."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When an endpoint that only fails is disabled."""

    disable_after: Millis = _set(5 * DAY, kinds.duration(0, 90 * DAY))
    """How long an endpoint may only fail before it is disabled; `0s`: it is never disabled."""
    disable_attempts: int = _set(10, kinds.whole(1, 1_000_000))
    """How many failures in that time a worker must have seen itself before it disables the endpoint."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process."""

    listen: str = _set("127.0.0.1:9464", kinds.listen_address())
    """The address of metrics and health, `host:port`; port 0 uses a free one."""
    drain_deadline: Millis = _set(25 * SECOND, kinds.duration(0, HOUR))
    """How long a worker may take to shut down after SIGTERM: draining, committing and closing."""
    stuck_after: Millis = _set(5 * MINUTE, kinds.duration(10 * SECOND, DAY))
    """How long a record in progress may make no progress before `/healthz` fails."""
    max_clock_skew: Millis = _set(30 * SECOND, kinds.duration(SECOND, HOUR))
    """The clock skew between this machine and the brokers above which no attempt is made."""
    max_deliveries: int = _set(2000, kinds.whole(1, 100_000))
    """Deliveries in memory at which intake pauses."""
    max_bytes: int = _set(64 * _MIB, kinds.size(_MIB, 1 << 34))
    """Bytes of events in memory at which intake pauses."""
    waiting_room_bytes: int = _set(32 * _MIB, kinds.size(_MIB, 1 << 34))
    """Memory for tier records that wait until they are due: their bytes, and 2 KB each."""
    name: str = _set("", kinds.text(most=200))
    """The worker's name in the audit log; unset: host and process id."""


@dataclass(frozen=True, slots=True)
class JobsSettings:
    """Executors of jobs: `hookstream jobs run`, and commands that start jobs."""

    listen: str = _set("127.0.0.1:9465", kinds.listen_address())
    """The address of metrics and health of `jobs run`, `host:port`; port 0 uses a free one."""
    at_once: int = _set(4, kinds.whole(1, 64))
    """How many jobs `jobs run` works on at once."""
    lease: Millis = _set(30 * SECOND, kinds.duration(2 * SECOND, 30 * SECOND))
    """How long a job waits for an executor that died. Its holder writes at least three times as often."""
    drain_deadline: Millis = _set(25 * SECOND, kinds.duration(0, HOUR))
    """How long `jobs run` may take to shut down after SIGTERM: steps end, and jobs are handed back."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """One console: the API, the pages, and its work in the background."""

    listen: str = _set("127.0.0.1:8480", kinds.listen_address())
    """The address of the API, `host:port`; port 0 uses a free one. It is plain HTTP: put a
    proxy that terminates TLS in front."""
    url: str = _set("", kinds.web_origin())
    """The URL at which browsers reach it, such as `https://hookstream.example`: portal links begin with it.
    Empty: they are paths only."""
    health_listen: str = _set("127.0.0.1:9466", kinds.listen_address())
    """The address of metrics and health, `host:port`; port 0 uses a free one."""
    name: str = _set("", kinds.text())
    """The name of this installation on pages, such as `production`; empty: none."""
    trace_url: str = _set("", kinds.trace_url())
    """The URL that pages link to for a trace, such as `https://jaeger.example/trace/{trace_id}`; empty: they
    show its id."""
    workers: tuple[str, ...] = _set((), kinds.worker_addresses())
    """The addresses of workers' health ports (`worker.listen`), which are queried for the state of lanes. A name
    with several addresses, such as a headless service's, is that many workers, and is resolved for each query.
    Empty: pages and API show no lanes. The commands `status`, `doctor` and `subscriptions lane` query the same."""
    trusted_proxies: tuple[str, ...] = _set((), kinds.networks())
    """Addresses of proxies whose `X-Forwarded-For` names the client; they may have any number of connections."""
    max_connections: int = _set(800, kinds.whole(16, 100_000))
    """The most open connections of the API. A new one replaces the oldest idle one; if none is idle, the new
    one is closed."""
    max_connections_per_address: int = _set(200, kinds.whole(1, 100_000))
    """The most of them from one address, unless it is a trusted proxy."""
    folder: Path | None = _set(None, kinds.path())
    """The folder of the index. Losing it loses nothing: it is rebuilt from the topics. Unset: a temporary
    one, which is deleted with the process."""
    index_bytes: int = _set(20 << 30, kinds.size(16 * _MIB, 1 << 44))
    """The largest size of the index, in bytes; beyond it the oldest hours are deleted."""
    threads: int = _set(16, kinds.whole(2, 256))
    """How many requests are processed at once; more wait."""
    failures_quiet: Millis = _set(6 * HOUR, kinds.duration(10 * MINUTE, 7 * DAY))
    """How long a failure group must have no errors before it is resolved automatically, after a success. An
    index that reaches back less far resolves none."""
    runs_jobs: bool = _set(default=True, kind=kinds.flag())
    """Whether it takes over jobs without a holder, up to `jobs.at_once`."""
    drain_deadline: Millis = _set(25 * SECOND, kinds.duration(0, HOUR))
    """How long a console may take to shut down after SIGTERM: requests end, and jobs are handed back."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API that operators' commands use."""

    url: str = _set("", kinds.text())
    """The address of a console, such as `https://hookstream.example`; `--api` overrides it. Empty: commands
    work on Kafka itself. Commands without a counterpart in the API always do."""
    token_file: Path | None = _set(None, kinds.path())
    """The file with the token and nothing else; `HOOKSTREAM_TOKEN` overrides it."""


@dataclass(frozen=True, slots=True)
class TablesSettings:
    """The tables: partners, subscriptions, schemas."""

    activation_lead: Millis = _set(2 * SECOND, kinds.duration(0, MINUTE))
    """How far in the future a change takes effect, if it is written in time; otherwise later. Below 2s, a worker
    whose tables lag may read it too late."""
    prune_share: float = _set(0.1, kinds.fraction())
    """The share of a folder's rows that `--prune` deletes without `--confirm-delete`."""
    allow_empty: bool = _set(default=False, kind=kinds.flag())
    """Whether a worker starts with an empty table (usually a wrong prefix)."""


@dataclass(frozen=True, slots=True)
class KeysSettings:
    """The keys that encrypt signing secrets at rest."""

    file: Path | None = _set(None, kinds.path())
    """The key ring's file, in the format of `hookstream dev keys`."""
    ring: str | None = _set(
        None, kinds.optional(kinds.text(most=65_536)), shown=False, environment_only=True
    )
    """The key ring itself as JSON; it takes precedence over `file`."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """OpenTelemetry traces."""

    exporter: str = _set("none", kinds.one_of("none", "otlp", "file"))
    """Where spans are exported."""
    ratio: float = _set(0.01, kinds.fraction())
    """The sampling ratio of traces that start here; other traces follow their parent."""
    file: Path | None = _set(None, kinds.path())
    """The file for the exporter `file`: one JSON object a line, appended."""
    endpoint: str | None = _set(None, kinds.optional(kinds.text()))
    """The URL of the OTLP/HTTP collector; unset: OpenTelemetry's default."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Metrics for Prometheus."""

    subscriptions: int = _set(200, kinds.whole(0, 10_000))
    """The most subscriptions with series of their own: the first that a worker attempts, until it ends. The rest share `_other`; 0: no series per subscription."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log on standard error."""

    level: str = _set("info", kinds.one_of("debug", "info", "warning", "error"))
    """The lowest level that is logged; `debug` also logs each delivered attempt."""
    format: str = _set("json", kinds.one_of("json", "console"))
    """JSON lines, or coloured text for a terminal."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicsSettings = TopicsSettings()
    events: EventsSettings = EventsSettings()
    registry: Mapping[str, RegistrySettings] = field(default_factory=dict)
    """By name."""
    egress: EgressSettings = EgressSettings()
    retry: RetrySettings = RetrySettings()
    health: HealthSettings = HealthSettings()
    worker: WorkerSettings = WorkerSettings()
    jobs: JobsSettings = JobsSettings()
    console: ConsoleSettings = ConsoleSettings()
    api: ApiSettings = ApiSettings()
    tables: TablesSettings = TablesSettings()
    keys: KeysSettings = KeysSettings()
    tracing: TracingSettings = TracingSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    def registry_of(self, topic: str) -> str | None:
        """Return the name of the registry that serves an event topic; None if there is none."""
        for name, registry in self.registry.items():
            if covers(registry.topics, topic):
                return name
        return None

    @property
    def topics_names(self) -> Topics:
        """The names of hookstream's own topics and groups under the configured prefix."""
        return Topics(self.topics.prefix)
