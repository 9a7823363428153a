"""However executors interleave, die and freeze, two jobs over one topic are never at work at once."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookstream.core.jobs import turns
from hookstream.core.jobs.job import REDRIVE, Job, JobState
from hookstream.core.jobs.lease import handed_back, held
from hookstream.core.model.json import JsonObject

NOW = 1_795_000_000_000
STEPS = 3
"""How many steps a job has."""
ASKED: JsonObject = {"topic": "dead-letters", "selector": {}, "ends": {}}


@dataclass
class Table:
    """The rows of the jobs table, and the epochs of the jobs' writers. A row is there or is not."""

    rows: dict[str, Job] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)

    def open(self, job_id: str) -> int:
        """Open the writer of a job, which fences every other."""
        self.epochs[job_id] = self.epochs.get(job_id, 0) + 1
        return self.epochs[job_id]


@dataclass
class Executor:
    """One process, which takes one turn of its work at each call of `go_on`; it may never be called again."""

    table: Table
    name: str
    job_id: str
    is_older: bool = False
    """Whether it is of the release before, which lets a job fail that finds another one running."""
    looks: bool = True
    heeds_line: bool = True
    """Whether it takes no job before its turn; a command does, on an operator's request."""
    epoch: int = 0
    stage: str = "idle"

    def go_on(self) -> None:
        if self.stage not in ("idle", "opened") and not self.may_write:
            self.stage = "idle"
        getattr(self, f"_{self.stage}")()

    @property
    def may_write(self) -> bool:
        return self.table.epochs[self.job_id] == self.epoch

    @property
    def works(self) -> bool:
        """Whether a dead letter would be redriven by it at its next turn."""
        return self.stage == "working" and self.may_write

    @property
    def _row(self) -> Job:
        return self.table.rows[self.job_id]

    def _write(self, job: Job) -> None:
        self.table.rows[self.job_id] = job

    def _idle(self) -> None:
        """Look whether the job is there to be taken; leases are no more than politeness."""
        rows = self.table.rows.values()
        if self._row.state is not JobState.RUNNING:
            return
        if self.is_older or not self.heeds_line or turns.JobLine(rows).ahead(self._row) is None:
            self.epoch, self.stage = self.table.open(self.job_id), "opened"

    def _opened(self) -> None:
        if self.may_write and self._row.state is JobState.RUNNING:
            self._write(held(self._row, self.name, NOW))
            self.stage = "claimed"
        else:
            self.stage = "idle"

    def _claimed(self) -> None:
        rows = self.table.rows.values()
        if self.is_older and turns.rivals(rows, self._row):
            self.stage = "withdrawing"
        elif not self.is_older and self.looks and turns.at_work_beside(rows, self._row):
            self.stage = "handing_back"
        else:
            self.stage = "working"

    def _withdrawing(self) -> None:
        self._write(self._row.ended(JobState.FAILED, "it withdrew"))
        self.stage = "idle"

    def _handing_back(self) -> None:
        self._write(handed_back(self._row, NOW))
        self.stage = "idle"

    def _working(self) -> None:
        done = held(replace(self._row, done=self._row.done + 1), self.name, NOW)
        if done.done >= STEPS:
            done, self.stage = done.ended(JobState.DONE), "idle"
        self._write(done)


class Story:
    """Some jobs, each with two executors."""

    def __init__(
        self, jobs: int, older: set[int], commands: set[int], *, looks: bool = True
    ) -> None:
        self.table = Table()
        self.older, self.commands, self.looks, self.lives = older, commands, looks, 0
        for number in range(jobs):
            job = Job(f"job-{number}", REDRIVE, ASKED, NOW)
            self.table.rows[job.id] = handed_back(job, NOW)
        self.executors = [self._born(at) for at in range(2 * jobs)]

    def _born(self, at: int) -> Executor:
        self.lives += 1
        return Executor(
            self.table,
            f"e{self.lives}",
            f"job-{at % len(self.table.rows)}",
            is_older=at in self.older,
            looks=self.looks,
            heeds_line=at not in self.commands,
        )

    def happen(self, what: str, at: int) -> None:
        at %= len(self.executors)
        job_id = f"job-{at % len(self.table.rows)}"
        match what:
            case "go on":
                self.executors[at].go_on()
            case "die":
                self.executors[at] = self._born(at)
            case "cancel":
                self._change(job_id, lambda job: job.ended(JobState.CANCELLED, "by kim"))
            case "fail":
                # Its kind raised, or the brokers' set-up changed.
                if self.executors[at].works:
                    self._change(job_id, lambda job: job.ended(JobState.FAILED, "refused"))
            case "stop":
                if self.executors[at].works:
                    self._change(job_id, lambda job: handed_back(job, NOW))
            case _:
                self._change(
                    job_id,
                    lambda job: handed_back(replace(job, state=JobState.RUNNING), NOW),
                )

    def _change(self, job_id: str, change: object) -> None:
        """Open the writer of a job that has not ended for good, and write its row."""
        job = self.table.rows[job_id]
        if job.state.is_resumable:
            self.table.open(job_id)
            assert callable(change)
            self.table.rows[job_id] = change(job)

    def at_work(self) -> set[str]:
        return {each.job_id for each in self.executors if each.works}

    def finish(self) -> None:
        """Let everybody go on in turn, nobody of the release before, until nothing more happens."""
        self.older, self.commands = set(), set()
        self.executors = [self._born(at) for at in range(len(self.table.rows))]
        for _ in range(60):
            for each in self.executors:
                each.go_on()
                assert len(self.at_work()) <= 1


WHAT = ["go on"] * 8 + ["die", "die", "cancel", "fail", "stop", "resume", "resume"]
HAPPENINGS = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 5)), max_size=60)
SOME = st.sets(st.integers(0, 5))


@settings(max_examples=400)
@given(jobs=st.integers(2, 3), older=SOME, commands=SOME, happen=HAPPENINGS)
def test_two_jobs_are_never_at_work_at_once_and_each_has_its_turn(
    jobs: int, older: set[int], commands: set[int], happen: list[tuple[str, int]]
) -> None:
    """Also beside executors of the release before; a holder that is dead, frozen or fenced may come back."""
    story = Story(jobs, older, commands)
    for what, at in happen:
        story.happen(what, at)
        assert len(story.at_work()) <= 1
    story.finish()
    assert not [job.id for job in story.table.rows.values() if job.state is JobState.RUNNING]


@pytest.mark.parametrize("looks", [True, False])
def test_without_the_look_after_the_claim_two_would_be_at_work(*, looks: bool) -> None:
    """The test above can fail: both executors find the topic free, and claim their jobs after that."""
    story = Story(2, set(), {0, 1}, looks=looks)
    for _ in range(3):
        for at in (0, 1):
            story.happen("go on", at)
    found = story.at_work()
    assert len(found) == (0 if looks else 2)
