"""Supplies the kind of job `purge`, and its jobs."""

from hookstream.adapters.system import SystemClock, ThreadOffload
from hookstream.core.jobs.job import PURGE, Job
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import MAX_BY, RedriveSource
from hookstream.core.redrive.purge import PurgeRequest
from hookstream.core.redrive.revive import position_of
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.surveys import Survey
from hookstream.pipeline.purge import PurgeKind, PurgeMeans
from hookstream.settings import Settings


def narrowed(reader: DeadLetterReader, row: JsonObject) -> Selector:
    """Return the selector of a job's row, and let the reader read no more than that needs.

    Raises:
        InputRefused: The row has a condition that this release does not know.
    """
    selector = read_selector(row, reader.source)
    reader.narrow(selector)
    return selector


def new_purge(reader: DeadLetterReader, row: JsonObject, found: Survey, why: str) -> Job:
    """Return a purge that is still to be run, over the records that a survey found.

    Args:
        reader: Reads the topic.
        row: The conditions, as `Selector.row` writes them.
        found: How many there are, and where the topic ended then.
        why: The reason, as `purge_reason` returns it.
    """
    return new_purge_until(reader.source, row, found.topic_ends, why, found.tally.records)


def new_purge_until(
    source: RedriveSource, row: JsonObject, until: TopicEnds, why: str, total: int = 0
) -> Job:
    """Return a purge that is still to be run, over the selected records up to these offsets.

    Args:
        source: The topic.
        row: The conditions, as `Selector.row` writes them.
        until: The end of the topic: nothing at or after it is taken.
        why: The reason, as `purge_reason` returns it.
        total: How many there are; 0: not known.
    """
    now = SystemClock().now()
    ends, topic_id = until
    request = PurgeRequest(source, row, ends, who()[:MAX_BY], why, topic_id)
    return request.job(new_job_id(PURGE, now), now, total)


def purge_kind(settings: Settings) -> PurgeKind:
    """Return the kind of job `purge`, for executors."""

    def means(request: PurgeRequest) -> PurgeMeans:
        reader = DeadLetterReader(settings, request.source)
        selector = narrowed(reader, request.selector)

        def selects(record: Record) -> bool:
            return selector.selects(record.headers, record.timestamp, position_of(record))

        return PurgeMeans(reader, selects)

    return PurgeKind(settings.topics_names, SystemClock(), means, ThreadOffload)
