"""`hookstream events`: publishes events from lines of JSON, and shows events as lines of JSON."""

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import BinaryIO

import click
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from hookstream.adapters.system import SystemChance
from hookstream.adapters.telemetry.tracing import tracer_of
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.event_lines import (
    MAX_LINE_BYTES,
    EventLine,
    LineRefused,
    read_line,
    told,
)
from hookstream.entry.cli.event_tail import EventTail
from hookstream.entry.cli.known_names import (
    NO_TOPIC,
    Filter,
    cluster_topics,
    read_names,
    refuse_unknown,
)
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, HookstreamError, InputRefused
from hookstream.producer import EventProducer

AT_ONCE = 500
"""Events on their way at a time; the next lines are read when there is room."""
READ_BYTES = 256 * 1024
SHOWN_REFUSALS = 100
STAND_IN = "-"
"""For a text that is missing, which was named already."""


@click.group()
def command() -> None:
    """Publish events and watch them."""


@command.command()
@click.argument("file", type=click.File("rb"))
@click.option("--topic-prefix", default="printprice.", show_default=True, help="Topics' names.")
@pass_context
def send(context: Context, file: BinaryIO, topic_prefix: str) -> None:
    """Publish the events in FILE (- for standard input), one JSON object a line.

    A line holds type, entity_id, environment and data, as events are delivered, and, where they are
    not to be made, id, timestamp and version. A line that is refused is named with its reason, and
    the others are sent. Exit code 1: some were refused.
    """
    sending = _Sending(context)
    asyncio.run(sending.run(file, topic_prefix))
    context.err.print(Text(f"{sending.sent} sent, {sending.refused} refused", "bold"))
    if sending.refused:
        raise click.exceptions.Exit(1)


@command.command()
@click.option("--topic", "topics", multiple=True, help="A topic; repeatable.")
@click.option("--type", "event_types", multiple=True, help="An event type; repeatable.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record, not the next.")
@click.option("--no-follow", is_flag=True, help="End where the log ends now.")
@click.option("--where", is_flag=True, help="Show each record's place with its event.")
@click.option("-n", "limit", type=click.IntRange(1), help="End after so many records.")
@pass_context
def tail(
    context: Context,
    topics: Sequence[str],
    event_types: Sequence[str],
    limit: int | None,
    *,
    from_beginning: bool,
    no_follow: bool,
    where: bool,
) -> None:
    """Show events decoded, one JSON object a line, as they come.

    The lines are those that `events send` takes. They have what is delivered; where several branches
    of a union keep a value, it stands with the name of its branch.

    Without --topic, all event topics (events.topics). What is no event goes to standard error.
    """
    refuse_unknown([Filter("--topic", {*topics}, _all_topics(context, topics), NO_TOPIC)])
    known = read_names(context.settings) if event_types else None
    if known is not None:
        refuse_unknown([Filter("--type", {*event_types}, known.event_types)])
    chosen = sorted({*topics} or _event_topics(context))
    watching = EventTail(context, chosen, from_beginning=from_beginning, follow=not no_follow)
    for line in islice(watching.lines(frozenset(event_types), where=where), limit):
        click.echo(line)


class _Sending:
    """Sends lines, many at a time, and counts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.sent = 0
        self.refused = 0

    async def run(self, file: BinaryIO, topic_prefix: str) -> None:
        """Send every line of a file.

        Raises:
            ConfigurationError: The schemas topic does not exist.
            DependencyUnavailable: The cluster does not answer.
        """
        settings = self._context.settings
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
        with self._progress() as progress:
            task = progress.add_task("sending", total=None)
            async with producer, asyncio.TaskGroup() as tasks:
                async for number, line in _lines(file):
                    await room.acquire()
                    # A task begins in the order in which it was made, and writes before it waits:
                    # the events of one entity stay in order.
                    sending = tasks.create_task(self._send(producer, number, line))
                    sending.add_done_callback(lambda _: room.release())
                    progress.update(task, completed=number)
        tracer.shutdown()

    async def _send(self, producer: EventProducer, number: int, line: bytes) -> None:
        try:
            event = read_line(line)
        except LineRefused as refused:
            self._refuse(number, told(refused, _also(producer, refused.line)))
            return
        except InputRefused as refused:
            self._refuse(number, told(refused))
            return
        try:
            await producer.send(
                event.event_type,
                event.data,
                entity_id=event.entity_id,
                event_id=event.event_id,
                occurred_at=event.timestamp,
                environment=event.environment,
                version=event.version,
            )
        except InputRefused as refused:
            self._refuse(number, told(refused))
        except HookstreamError as problem:
            self._refuse(number, str(problem))
        else:
            self.sent += 1

    def _refuse(self, number: int, why: str) -> None:
        self.refused += 1
        if self.refused <= SHOWN_REFUSALS:
            self._context.err.print(Text(f"line {number}: {why}", "red"), soft_wrap=True)
        elif self.refused == SHOWN_REFUSALS + 1:
            self._context.err.print("more lines are refused; they are only counted from here on")

    def _progress(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.completed} lines read"),
            console=self._context.err,
            transient=True,
            disable=not self._context.err.is_terminal,
        )


def _also(producer: EventProducer, line: EventLine) -> Sequence[str]:
    """Return what is wrong with the rest of a line whose own fields are wrong."""
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
            # The rest of a line that is refused anyway.
            line = file.readline(MAX_LINE_BYTES + 1)
        if file.isatty():
            # Somebody types: send each line as it comes.
            break
    return lines


def _all_topics(context: Context, topics: Sequence[str]) -> frozenset[str]:
    return cluster_topics(context.settings) if topics else frozenset()


def _event_topics(context: Context) -> set[str]:
    """Return the cluster's event topics.

    Raises:
        ConfigurationError: There is none.
    """
    globs = context.settings.events.topics
    found = cluster_topics(context.settings)
    topics = {name for name in found if any(fnmatch.fnmatchcase(name, glob) for glob in globs)}
    if not topics:
        raise ConfigurationError(f"the cluster has no event topics ({', '.join(globs)})")
    return topics
