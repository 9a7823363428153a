"""The pull door of a cluster: what an API serves to partners, and `hookstream listen` reads directly."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from typing import Final

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.cursor_seal import SealedCursors
from hookstream.adapters.ed25519 import signer
from hookstream.adapters.kafka.past import KafkaPast
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemClock, ThreadOffload
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis
from hookstream.core.topology.plan import taken_topics
from hookstream.entry.admin.replays import QuietLogger
from hookstream.entry.cluster import reached
from hookstream.entry.keys import key_ring
from hookstream.entry.worker.feed import TableConsumer
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.pull.ports import PullPorts, PullRules
from hookstream.pipeline.pull.service import PullService
from hookstream.settings import Settings

_TABLES_SECONDS: Final = 60.0
_TOPICS: Final = 4_096
"""The topics whose registry is kept; looking one up again costs microseconds."""


@asynccontextmanager
async def pull_door(
    settings: Settings, logger: Logger | None = None
) -> AsyncIterator[PullService]:
    """Follow the tables, and serve pages by them for as long as the block runs.

    It belongs to the event loop that it is opened on.

    Args:
        settings: The cluster's.
        logger: The log; None: there is none.

    Raises:
        ConfigurationError: There is no key ring, which opens signing secrets and seals cursors; or the
            tables may not be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    log_to = logger or QuietLogger()
    # All three read files or ask brokers, and block.
    client = await asyncio.to_thread(reached, settings)
    ring = await asyncio.to_thread(key_ring, settings)
    book = SchemaBook(await asyncio.to_thread(own_schemas))
    topics, clock, directory = settings.topics_names, SystemClock(), Directory()
    needed = (topics.schemas, topics.partners, topics.subscriptions, topics.health)
    async with AsyncExitStack() as stack:
        feed = TableConsumer(topics, book, directory, ring, log_to)
        tables = TableReader(client, needed, feed.take, log_to, clock)
        tables.start()
        stack.push_async_callback(tables.close)
        await tables.read_to_end(_TABLES_SECONDS)

        async def now() -> Millis:
            return clock.now()

        log = KafkaPast(client, partial(taken_topics, settings.events.topics, topics), now)
        stack.callback(log.close)
        codec = AvroCodec(
            book,
            max_record_bytes=settings.events.max_record_bytes,
            max_values=settings.events.max_values,
            registry_of=lru_cache(_TOPICS)(settings.registry_of),
        )
        ports = PullPorts(
            log=log,
            directory=directory,
            tables=tables,
            codec=codec,
            offload=stack.enter_context(contextlib.closing(ThreadOffload())),
            clock=clock,
            seal=SealedCursors(ring),
            public_key_signing=signer,
            logger=log_to,
        )
        service = PullService(ports, pull_rules(settings))
        yield await stack.enter_async_context(service.serving())


def pull_rules(settings: Settings) -> PullRules:
    """Return the bounds that the settings have."""
    return PullRules(
        schema_grace=settings.retry.unknown_schema_grace,
        max_body_bytes=settings.egress.max_body_bytes,
    )
