"""Reads the status of an installation from the brokers and the tables."""

from hookstream.adapters.kafka.scan import ReadLimit
from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.job_listing import list_jobs
from hookstream.entry.admin.partitions import ReadPartitions
from hookstream.entry.admin.pending import PendingReader
from hookstream.entry.admin.status import (
    Status,
    TierTally,
    by_reason,
    lag_of,
    open_partitions,
)
from hookstream.entry.admin.tables import read_state
from hookstream.errors import DependencyUnavailable
from hookstream.settings import Settings

MOST_READ = 100_000
"""Tier records, and dead letters, that are read at most."""


def read_status(settings: Settings, most: int = MOST_READ) -> Status:
    """Return the status now, without what only workers know.

    Args:
        settings: The cluster.
        most: How many tier records are read at most, and how many records of each dead-letter topic.

    Raises:
        ConfigurationError: A topic or group may not be read, or does not exist.
        DependencyUnavailable: The cluster does not answer.
    """
    now = SystemClock().now()
    partitions = ReadPartitions(settings)
    events, tiers = partitions.of_events(), partitions.of_tiers(oldest=False)
    waiting = TierTally(settings.topics_names, now)
    pending = PendingReader(settings, most)
    for record, delivery in pending.deliveries():
        waiting.add(record, delivery)
    notes = _notes(pending)
    jobs = list_jobs(settings)
    notes += [f"a job's row cannot be read: {problem}" for problem in jobs.unreadable]
    return Status(
        at=now,
        lag=lag_of(events, now),
        unsettled=sum(each.unsettled for each in events),
        partitions=open_partitions(events, tiers, now),
        tiers=waiting.tiers(),
        breakers=waiting.breakers(),
        lanes_at_limit=waiting.lanes_at_limit(),
        holds=read_state(settings).holds,
        stalled_jobs=[each.job for each in jobs.jobs if each.is_stalled],
        dead_letters=_reasons(settings, RedriveSource.DEAD_LETTERS, now - HOUR, most, notes),
        undecodable=_reasons(settings, RedriveSource.UNDECODABLE, now - HOUR, most, notes),
        notes=notes,
    )


def _notes(pending: PendingReader) -> list[str]:
    notes: list[str] = []
    if pending.leaderless:
        notes.append(
            f"what waits in {counted(pending.leaderless, 'partition')} of tiers is not known: no broker leads it"
        )
    if pending.not_read:
        notes.append(f"{counted(pending.not_read, 'tier record')} beyond the bound were not read")
    if pending.unmatched:
        notes.append(
            f"{counted(pending.unmatched, 'event')} in tiers not matched yet: the schema is"
            " not known, or a replay is running"
        )
    if pending.unreadable:
        notes.append(
            f"{counted(pending.unreadable, 'tier record')} cannot be read: {pending.why_unreadable}"
        )
    return notes


def _reasons(
    settings: Settings, source: RedriveSource, since: Millis, most: int, notes: list[str]
) -> dict[str, int]:
    """Return how many records came into a dead-letter topic since then, by reason."""
    limit = ReadLimit(most)
    reader = DeadLetterReader(settings, source, limit=limit)
    try:
        found = by_reason(summary_of(record).reason for record in reader.between(since, None))
    except DependencyUnavailable as why:
        # One partition of it may have no leader: what the rest of the status says is wanted all the more then.
        notes.append(f"the records of {reader.topic} are not counted: {why}")
        return {}
    if limit.left_out:
        notes.append(
            f"{counted(limit.left_out, 'record')} of {reader.topic} beyond the bound were not read"
        )
    return found
