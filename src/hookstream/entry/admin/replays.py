"""Replays for operators: counts what one would do, and makes its preview, its job and its kind of job.

A replay may also be created with other changes in one transaction: `new_replay` returns its job, whose
row needs no more than to be written. Any executor then runs it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import earlier_own_schemas, own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.endings import followed
from hookstream.adapters.kafka.jobs import KafkaJobs
from hookstream.adapters.kafka.past import KafkaPast
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemClock, ThreadOffload
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.jobs.job import Job
from hookstream.core.matching.directory import Directory, asks_for
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.replay.extent import Extent
from hookstream.core.replay.outstanding import Place
from hookstream.core.replay.reached import Reached
from hookstream.core.replay.request import KIND, ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.core.topology.plan import taken_topics
from hookstream.entry.admin.gap_marks import mark_incomplete
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.tables import SEALED, State, found_subscription, refuse_pull
from hookstream.entry.cluster import reached
from hookstream.entry.worker.feed import TableConsumer
from hookstream.errors import InputRefused
from hookstream.pipeline.past_judge import PastJudge
from hookstream.pipeline.past_ports import Endings
from hookstream.pipeline.past_reading import FixedEnds, PastReading
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.replay import ReplayKind, ReplayPorts
from hookstream.pipeline.replay_survey import fixed_ends, surveyed
from hookstream.settings import Settings

T = TypeVar("T")

_TABLES_SECONDS = 60.0
_TOPICS = 4_096
"""The topics whose registry is kept; looking one up again costs microseconds."""
_ENDS = frozenset({"complete", "dead_letter", "cancel"})
"""The dispositions after which a delivery is no longer outstanding."""


class QuietLogger:
    """A log for commands, which show what an operator must know by themselves."""

    def attempt(self, record: AttemptRecord) -> None:
        """Nothing: a replay makes no attempts."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Log nothing."""

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Log nothing: whatever lasts is raised, or is why the replay waits."""

    def error(self, event: str, **fields: str | float | None) -> None:
        """Log nothing: likewise."""


def replay_kind(settings: Settings, logger: Logger | None = None) -> ReplayKind:
    """Return replays as a kind of job.

    Args:
        settings: The cluster's.
        logger: The executor's log; None: it has none.
    """
    return ReplayKind(partial(_ports, settings, logger or QuietLogger()))


def new_replay(request: ReplayRequest, now: Millis, rate: float | None = None) -> Job:
    """Return the job of a replay that is still to be run; its first executor fixes its ends.

    Args:
        request: What is replayed. Its interval may end in the future: the job waits for that.
        now: The present.
        rate: Events a second at most; None: as fast as they are delivered.
    """
    return Job(new_job_id(KIND, now), KIND, request.document(), now, rate=rate)


def new_replay_of(
    request: ReplayRequest,
    extent: Extent,
    now: Millis,
    rate: float | None = None,
    total: int = 0,
) -> Job:
    """Return the job of a replay over exactly these offsets, those of a preview for one.

    Args:
        request: What is replayed; it was surveyed over `extent`.
        extent: The offsets.
        now: The present.
        rate: Events a second at most; None: as fast as they are delivered.
        total: How many events they have for the subscription; 0: not known.
    """
    job_id = new_job_id(KIND, now)
    start = Reached(extent).document()
    return Job(job_id, KIND, request.document(), now, total=total, rate=rate, reached=start)


def replayable(state: State, request: ReplayRequest) -> Subscription:
    """Return the subscription of a replay.

    Raises:
        InputRefused: There is none, it was deleted or disabled, or it does not ask for the types.
        ConfigurationError: It cannot be read.
    """
    subscription_id = request.subscription_id
    found = found_subscription(state, subscription_id)
    if found.state is SubscriptionState.DELETED:
        raise InputRefused(f"subscription {subscription_id!r} is deleted")
    refuse_pull(found, "a replay")
    disabled = state.current.disabled.get(subscription_id)
    if disabled is not None:
        raise InputRefused(
            f"subscription {subscription_id!r} is disabled ({disabled.reason}): first run"
            " hookstream subscriptions enable"
        )
    for event_type in sorted(request.event_types):
        if not asks_for(found.event_types, event_type):
            hint = did_you_mean(event_type, state.book.event_types())
            raise InputRefused(
                f"subscription {subscription_id!r} does not ask for {event_type!r}{hint}"
            )
    return found


@dataclass(slots=True, frozen=True)
class SurveyWatch:
    """What is shown while a replay is surveyed; each is called on its event loop."""

    progress: Callable[[int, int], None] = lambda _done, _total: None
    """Called with how many offsets of how many were read."""
    waiting: Callable[[str], None] = lambda _: None
    """Called with what is waited for."""


def survey_replay(
    settings: Settings,
    request: ReplayRequest,
    watch: SurveyWatch = SurveyWatch(),
    seconds: float | None = None,
) -> tuple[ReplaySurvey, Extent]:
    """Count what a replay would do; return that and the extent that was counted. Blocks.

    It fixes the ends, so it waits until the brokers' clock has passed the interval, and for the end of
    open transactions.

    Args:
        settings: The cluster's.
        request: What would be replayed.
        watch: What is shown meanwhile.
        seconds: How long it takes at most; None: as long as it takes.

    Raises:
        InputRefused: It takes longer.
        ConfigurationError: Topics may not be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    try:
        return asyncio.run(_within(seconds, _survey(settings, request, watch)))
    except TimeoutError:
        raise InputRefused(
            f"the count takes longer than {seconds:g} s: make the interval shorter, or replay it without"
            " counting"
        ) from None


async def _within(seconds: float | None, work: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await work


async def _survey(
    settings: Settings, request: ReplayRequest, watch: SurveyWatch
) -> tuple[ReplaySurvey, Extent]:
    async with _ports(settings, QuietLogger()) as ports:
        await ports.tables_read()
        judge = PastJudge(ports.codec, ports.directory, ports.offload, request)
        fixed: FixedEnds = await fixed_ends(ports.log, request, watch.waiting, asyncio.sleep)
        total = fixed.extent.offsets

        def progress(left: Extent) -> None:
            watch.progress(total - left.offsets, total)

        async with PastReading(ports.log, judge, ports.clock) as reading:
            until = request.interval.until
            survey = await surveyed(reading, fixed, until, progress, watch.waiting, asyncio.sleep)
        return survey, fixed.extent


@asynccontextmanager
async def _ports(settings: Settings, logger: Logger) -> AsyncIterator[ReplayPorts]:
    """Begin to read the tables, and make everything else that a replay needs."""
    client, topics, clock = reached(settings), settings.topics_names, SystemClock()
    book, directory, offload = SchemaBook(), Directory(), ThreadOffload()
    feed = TableConsumer(topics, book, directory, SEALED, logger)
    needed = (topics.schemas, topics.partners, topics.subscriptions, topics.health)
    tables = TableReader(client, needed, feed.take, logger, clock)
    jobs = KafkaJobs(client, topics)
    log = KafkaPast(client, partial(taken_topics, settings.events.topics, topics), jobs.now)
    codec = AvroCodec(
        book,
        max_record_bytes=settings.events.max_record_bytes,
        max_values=settings.events.max_values,
        registry_of=lru_cache(_TOPICS)(settings.registry_of),
    )
    tables.start()
    try:
        yield ReplayPorts(
            topics=topics,
            log=log,
            endings=partial(_endings, settings, book, clock),
            directory=directory,
            tables=tables,
            tables_read=partial(tables.read_to_end, _TABLES_SECONDS),
            codec=codec,
            offload=offload,
            clock=clock,
            grace=settings.retry.unknown_schema_grace,
            mark_incomplete=partial(_mark_incomplete, settings),
        )
    finally:
        log.close()
        offload.close()
        await jobs.close()
        await tables.close()


async def _mark_incomplete(settings: Settings, subscription_id: str, job_id: str) -> None:
    await asyncio.to_thread(mark_incomplete, settings, subscription_id, job_id)


@asynccontextmanager
async def _endings(
    settings: Settings,
    book: SchemaBook,
    clock: SystemClock,
    job: Job,
    subscription_id: str,
    positions: Mapping[int, int] | None,
) -> AsyncIterator[Endings]:
    """Follow the audit log for the deliveries of a job."""
    # Read once and kept: files are not read on the event loop.
    for schemas in (own_schemas, earlier_own_schemas):
        await asyncio.to_thread(schemas)
    audit, job_id = AuditReader(book), job.id.encode()

    def ended(record: Record) -> Place | None:
        # Avro encodes text as UTF-8: most records of other runs need not be decoded.
        if record.value is None or job_id not in record.value:
            return None
        entry = audit.read(record.value)
        if not isinstance(entry, AuditEntry) or entry.job_id != job.id:
            return None
        return Place(*entry.origin[:3]) if entry.disposition in _ENDS else None

    topic, key = settings.topics_names.attempts, subscription_id.encode()
    async with followed(reached(settings), topic, key, ended, positions, clock) as endings:
        yield endings
