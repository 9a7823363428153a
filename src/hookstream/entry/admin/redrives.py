"""Surveys, starts, resumes and cancels redrives."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.adapters.system import SystemClock, new_id
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Deleted, DisabledStatus
from hookstream.core.redrive.job import RedriveJob
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.revive import Revival, Unredrivable
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.core.redrive.summary import DeadLetterSummary, Tally, summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.subscriptions import directory_of, status_text
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cluster import reached
from hookstream.pipeline.redrive import Redriving, Result, Steps


@dataclass(slots=True, frozen=True)
class RedriveRules:
    """Which records are selected, which of those are left out, and how the rest is redriven."""

    selector: Selector
    obstacle: Callable[[DeadLetterSummary], str | None]
    """Why a record must not be redriven now; None: nothing prevents it."""
    revive: Callable[[Record], OutgoingRecord | Unredrivable]

    def selects(self, record: Record) -> bool:
        """Return whether a record is selected, left out or not."""
        return self.selector.selects(record.headers, record.timestamp)

    def takes(self, record: Record) -> bool:
        """Return whether a record is selected and not left out."""
        return self.selects(record) and self.obstacle(summary_of(record)) is None


def rules_of(reader: DeadLetterReader, row: JsonObject) -> RedriveRules:
    """Return how the records that a job's row selects are redriven, by the tables as they are now.

    Raises:
        InputRefused: The row has a condition that this release does not know.
    """
    selector = read_selector(row, reader.source)
    reader.since = selector.since
    clock, topics = SystemClock(), reader.settings.topics_names
    if reader.source is RedriveSource.UNDECODABLE:
        revival = Revival(topics.tier(0), reader.origin, clock.now)
        return RedriveRules(selector, lambda _: None, revival.unmatched)
    directory = directory_of(read_state(reader.settings))

    @cache
    def obstacle_of(subscription_id: str) -> str | None:
        status = directory.status(subscription_id, clock.now())
        match status:
            case Deleted():
                return f"{subscription_id} is deleted: a worker would cancel them"
            case DisabledStatus():
                state = status_text(status, clock.now())
                return f"{subscription_id} is {state}: hookstream subscriptions enable comes first"
            case _:
                return None

    def expires_after(subscription_id: str) -> Millis | None:
        found = directory.subscriptions.get(subscription_id)
        return found.retry.expires_after if isinstance(found, Subscription) else None

    revival = Revival(topics.tier(0), reader.origin, clock.now, expires_after)
    return RedriveRules(
        selector, lambda summary: obstacle_of(summary.subscription_id), revival.delivery
    )


@dataclass(slots=True)
class Survey:
    """Counts of the records that a redrive would take and leave out."""

    ends: Mapping[int, int]
    """The end offsets of the topic when it was read."""
    tally: Tally = field(default_factory=Tally)
    left_out: dict[str, int] = field(default_factory=dict)
    """How many records are left out, by the reason."""


def survey(reader: DeadLetterReader, rules: RedriveRules) -> Survey:
    """Count the open records that are selected.

    Raises:
        InputRefused: A mark cannot be read, so it is unknown which records are open.
    """
    ledger, source, found = reader.ledger(), reader.source, Survey(reader.ends())
    for record in reader.records(found.ends):
        summary = summary_of(record)
        if not ledger.is_open(source, summary.position) or not rules.selects(record):
            continue
        obstacle = rules.obstacle(summary)
        if obstacle is None:
            found.tally.add(summary.group(source), summary.at)
        else:
            found.left_out[obstacle] = found.left_out.get(obstacle, 0) + 1
    return found


def new_job(
    source: RedriveSource, selector: JsonObject, ends: Mapping[int, int], total: int
) -> RedriveJob:
    """Return a job that is still to be run, over the records before `ends`."""
    now = SystemClock().now()
    moment = to_rfc3339(now)[:19].replace(":", "").replace("-", "")
    return RedriveJob(
        id=f"redrive-{moment}-{new_id()[:6]}",
        source=source,
        selector=selector,
        asked_at=now,
        ends=ends,
        total=total,
    )


def run_job(
    reader: DeadLetterReader,
    writer: Steps,
    job: RedriveJob,
    rules: RedriveRules,
    rate: float | None,
    progress: Callable[[int], None],
) -> Result:
    """Redrive what a claimed job selects.

    Args:
        reader: Reads its records.
        writer: Writes its steps, as `claimed` returns it.
        job: The job.
        rules: Which records, and how.
        rate: Records a second at most; None: as fast as the brokers take them.
        progress: Called with the number of records that each step redrove.
    """
    return Redriving(
        topics=reader.settings.topics_names,
        dead_letters=reader,
        steps=writer,
        clock=SystemClock(),
        sleep=time.sleep,
        job=job,
        selects=rules.takes,
        revive=rules.revive,
        progress=progress,
        rate=rate,
    ).run()


def claimed(reader: DeadLetterReader, job_id: str) -> JobWriter:
    """Return the writer of a job; entering it fences any other process that works on the job."""
    settings = reader.settings
    return JobWriter(reached(settings), settings.topics_names.job(job_id))
