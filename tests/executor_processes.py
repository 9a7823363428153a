"""Processes `hookstream jobs run` on a real broker, killed and frozen while they hold a job."""

import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.e2e.forked_stage import BlockingProcess

from hookstream.adapters.kafka.tables.log import TableCopy, TableRecord, read_tables
from hookstream.core.jobs.job import Job, JobState, read_job
from hookstream.core.model.topics import Topics

LEASE = "3s"
PATIENCE = 120.0
"""Seconds for whatever is waited for: machines are busy."""
_ADDRESS = re.compile(r'"listen": ?"([^"]+)"')


class Cluster(Protocol):
    """Topics of ours on a real broker, and the options with which commands find them."""

    @property
    def client(self) -> Mapping[str, str | int | float | bool]:
        """The settings of librdkafka."""

    @property
    def names(self) -> Topics:
        """The names of the topics."""

    @property
    def options(self) -> Sequence[str]:
        """Of every command."""


def row_of(cluster: Cluster, job_id: str) -> Job:
    """Return a job's row as it is now."""
    return _job(job_id, read_tables(cluster.client, [cluster.names.jobs])[cluster.names.jobs])


def _job(job_id: str, rows: Mapping[str, TableRecord]) -> Job:
    row = rows[job_id]
    job = read_job(job_id, row.value or b"", row.timestamp)
    assert isinstance(job, Job)
    return job


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@dataclass(eq=False)
class ExecutorProcess:
    """One process `jobs run`."""

    cluster: Cluster
    log: Path
    process: BlockingProcess = field(init=False)

    def __post_init__(self) -> None:
        options = ["--set", f"jobs.lease={LEASE}", "--set", "jobs.listen=127.0.0.1:0"]
        with self.log.open("wb") as log:
            self.process = BlockingProcess([*self.cluster.options, *options, "jobs", "run"], log)

    def holds(self, job: Job) -> bool:
        return f":{self.process.pid}:" in job.holder

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def lines(self, event: str) -> int:
        """Return how often an event is in its log."""
        return self.log.read_text().count(f'"{event}"')

    def metrics(self) -> str:
        """Return what it shows to Prometheus."""
        found = _ADDRESS.search(self.log.read_text())
        assert found is not None
        with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def end(self) -> int:
        """Stop it in order, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@dataclass(eq=False)
class Executors:
    """Three executors: one that was killed is replaced."""

    cluster: Cluster
    folder: Path
    alive: list[ExecutorProcess] = field(default_factory=list)
    started: int = 0
    _table: TableCopy = field(init=False)
    """It is asked ten times a second, so its clients stay open."""

    def __post_init__(self) -> None:
        self._table = TableCopy(self.cluster.client, [self.cluster.names.jobs])

    def row(self, job_id: str) -> Job:
        """Return a job's row as it is now."""
        self._table.read_on()
        return _job(job_id, self._table.tables[self.cluster.names.jobs])

    def until_done(self, job_id: str) -> None:
        """Wait until a job is done."""
        until(lambda: self.row(job_id).state is JobState.DONE, f"{job_id} does not end")

    def close(self) -> None:
        """Kill what runs."""
        for each in self.alive:
            each.process.kill()
            each.process.wait(PATIENCE)
        self._table.close()

    def start(self) -> ExecutorProcess:
        self.started += 1
        made = ExecutorProcess(self.cluster, self.folder / f"executor-{self.started}.log")
        self.alive.append(made)
        return made

    def holder(self, job_id: str) -> ExecutorProcess:
        """Return the executor that holds a job, once one does."""
        found: list[ExecutorProcess] = []

        def one_holds() -> bool:
            job = self.row(job_id)
            found[:] = [each for each in self.alive if each.holds(job)]
            return bool(found)

        until(one_holds, f"nobody takes {job_id} over")
        return found[0]

    def until_progress(self, job_id: str) -> None:
        """Wait until an executor that is neither dead nor frozen has written a step.

        On a busy machine a holder may lose its lease to another meanwhile.
        """
        done = self.row(job_id).done

        def moved() -> bool:
            job = self.row(job_id)
            assert job.state is JobState.RUNNING, "the job has ended too early for this test"
            return job.done > done and any(each.holds(job) for each in self.alive)

        until(moved, f"{job_id} makes no progress")

    def kill_holder(self, job_id: str) -> None:
        """Kill the holder of a job between or within two steps, and start another executor."""
        self.until_progress(job_id)
        holder = self.holder(job_id)
        holder.signal(signal.SIGKILL)
        holder.process.wait(PATIENCE)
        self.alive.remove(holder)
        self.start()

    def freeze_holder(self, job_id: str) -> ExecutorProcess:
        """Freeze the holder of a job until another has written a step, and let it go on then."""
        self.until_progress(job_id)
        holder = self.holder(job_id)
        holder.signal(signal.SIGSTOP)
        self.alive.remove(holder)
        try:
            self.until_progress(job_id)
        finally:
            holder.signal(signal.SIGCONT)
            self.alive.append(holder)
        return holder


@contextmanager
def executors(cluster: Cluster, folder: Path, count: int) -> Iterator[Executors]:
    """Run executors until the block ends, whatever happens in it."""
    made = Executors(cluster, folder)
    try:
        for _ in range(count):
            made.start()
        yield made
    finally:
        made.close()
