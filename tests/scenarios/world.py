"""The world of a scenario: a broker, partners, endpoints and workers, all on virtual time."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from tests.doubles.batch_bodies import event_ids
from tests.doubles.broker import Broker, BrokerSource
from tests.doubles.broker_sink import BrokerSink
from tests.doubles.clock import LoopClock, Unquestioned
from tests.doubles.codec import JsonCodec, json_record, json_value
from tests.doubles.endpoint import Endpoints
from tests.doubles.offload import OnTheLoop
from tests.doubles.registry import Registries
from tests.doubles.seeing import (
    CountingMetrics,
    CurrentTables,
    FixedChance,
    JsonOwnRecords,
    RememberingLogger,
    SilentTracer,
)
from tests.doubles.virtual_time import VirtualTimeLoop

from hookstream.adapters.ed25519 import signer
from hookstream.core.matching.directory import Directory
from hookstream.core.model.framing import prefixed
from hookstream.core.model.instant import MINUTE, SECOND, Millis, parse_duration
from hookstream.core.model.json import JsonObject
from hookstream.core.model.operations import OPERATIONS_EVENTS
from hookstream.core.model.record import Header, Record, TopicPartition, header_text
from hookstream.core.model.subscription import (
    DEFAULT_EXPIRY,
    Disabled,
    Endpoint,
    Failing,
    Grant,
    Limits,
    Partner,
    RetryPolicy,
    SigningSecret,
    Subscription,
)
from hookstream.core.model.topics import Topics
from hookstream.core.outcome.health import HealthBook
from hookstream.core.topology.plan import taken_topics
from hookstream.pipeline.engine import Engine, EngineRules, Ports

TIERS = tuple(
    parse_duration(text)
    for text in ("0s", "5s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "6h", "12h", "24h")
)
EVENT_TYPE = "pricing.completed"
EVENTS = f"printprice.{EVENT_TYPE}"

_TABLE_LAG = 0.05
"""Seconds from the append of a row to its being read."""


class Worker:
    """One worker process of the world, which can be shut down and can be killed."""

    def __init__(self, world: "World", rules: EngineRules) -> None:
        self._world = world
        self.health = HealthBook()
        self.sink: BrokerSink = world.broker.sink()
        self.events: BrokerSource = world.broker.source(
            world.topics.group,
            lambda all_: taken_topics(["printprice.*"], world.topics, all_),
        )
        self.tiers: BrokerSource = world.broker.source(world.topics.retry_group, world.tiers_of)
        outside = Ports(
            events=self.events,
            tiers=self.tiers,
            topics=world.topics,
            directory=world.directory,
            tables=world.tables,
            codec=world.codec,
            offload=OnTheLoop(),
            sink=self.sink,
            sender=world.endpoints,
            public_key_signing=signer,
            own_records=JsonOwnRecords(world.topics),
            clock=world.clock,
            agreement=Unquestioned(),
            chance=FixedChance(),
            tracer=SilentTracer(),
            metrics=world.metrics,
            logger=world.logger,
            health=self.health,
            registries=world.registries,
            schema_rows=world.registries,
        )
        outside = world.altered(outside)
        self.skips = outside.skips
        self.engine = Engine(outside, rules)
        self._stop = asyncio.Event()
        self.in_time: bool | None = None
        self.task: asyncio.Task[None] | None = None

    async def start(self, tasks: asyncio.TaskGroup | None) -> None:
        """Begin to run; without `tasks`, what ends the worker is left to the test."""
        self.task = (asyncio if tasks is None else tasks).create_task(self._run())
        await asyncio.sleep(0)
        await self.events.start(self.engine.events)
        await self.tiers.start(self.engine.tiers)

    async def _run(self) -> None:
        self.in_time = await self.engine.run(self._stop, 25 * SECOND)

    async def terminate(self) -> bool:
        """SIGTERM: drain, commit, leave. True: within the deadline."""
        self._stop.set()
        assert self.task is not None
        await self.task
        await self.sink.flush(5)
        self.engine.commit()
        await self.events.close()
        await self.tiers.close()
        assert self.in_time is not None
        return self.in_time

    async def kill(self, *, appended: bool = False) -> None:
        """SIGKILL: whatever was not acknowledged is lost with the process, or was appended."""
        assert self.task is not None
        self.sink.crash(appended=appended)
        self.task.cancel()
        await asyncio.sleep(0)
        await self.events.crash()
        await self.tiers.crash()


class World:
    """A platform, its partners and their endpoints, as an asynchronous context."""

    def __init__(
        self, *, partitions: int = 1, tier_partitions: int = 1, rules: EngineRules | None = None
    ) -> None:
        self.clock = LoopClock()
        self.clock.now()
        self.broker = Broker(self.clock)
        self.topics = Topics("hookstream")
        self.rules = rules or EngineRules(tiers=TIERS)
        self.directory = Directory()
        self.codec = JsonCodec({EVENT_TYPE: 1, **dict.fromkeys(OPERATIONS_EVENTS, 1)})
        self.registries = Registries(self.codec)
        self.endpoints = Endpoints()
        self.tables = CurrentTables()
        self.logger = RememberingLogger()
        self.metrics = CountingMetrics()
        self.altered: Callable[[Ports], Ports] = lambda outside: outside
        """Replaces a worker's ports by broken ones."""
        self._tasks = asyncio.TaskGroup()
        self._workers: list[Worker] = []
        self._read: dict[TopicPartition, str | None] = {}
        """By partition, the group that reads it."""
        self._unsettled_last: TopicPartition | None = None
        """A partition that was not settled at the last check: most often it still is not."""
        self.broker.create(EVENTS, partitions)
        for topic in (
            self.topics.dead_letters,
            self.topics.undecodable,
            self.topics.attempts,
            self.topics.operations,
            self.topics.health,
        ):
            self.broker.create(topic)
        for tier in self.rules.tiers:
            self.broker.create(self.topics.tier(tier), tier_partitions)
        self.directory.put_partner(
            Partner("acme", "Acme", Grant(event_types=("*",), environments=("*",)))
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self.broker.follow(self.topics.health, self._health_appended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            for worker in self._workers:
                if worker.in_time is None:
                    await worker.kill()
        await self._tasks.__aexit__(kind, error, trace)

    async def worker(self, rules: EngineRules | None = None, *, joined: bool = True) -> Worker:
        """Start one more worker. Not joined: a test waits for what ends it."""
        worker = Worker(self, rules or self.rules)
        for subscription_id, value in self.health().items():
            if subscription_id.endswith("/failing") and value is not None:
                name = subscription_id.removesuffix("/failing")
                worker.health.put(Failing(name, value["since"]))
        self._workers.append(worker)
        await worker.start(self._tasks if joined else None)
        return worker

    def tiers_of(self, topics: Iterable[str]) -> list[str]:
        return [topic for topic in topics if self.topics.delay_of(topic) is not None]

    def _health_appended(self, row: Record) -> None:
        asyncio.get_running_loop().call_later(_TABLE_LAG, self._take_health, row)

    def _take_health(self, row: Record) -> None:
        """Do what a table reader does: bring a row of the health topic into the directory."""
        subscription_id, _, kind = (row.key or b"").decode().rpartition("/")
        value = None if row.value is None else json.loads(row.value)
        if kind == "disabled":
            self._follow_disabled(subscription_id, value)
        else:
            self._follow_failing(subscription_id, value)

    def _follow_disabled(self, subscription_id: str, value: dict[str, Any] | None) -> None:
        if value is None:
            self.directory.drop_disabled(subscription_id)
        else:
            since, reason = value["since"], value["reason"]
            self.directory.put_disabled(
                Disabled(subscription_id, since, reason, value["evidence"])
            )

    def _follow_failing(self, subscription_id: str, value: dict[str, Any] | None) -> None:
        for worker in self._workers:
            if value is None:
                worker.health.drop(subscription_id)
            else:
                worker.health.put(Failing(subscription_id, value["since"]))

    # Acts of the platform and its operators.

    def subscribe(
        self,
        subscription_id: str,
        *,
        schedule: tuple[Millis, ...] = (5 * SECOND, 5 * MINUTE, 30 * MINUTE),
        max_in_flight: int = 8,
        pattern: JsonObject | None = None,
        active_from: Millis = 0,
        timeout: Millis = 15 * SECOND,
        expires_after: Millis = DEFAULT_EXPIRY,
        partner: str = "acme",
        event_types: tuple[str, ...] = (EVENT_TYPE,),
        rate_limit: float | None = None,
        weight: int = 1,
    ) -> Subscription:
        """Put a subscription of `acme` for pricing.completed into the table, or another."""
        subscription = Subscription(
            id=subscription_id,
            partner_id=partner,
            endpoint=Endpoint(
                url=f"https://{subscription_id}.example/hook",
                secrets=(SigningSecret("s1", b"0" * 32),),
                timeout=timeout,
            ),
            event_types=event_types,
            active_from=active_from,
            pattern=pattern,
            retry=RetryPolicy(schedule=schedule, expires_after=expires_after),
            limits=Limits(max_in_flight, rate_limit, weight),
        )
        self.directory.put_subscription(subscription)
        return subscription

    def publish(
        self,
        *event_ids: str,
        data: JsonObject | None = None,
        headers: tuple[Header, ...] = (),
        partition: int | None = None,
    ) -> None:
        """Append events, to the partition of each one's key unless one is given."""
        for event_id in event_ids:
            outgoing = json_record(EVENT_TYPE, event_id, data=data, headers=headers)
            self.broker.append(
                outgoing.topic,
                outgoing.value,
                key=event_id.encode(),
                headers=outgoing.headers,
                partition=partition,
            )

    def publish_registered(
        self, schema_id: int, *event_ids: str, partition: int | None = None, topic: str = EVENTS
    ) -> None:
        """Append events in Confluent's framing, whether their schema is registered or not."""
        for event_id in event_ids:
            value = prefixed(schema_id) + json_value(EVENT_TYPE, event_id)
            self.broker.append(topic, value, key=event_id.encode(), partition=partition)

    async def until(
        self, true: Callable[[], bool], within: float = 7200.0, step: float = 0.05
    ) -> None:
        """Wait until a condition is true, checked `step` (virtual) seconds apart while anything happens.

        Raises:
            TimeoutError: It did not within so many (virtual) seconds.
        """
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        async with asyncio.timeout(within):
            await loop.until(true, step)

    # Observations.

    def accepted(self, subscription_id: str) -> Counter[str]:
        """How often each event was answered 2xx by a subscription's endpoint."""
        found: Counter[str] = Counter()
        for request in self.endpoints.accepted(subscription_id):
            if request.events is None:
                request.events = event_ids(request.post)
            found.update(request.events)
        return found

    def dead(self) -> list[tuple[str | None, str | None, str | None]]:
        """Every dead letter as (subscription, event, reason)."""
        return [
            (
                header_text(record.headers, "hs-subscription-id"),
                header_text(record.headers, "hs-event-id"),
                header_text(record.headers, "hs-reason"),
            )
            for record in self.broker.records(self.topics.dead_letters)
        ]

    def health(self) -> dict[str, dict[str, Any] | None]:
        """The health table's rows by key, None where one was cleared."""
        rows = self.broker.records(self.topics.health)
        return {
            (row.key or b"").decode(): None if row.value is None else json.loads(row.value)
            for row in rows
        }

    def published(self, event_type: str) -> list[tuple[str, JsonObject]]:
        """Every operations event of a type, as (what it is about, data)."""
        found = []
        for record in self.broker.records(self.topics.operations):
            body = json.loads(record.value or b"{}")
            if body["type"] == event_type:
                found.append((body["entity_id"], body["data"]))
        return found

    def tier_writes(self) -> list[Record]:
        """Every record that was ever written to a tier."""
        found: list[Record] = []
        for tier in self.rules.tiers:
            found.extend(self.broker.records(self.topics.tier(tier)))
        return found

    def settled(self) -> bool:
        """Return whether both groups have committed to the end of every log they read."""
        last = self._unsettled_last
        if last is not None and not self._is_settled(last):
            return False
        logs = self.broker.logs
        if len(self._read) != len(logs):
            self._read = {at: self._reader_of(at.topic) for at in logs}
        self._unsettled_last = next((at for at in self._read if not self._is_settled(at)), None)
        return self._unsettled_last is None

    def _is_settled(self, at: TopicPartition) -> bool:
        group = self._read[at]
        if group is None:
            return True
        return self.broker.commits.get(group, {}).get(at, 0) == self.broker.logs[at].high

    def _reader_of(self, topic: str) -> str | None:
        """Return the group that reads a topic, if one does."""
        if topic in (EVENTS, self.topics.operations):
            return self.topics.group
        return None if self.topics.delay_of(topic) is None else self.topics.retry_group
