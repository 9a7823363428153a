"""Publishes events from lines of JSON, many at a time, and counts them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from hookstream.adapters.system import SystemChance
from hookstream.adapters.telemetry.tracing import tracer_of
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
"""Events in flight; the next lines are read when there is room."""
READ_BYTES = 256 * 1024
MOST_KINDS = 1_000
"""The most pairs of event type and environment that are remembered."""
STAND_IN = "-"
"""Replaces a missing text, which is already reported."""


@dataclass(slots=True)
class EventSender:
    """Publishes the lines of a file."""

    settings: Settings
    """The cluster."""
    on_read: Callable[[int], None]
    """Called with the number of each line that was read."""
    on_refused: Callable[[int, str], None]
    """Called with the number of a line that is not published, and why."""
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
        settings = self.settings
        await asyncio.to_thread(reached, settings)
        tracer = tracer_of(settings.tracing, SystemChance())
        producer = EventProducer(
            settings.kafka.bootstrap_servers,
            client=settings.kafka.client,
            schemas_topic=settings.topics_names.schemas,
            topic_prefix=topic_prefix,
            trace_ratio=settings.tracing.ratio,
            max_bytes=settings.events.max_record_bytes,
            start_span=tracer.produce,
        )
        room = asyncio.Semaphore(AT_ONCE)
        async with producer, asyncio.TaskGroup() as tasks:
            async for number, line in _lines(file):
                await room.acquire()
                # A task begins in the order in which it was made, and writes before it waits:
                # the events of one entity stay in order.
                sending = tasks.create_task(self._send(producer, number, line))
                sending.add_done_callback(lambda _: room.release())
                self.on_read(number)
        tracer.shutdown()

    async def _send(self, producer: EventProducer, number: int, line: bytes) -> None:
        try:
            event = read_line(line)
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
    """Return the problems of the rest of a line whose own fields are wrong."""
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


async def _lines(file: BinaryIO) -> AsyncIterator[tuple[int, bytes]]:
    """Yield lines that are not blank with their numbers, read by a thread some at a time."""
    number = 0
    while lines := await asyncio.to_thread(_some_lines, file):
        for line in lines:
            number += 1
            if line.strip():
                yield number, line


def _some_lines(file: BinaryIO) -> list[bytes]:
    lines: list[bytes] = []
    size = 0
    while size < READ_BYTES and (line := file.readline(MAX_LINE_BYTES + 1)):
        lines.append(line)
        size += len(line)
        while not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
            # Skip the rest of a line that is refused anyway.
            line = file.readline(MAX_LINE_BYTES + 1)
        if file.isatty():
            # A person types: send each line at once.
            break
    return lines
