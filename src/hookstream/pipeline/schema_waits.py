"""Resolves schemas of registries, once for all records that wait for one, and stops partitions meanwhile.

1. An id is requested once at a time, however many records wait for it, and as rarely as `RegistryAsks` allows.
2. The registry's answer becomes a durable row of the schemas table before a record is decoded with it.
3. While there is no answer, the record waits at its offset: after a quarter of a second its partition stops,
   and other partitions continue. An alarm is raised after 30 s, and again every 30 s.

A process that ends meanwhile leaves the record unsettled, and at most a row that it wrote: the next worker
that reads the record finds the row, or resolves the id again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from hookstream.core.catalog.registry_asks import RegistryAsks
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
    Unusable,
)
from hookstream.pipeline.defects import Step, described
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Ports

_PATIENCE = 0.25
"""Seconds that a record waits before its partition stops: a pause discards prefetched records."""
_SLOW = 15.0
"""Seconds that a tier record waits, whose partition does not stop: longer than a reachable registry takes."""
_MOST_WAITING = 32
"""Waiting records of a partition beyond which it stops at once."""
_LOOK = 1.0
"""Seconds between two checks of whether an operator skipped a record, or its partition was revoked."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
"""Seconds between two requests to a registry that cannot be reached."""
_AT_ONCE = 4
"""Concurrent requests to one registry."""
_MOST_ASKED = 16
"""Ids of one registry that may be unanswered: more would wait for each other, and so would partitions."""
_ALARM_AFTER = 30.0
"""Seconds."""


@dataclass(slots=True)
class _Ask:
    """One id that is being resolved."""

    done: asyncio.Future[None]
    waiting: int = 0
    """How many records wait for it; without any, the registry is not asked again."""
    failed: bool = False
    """Whether the registry was unreachable since the request began."""


@dataclass(slots=True, frozen=True)
class NotAsked:
    """The registry already gets too many requests for ids that it does not have."""


class _Registry:
    """One registry, as seen by this worker."""

    def __init__(self) -> None:
        self.asks = RegistryAsks()
        self.unanswered = 0
        """How many ids are being resolved."""
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self.probing = asyncio.Lock()
        """Held by the one request that is made while it is unreachable."""
        self.since: float | None = None
        """Since when it has been unreachable; None: it is reachable."""
        self.pause = _FIRST_PAUSE
        self.ask_at = 0.0
        """When it is asked again, while it is unreachable."""
        self.alarm_at = 0.0


class SchemaWaits:
    """The schemas of registries for which records wait. Owned by the event loop."""

    def __init__(self, ports: Ports, fence: Fence, current: Callable[[], Awaitable[None]]) -> None:
        """Admit a resolved record again once `current` returns, when records may be matched."""
        self._registries = ports.registries
        self._rows = ports.schema_rows
        self._clock = ports.clock
        self._logger = ports.logger
        self._skips = ports.skips
        self._fence = fence
        self._current = current
        self._known: dict[str, _Registry] = {}
        self._asks: dict[RegisteredId, _Ask] = {}
        self._waiting: Counter[TopicPartition] = Counter()

    def useless(self, schema: RegisteredId) -> NotFound | Unusable | NotAsked | None:
        """Return why an id is not requested now: an earlier answer, or too many requests; None: `wait` for it."""
        now = self._clock.monotonic()
        registry = self._registry(schema)
        known = registry.asks.known(schema.id, now)
        if known is not None or schema in self._asks:
            return known
        if registry.since is not None:
            # The registry is unreachable: records wait at their offsets until it is reachable.
            return None
        if registry.unanswered >= _MOST_ASKED or not registry.asks.spend(now):
            return NotAsked()
        return None

    def undecodable(self, schema: RegisteredId) -> Undecodable | None:
        """Return why a delivery of a schema cannot be decoded; None: `wait` for it."""
        useless = self.useless(schema)
        match useless:
            case Unusable(problem=problem):
                return problem
            case NotFound(detail=detail):
                why = f"schema {schema} was not found: {detail}"
                return Undecodable(UndecodableReason.UNKNOWN_SCHEMA, why)
            case NotAsked() | None:
                return None

    def wait(
        self,
        receipt: Receipt,
        schema: RegisteredId,
        retry: Callable[[], Awaitable[None]],
        on_timeout: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Admit a record again once its schema is resolved. Returns at once.

        Args:
            receipt: The record's receipt; the caller passes its reference on.
            schema: The schema, for which `useless` returned None.
            retry: Admits the record again; it is fenced.
            on_timeout: Defers the record if there is no answer soon; it is fenced. None: its partition stops.
        """
        ask = self._asks.get(schema)
        if ask is None:
            ask = self._asks[schema] = _Ask(asyncio.get_running_loop().create_future())
            self._registry(schema).unanswered += 1
            self._fence.start(partial(self._resolve, schema, ask))
        ask.waiting += 1
        self._waiting[receipt.where] += 1
        self._fence.start(partial(self._wait, receipt, schema, ask, retry, on_timeout))

    async def _wait(
        self,
        receipt: Receipt,
        schema: RegisteredId,
        ask: _Ask,
        retry: Callable[[], Awaitable[None]],
        on_timeout: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """Wait for an answer, an operator's skip, or the end of the assignment."""
        try:
            resolved = await self._answered(receipt, ask, stops=on_timeout is None)
        finally:
            ask.waiting -= 1
            self._waiting[receipt.where] -= 1
            if not self._waiting[receipt.where]:
                del self._waiting[receipt.where]
        if resolved:
            await self._current()
        if not receipt.may_start:
            # Nothing is settled: the partition's new owner reads the record again.
            return
        if resolved:
            await retry()
        elif on_timeout is not None:
            await on_timeout()
        else:
            self._logger.warning(
                "partition.skipped",
                **receipt.where._asdict(),
                offset=receipt.record.offset,
                detail=f"skipped while schema {schema} was not resolved",
            )
            receipt.release()

    async def _answered(self, receipt: Receipt, ask: _Ask, *, stops: bool) -> bool:
        """Return whether there is an answer; False: the record was skipped, was revoked, or waited too long."""
        if not stops:
            until = self._clock.monotonic() + _SLOW
            while not (ask.done.done() or ask.failed) and self._clock.monotonic() < until:
                await asyncio.wait((ask.done,), timeout=_PATIENCE)
            return ask.done.done()
        if self._waiting[receipt.where] <= _MOST_WAITING:
            await asyncio.wait((ask.done,), timeout=_PATIENCE)
        if ask.done.done():
            return True
        receipt.block()
        try:
            while receipt.may_start and not self._skips.covers(receipt.record):
                await asyncio.wait((ask.done,), timeout=_LOOK)
                if ask.done.done():
                    return True
        finally:
            receipt.unblock()
        return False

    async def _resolve(self, schema: RegisteredId, ask: _Ask) -> None:
        """Ask until the registry answers, or no record waits any more."""
        registry = self._registry(schema)
        try:
            while ask.waiting:
                if registry.since is None:
                    async with registry.slots:
                        answered = await self._ask(schema, registry)
                else:
                    answered = await self._probe(schema, registry, ask)
                if answered:
                    return
                ask.failed = registry.since is not None
        finally:
            del self._asks[schema]
            registry.unanswered -= 1
            if not ask.done.done():
                ask.done.set_result(None)

    async def _probe(self, schema: RegisteredId, registry: _Registry, ask: _Ask) -> bool:
        """Ask an unreachable registry after a pause, with one request at a time."""
        async with registry.probing:
            if registry.since is None:
                # It was reached while this request waited for the lock.
                return False
            pause = registry.ask_at - self._clock.monotonic()
            if pause > 0:
                ask.failed = True
                await asyncio.sleep(pause)
            return bool(ask.waiting) and await self._ask(schema, registry)

    async def _ask(self, schema: RegisteredId, registry: _Registry) -> bool:
        """Ask once, and return whether the registry answered."""
        began = self._clock.monotonic()
        answer = await self._asked(schema)
        now = self._clock.monotonic()
        registry.asks.answered(schema.id, answer, now - began, now)
        if isinstance(answer, Unreachable):
            self._failed(schema, registry, answer, now)
            return False
        self._reached(schema.registry, registry)
        return True

    async def _asked(self, schema: RegisteredId) -> RegistryAnswer:
        """Fetch the schema, and make it a row of the schemas table."""
        try:
            answer = await self._registries.fetch(schema)
            if isinstance(answer, RegisteredSchema):
                return await self._rows.add(schema, answer)
        except Exception as error:  # noqa: BLE001  the fence: the record waits
            self._fence.note(error, Step.IDENTIFY)
            return Unreachable(described(error))
        return answer

    def _failed(
        self, schema: RegisteredId, registry: _Registry, answer: Unreachable, now: float
    ) -> None:
        if registry.since is None:
            registry.since, registry.alarm_at = now, now + _ALARM_AFTER
        registry.ask_at = now + registry.pause
        registry.pause = min(2 * registry.pause, _LONGEST_PAUSE)
        if now < registry.alarm_at:
            return
        registry.alarm_at = now + _ALARM_AFTER
        self._logger.error(
            "registry.unreachable",
            registry=schema.registry,
            schema=schema.id,
            seconds=round(now - registry.since),
            partitions=len(self._waiting),
            detail=answer.detail,
            remedy=f"records with unresolved schema ids wait; check [registry.{schema.registry}]."
            " To skip one: hookstream partition skip TOPIC/N OFFSET",
        )

    def _reached(self, name: str, registry: _Registry) -> None:
        if registry.since is not None:
            seconds = round(self._clock.monotonic() - registry.since)
            registry.since, registry.pause = None, _FIRST_PAUSE
            self._logger.info("registry.reached", registry=name, seconds=seconds)

    def _registry(self, schema: RegisteredId) -> _Registry:
        return self._known.setdefault(schema.registry, _Registry())
