"""Commands run in memory, on tables or through the API over the same tables: what they print, and their code."""

import asyncio
import contextlib
import io
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, BinaryIO, TypeVar, cast

import click
from tests.doubles.api import ApiReply as Answered
from tests.doubles.api import ApiWorld
from tests.doubles.clock import HandClock
from tests.doubles.explained import explained
from tests.doubles.status import a_status

from hookstream.adapters.http.api_connection import ApiLines, ApiReply
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.turns import JobLine
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.core.replay.preview import ReplayPreview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.dead_letter_details import (
    DeadLetterDetails,
    of_event,
    position_in,
)
from hookstream.entry.admin.dead_letter_export import DeadLetterExport
from hookstream.entry.admin.dead_letters import topic_of
from hookstream.entry.admin.delivery_tests import PreparedTest, SentTest
from hookstream.entry.admin.event_sending import EventSender
from hookstream.entry.admin.event_tail import event_in
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Explanation
from hookstream.entry.admin.job_listing import JobListing, JobStatus, Watch, status_of
from hookstream.entry.admin.known_names import NO_TOPIC, Filter, names_of, refuse_unknown
from hookstream.entry.admin.lanes import ask_lanes
from hookstream.entry.admin.partitions import StartAt, ask_skip, ask_start
from hookstream.entry.admin.purges import new_purge_until
from hookstream.entry.admin.redrives import new_redrive_until
from hookstream.entry.admin.replays import SurveyWatch
from hookstream.entry.admin.status import Status, with_workers
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.admin.tables import State, StateReader, TablesSession
from hookstream.entry.admin.worker_pages import read_workers
from hookstream.entry.admin.writing import Changed
from hookstream.entry.api.requests import CutOff
from hookstream.entry.backend.api.backend import ApiBackend
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.backend import Backend
from hookstream.entry.backend.bulk_ports import DetailsRead
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.cluster.aside import ClusterAside
from hookstream.entry.backend.cluster.backend import ClusterBackend
from hookstream.entry.backend.cluster.events import ClusterEvents
from hookstream.entry.backend.cluster.sending import ClusterReplays
from hookstream.entry.backend.cluster.work import ClusterJobs
from hookstream.entry.backend.event_ports import TailedRecord, WantedTail
from hookstream.entry.backend.listing_ports import Progress
from hookstream.entry.backend.partition_ports import PartitionListing
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.root import exit_code, root
from hookstream.errors import DependencyUnavailable, HookstreamError, InputRefused
from hookstream.pipeline.job_kind import JobKind, RunEnd, RunResult
from hookstream.pipeline.jobs import required
from hookstream.settings import Settings

T = TypeVar("T")

_RANDOM = re.compile(
    r"(?:replay|redrive|purge)-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}|msg_[a-z2-7]{26}|test-[0-9a-f]{32}|"
    r"whsec_[A-Za-z0-9+/=]+|[0-9]{6,}s|"
    r"hs_[a-z]{3}_[A-Za-z0-9_-]{43}|(?:tok|ses|lnk)-[a-z0-9]{16}|generated-[a-z0-9-]+"
)
_ASKER = re.compile(rf'"asked_by":"(?:token tok-[^",]+|{re.escape(who())})')
"""The user of a command, or the token of a request."""
_EXPORTED = re.compile('"exported_at":"[^"]+')
_REQUEST = re.compile(", request request-[0-9]+")
"""Which request made a change: no command on Kafka is one."""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int

    @property
    def alike(self) -> "Said":
        """The same without what differs from one run to the next: secrets and ids just made, and durations."""
        return Said(_alike(self.out), _alike(self.err), self.code)


def _alike(text: str) -> str:
    text = _EXPORTED.sub('"exported_at":"(then)', text)
    return _RANDOM.sub("(made)", _ASKER.sub('"asked_by":"(one)', _REQUEST.sub("", text)))


def completed(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits for something")


def finished(world: ApiWorld, job: Job) -> Job:
    """Do a job as an executor would, which finds seven things to do."""
    done = replace(job, done=7).ended(JobState.DONE)
    return world.services.offer_job(done, lambda _: (), None)


class MemoryAccess(ClusterAccess):
    """Tables in memory in the place of the cluster's."""

    def __init__(self, world: ApiWorld) -> None:
        super().__init__(world.settings)
        object.__setattr__(self, "world", world)

    world: ApiWorld

    def now(self) -> Millis:
        return self.world.services.now()

    def state(self) -> State:
        return self.world.services.state()

    def console(self) -> ConsoleTable:
        return self._session().console()

    def lanes(self, subscription_id: str, workers: Sequence[str]) -> Sequence[WorkerLane]:
        if workers:
            return ask_lanes(workers, subscription_id)
        return self.world.services.lanes(subscription_id)

    def jobs(self) -> JobListing:
        found = self.world.services.jobs()
        line = JobLine(found)
        return JobListing([status_of(each, self.now(), line) for each in found])

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        *,
        console: bool | None = False,
        signed: bool = False,
    ) -> Changed[T]:
        del console, signed
        caller = self.world.services.caller(self.world.tokens[Scope.ADMIN])
        assert caller is not None
        services = self.world.services
        writer = ChangeWriter(self._session(), services.keys, by=f"token {caller.token_id}")
        return Changed(act(writer), writer)

    def keys(self, settings: Settings) -> Keys:
        del settings
        return self.world.services.keys

    def opened_state(self, reader: StateReader) -> State:
        del reader
        return self.world.services.opened_state()

    def change_opened(
        self, act: Callable[[ChangeWriter], T], keys: Keys, reader: StateReader
    ) -> Changed[T]:
        del keys, reader
        return self.change(act)

    def retained_since(self, since: Millis) -> list[TopicPartition]:
        del since
        return []

    def send_file(self, sender: EventSender, file: BinaryIO, topic_prefix: str) -> None:
        sender.opened = self.world.services.topics.opened
        super().send_file(sender, file, topic_prefix)

    def send_test(
        self, prepared: PreparedTest, seconds: float, sent: Callable[[str], None]
    ) -> SentTest:
        done = self.world.services.send_test(prepared, seconds, None)
        sent(done.job)
        return done

    def start_job(
        self, job: Job, watch: Watch, kinds: Mapping[str, JobKind] | None = None
    ) -> RunResult:
        del watch, kinds
        return RunResult(RunEnd.ENDED, finished(self.world, job))

    def _session(self) -> TablesSession:
        services = self.world.services
        return TablesSession(self.settings, services.reader, self.world.tables, HandClock())


@dataclass(slots=True, frozen=True)
class MemoryJobs(ClusterJobs):
    """Jobs in memory; whatever is resumed is done at once."""

    access: MemoryAccess

    def listed(self) -> JobListing:
        return self.access.jobs()

    def found(self, job_id: str) -> JobStatus:
        job = required(self.access.world.services.job(job_id), job_id)
        line = JobLine(self.access.world.services.jobs())
        return status_of(job, self.access.now(), line)

    def cancel(self, job_id: str) -> Job:
        self.found(job_id)
        return self.access.world.services.cancel_job(job_id, lambda _: ())

    def free(self, job_id: str) -> Job:
        self.found(job_id)
        return self.access.world.services.free_job(job_id, lambda _: (), None)

    def resume(self, job_id: str, watch: Watch, rate: float | None = None) -> RunResult:
        del watch
        job = self.found(job_id).job
        if job.state is not JobState.RUNNING or rate is not None:
            job = self.access.world.services.free_job(job_id, lambda _: (), rate)
        return RunResult(RunEnd.ENDED, finished(self.access.world, job))


@dataclass(slots=True, frozen=True)
class MemoryPartition:
    """One partition in memory; its worker does at once what it is asked."""

    access: MemoryAccess
    at: TopicPartition

    def position(self) -> GroupPosition:
        return self.access.world.services.position(self.at)

    def start(self, where: StartAt, reason: str) -> None:
        offset = self.access.world.services.offset_at(self.at, where)
        self.access.change(lambda writer: ask_start(writer, self.at, where, offset, reason))

    def skip(self, offset: int, reason: str) -> None:
        self.access.change(lambda writer: ask_skip(writer, self.at, offset, reason))

    def position_within(
        self, seconds: float, reached_it: Callable[[GroupPosition], bool]
    ) -> GroupPosition:
        del seconds, reached_it
        return self.position()


@dataclass(slots=True, frozen=True)
class MemoryPartitions:
    """The partitions of a world."""

    access: MemoryAccess

    def listed(self) -> PartitionListing:
        names = self.access.settings.topics_names
        positions = self.access.world.services.positions()
        return PartitionListing(positions, (names.group, names.retry_group))

    def partition(self, at: TopicPartition) -> MemoryPartition:
        return MemoryPartition(self.access, at)


@dataclass(slots=True, frozen=True)
class MemoryEvents(ClusterEvents):
    """The event topics of a world."""

    world: ApiWorld

    def tail(self, wanted: WantedTail) -> Iterator[TailedRecord]:
        topics = self.world.services.topics
        known = {at.topic for at in topics.logs}
        refuse_unknown([Filter("--topic", {*wanted.topics}, known, NO_TOPIC)])
        types = names_of(self.cluster.state()).event_types
        refuse_unknown([Filter("--type", wanted.event_types, types)])
        for record in topics.every():
            event = event_in(topics.decoder(), record, wanted.event_types)
            if event is not None and record.topic in (wanted.topics or known):
                is_event = isinstance(event, dict)
                yield TailedRecord(
                    record.where,
                    record.offset,
                    record.timestamp,
                    event if isinstance(event, dict) else None,
                    "" if is_event else str(event),
                )


@dataclass(slots=True, frozen=True)
class MemoryAside(ClusterAside):
    """The topic of dead letters of a world."""

    world: ApiWorld

    def check_names(self, selector: Selector, progress: Progress) -> None:
        del selector, progress

    def refuse_rival(self, job_id: str = "") -> None:
        del job_id

    def survey(
        self, act: BulkAct, row: JsonObject, preview: Preview | None, progress: Progress
    ) -> Survey:
        del progress
        until = None if preview is None else preview.topic_ends
        operator = Caller("tok-command", Scope.ADMIN, None)
        return self.world.services.survey(self.source, row, act, until, operator)

    def preview(self, act: BulkAct, row: JsonObject, found: Survey) -> Preview | None:
        return self.world.services.preview(self.source, act, row, found)

    def known_preview(self, act: BulkAct, token: str, row: JsonObject) -> Preview:
        return self.world.services.known_preview(self.source, act, token, row)

    def redrive(
        self,
        row: JsonObject,
        found: Survey,
        rate: float | None,
        report: Callable[[Unredrivable], None],
    ) -> NewJob:
        del report
        job = new_redrive_until(self.source, row, found.topic_ends, rate, found.tally.records)
        return MemoryAccess(self.world).new_job(job)

    def purge(self, row: JsonObject, found: Survey, why: str) -> NewJob:
        return MemoryAccess(self.world).new_job(
            new_purge_until(self.source, row, found.topic_ends, why, found.tally.records)
        )

    def details(self, name: str, progress: Progress) -> DetailsRead:
        del progress
        services, names = self.world.services, self.settings.topics_names
        topic = topic_of(self.source, names)
        position = position_in(name, topic)
        places = [position] if position is not None else []
        if position is None and self.source is RedriveSource.DEAD_LETTERS:
            kept = map(summary_of, services.dead_topic.kept)
            places = [each.position for each in kept if each.delivery_id == name]
        found = services.set_aside(self.source, places, None)
        if not found:
            raise InputRefused(f"{topic} holds no record at {name} (any more)")
        details: list[DeadLetterDetails] = []
        for each in found:
            summary = summary_of(each.record)
            known = services.memory_index.delivery(summary.delivery_id)
            history = of_event(known.history, summary.origin) if known else None
            if history is None and summary.delivery_id:
                history = DeliveryHistory(summary.delivery_id, (), ())
            is_letter = self.source is RedriveSource.DEAD_LETTERS
            details.append(each.details(history if is_letter else None))
        return DetailsRead(details, services.dead_topic.marks)

    def export(
        self, selector: Selector, progress: Progress, *, with_resolved: bool
    ) -> DeadLetterExport:
        del progress
        return self.world.services.exporting(self.source, selector, with_resolved=with_resolved)


@dataclass(slots=True, frozen=True)
class MemoryExplaining:
    """Explanations of a world."""

    def explain(self, request: ExplainRequest) -> Explanation:
        return explained(request)


@dataclass(slots=True, frozen=True)
class MemoryStatus:
    """The state of a world."""

    def read(self, workers: tuple[str, ...], most: int) -> Status:
        del most
        status = a_status()
        return with_workers(status, read_workers(workers)) if workers else status


class MemoryReplays(ClusterReplays):
    """Replays of a world."""

    def survey(
        self, request: ReplayRequest, watch: SurveyWatch
    ) -> tuple[ReplaySurvey, ReplayPreview | None]:
        del watch
        services = cast("MemoryAccess", self.cluster).world.services
        found, extent = services.replay, services.extent
        return found, ReplayPreview(request, extent, found.events)


class MemoryBackend(ClusterBackend):
    """Commands on tables in memory."""

    def __init__(self, world: ApiWorld) -> None:
        super().__init__(world.settings)
        self.world = world

    @cached_property
    def access(self) -> MemoryAccess:
        return MemoryAccess(self.world)

    @property
    def jobs(self) -> MemoryJobs:
        return MemoryJobs(self.settings, self.access)

    def aside(self, source: RedriveSource) -> MemoryAside:
        return MemoryAside(self.settings, source, self.world)

    @property
    def replays(self) -> MemoryReplays:
        return MemoryReplays(self.access)

    @property
    def status(self) -> MemoryStatus:
        return MemoryStatus()

    @property
    def explaining(self) -> MemoryExplaining:
        return MemoryExplaining()

    @property
    def events(self) -> MemoryEvents:
        return MemoryEvents(self.access, self.world)

    @property
    def partitions(self) -> MemoryPartitions:
        return MemoryPartitions(self.access)


@dataclass
class MemoryConnection:
    """The way to the API of a world, by the token of a scope."""

    world: ApiWorld
    token: str
    sent: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    """Method, target and headers of each request."""
    before: Callable[[str, str], ApiReply | None] = lambda _method, _target: None
    """Answers in the API's place."""
    cuts: list[int] = field(default_factory=list)
    """After so many lines the next answers in lines are cut off, one after the other."""

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        return self._sent(method, target, headers, body, completed)

    def _sent(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        run_asked: Callable[[Coroutine[Any, Any, Answered]], Answered],
    ) -> ApiReply:
        self.sent.append((method, target, headers))
        instead = self.before(method, target)
        if instead is not None:
            return instead
        found = run_asked(
            self.world.send(method, target, token=self.token, headers=headers, content=body or b"")
        )
        return ApiReply(
            found.status,
            {name.lower(): value for name, value in found.headers.items()},
            found.content,
        )

    @contextlib.contextmanager
    def in_lines(self, target: str) -> Iterator[ApiLines]:
        try:
            # Pieces are made by tasks, which need a loop.
            reply = self._sent("GET", target, {}, None, asyncio.run)
        except CutOff:
            yield ApiLines(ApiReply(200, {}, b""), _cut_off([]))
            return
        if reply.status != HTTPStatus.OK:
            yield ApiLines(reply, iter(()))
            return
        lines = reply.body.splitlines(keepends=True)
        is_cut = bool(self.cuts)
        lines = lines[: self.cuts.pop(0)] if is_cut else lines
        given = _cut_off(lines) if is_cut else iter(lines)
        yield ApiLines(replace(reply, body=b""), given)


def _cut_off(lines: Sequence[bytes]) -> Iterator[bytes]:
    yield from lines
    raise DependencyUnavailable("the API's answer is cut off: IncompleteRead")


class ApiFace(ApiBackend):
    """Commands through the API of a world."""

    def __init__(self, world: ApiWorld, scope: Scope = Scope.ADMIN) -> None:
        self.connection = MemoryConnection(world, world.tokens[scope])
        self.slept: list[float] = []
        self.seconds = 0.0
        super().__init__(ApiClient(self.connection, self._sleep, lambda: self.seconds))

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        # An executor beside it.
        for job in self.connection.world.services.jobs():
            if job.state is JobState.RUNNING:
                finished(self.connection.world, job)


def run(backend: Backend, *arguments: str, environ: Mapping[str, str] | None = None) -> Said:
    """Run a command line on what is given, as the root does."""
    context = Context(
        None, environ or {}, {}, api="http://api.example" if isinstance(backend, ApiFace) else None
    )
    context.__dict__["backend"] = backend
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    name, *rest = arguments
    command = root.get_command(click.Context(root), name)
    assert command is not None, name
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command.main(rest, name, standalone_mode=False, obj=context)
        except SystemExit as ended:
            code = ended.code
        except click.ClickException as error:
            error.show(err)
            code = error.exit_code
        except HookstreamError as error:
            err.write(f"hookstream: {error}\n")
            code = exit_code(error)
    return Said(_text(out), _text(err), code if isinstance(code, int) else 0)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
