"""A world for the pull door in memory: tables, event topics, and readers that go from page to page."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tests.doubles.clock import LoopClock
from tests.doubles.codec import JsonCodec, json_value
from tests.doubles.jobs import JobsBroker, Process
from tests.doubles.logger import BookkeepingLogger
from tests.doubles.offload import OnTheLoop
from tests.doubles.past import PastCluster, PastOf, Txn
from tests.doubles.replaying import CRM, PRICED, ROUTED, Current, acme, crm

from hookstream.adapters.cursor_seal import SealedCursors
from hookstream.adapters.ed25519 import signer
from hookstream.adapters.keyring import KeyRing
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.pull.page import (
    Busy,
    NotNow,
    PulledEvent,
    PullGap,
    PullPage,
    PullRefusal,
    SkippedEvent,
)
from hookstream.pipeline.pull.ports import PullPorts, PullRules
from hookstream.pipeline.pull.service import PullService

KEY = bytes(range(32))


def counted_bytes(count: int) -> bytes:
    """Nonces that need not be unpredictable here."""
    return bytes(count)


def sealed_cursors(key: bytes = KEY) -> SealedCursors:
    """Seals as the real door does."""
    return SealedCursors(KeyRing("k1", {"k1": key}, counted_bytes))


def pulled(**changes: object) -> Subscription:
    """The subscription that is read, with a signing secret."""
    endpoint = replace(crm().endpoint, secrets=(SigningSecret("s", KEY),))
    return replace(crm(endpoint=endpoint), **changes)  # type: ignore[arg-type]


@dataclass
class PullWorld:
    """Everything that a pull door needs, and what tests do to it."""

    clock: LoopClock = field(default_factory=LoopClock)
    directory: Directory = field(default_factory=Directory)
    codec: JsonCodec = field(default_factory=lambda: JsonCodec({PRICED: 2, ROUTED: 1}))
    tables: Current = field(default_factory=Current)
    rules: PullRules = field(default_factory=PullRules)
    logger: BookkeepingLogger = field(default_factory=BookkeepingLogger)
    seal: SealedCursors = field(default_factory=sealed_cursors)

    def __post_init__(self) -> None:
        """Begin with one subscription and no topic."""
        self.jobs = JobsBroker(self.clock)
        self.past = PastCluster(self.clock)
        self.process = Process(self.jobs)
        self.log = PastOf(self.process, self.past)
        self.directory.put_partner(acme())
        self.directory.put_subscription(pulled())

    def event(
        self,
        topic: str,
        event_id: str = "e",
        *,
        event_type: str = PRICED,
        environment: str = "live",
        data: JsonObject | None = None,
        version: int = 1,
        partition: int = 0,
        timestamp: Millis | None = None,
        state: Txn = Txn.COMMITTED,
    ) -> int:
        """Append an event and return its offset."""
        value = json_value(
            event_type, event_id, environment=environment, data=data, version=version
        )
        at = self.clock.now() if timestamp is None else timestamp
        return self.past.append(topic, value, at, partition, state)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[PullService]:
        """Serve the pull door."""
        ports = PullPorts(
            log=self.log,
            directory=self.directory,
            tables=self.tables,
            codec=self.codec,
            offload=OnTheLoop(),
            clock=self.clock,
            seal=self.seal,
            public_key_signing=signer,
            logger=self.logger,
        )
        async with PullService(ports, self.rules).serving() as door:
            yield door


@dataclass
class PageReader:
    """A reader that goes on from cursor to cursor, and remembers what it was given."""

    door: PullService
    subscription_id: str = CRM
    cursor: str | None = None
    entries: list[PulledEvent | PullGap | SkippedEvent] = field(default_factory=list)
    pages: list[PullPage] = field(default_factory=list)
    refused: list[PullRefusal] = field(default_factory=list)

    async def next(self, limit: int = 100, wait: float = 0.0) -> PullPage | None:
        """Ask for the next page; None: it was refused."""
        page = await self.door.page(self.subscription_id, self.cursor, limit, wait)
        if not isinstance(page, PullPage):
            self.refused.append(page)
            if isinstance(page, Busy | NotNow):
                await asyncio.sleep(page.retry_after)
            return None
        assert len([each for each in page.entries if not isinstance(each, PullGap)]) <= limit
        self.pages.append(page)
        self.entries += page.entries
        self.cursor = page.cursor
        return page

    async def drain(self, limit: int = 100) -> None:
        """Ask until there is nothing more now."""
        page = await self.next(limit)
        while page is not None and page.has_more:
            page = await self.next(limit)

    @property
    def event_ids(self) -> list[str]:
        """The ids of the events that it was given, in their order."""
        return ids_of(self.entries)

    @property
    def gaps(self) -> list[str]:
        """The reasons of the gaps that it was given."""
        return [each.reason.value for each in self.entries if isinstance(each, PullGap)]

    @property
    def skipped(self) -> list[str]:
        """The reasons of the records that were skipped."""
        return [each.reason for each in self.entries if isinstance(each, SkippedEvent)]


def ids_of(entries: Sequence[PulledEvent | PullGap | SkippedEvent]) -> list[str]:
    """Return the ids of events."""
    return [str(json.loads(each.body)["id"]) for each in entries if isinstance(each, PulledEvent)]
