"""`hookstream replay`: delivers events of the past again, to one subscription."""

from dataclasses import dataclass

import click
from rich.progress import BarColumn, TextColumn

from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.replay.extent import lost_text
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.preview import ReplayPreview, read_replay_preview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin.job_listing import status_of
from hookstream.entry.admin.replays import SurveyWatch
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.job_view import job_document, require_finished, working
from hookstream.entry.cli.moments import moment
from hookstream.entry.cli.options import as_json_option, as_one, rate_option, several, yes_option
from hookstream.entry.cli.progress import transient
from hookstream.entry.cli.terminal import confirm
from hookstream.errors import InputRefused

_NAMED = 5
_MANY = ("they are", "their schemas are")


@dataclass(slots=True, frozen=True)
class ReplayOptions:
    """The options of `replay start`."""

    since: Millis | None
    until: Millis | None
    event_types: frozenset[str] | None
    as_granted_today: bool
    rate: float | None
    dry_run: bool
    preview: str | None
    yes: bool

    @property
    def has_conditions(self) -> bool:
        """Whether any option was given that selects events."""
        given = (self.since, self.until, self.event_types)
        return self.dry_run or self.as_granted_today or any(each is not None for each in given)

    def request(self, subscription_id: str) -> ReplayRequest:
        """Return the request that the options make, without a preview.

        Raises:
            click.UsageError: The start of the interval is missing.
            InputRefused: The interval is empty, or begins before 1970.
        """
        if self.since is None:
            raise click.UsageError("--from is required: the time from which events are replayed")
        until = SystemClock().now() if self.until is None else self.until
        if not 0 <= self.since < until:
            raise InputRefused(
                f"--from {to_rfc3339(self.since)} is not before --to {to_rfc3339(until)}, or before 1970"
            )
        interval = Interval(self.since, until)
        types = self.event_types or frozenset()
        return ReplayRequest(subscription_id, interval, types, self.as_granted_today)


_asked = as_one(
    "asked",
    ReplayOptions,
    click.option(
        "--from",
        "since",
        type=moment,
        metavar="TIME|AGE",
        help="Events recorded since then: RFC 3339, or an age such as 2h.",
    ),
    click.option(
        "--to",
        "until",
        type=moment,
        metavar="TIME|AGE",
        help="Events recorded before then (default: now).",
    ),
    several("--event-type", "event_types", "Only events of this type"),
    click.option(
        "--as-granted-today",
        is_flag=True,
        help="Include events that are granted today but were not when they were recorded.",
    ),
    rate_option("At most N events per second."),
    click.option("--dry-run", is_flag=True, help="Count what would be replayed; write nothing."),
    click.option(
        "--preview",
        metavar="TOKEN",
        help="Replay exactly what a dry run counted; TOKEN is from its output.",
    ),
    yes_option,
)


@click.group()
def command() -> None:
    """Deliver events of the past again, to one subscription.

    A replay is a job: hookstream jobs list, show, cancel and resume know it.
    """


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_asked
@as_json_option
@takes_api
def start(context: Context, subscription_id: str, asked: ReplayOptions, *, as_json: bool) -> None:
    """Replay the events between two times to SUBSCRIPTION, whether it received them or not.

    Events are matched by its current filter and versions. Only events that its partner was granted when they
    were recorded, and is still granted, are replayed. At most 2,000 replayed deliveries are outstanding at a
    time; live deliveries go first. Exit code 1 if the replay is not finished when the command ends, or is
    incomplete.
    """
    if asked.preview is None:
        request = asked.request(subscription_id)
        _Replay(context, request, asked, as_json).start()
        return
    if asked.has_conditions:
        raise click.UsageError(
            "--preview contains the interval and the conditions: omit the other options"
        )
    preview = read_replay_preview(asked.preview)
    if preview.request.subscription_id != subscription_id:
        other = preview.request.subscription_id
        raise InputRefused(f"the preview is of {other!r}, not of {subscription_id!r}")
    _Replay(context, preview.request, asked, as_json).start_previewed(preview)


@dataclass(slots=True, frozen=True)
class _Replay:
    """One `replay start`."""

    context: Context
    request: ReplayRequest
    asked: ReplayOptions
    as_json: bool

    def start(self) -> None:
        """Count, ask, and replay; with `--yes`, at once."""
        asked, request, source = self.asked, self.request, self.context.backend.replays
        source.check(request)
        if asked.yes and not asked.dry_run:
            self._run(source.start(request, asked.rate, None), None)
            return
        survey, preview = self._survey()
        self._show(survey, preview)
        document = survey_document(survey, preview)
        if asked.dry_run or not survey.events:
            if self.as_json:
                click.echo(json_line({"job": None, **document}))
            return
        self._confirm(counted(survey.events, "event"))
        self._run(source.start(request, asked.rate, preview), document)

    def start_previewed(self, preview: ReplayPreview) -> None:
        """Replay exactly what was counted before."""
        source = self.context.backend.replays
        source.check(self.request)
        self._confirm(counted(preview.events, "event"))
        self._run(source.start(self.request, self.asked.rate, preview), None)

    def _confirm(self, events: str) -> None:
        question = f"Replay {events} to {self.request.subscription_id}?"
        confirm(question, yes=self.asked.yes)

    def _survey(self) -> tuple[ReplaySurvey, ReplayPreview | None]:
        columns = (TextColumn("Counting"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        err, said = self.context.err, set[str]()

        def waiting(why: str) -> None:
            if why not in said:
                said.add(why)
                err.text(f"waiting: {why}", "yellow")

        with transient(self.context, *columns) as progress:
            task = progress.add_task("", total=None)

            def update(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            watch = SurveyWatch(update, waiting)
            return self.context.backend.replays.survey(self.request, watch)

    def _show(self, survey: ReplaySurvey, preview: ReplayPreview | None) -> None:
        out = self.context.err if self.as_json else self.context.out
        begin, end = map(to_the_second, self.request.interval)
        out.text(f"{counted(survey.events, 'event')} from {begin} to {end}", "bold")
        rows = [
            (
                f"{count.events:,}",
                "" if count.first is None else to_the_second(count.first),
                "" if count.last is None else to_the_second(count.last),
                f"{count.not_granted:,}",
                event_type,
            )
            for event_type, count in sorted(survey.by_type.items())
        ]
        if rows:
            numbers = ("events", "not granted")
            out.table(("events", "first", "last", "not granted", "event type"), rows, numbers)
        for line in remarks(survey):
            out.text(line, "yellow")
        if self.asked.dry_run and not self.as_json and survey.events and preview is not None:
            self._show_token(preview.token())

    def _show_token(self, token: str | None) -> None:
        out, subscription_id = self.context.out, self.request.subscription_id
        if token is None:
            out.text("There are too many partitions for a token: make the interval shorter")
            return
        out.text("To replay exactly these, and nothing newer:")
        out.text(f"hookstream replay start {subscription_id} --preview {token}")

    def _run(self, new: NewJob, document: JsonObject | None) -> None:
        job = new.job
        self.context.err.text(f"Replaying as {job.id}")
        with working(self.context, "Replaying", job) as watch:
            result = new.run(watch)
        if self.as_json:
            shown = job_document(status_of(result.job, SystemClock().now()))
            click.echo(json_line({"job": shown, **(document or {})}))
        else:
            self.context.out.text(f"Replayed {counted(result.job.done, 'event')} as {job.id}")
        require_finished(self.context, result)


def remarks(survey: ReplaySurvey) -> list[str]:
    """Return what an operator should know in addition to the counts, one sentence each."""
    found: list[str] = []
    if survey.unidentified:
        they, schemas = ("it is", "its schema is") if survey.unidentified == 1 else _MANY
        found.append(
            f"{survey.unidentified:,} of them cannot be identified yet: {they} written to be"
            f" matched when {schemas} published"
        )
    if survey.not_granted:
        are, they = ("is", "it was") if survey.not_granted == 1 else ("are", "they were")
        found.append(
            f"{survey.not_granted:,} {are} left out: not granted when {they} recorded, or not today"
        )
    if survey.undecodable:
        are = "is no event" if survey.undecodable == 1 else "are no events"
        found.append(f"{counted(survey.undecodable, 'record')} of the interval {are}")
    if survey.retained_from:
        parts = [
            f"{at.topic}-{at.partition} (has records since {to_the_second(since)})"
            for at, since in sorted(survey.retained_from.items())[:_NAMED]
        ]
        more = len(survey.retained_from) - len(parts)
        rest = f" and {more} more" if more > 0 else ""
        found.append(f"retention may have taken some already: {', '.join(parts)}{rest}")
    if survey.lost:
        found.append(lost_text(survey.lost))
    if survey.producers_times:
        topics = ", ".join(sorted(survey.producers_times)[:_NAMED])
        found.append(f"records of {topics} have the times of their producers: not exact")
    return found


def survey_document(survey: ReplaySurvey, preview: ReplayPreview | None) -> JsonObject:
    """Return what a replay would do as JSON; scripts rely on its keys."""
    types: list[Json] = [
        {
            "event_type": event_type,
            "events": count.events,
            "first": None if count.first is None else to_rfc3339(count.first),
            "last": None if count.last is None else to_rfc3339(count.last),
            "not_granted": count.not_granted,
        }
        for event_type, count in sorted(survey.by_type.items())
    ]
    retained: list[Json] = [
        {"topic": at.topic, "partition": at.partition, "since": to_rfc3339(since)}
        for at, since in sorted(survey.retained_from.items())
    ]
    return {
        "events": survey.events,
        "event_types": types,
        "unidentified": survey.unidentified,
        "not_granted": survey.not_granted,
        "undecodable": survey.undecodable,
        "retained_from": retained,
        "lost": sum(each.end - each.first for each in survey.lost),
        "producers_times": [*sorted(survey.producers_times)],
        "preview": None if preview is None else preview.token(),
    }
