"""Jobs and statistics through the API: executors run a job, and a command follows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import (
    Millis,
    format_duration,
    from_rfc3339,
    to_rfc3339,
    to_the_second,
)
from hookstream.core.statistics.counts import Counts, LastAttempt, Statistics, StatisticsStep
from hookstream.core.statistics.errors import ErrorPattern, Fingerprint
from hookstream.entry.admin.job_listing import JobListing, JobStatus, Watch
from hookstream.entry.admin.statistics import StatisticsWanted
from hookstream.entry.api.resources.jobs import JobShown, JobsPage, JobsQuery, ResumeQuery
from hookstream.entry.api.resources.statistics import (
    CountsShown,
    StatisticsQuery,
    StatisticsShown,
)
from hookstream.entry.backend.api.client import PATIENCE, ApiClient, path
from hookstream.entry.backend.api.rows import JOB
from hookstream.entry.backend.api.values import job_in
from hookstream.entry.backend.ports import StatisticsRead
from hookstream.errors import Conflict, DependencyUnavailable, InputRefused
from hookstream.pipeline.job_kind import RunEnd, RunResult

_EVERY: Final = 0.5
"""Seconds between two looks at a job that is followed."""
_LONE: Final = 10.0
"""Seconds after which the command reports that no executor works on a job."""


@dataclass(slots=True, frozen=True)
class ApiJobs:
    """Jobs of a console. Implements `JobCommands`."""

    api: ApiClient

    def listed(self) -> JobListing:
        pages = self.api.pages("/v1/jobs", JobsPage, JobsQuery)
        found = [job_in(each) for page in pages for each in page.items]
        return JobListing(sorted(found, key=lambda each: (each.job.asked_at, each.job.id)))

    def found(self, job_id: str) -> JobStatus:
        return job_in(self.api.get(path(JOB, job_id=job_id), JobShown))

    def cancel(self, job_id: str) -> Job:
        return self._act(job_id, "cancel")

    def free(self, job_id: str) -> Job:
        return self._act(job_id, "resume")

    def resume(self, job_id: str, watch: Watch, rate: float | None = None) -> RunResult:
        status = self.found(job_id)
        if rate is not None and status.job.state.is_resumable:
            try:
                self._act(job_id, "resume", ResumeQuery(rate=rate))
            except Conflict:
                # Its rate is its holder's.
                return RunResult(RunEnd.HELD, self.found(job_id).job)
            except InputRefused:
                # Others may have finished it meanwhile.
                if self.found(job_id).job.state.is_resumable:
                    raise
        elif status.job.state is JobState.FAILED:
            try:
                self.free(job_id)
            except (Conflict, InputRefused):
                # Others may have continued it meanwhile, or even finished it.
                if self.found(job_id).job.state is JobState.FAILED:
                    raise
        return self.follow(status.job, watch)

    def follow(self, job: Job, watch: Watch) -> RunResult:
        """Follow a job until it has ended, whichever executor runs it. Ctrl-C leaves it to the executors."""
        try:
            return self._followed(job, watch)
        except KeyboardInterrupt:
            return RunResult(RunEnd.STOPPED, job)

    def _followed(self, job: Job, watch: Watch) -> RunResult:
        seen = held = self.api.monotonic()
        while True:
            now = self.api.monotonic()
            try:
                status = self.found(job.id)
            except DependencyUnavailable as away:
                # A restarted console continues the job automatically.
                if now - seen > PATIENCE:
                    raise
                watch.waiting(job, str(away))
                self.api.sleep(_EVERY)
                continue
            job, seen = status.job, now
            watch.progress(job)
            if job.state is not JobState.RUNNING:
                return RunResult(RunEnd.ENDED, job)
            if status.waits:
                other = status.waits_for or "another job, which works on the same records"
                watch.waiting(job, f"for its turn, after {other}")
            held = now if status.is_held or status.waits else held
            if now - held > _LONE:
                watch.waiting(
                    job, "no executor works on it: start a console or `hookstream jobs run`"
                )
            self.api.sleep(_EVERY)

    def _act(self, job_id: str, act: str, query: ResumeQuery | None = None) -> Job:
        where = path(f"{JOB}/{act}", job_id=job_id)
        return job_in(self.api.change("POST", where, JobShown, query=query)).job


@dataclass(slots=True, frozen=True)
class ApiStatistics:
    """Statistics of a console's index. Implements `StatisticsCommand`."""

    api: ApiClient

    def read(
        self, wanted: StatisticsWanted, now: Millis, progress: Callable[[int, int], None]
    ) -> StatisticsRead:
        del now, progress
        query = StatisticsQuery(
            since=to_rfc3339(wanted.since),
            until=to_rfc3339(wanted.until),
            step=format_duration(wanted.step),
        )
        found = _statistics(self.api.get(_whose(wanted), StatisticsShown, query))
        if found.whole:
            return StatisticsRead(found)
        since = to_the_second(found.since)
        return StatisticsRead(
            found,
            [
                f"the console's index does not cover the whole time: events are counted from {since} on"
            ],
        )


def _whose(wanted: StatisticsWanted) -> str:
    if wanted.subscriptions is not None:
        if wanted.partners is not None:
            raise InputRefused("--partner: omit it; a subscription has one partner")
        [name] = wanted.subscriptions
        return path("/v1/subscriptions/{subscription_id}/statistics", subscription_id=name)
    if wanted.partners is not None:
        [name] = wanted.partners
        return path("/v1/partners/{partner_id}/statistics", partner_id=name)
    return "/v1/statistics"


def _statistics(shown: StatisticsShown) -> Statistics:
    last = shown.last_attempt
    return Statistics(
        since=from_rfc3339(shown.since),
        until=from_rfc3339(shown.until),
        counts=_counts(shown.counts),
        steps=tuple(
            StatisticsStep(from_rfc3339(each.at), _counts(each.counts)) for each in shown.steps
        ),
        last_attempt=None
        if last is None
        else LastAttempt(from_rfc3339(last.at), last.outcome, last.status, last.delivery),
        errors=tuple(
            ErrorPattern(
                Fingerprint(each.subscription, each.outcome, each.status, each.text),
                each.count,
                from_rfc3339(each.first_at),
                from_rfc3339(each.last_at),
                each.example,
                each.delivery,
            )
            for each in shown.errors
        ),
        whole=shown.whole,
    )


def _counts(shown: CountsShown) -> Counts:
    return Counts(
        open=shown.open,
        overdue=shown.open_for_5m,
        dead_lettered=shown.dead_lettered,
        cancelled=shown.cancelled,
        delivered=shown.delivered,
        delivered_at_once=shown.delivered_within_2s,
        retries=shown.retries,
        held=shown.held,
        replays=shown.replays,
        tests=shown.tests,
    )
