"""Surveys redrives, and supplies their kind of job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from hookstream.adapters.system import SystemClock, ThreadOffload
from hookstream.core.jobs.job import REDRIVE, Job
from hookstream.core.model.active_interval import precedes, run_precedes
from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Deleted, DisabledStatus
from hookstream.core.redrive.job import RedriveRequest, TopicEnds, redrives_of
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.revive import Revival, Unredrivable, position_of
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.subscriptions import directory_of, status_text
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.admin.tables import read_state
from hookstream.errors import InputRefused
from hookstream.pipeline.redrive import RedriveKind, RedriveMeans, not_reported
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class RedriveRules:
    """Selects records, leaves some of them out, and redrives the others."""

    selector: Selector
    obstacle: Callable[[DeadLetterSummary], str | None]
    """Why a record must not be redriven now; None: nothing prevents it."""
    revive: Callable[[Record], OutgoingRecord | Unredrivable]

    def selects(self, record: Record) -> bool:
        """Return whether a record is selected, left out or not."""
        return self.selector.selects(record.headers, record.timestamp, position_of(record))

    def left_out(self, record: Record) -> str | None:
        """Return why a selected record must not be redriven now; None: nothing prevents it."""
        return self.obstacle(summary_of(record))


def rules_of(reader: DeadLetterReader, row: JsonObject) -> RedriveRules:
    """Return how the records that a job's row selects are redriven, by the tables as they are now.

    Raises:
        InputRefused: The row has a condition that this release does not know.
    """
    selector = read_selector(row, reader.source)
    reader.narrow(selector)
    clock, topics = SystemClock(), reader.settings.topics_names
    if reader.source is RedriveSource.UNDECODABLE:
        revival = Revival(topics.tier(0), reader.origin, clock.now)
        return RedriveRules(selector, lambda _: None, revival.unmatched)
    directory = directory_of(read_state(reader.settings))

    @cache
    def obstacle_of(subscription_id: str) -> str | None:
        """Return what prevents a delivery to a subscription, whichever it is."""
        status = directory.status(subscription_id, clock.now())
        match status:
            case Deleted():
                return f"{subscription_id} is deleted: a worker would cancel them"
            case DisabledStatus():
                state = status_text(status, clock.now())
                return f"{subscription_id} is {state}: first run hookstream subscriptions enable"
            case _:
                return None

    def obstacle(summary: DeadLetterSummary) -> str | None:
        found = directory.subscriptions.get(summary.subscription_id)
        if isinstance(found, Subscription) and is_before(summary, found):
            since = "its run had begun" if summary.job else "the event"
            return (
                f"{found.id} was deleted, and created again after {since}: hookstream deliveries resend"
                " sends it all the same"
            )
        return obstacle_of(summary.subscription_id)

    def expires_after(subscription_id: str) -> Millis | None:
        found = directory.subscriptions.get(subscription_id)
        return found.retry.expires_after if isinstance(found, Subscription) else None

    revival = Revival(topics.tier(0), reader.origin, clock.now, expires_after)
    return RedriveRules(selector, obstacle, revival.delivery)


def is_before(letter: DeadLetterSummary, subscription: Subscription) -> bool:
    """Return whether a dead letter is older than its subscription is now: its event, or the job's run of it."""
    if letter.job:
        # Its run had begun by then.
        return run_precedes(letter.at, letter.job, subscription)
    try:
        at = from_rfc3339(letter.origin_at)
    except ValueError:
        # Its headers are missing or broken: a worker reads what it can of them.
        return False
    return precedes(at, subscription)


def new_job(source: RedriveSource, selector: JsonObject, found: Survey, rate: float | None) -> Job:
    """Return a job that is still to be run, over the records that a survey found.

    Args:
        source: The topic that is redriven.
        selector: Which records.
        found: How many there are, and where the topic ended then.
        rate: Records a second at most; None: as fast as the brokers take them.
    """
    return new_redrive_until(source, selector, found.topic_ends, rate, found.tally.records)


def new_redrive_until(
    source: RedriveSource,
    selector: JsonObject,
    until: TopicEnds,
    rate: float | None,
    total: int = 0,
) -> Job:
    """Return a job that is still to be run, over the selected records up to these offsets.

    Args:
        source: The topic that is redriven.
        selector: Which records.
        until: The end of the topic: nothing at or after it is taken.
        rate: Records a second at most; None: as fast as the brokers take them.
        total: How many there are; 0: not known.
    """
    now = SystemClock().now()
    request = RedriveRequest(source, selector, *until)
    return request.job(new_job_id(REDRIVE, now), now, total, rate)


def redrive_kind(
    settings: Settings, report: Callable[[Unredrivable], None] = not_reported
) -> RedriveKind:
    """Return the kind of job `redrive`, for executors.

    Args:
        settings: The cluster's.
        report: Called with each selected record that stays open.
    """

    def means(request: RedriveRequest) -> RedriveMeans:
        reader = DeadLetterReader(settings, request.source)
        rules = rules_of(reader, request.selector)
        return RedriveMeans(reader, rules.selects, rules.revive, rules.left_out)

    return RedriveKind(
        topics=settings.topics_names,
        clock=SystemClock(),
        means=means,
        offload=ThreadOffload,
        report=report,
    )


def redrive_in(rows: Mapping[str, bytes], job_id: str, source: RedriveSource) -> Job:
    """Return a redrive of a topic that has not ended, to resume or cancel it.

    Raises:
        InputRefused: There is none of that id over that topic, it ended, or cannot be read.
    """
    redrives, problems = redrives_of(rows)
    for problem in problems:
        if problem.key == job_id:
            raise InputRefused(f"the row of job {job_id} cannot be read: {problem.why}")
    for job, request in redrives:
        if job.id == job_id and request.source is source:
            if job.state.is_resumable:
                return job
            raise InputRefused(
                f"job {job_id} is {job.state}: there is nothing to resume or to cancel"
            )
    open_ = [job.id for job, _ in redrives if job.state.is_resumable]
    raise InputRefused(
        f"there is no job {job_id} over {source}; jobs that are not finished:"
        f" {', '.join(open_) or 'none'}"
    )
