"""Publishes events from lines of JSON, many at a time, and counts them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias

from hookstream.adapters.system import SystemChance
from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.core.topology.plan import event_topics
from hookstream.entry.admin.event_lines import (
    MAX_LINE_BYTES,
    EventLine,
    LineRefused,
    read_line,
    refusal,
)
from hookstream.entry.cluster import reached
from hookstream.errors import HookstreamError, InputRefused
from hookstream.producer import EventProducer
from hookstream.settings import Settings

AT_ONCE = 500
"""The most events in flight; the next lines are read when there is room."""
READ_BYTES = 256 * 1024
MOST_KINDS = 1_000
"""The most pairs of event type and environment that are remembered."""
STAND_IN = "-"
"""Replaces a missing text, whose problem is already reported."""


@asynccontextmanager
async def kafka_producer(settings: Settings, topic_prefix: str) -> AsyncIterator[EventProducer]:
    """Yield a producer of the cluster.

    Raises:
        ConfigurationError: The schemas topic does not exist.
        DependencyUnavailable: The cluster does not answer.
    """
    await asyncio.to_thread(reached, settings)
    tracer = tracer_of(settings.tracing, SystemChance())
    try:
        async with EventProducer(
            settings.kafka.bootstrap_servers,
            client=settings.kafka.client,
            schemas_topic=settings.topics_names.schemas,
            topic_prefix=topic_prefix,
            trace_ratio=settings.tracing.ratio,
            max_bytes=settings.events.max_record_bytes,
            start_span=tracer.produce,
        ) as producer:
            yield producer
    finally:
        tracer.shutdown()


ProducerOpener: TypeAlias = Callable[[Settings, str], AbstractAsyncContextManager[EventProducer]]
"""Lends a producer for a topic prefix."""


@dataclass(slots=True)
class EventSender:
    """Publishes the lines of a file."""

    settings: Settings
    """The cluster."""
    on_read: Callable[[int], None]
    """Called with the number of each line that was read."""
    on_refused: Callable[[int, str], None]
    """Called with the number of a line that is not published, and why."""
    refuse: Callable[[EventLine], str | None] = lambda _: None
    """Returns why an event may not be published; None: it may."""
    opened: ProducerOpener = kafka_producer
    """Lends what publishes."""
    sent: int = 0
    refused: int = 0
    kinds: set[tuple[str, str]] = field(default_factory=set)
    """The event types and environments of what was sent, at most `MOST_KINDS` of them."""

    async def run(self, file: BinaryIO, topic_prefix: str) -> None:
        """Publish every line of a file.

        Raises:
            ConfigurationError: The schemas topic does not exist.
            DependencyUnavailable: The cluster does not answer.
        """
        await self.send_all(_lines(file), topic_prefix)

    async def send_all(self, lines: AsyncIterator[tuple[int, bytes]], topic_prefix: str) -> None:
        """Publish numbered lines. Raises as `run`."""
        room = asyncio.Semaphore(AT_ONCE)
        async with (
            self.opened(self.settings, topic_prefix) as producer,
            asyncio.TaskGroup() as tasks,
        ):
            async for number, line in lines:
                await room.acquire()
                # A task begins in the order in which it was made, and writes before it waits:
                # the events of one entity stay in order.
                sending = tasks.create_task(self.send_one(producer, number, line))
                sending.add_done_callback(lambda _: room.release())
                self.on_read(number)

    async def send_one(self, producer: EventProducer, number: int, line: bytes) -> None:
        """Publish one line, or report why it is refused."""
        try:
            event = read_line(line)
            if (forbidden := self.refuse(event)) is not None:
                self._refuse(number, forbidden)
                return
            await producer.send(
                event.event_type,
                event.data,
                entity_id=event.entity_id,
                event_id=event.event_id,
                occurred_at=event.timestamp,
                environment=event.environment,
                version=event.version,
            )
        except LineRefused as refused:
            self._refuse(number, refusal(refused, _also(producer, refused.line)))
        except InputRefused as refused:
            self._refuse(number, refusal(refused))
        except HookstreamError as problem:
            self._refuse(number, str(problem))
        else:
            self.sent += 1
            if len(self.kinds) < MOST_KINDS:
                self.kinds.add((event.event_type, event.environment))

    def _refuse(self, number: int, why: str) -> None:
        self.refused += 1
        self.on_refused(number, why)


def _also(producer: EventProducer, line: EventLine) -> Sequence[str]:
    """Return the problems of the remaining fields of a line that is refused for its own fields."""
    if not line.event_type:
        return ()
    return producer.problems(
        line.event_type,
        line.data,
        entity_id=line.entity_id or STAND_IN,
        event_id=line.event_id,
        occurred_at=line.timestamp,
        environment=line.environment or STAND_IN,
        version=line.version,
    )


async def _numbered(lines: Sequence[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    for numbered in enumerate(lines):
        yield numbered


async def _lines(file: BinaryIO) -> AsyncIterator[tuple[int, bytes]]:
    """Yield lines that are not blank with their numbers, read by a thread some at a time."""
    number = 0
    while lines := await asyncio.to_thread(some_lines, file):
        for line in lines:
            number += 1
            if line.strip():
                yield number, line


def some_lines(file: BinaryIO) -> list[bytes]:
    """Return the next lines of a file, each cut if it is too long; none at its end."""
    lines: list[bytes] = []
    size = 0
    while size < READ_BYTES and (line := file.readline(MAX_LINE_BYTES + 1)):
        lines.append(line)
        size += len(line)
        while not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
            # Skip the rest of a line that is refused anyway.
            line = file.readline(MAX_LINE_BYTES + 1)
        if file.isatty():
            # A person is typing: send each line immediately.
            break
    return lines


@dataclass(slots=True)
class SentEvents:
    """The result of publishing some events."""

    sent: int = 0
    kinds: set[tuple[str, str]] = field(default_factory=set)
    """As `EventSender.kinds`."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """The place of each that is refused, from 0 on, and why."""


def send_lines(settings: Settings, lines: Sequence[bytes], topic_prefix: str) -> SentEvents:
    """Publish events to event topics. Blocks, until all of them are durable or refused.

    Args:
        settings: The cluster.
        lines: Each an event, as `read_line` reads it.
        topic_prefix: As for `EventProducer`; what would be another topic's is refused.

    Raises:
        As `EventSender.run`.
    """
    refused: list[tuple[int, str]] = []
    sender = sender_to_event_topics(settings, topic_prefix, refused)
    asyncio.run(sender.send_all(_numbered(lines), topic_prefix))
    return SentEvents(sender.sent, sender.kinds, sorted(refused))


def sender_to_event_topics(
    settings: Settings, topic_prefix: str, refused: list[tuple[int, str]]
) -> EventSender:
    """Return a sender that publishes to event topics alone, and collects what it refuses."""
    names, globs = settings.topics_names, settings.events.topics

    def refuse(event: EventLine) -> str | None:
        topic = f"{topic_prefix}{event.event_type}"
        if event_topics(globs, names, [topic]):
            return None
        return f"{topic[:249]} is not an event topic (events.topics: {', '.join(globs)})"

    return EventSender(
        settings, lambda _: None, lambda number, why: refused.append((number, why)), refuse
    )
