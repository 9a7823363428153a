"""The composition root: builds the adapters from the settings, and one engine from the adapters.

Opened as one asynchronous context, so that every open part is closed in reverse order, however the
opening or the run ends.
"""

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

from hookstream.adapters.avro.accelerator import Implementation, implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.ed25519 import signer
from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.kafka.producer import PATIENT, KafkaSink
from hookstream.adapters.kafka.reach import wait_for_brokers
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.kafka.topic_ids import KafkaTopicIds
from hookstream.adapters.system import (
    SystemChance,
    SystemClock,
    ThreadOffload,
    open_files,
    spare_collector,
    worker_name,
)
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.metrics import PrometheusMetrics
from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.core.delivery.address import address_problem
from hookstream.core.jobs.book import JobBook
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis
from hookstream.core.model.operations import OPERATIONS_EVENTS
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.start import StartPolicy
from hookstream.core.outcome.health import HealthBook
from hookstream.core.topology.plan import HEADROOM, taken_topics, tier_topics
from hookstream.entry.cluster import client_of
from hookstream.entry.keys import key_ring
from hookstream.entry.registries import registries_of
from hookstream.entry.worker.feed import TableConsumer
from hookstream.entry.worker.registered_rows import RegisteredRows
from hookstream.errors import ConfigurationError
from hookstream.pipeline.broker_clock import BrokerClock, time_request
from hookstream.pipeline.engine import Engine, EngineRules, Ports
from hookstream.settings import Settings

_TABLES_DEADLINE = 60.0
"""Seconds to read every table to its end at the start."""
_TIME_SECONDS = 5.0
"""Seconds to wait for the brokers' time at the start."""
_TOPICS = 4_096
"""The most topics whose registry is cached; another look-up costs microseconds."""
_OTHER_FILES = 256
"""Open files besides the connections to endpoints: brokers, logs, health."""


@dataclass(slots=True, frozen=True)
class Wired:
    """A worker's parts, opened and ready to run."""

    engine: Engine
    events: KafkaSource
    tiers: KafkaSource
    tables: TableReader
    sink: KafkaSink
    sender: HttpSender
    directory: Directory
    metrics: PrometheusMetrics
    logger: StructuredLogger
    clock: BrokerClock
    jobs: JobBook
    avro: Implementation


def engine_rules(settings: Settings) -> EngineRules:
    """Return the engine's bounds from the settings."""
    return EngineRules(
        tiers=settings.retry.tiers,
        max_in_flight=settings.egress.max_in_flight,
        probe_every=settings.egress.probe_every,
        max_deliveries=settings.worker.max_deliveries,
        max_bytes=settings.worker.max_bytes,
        waiting_room_bytes=settings.worker.waiting_room_bytes,
        max_body_bytes=settings.egress.max_body_bytes,
        unknown_schema_grace=settings.retry.unknown_schema_grace,
        absent_grace=settings.retry.absent_grace,
        paused_for=settings.retry.paused_for,
        disable_after=settings.health.disable_after,
        disable_attempts=settings.health.disable_attempts,
        accept_create_time=settings.events.accept_create_time,
    )


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Wired]:
    """Open every part of a worker: tables first, groups last.

    Raises:
        ConfigurationError: Settings, key ring, topics or tables are invalid or missing, or the
            accelerator that is required.
        DependencyUnavailable: The broker cannot be reached.
    """
    avro = implementation()
    async with AsyncExitStack() as stack:
        topics = settings.topics_names
        client = client_of(settings)
        logger = StructuredLogger(settings.log.level, settings.log.format)
        machine = SystemClock()
        clock = BrokerClock(machine, logger, settings.worker.max_clock_skew, machine.boot)
        metrics = PrometheusMetrics(settings.metrics.subscriptions, avro.name)
        book, directory, health = SchemaBook(own_schemas()), Directory(), HealthBook()
        await wait_for_brokers(client, logger)
        feed = TableConsumer(topics, book, directory, key_ring(settings), logger, health)
        tables = TableReader(client, topics.tables, feed.take, logger, clock)
        tables.start()
        stack.push_async_callback(tables.close)
        await tables.read_to_end(_TABLES_DEADLINE)
        _refuse_empty(settings, topics, feed)
        sink = _sink(settings, logger, clock)
        stack.push_async_callback(sink.close)
        # The following steps use the brokers' time. Without it nothing is sent, see `BrokerClock.agrees`.
        sink.write(time_request(topics), lambda _: None)
        await sink.flush(_TIME_SECONDS)
        sender = await stack.enter_async_context(_sender(settings, logger))
        registries = await stack.enter_async_context(registries_of(settings))
        rows = RegisteredRows(
            client, topics, book, logger, SystemChance().fraction, settings.registry
        )
        tracer = tracer_of(settings.tracing, SystemChance())
        stack.callback(tracer.shutdown)
        metrics.observe(lambda: {"hookstream_spans_lost_total": tracer.lost})
        events, tiers = _sources(settings, directory, logger, clock)
        ports = Ports(
            events=events,
            tiers=tiers,
            topics=topics,
            directory=directory,
            tables=tables,
            codec=_codec(settings, book),
            sink=sink,
            sender=sender,
            public_key_signing=signer,
            own_records=AvroOwnRecords(
                topics, worker_name(settings.worker.name), disabled_row, failing_row
            ),
            clock=clock,
            agreement=clock,
            chance=SystemChance(),
            tracer=tracer,
            metrics=metrics,
            logger=logger,
            health=health,
            skips=feed.skips,
            topic_ids=KafkaTopicIds(client, logger, clock),
            registries=registries,
            schema_rows=rows,
            offload=stack.enter_context(contextlib.closing(ThreadOffload())),
            on_stopped=lambda where: feed.start_stopped(where, clock.now()),
        )
        engine = Engine(ports, engine_rules(settings))
        _route_requests(feed, topics, events, tiers, engine, clock)
        for event_type in book.event_types():
            # Builds the index of each type now, so that the first event need not wait for it.
            directory.has_subscribers(event_type, clock.now())
        spare_collector()
        yield Wired(
            engine=engine,
            events=events,
            tiers=tiers,
            tables=tables,
            sink=sink,
            sender=sender,
            directory=directory,
            metrics=metrics,
            logger=logger,
            clock=clock,
            jobs=feed.jobs,
            avro=avro,
        )


def _route_requests(
    feed: TableConsumer,
    topics: Topics,
    events: KafkaSource,
    tiers: KafkaSource,
    engine: Engine,
    clock: BrokerClock,
) -> None:
    """Pass operators' requests about a partition to the source that reads it."""

    def start_partition(where: TopicPartition, at: str | Millis) -> None:
        is_tier = topics.delay_of(where.topic) is not None
        source, owned = (tiers, engine.tiers) if is_tier else (events, engine.events)
        source.start_partition(where, at, blocked=owned.is_blocked(where))

    def skip_record(where: TopicPartition, offset: int) -> None:
        is_tier = topics.delay_of(where.topic) is not None
        (tiers if is_tier else events).skip(where, offset)

    feed.connect(start_partition, skip_record, clock.now())


def _sink(settings: Settings, logger: StructuredLogger, clock: BrokerClock) -> KafkaSink:
    largest = settings.events.max_record_bytes + HEADROOM
    return KafkaSink(client_of(settings), largest, logger, clock, PATIENT)


def _codec(settings: Settings, book: SchemaBook) -> AvroCodec:
    events = settings.events
    return AvroCodec(
        book,
        max_record_bytes=events.max_record_bytes,
        max_values=events.max_values,
        registry_of=lru_cache(_TOPICS)(settings.registry_of),
    )


def _refuse_empty(settings: Settings, topics: Topics, feed: TableConsumer) -> None:
    """Refuse to run on an empty table, a sign of a wrong prefix, unless `tables.allow_empty` is set.

    Raises:
        ConfigurationError: A table that every delivery needs is empty.
    """
    if settings.tables.allow_empty:
        return
    for table in (topics.schemas, topics.partners, topics.subscriptions):
        if not feed.rows[table]:
            raise ConfigurationError(
                f"{table} is empty, so nothing could ever be delivered: check topics.prefix"
                f" ({topics.prefix!r}), or set tables.allow_empty = true if the table is meant to be empty"
            )


def _sender(settings: Settings, logger: StructuredLogger) -> HttpSender:
    egress = settings.egress
    allow = [ipaddress.ip_network(text) for text in egress.allow]
    wanted = egress.max_idle + egress.max_in_flight + _OTHER_FILES
    allowed = open_files(wanted)
    # Files that Kafka, logs and the health port need are reserved, however many endpoints there are.
    connections = allowed - min(_OTHER_FILES, allowed // 2)
    idle = max(1, min(egress.max_idle, connections - egress.max_in_flight))
    if allowed < wanted:
        logger.warning(
            "worker.open_files_few", connections_kept=idle, connections=connections, wanted=wanted
        )
    return HttpSender(
        partial(address_problem, allow=allow),
        connect_timeout=egress.connect_timeout / 1000,
        max_response_bytes=egress.max_response_bytes,
        max_idle=idle,
        max_connections=connections,
        on_shortage=lambda what, remedy: logger.error("egress.short", detail=what, remedy=remedy),
        fraction=SystemChance().fraction,
    )


def _sources(
    settings: Settings,
    directory: Directory,
    logger: StructuredLogger,
    clock: BrokerClock,
) -> tuple[KafkaSource, KafkaSource]:
    """Return the consumers of the events' group and of the tiers' group."""
    topics = settings.topics_names
    client = client_of(settings)

    def wanted_from(topic: str) -> Millis | None:
        # A topic without subscriptions so far must not look like one whose offsets were lost.
        is_operations = topic == topics.operations
        return min(
            (
                each.active_from
                for each in directory.subscriptions.values()
                if not is_operations or not OPERATIONS_EVENTS.isdisjoint(each.event_types)
            ),
            default=None,
        )

    make = partial(
        KafkaSource,
        client,
        protocol=settings.kafka.group_protocol,
        instance_id=settings.kafka.group_instance_id,
        logger=logger,
        clock=clock,
    )
    events = make(
        topics.group,
        topics=partial(taken_topics, settings.events.topics, topics),
        starts=StartPolicy(wanted_from=wanted_from, wait=lambda _: 0),
    )
    tiers = make(
        topics.retry_group,
        topics=partial(tier_topics, topics),
        starts=StartPolicy(
            wanted_from=lambda _: 0, wait=lambda topic: topics.delay_of(topic) or 0
        ),
    )
    return events, tiers
