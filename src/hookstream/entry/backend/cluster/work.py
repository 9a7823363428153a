"""Jobs and statistics from the topics: a command runs a job itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from hookstream.core.jobs.job import Job
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_the_second
from hookstream.core.statistics.counts import Statistics
from hookstream.entry.admin import jobs
from hookstream.entry.admin.job_listing import JobListing, JobStatus, Watch, list_jobs
from hookstream.entry.admin.known_names import name_filters, read_names, refuse_unknown
from hookstream.entry.admin.statistics import StatisticsReader, StatisticsWanted
from hookstream.entry.backend.ports import StatisticsRead
from hookstream.pipeline.job_kind import RunResult
from hookstream.settings import Settings

_OF_THE_WINDOW = ("record of the window was", "records of the window were")
_OF_FURTHER_RUNS = ("record of further runs was", "records of further runs were")


@dataclass(slots=True, frozen=True)
class ClusterJobs:
    """Jobs of the jobs table. Implements `JobCommands`."""

    settings: Settings

    def listed(self) -> JobListing:
        return list_jobs(self.settings)

    def found(self, job_id: str) -> JobStatus:
        return jobs.find_job(self.settings, job_id)

    def cancel(self, job_id: str) -> Job:
        return jobs.cancel_job(self.settings, job_id)

    def free(self, job_id: str) -> Job:
        return jobs.free_job(self.settings, job_id)

    def resume(self, job_id: str, watch: Watch, rate: float | None = None) -> RunResult:
        return jobs.resume_job(self.settings, job_id, watch, rate=rate)


@dataclass(slots=True, frozen=True)
class ClusterStatistics:
    """Statistics from at most `scan` records of each topic. Implements `StatisticsCommand`."""

    settings: Settings
    scan: int

    def read(
        self, wanted: StatisticsWanted, now: Millis, progress: Callable[[int, int], None]
    ) -> StatisticsRead:
        reader = StatisticsReader(self.settings, self.scan)
        reader.progress = reader.attempts.progress = progress
        found = reader.read(wanted, now)
        if not found.counts.events and not found.counts.left_out and found.last_attempt is None:
            self._refuse_unknown(wanted)
        return StatisticsRead(found, [*_reservations(reader, found)])

    def _refuse_unknown(self, wanted: StatisticsWanted) -> None:
        """Refuse a name that is in no table, if no record of it was found."""
        names = partial(read_names, self.settings)
        refuse_unknown(
            name_filters(names, subscriptions=wanted.subscriptions, partners=wanted.partners),
            lambda: (),
        )


def _reservations(reader: StatisticsReader, found: Statistics) -> Iterator[str]:
    """Yield a sentence for each limit of the statistics."""
    names = reader.settings.topics_names
    for topic, limit in ((names.attempts, reader.attempts_limit), ("tiers", reader.tiers_limit)):
        if limit.left_out:
            yield (
                f"{topic}: the oldest {counted(limit.left_out, *_OF_THE_WINDOW)} not read; events are"
                f" counted from {to_the_second(found.since)} on (--scan for more)"
            )
    if reader.left_out:
        left_out = counted(reader.left_out, *_OF_FURTHER_RUNS)
        yield f"{left_out} not counted: there are too many"
    if reader.attempts.unreadable:
        yield (
            f"{counted(reader.attempts.unreadable, 'record')} could not be read, the first of them"
            f" {reader.attempts.why_unreadable}"
        )
