"""Fills gaps of subscriptions: counts what a replay would deliver, and makes the jobs that do it.

The row that ends a gap and the jobs that fill it are written in one transaction (`ChangeWriter`), so that
neither exists without the other. From then on any executor works on the jobs.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from hookstream.adapters.kafka.jobs import KafkaJobs
from hookstream.adapters.kafka.past import KafkaPast
from hookstream.adapters.system import SystemClock
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import (
    Disabled,
    Gap,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.planning import transitions
from hookstream.core.planning.gap_fills import fill_closed
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.core.replay.extent import curtailed
from hookstream.core.replay.request import KIND
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.core.topology.plan import taken_topics
from hookstream.entry.admin import redrives
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.gap_jobs import filling_request, job_of
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.job_listing import list_jobs
from hookstream.entry.admin.replays import SurveyWatch, survey_replay
from hookstream.entry.admin.surveys import Survey, survey
from hookstream.entry.admin.tables import at_revision
from hookstream.entry.cluster import reached
from hookstream.settings import Settings

GIVEN_UP = frozenset({"asked", "disabled", "gone"})
"""The reasons of dead letters that a disabled endpoint leaves behind."""

NOT_EXACT = (
    "event topics may have their producers' times (events.accept_create_time): a record of such a topic"
    " is in a gap by its producer's clock, so the split between live delivery and a replay is not exact"
)


@dataclass(slots=True, frozen=True)
class FillOptions:
    """How a gap is filled."""

    fill: bool = True
    """Whether to fill it."""
    rate: float | None = None
    """Events a second at most; None: as fast as they are delivered."""


@dataclass(slots=True, frozen=True)
class EndedGap:
    """A pause or a disabling that was ended."""

    subscription: Subscription
    """As it is then; unchanged if there was nothing to end."""
    changed: bool
    disabled: Disabled | None = None
    """Its health row: of `enable` the one that was cleared, of `resume` one that stays."""
    jobs: Sequence[Job] = ()
    """The replays that fill its gap."""


@dataclass(slots=True)
class GapCount:
    """The events of a gap so far: more may still be appended."""

    spans: Sequence[tuple[Millis, Millis]]
    """What is replayed: each start is excluded, each end included."""
    surveys: list[ReplaySurvey] = field(default_factory=list)
    """One of each span."""

    @property
    def events(self) -> int:
        """How many events a replay would deliver."""
        return sum(each.events for each in self.surveys)


# The end of a gap.


def resume(
    writer: ChangeWriter, subscription_id: str, revision: int | None, options: FillOptions
) -> EndedGap:
    """End the pause of a subscription, and fill its gap.

    The gap of a disabled one is left to `enable`: nothing could be delivered before.

    Raises:
        InputRefused: There is no such subscription.
        Conflict: It is at another revision.
    """
    before = at_revision(writer.state, subscription_id, revision)
    disabled = writer.state.current.disabled.get(subscription_id)
    after = transitions.resume(before, writer.session.takes_effect)
    if after is before:
        return EndedGap(before, changed=False, disabled=disabled)
    after, jobs = _filled(writer, before, after, disabled, options)
    details = _details(jobs)
    writer.write_subscription(
        after, "resumed", writer.session.takes_effect, details=details, jobs=jobs
    )
    return EndedGap(after, changed=True, disabled=disabled, jobs=jobs)


def enable(
    writer: ChangeWriter, subscription_id: str, revision: int | None, options: FillOptions
) -> EndedGap:
    """Enable a disabled subscription, and fill its gap; of a paused one only what precedes the pause.

    Raises:
        InputRefused: There is no such subscription.
        Conflict: It is at another revision.
    """
    before = at_revision(writer.state, subscription_id, revision)
    disabled = writer.state.current.disabled.get(subscription_id)
    if disabled is None:
        return EndedGap(before, changed=False)
    takes_effect = writer.session.takes_effect
    after = transitions.enable(before, disabled, takes_effect)
    after, jobs = _filled(writer, before, after, None, options)
    writer.write_subscription(
        after, "enabled", takes_effect, clear_health=True, details=_details(jobs), jobs=jobs
    )
    return EndedGap(after, changed=True, disabled=disabled, jobs=jobs)


def _details(jobs: Sequence[Job]) -> list[str]:
    return [f"gaps: {job.id} fills one" for job in jobs]


def _filled(
    writer: ChangeWriter,
    before: Subscription,
    after: Subscription,
    disabled: Disabled | None,
    options: FillOptions,
) -> tuple[Subscription, Sequence[Job]]:
    if not options.fill:
        return after, ()
    now = writer.session.now
    after, fillings = fill_closed(before, after, disabled, partial(new_job_id, KIND, now))
    return after, [job_of(after.id, filling, now, options.rate) for filling in fillings]


# What it would be.


def spans_of(
    subscription: Subscription, disabled: Disabled | None, *, enabling: bool = False
) -> Sequence[tuple[Millis, Millis]]:
    """Return the spans that ending a pause or a disabling now would replay, in the order of time.

    Args:
        subscription: The subscription as the tables have it.
        disabled: Its health row; None: it is not disabled.
        enabling: Whether the disabling is ended, otherwise the pause.

    Returns:
        Each start is excluded, each end included.
    """
    now = SystemClock().now()
    if enabling and disabled is not None:
        after, remains = transitions.enable(subscription, disabled, now), None
    else:
        after, remains = transitions.resume(subscription, now), disabled
    _, fillings = fill_closed(subscription, after, remains, lambda: "")
    return [(start, end) for _, start, end in fillings]


def count_gap(
    settings: Settings,
    subscription_id: str,
    spans: Sequence[tuple[Millis, Millis]],
    watch: SurveyWatch,
) -> GapCount:
    """Count the events that a replay would deliver, as known now. Blocks.

    Args:
        settings: The cluster's.
        subscription_id: The subscription.
        spans: What `spans_of` returned.
        watch: What is shown meanwhile.

    Raises:
        ConfigurationError: Topics may not be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    found = GapCount(spans)
    for start, end in spans:
        found.surveys.append(
            survey_replay(settings, filling_request(subscription_id, start, end), watch)[0]
        )
    return found


def retained_since(settings: Settings, since: Millis) -> list[TopicPartition]:
    """Return the partitions of event topics of which retention may have taken records since an instant.

    Raises:
        ConfigurationError: Topics may not be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    return asyncio.run(_curtailed(settings, since))


async def _curtailed(settings: Settings, since: Millis) -> list[TopicPartition]:
    client, names = reached(settings), settings.topics_names
    jobs = KafkaJobs(client, names)
    log = KafkaPast(client, partial(taken_topics, settings.events.topics, names), jobs.now)
    try:
        partitions = (await log.topics()).partitions
        lows = await log.lows(partitions)
        firsts = await log.firsts(partitions, since)
    finally:
        log.close()
        await jobs.close()
    return curtailed({at: max(first, lows[at]) for at, first in firsts.items()}, lows)


def replays_of(
    settings: Settings, subscription: Subscription | UnreadableSubscription
) -> dict[str, Job]:
    """Return the jobs that fill gaps of a subscription, by their ids. Blocks.

    One that ended is forgotten after a while (`core.jobs.job.KEPT`): it has none.
    """
    named = {gap.filled_by for gap in subscription.gaps} - {None}
    if not named:
        return {}
    return {
        status.job.id: status.job for status in list_jobs(settings).jobs if status.job.id in named
    }


def gap_text(subscription_id: str, gap: Gap, replays: Mapping[str, Job]) -> str:
    """Return as text whether and how a gap is filled.

    Args:
        subscription_id: The subscription.
        gap: Its gap.
        replays: What `replays_of` returned.
    """
    if gap.end is None:
        return "it is open"
    again = (
        f"hookstream replay start {subscription_id} --from {to_rfc3339(gap.start + 1)}"
        f" --to {to_rfc3339(gap.end + 1)}"
    )
    if gap.filled_by is None:
        return f"no replay fills it: {again} sends its events"
    lost = ", which may have lost some" if gap.incomplete else ""
    job = replays.get(gap.filled_by)
    match None if job is None else job.state:
        case JobState.RUNNING:
            return f"{gap.filled_by} is filling it{lost}"
        case JobState.FAILED:
            return f"{gap.filled_by} failed to fill it: hookstream jobs resume {gap.filled_by}"
        case JobState.CANCELLED:
            return f"{gap.filled_by} was cancelled, and did not send all of it: {again} sends it again"
        case _:
            return f"filled by {gap.filled_by}{lost}"


# The dead letters of a disabled endpoint.


def given_up(reader: DeadLetterReader, disabled: Disabled) -> Survey:
    """Count the open dead letters that a disabling left behind. Blocks.

    Args:
        reader: Reads the dead letters.
        disabled: The health row of the disabling.

    Raises:
        InputRefused: It is not known which dead letters are open.
        DependencyUnavailable: The brokers cannot be reached.
    """
    selector = _given_up(disabled)
    reader.since = selector.since
    return survey(reader, selector)


def redrive_of(disabled: Disabled, found: Survey, rate: float | None) -> Job:
    """Return the job that redrives the dead letters that `given_up` counted, and nothing newer."""
    row = _given_up(disabled).row()
    return redrives.new_job(RedriveSource.DEAD_LETTERS, row, found, rate)


def _given_up(disabled: Disabled) -> Selector:
    return Selector(
        subscriptions=frozenset({disabled.subscription_id}),
        reasons=GIVEN_UP,
        # By the clock of the worker that disabled it.
        since=disabled.since - transitions.SLACK,
    )
