"""The running jobs of the table as it is followed: marks and ended jobs are not kept."""

from hookstream.core.jobs import turns
from hookstream.core.jobs.job import Job, JobState, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis


class JobBook:
    """The running jobs, by id. There are few: the memory of marks, which are many, is not needed."""

    def __init__(self) -> None:
        """Know of none."""
        self.running: dict[str, Job] = {}
        """Jobs that have not ended, by id."""
        self.unreadable: dict[str, str] = {}
        """Why rows of jobs cannot be read, by id: they may be running."""

    def put(self, key: str, value: bytes | None, written_at: Millis) -> None:
        """Apply a record of the jobs table; None as value removes the row."""
        found = None if value is None else read_job(key, value, written_at)
        self.running.pop(key, None)
        self.unreadable.pop(key, None)
        match found:
            case Job() if found.state is JobState.RUNNING:
                self.running[key] = found
            case RowProblem():
                self.unreadable[key] = found.why
            case _:
                pass

    def stalled(self, now: Millis) -> list[Job]:
        """Return the stalled jobs, oldest first.

        A job that waits for its turn is not stalled, but the job for which it waits may be.

        Args:
            now: By the brokers' clock.
        """
        line = turns.JobLine(self.running.values())
        stalled = [
            job for job in self.running.values() if turns.is_stalled(job, line.ahead(job), now)
        ]
        return sorted(stalled, key=lambda job: (job.asked_at, job.id))

    def gauges(self, now: Millis) -> dict[str, float]:
        """Return the values of the gauges about jobs, by name."""
        return {
            "hookstream_jobs_running": float(len(self.running)),
            "hookstream_jobs_stalled": float(len(self.stalled(now)) + len(self.unreadable)),
        }
