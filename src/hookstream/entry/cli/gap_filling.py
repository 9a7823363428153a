"""Ends a pause or a disabling on the command line, and fills the gap that it left."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
from rich.progress import TextColumn

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Disabled
from hookstream.core.planning import transitions
from hookstream.entry.admin import gaps
from hookstream.entry.admin.gaps import EndedGap, FillOptions, GapCount
from hookstream.entry.admin.job_listing import status_of
from hookstream.entry.admin.replays import SurveyWatch
from hookstream.entry.backend.ports import JobCommands
from hookstream.entry.backend.sending_ports import GapBefore
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.job_view import (
    FINDINGS,
    how_to_go_on,
    job_document,
    require_finished,
    working,
)
from hookstream.entry.cli.options import as_json_option, as_one, rate_option, yes_option
from hookstream.entry.cli.progress import bar, shown_in, transient
from hookstream.entry.cli.replay import remarks
from hookstream.entry.cli.terminal import confirm
from hookstream.errors import Conflict
from hookstream.pipeline.job_kind import RunEnd, RunResult

ASKED_ABOVE = 1_000
"""The most events of a gap that are replayed without confirmation."""


@dataclass(slots=True, frozen=True)
class GapOptions:
    """How a gap is ended."""

    replay: bool
    rate: float | None
    yes: bool
    no_wait: bool
    if_revision: int | None
    as_json: bool

    @property
    def filling(self) -> FillOptions:
        """How it is filled."""
        return FillOptions(self.replay, self.rate)


gap_options = as_one(
    "options",
    GapOptions,
    click.option(
        "--replay/--no-replay",
        default=True,
        help="Whether to replay the events of the gap (default: yes).",
    ),
    rate_option("At most N events per second."),
    yes_option,
    click.option(
        "--no-wait",
        is_flag=True,
        help="Return before the change is in effect; hookstream jobs run replays the gap.",
    ),
    click.option(
        "--if-revision",
        type=int,
        metavar="N",
        help="Refuse unless the subscription is at revision N.",
    ),
    as_json_option,
)
"""They arrive as `options`."""


def worked_on(context: Context, jobs: JobCommands, job: Job, *, as_json: bool) -> RunResult:
    """Work on a replay that was written with a row, until the command is stopped.

    Args:
        context: Where progress is shown.
        jobs: Works on it.
        job: The job.
        as_json: Whether standard output is for JSON.
    """
    with working(context, "Replaying", job) as watch:
        result = jobs.resume(job.id, watch)
    if not as_json:
        context.out.text(f"Replayed {counted(result.job.done, 'event')} as {job.id}")
    return result


@dataclass(slots=True)
class GapCommand:
    """One `subscriptions resume` or `enable`."""

    context: Context
    subscription_id: str
    options: GapOptions
    is_enable: bool = False
    redrive: bool | None = None
    """For `enable`: whether to redrive its dead letters; None: ask."""
    _results: list[RunResult] = field(default_factory=list)
    _left_open: str = ""
    """Why its dead letters were not redriven; empty: they were, or were not to be."""

    def run(self) -> None:
        """Count and ask for confirmation, write the row and its jobs, wait, and work on the jobs.

        Raises:
            click.Abort: The answer is no; nothing was changed.
            click.exceptions.Exit: A job is not finished, is incomplete, or was not started (code 1).
        """
        source, revision = self.context.backend.gaps, self.options.if_revision
        before = source.before(self.subscription_id, revision)
        if self._is_ended(before):
            self._report(EndedGap(before.subscription, changed=False), None)
            return
        if self.options.replay:
            self._before_filling(before)
        redrives = self.is_enable and self._is_redrive_wanted(before)
        ended, effect = source.end(before, revision, self.options.filling, enabling=self.is_enable)
        if ended.changed:
            self._say(ended, effect.at)
        self.context.err.warn(effect.warning)
        if ended.changed and not self.options.no_wait:
            effect.wait()
        letters = self._redrive(ended.disabled) if ended.changed and redrives else None
        jobs = [*self._cut_off(ended), *ended.jobs]
        self._report(ended, letters, self._replay(jobs))
        for result in self._results:
            require_finished(self.context, result)
        if self._left_open:
            self.context.err.text(f"Its dead letters stay open: {self._left_open}", "red")
            raise click.exceptions.Exit(FINDINGS)

    def _is_ended(self, before: GapBefore) -> bool:
        if self.is_enable:
            return before.disabled is None
        return transitions.resume(before.subscription, 0) is before.subscription

    # Before.

    def _before_filling(self, before: GapBefore) -> None:
        """Print what the gap's replay means, and ask for confirmation if it is large."""
        source = self.context.backend.gaps
        for remark in source.remarks(before, enabling=self.is_enable):
            self.context.err.text(remark, "yellow")
        if self.options.yes:
            return
        count = self._counted(before)
        if count is None:
            return
        self._show(count)
        if count.events > ASKED_ABOVE:
            question = f"Replay {counted(count.events, 'event')} (--no-replay leaves them out)?"
            confirm(question, yes=False)

    def _counted(self, before: GapBefore) -> GapCount | None:
        said = set[str]()

        def waiting(why: str) -> None:
            if why not in said:
                said.add(why)
                text = f"waiting to count: {why} (--yes skips the count)"
                self.context.err.text(text, "yellow")

        with transient(self.context, TextColumn("Counting the gap")) as progress:
            progress.add_task("", total=None)
            watch = SurveyWatch(waiting=waiting)
            return self.context.backend.gaps.count(before, watch, enabling=self.is_enable)

    def _show(self, count: GapCount) -> None:
        err = self.context.err
        for (start, end), survey in zip(count.spans, count.surveys, strict=True):
            err.text(
                f"{counted(survey.events, 'event')} so far in the gap from {to_the_second(start)}"
                f" to {to_the_second(end)}"
            )
            for line in remarks(survey):
                err.text(line, "yellow")

    def _is_redrive_wanted(self, before: GapBefore) -> bool:
        """Return whether to redrive the dead letters of the disabling; ask if no option says so."""
        if self.options.no_wait:
            # Until the change is in effect, workers would dead-letter them again.
            if self.redrive:
                raise click.UsageError(
                    "--redrive waits until the subscription is enabled: omit --no-wait"
                )
            return False
        if self.redrive is not None:
            return self.redrive
        if self.options.yes:
            return True
        disabled = before.disabled
        if disabled is None:
            return False
        with bar(self.context, "Reading") as progress:
            letters = self.context.backend.gaps.given_up(disabled, shown_in(progress))
        if not letters:
            return False
        reasons = " or ".join(sorted(gaps.GIVEN_UP))
        question = (
            f"Redrive its {counted(letters, 'dead letter')} of the reason {reasons} as well?"
        )
        if sys.stdin.isatty():
            return click.confirm(question, default=True, err=True)
        stay = counted(letters, "dead letter stays", "dead letters stay")
        them = "it" if letters == 1 else "them"
        self.context.err.text(
            f"{stay} open, of the reason {reasons}. To redrive {them}:"
            f" hookstream dlq redrive --subscription {self.subscription_id}"
            f" --since {to_rfc3339(disabled.since - transitions.SLACK)} "
            + " ".join(f"--reason {reason}" for reason in sorted(gaps.GIVEN_UP))
        )
        return False

    # After.

    def _say(self, ended: EndedGap, takes_effect: Millis) -> None:
        err, name = self.context.err, self.subscription_id
        from_then = to_rfc3339(takes_effect)
        if self.is_enable and ended.disabled is not None:
            err.print(
                f"{name} is enabled from {from_then}. No event published after"
                f" {to_rfc3339(ended.disabled.since)} was sent to it; the gap in its row starts at"
                f" {to_rfc3339(ended.disabled.since - transitions.SLACK)}."
            )
        else:
            err.print(f"{name} is resumed from {from_then}")
        for job in ended.jobs:
            err.print(f"{job.id} replays its gap")
        if not self.options.replay:
            err.print("Events published in the gap are not sent (--no-replay)")
        elif not self.is_enable and ended.disabled is not None:
            err.print(
                f"It is disabled ({ended.disabled.reason}): hookstream subscriptions enable {name}"
                " replays its gap"
            )

    def _cut_off(self, ended: EndedGap) -> list[Job]:
        """Return the replays of earlier gaps that ended when the endpoint was disabled: they continue."""
        if not (self.is_enable and ended.changed and self.options.replay):
            return []
        found = self.context.backend.subscriptions.replays(ended.subscription).values()
        failed = [job for job in found if job.state is JobState.FAILED]
        for job in failed:
            self.context.err.print(f"{job.id}, which failed, continues")
            if self.options.no_wait:
                self.context.backend.jobs.free(job.id)
        return failed

    def _replay(self, jobs: Sequence[Job]) -> list[JsonObject]:
        """Work on the jobs that fill the gap, one after the other, until the command is stopped."""
        documents: list[JsonObject] = []
        for job in jobs:
            if self.options.no_wait or self._is_stopped:
                self.context.err.text(how_to_go_on(job.id))
                documents.append(job_document(status_of(job, job.asked_at)))
                continue
            source = self.context.backend.jobs
            result = worked_on(self.context, source, job, as_json=self.options.as_json)
            documents.append(self._noted(result))
        return documents

    def _redrive(self, disabled: Disabled | None) -> JsonObject | None:
        """Redrive the dead letters of the disabling; the subscription is already enabled."""
        if disabled is None:
            return None
        source, rate = self.context.backend.gaps, self.options.rate
        try:
            with bar(self.context, "Reading") as progress:
                new = source.redrive(disabled, rate, shown_in(progress))
        except Conflict as beside:
            # The subscription is already enabled, and its gap is filled anyway.
            self._left_open = str(beside)
            return None
        if new is None:
            return None
        with working(self.context, "Redriving", new.job) as watch:
            result = new.run(watch)
        if not self.options.as_json:
            self.context.out.text(
                f"Redrove {counted(result.job.done, 'dead letter')} as {new.job.id}"
            )
        return self._noted(result)

    def _noted(self, result: RunResult) -> JsonObject:
        self._results.append(result)
        return job_document(status_of(result.job, result.job.held_until or 0))

    @property
    def _is_stopped(self) -> bool:
        return any(result.why is RunEnd.STOPPED for result in self._results)

    def _report(
        self, ended: EndedGap, letters: JsonObject | None, replays: Sequence[JsonObject] = ()
    ) -> None:
        if self.options.as_json:
            jobs: list[Json] = [*replays]
            document: JsonObject = {
                "subscription": self.subscription_id,
                "changed": ended.changed,
                "replays": jobs,
                "redrive": letters,
            }
            click.echo(json_line(document))
        elif not ended.changed:
            already = (
                "is not disabled" if self.is_enable else f"is already {ended.subscription.state}"
            )
            self.context.err.print(f"{self.subscription_id} {already}")
