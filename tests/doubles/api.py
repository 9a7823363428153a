"""The API over tables in memory: the real dispatch, handlers, services and rows; only Kafka is missing."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from tests.doubles.api_beginning import beginning, new_token
from tests.doubles.api_previews import TOPIC_ID, MemoryPreviews
from tests.doubles.api_records import (
    KEYS,
    TYPE,
    an_index,
)
from tests.doubles.api_tables import InlineThreads, MemoryTables, StagedRows
from tests.doubles.clock import NOON, HandClock
from tests.doubles.dead_letter_topic import DeadLetterTopic, dead_letter
from tests.doubles.event_topics import MemoryTopics
from tests.doubles.explained import explained
from tests.doubles.lanes import SAID, after
from tests.doubles.lives import FIRST
from tests.doubles.logger import BookkeepingLogger
from tests.doubles.request_spans import RequestSpans
from tests.doubles.status import a_status

from hookstream.adapters.index.answers import (
    DeliveryAnswer,
)
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    write_failure_group,
)
from hookstream.adapters.tables.holds_and_skips import (
    skip_key,
    start_key,
)
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.idempotency import KeptAnswer
from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import Session, SessionRefusal
from hookstream.core.access.tokens import ApiToken, token_hash
from hookstream.core.failures.book import FailureBook
from hookstream.core.failures.groups import FailureGroup
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.lease import handed_back
from hookstream.core.model.event import Event
from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.core.model.subscription import (
    Subscription,
)
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.group_position import GroupMember, GroupPosition
from hookstream.core.pull.page import CursorRefused, NoSuchSubscription, PullPage, PullRefusal
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import completed
from hookstream.entry.admin.dead_letter_details import SetAsideRecord
from hookstream.entry.admin.dead_letter_export import (
    DeadLetterExport,
    ExportBatch,
    ExportPosition,
    ExportRequest,
    part_beginning,
)
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.delivery_payload import RenderedPayload
from hookstream.entry.admin.delivery_tests import OnceOnly, PreparedTest, SentTest
from hookstream.entry.admin.event_pages import EventsAsked, EventsPart
from hookstream.entry.admin.event_sending import SentEvents
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Explanation
from hookstream.entry.admin.partition_watch import PartitionsLook
from hookstream.entry.admin.partitions import StartAt
from hookstream.entry.admin.status import Status, open_partitions
from hookstream.entry.admin.tables import SEALED, State, StateReader, TablesSession
from hookstream.entry.admin.turns import Turn
from hookstream.entry.api.dispatch import Dispatcher
from hookstream.entry.api.rates import ScanRates, TokenRates
from hookstream.entry.api.requests import ApiRequest, ApiResponse
from hookstream.entry.api.services import HeavyWork, JobRecords
from hookstream.entry.api.table import TABLE
from hookstream.entry.console.at_once import AtOnce, at_once_of_works
from hookstream.entry.console.live_tables import LiveTables
from hookstream.errors import InputRefused
from hookstream.pipeline.pull.service import PullService
from hookstream.settings import Settings

T = TypeVar("T")


class MemoryDoor:
    """A pull door without events."""

    def __init__(self, services: "MemoryServices") -> None:
        self._services = services

    async def page(
        self,
        subscription_id: str,
        cursor: str | None,
        limit: int,
        wait: float,
        *,
        partner_id: str | None = None,
    ) -> PullPage | PullRefusal:
        del limit, wait
        found = self._services.state().current.subscriptions.get(subscription_id)
        if found is None or partner_id not in (None, found.partner_id):
            return NoSuchSubscription(f"there is no subscription {subscription_id!r}")
        if cursor not in (None, "earliest", "latest"):
            return CursorRefused("it is no cursor")
        return PullPage((), "sealed", has_more=False)


class MemoryServices(MemoryPreviews):
    """The console's services over tables in memory."""

    def __init__(self, settings: Settings, tables: MemoryTables) -> None:
        super().__init__()
        self.settings = settings
        self.keys = KEYS
        self.tables = tables
        self.reader = beginning().reader(KEYS)
        self.is_current = True
        self.tests: list[PreparedTest] = []
        self.memory_index = an_index()
        self.uses: list[tuple[str, str, str]] = []
        self.is_behind = False
        """Whether another console's answers are not read yet: they are as soon as something is to be written."""
        self.ledger = Ledger()
        self.most_exported = 1_000_000
        """Of one part."""
        self.exported: list[ExportRequest] = []
        self.dead_topic = DeadLetterTopic(
            [
                dead_letter(7, "ours", subscription="crm", partner="acme"),
                dead_letter(8, "foreign", subscription="theirs", partner="rival"),
            ]
        )
        self.monotonic = 0.0
        self.scans = ScanRates(tables.live.scanned_records_a_second, lambda: self.monotonic)
        at, member = (
            TopicPartition("printprice.pricing", 0),
            GroupMember("m", "worker-1", "/10.0.0.1"),
        )
        self.stopped = GroupPosition("hookstream", at, member, CommitPosition(4), 0, 9, NOON)
        """The one partition that workers read: its record at 4 stops it."""
        self.large_bodies = AtOnce(2, "files and definitions are read")
        self.works = at_once_of_works()
        self.lanes_said: Sequence[WorkerLane] = SAID
        self.worker_is_gone = False
        """Whether nothing becomes of what is asked of the partition's worker."""

    def current(self) -> bool:
        return self.is_current

    def now(self) -> Millis:
        return self.tables.now

    def caller(self, token: str) -> Caller | None:
        found = self.tables.live.caller(token_hash(token), self.now())
        return found if isinstance(found, Caller) else None

    def kept_answer(self, token_id: str, key_hash: str) -> KeptAnswer | None:
        if self.is_behind:
            return None
        return self.tables.live.kept_answer(token_id, key_hash, self.now())

    def tokens(self, partner_id: str | None) -> list[ApiToken]:
        return self.tables.live.tokens(partner_id)

    def token(self, token_id: str) -> ApiToken | None:
        return self.tables.live.token(token_id)

    def session_caller(self, cookie: str) -> Caller | SessionRefusal:
        return self.tables.live.session_caller(token_hash(cookie), self.now())

    def sessions(self) -> list[Session]:
        return self.tables.live.sessions()

    def session(self, session_id: str) -> Session | None:
        return self.tables.live.session(session_id)

    def links(self) -> list[PortalLink]:
        return self.tables.live.links()

    def link(self, link_id: str) -> PortalLink | None:
        return self.tables.live.link(link_id)

    def link_with(self, text: str) -> PortalLink | None:
        return self.tables.live.link_with(token_hash(text))

    def state(self) -> State:
        return self.tables.live.state()

    def opened_state(self) -> State:
        state = self.state()
        return StateReader.beside(state, self.settings.topics_names, KEYS).state(state.rows)

    def retained_since(self, since: Millis) -> list[TopicPartition]:
        del since
        return []

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        also: Callable[[T, ChangeWriter], Sequence[TableChange]],
    ) -> T:
        self.is_behind = False
        staged = StagedRows(self.tables)
        session = TablesSession(self.settings, self.reader, staged, HandClock())
        writer = ChangeWriter(session, KEYS)
        result = act(writer)
        more = also(result, writer)
        staged.write(completed(session, [*staged.rows, *more], more))
        self.tables.write(staged.rows, staged.also)
        return result

    def caught_up(self) -> None:
        self.is_behind = False

    def send_test(self, prepared: PreparedTest, seconds: float, once: OnceOnly | None) -> SentTest:
        entry = replace(
            FIRST,
            delivery_id=prepared.delivery_id,
            trigger="test",
            disposition="cancel",
            next_due_at=None,
            job_id="test-1",
        )
        sent = SentTest("test-1", self.now() + int(seconds), entry)
        if once is not None:
            once.turn.check()
            self.tables.write((), once.also(sent))
        self.tests.append(prepared)
        return sent

    def index(self) -> IndexReader:
        return cast("IndexReader", self.memory_index)

    def details(self, found: DeliveryAnswer) -> DeliveryDetails:
        return DeliveryDetails(found.history.delivery_id, found.history, found.pending, (), ())

    def payload(
        self, state: State, details: DeliveryDetails, origin: str | None
    ) -> RenderedPayload:
        del state, details, origin
        event = cast("Event", SimpleNamespace(event_type=TYPE, origin=FIRST.origin))
        return RenderedPayload(b"{}", "application/json", event, 1)

    def resend(
        self,
        state: State,
        details: DeliveryDetails,
        origin: str | None,
        also: JobRecords,
        turn: Turn | None,
        *,
        as_granted_today: bool,
        reason: str,
    ) -> Job:
        del state, origin
        asked: JsonObject = {
            "delivery": details.delivery_id,
            "subscription": details.subscription_id,
            "as_granted_today": as_granted_today,
            **({"reason": reason} if reason else {}),
        }
        job = Job("resend-1", "resend", asked, self.now(), state=JobState.DONE)
        return self.offer_job(job, also, turn)

    def failures(self) -> FailureBook:
        return self.tables.live.failures()

    def jobs(self) -> list[Job]:
        return self.tables.live.jobs()

    def job(self, job_id: str) -> Job | None:
        return self.tables.live.job(job_id)

    def offer_job(self, job: Job, also: JobRecords, turn: Turn | None) -> Job:
        if turn is not None:
            turn.check()
        names = self.settings.topics_names
        job = job if job.asked_by else replace(job, asked_by=who())
        row = OutgoingRecord(names.jobs, job.id.encode(), job.encode())
        self.tables.write((), [row, *also(job)])
        return job

    def cancel_job(self, job_id: str, also: JobRecords) -> Job:
        job = self.tables.live.job(job_id)
        assert job is not None
        if not job.state.is_resumable:
            raise InputRefused(f"job {job_id} is {job.state}: there is nothing to cancel")
        return self.offer_job(job.ended(JobState.CANCELLED, "cancelled"), also, None)

    def free_job(self, job_id: str, also: JobRecords, rate: float | None) -> Job:
        job = self.tables.live.job(job_id)
        assert job is not None
        if not job.state.is_resumable:
            raise InputRefused(f"job {job_id} is {job.state}: there is nothing to continue")
        paced = job.rate if rate is None else rate
        freed = handed_back(
            replace(job, state=JobState.RUNNING, reason="", rate=paced), self.now()
        )
        return self.offer_job(freed, also, None)

    def export(self, wanted: ExportRequest) -> Iterator[ExportBatch | ExportPosition]:
        self.exported.append(wanted)
        export = self.exporting(wanted.source, wanted.selector, with_resolved=wanted.with_resolved)
        position = part_beginning(export.reader, wanted.position)
        return export.part(position, min(wanted.most, self.most_exported), 1e9, lambda: 0.0)

    def exporting(
        self, source: RedriveSource, selector: Selector, *, with_resolved: bool
    ) -> DeadLetterExport:
        reader = replace(self.dead_topic, source=source)
        return DeadLetterExport(
            cast("DeadLetterReader", reader),
            self.ledger,
            selector,
            with_resolved,
            lambda record: {"id": (record.key or b"").decode()},
        )

    def large_body(self) -> AbstractContextManager[None]:
        return self.large_bodies.one(None)

    def one(self, work: HeavyWork, caller: Caller) -> AbstractContextManager[None]:
        return self.works[work].one(caller.partner_id)

    def scan_wait(self, caller: Caller) -> float:
        return self.scans.wait(caller)

    def note_scanned(self, caller: Caller, records: int) -> float:
        return self.scans.note(caller, records)

    def explain(self, request: ExplainRequest, caller: Caller) -> Explanation:
        self.note_scanned(caller, 10)
        return explained(request)

    def set_aside(
        self, source: RedriveSource, positions: Sequence[Position], partner_id: str | None
    ) -> list[SetAsideRecord]:
        return self.dead_topic.set_aside(self.ledger, source, positions, partner_id)

    def topic_ends(self, source: RedriveSource) -> TopicEnds:
        del source
        return TopicEnds({0: 7}, TOPIC_ID)

    def status(self, most: int) -> Status:
        del most
        return a_status()

    def lanes(self, subscription_id: str) -> Sequence[WorkerLane]:
        del subscription_id
        return after(self.lanes_said, (self.now() - NOON) / 1000)

    def positions(self) -> list[GroupPosition]:
        return [self._resumed()]

    def open_partitions(self) -> PartitionsLook:
        now = self.now()
        return PartitionsLook(now, tuple(open_partitions(self.positions(), (), now)))

    def position(self, at: TopicPartition) -> GroupPosition:
        if at != self.stopped.at:
            raise InputRefused(f"there is no topic {at.topic}")
        return self._resumed()

    def offset_at(self, at: TopicPartition, where: StartAt) -> int:
        assert at == self.stopped.at
        return 0 if where == "earliest" else 9

    def _resumed(self) -> GroupPosition:
        """Return the position after the worker has done what was asked of it."""
        at, table = self.stopped.at, self.tables.snapshot[self.settings.topics_names.subscriptions]
        if not self.worker_is_gone:
            if start_key(*at) in table:
                return replace(self.stopped, committed=CommitPosition(9), oldest=None)
            if skip_key(*at, 4) in table:
                return replace(self.stopped, committed=CommitPosition(5))
        return self.stopped

    def note_use(self, act: str, caller: Caller, subject: str) -> None:
        self.uses.append((act, caller.token_id, subject))

    @cached_property
    def topics(self) -> MemoryTopics:
        return MemoryTopics(self.settings, self.state().book)

    def read_events(self, asked: EventsAsked) -> EventsPart:
        return self.topics.read(asked)

    def send_events(self, lines: Sequence[bytes], topic_prefix: str) -> SentEvents:
        return self.topics.send(lines, topic_prefix)

    def pull(self) -> PullService:
        return cast("PullService", MemoryDoor(self))


@dataclass
class ApiReply:
    """An answer, as a test looks at it."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.content)

    @property
    def etag(self) -> str:
        return self.headers["ETag"]


class ApiWorld:
    """A console with two partners, a subscription of each, and a token of every scope."""

    def __init__(self) -> None:
        began = beginning()
        self.settings = began.settings
        self.live = LiveTables(self.settings.topics_names)
        self.live.reader = began.reader(SEALED)
        self.tables = MemoryTables(self.settings, self.live)
        self.services = MemoryServices(self.settings, self.tables)
        self.logger = BookkeepingLogger()
        self.seconds = 0.0
        self.requests = 0
        self.per_second = 1_000.0
        self.fails_at_defects = True
        self.tracer = RequestSpans()
        self.threads = InlineThreads()
        self.pauses: list[float] = []
        """How long answers in pieces waited between two."""
        self.tables.begin(began.records)
        self.services.state()
        self.tokens = {**began.tokens}
        self.rival = began.rival
        self.dispatcher = Dispatcher(
            TABLE,
            self.services,
            self.threads,
            TokenRates(lambda _: self.per_second, lambda: self.seconds),
            self.logger,
            lambda: self.seconds,
            self._request_id,
            pause=self._wait,
            tracer=self.tracer,
        )

    def add(self, row: Subscription) -> None:
        names = self.settings.topics_names
        self.tables.put(names.subscriptions, row.id, write_subscription(row, KEYS))

    def put_failure_group(self, group: FailureGroup) -> None:
        console = self.settings.topics_names.console
        self.tables.put(console, failure_group_key(group.id), write_failure_group(group))

    def token(
        self,
        scope: Scope,
        partner_id: str | None = None,
        expires: Millis = NOON + DAY,
        token_id: str = "",
    ) -> str:
        """Return the text of a new token."""
        token_id = token_id or f"tok-{scope.value.replace(':', '-')}-{self.tables.offset}"
        text, key, value = new_token(scope, partner_id, expires, token_id)
        self.tables.put(self.settings.topics_names.console, key, value)
        return text

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> ApiReply:
        """Send a request; `token` empty: none."""
        token = self.tokens[Scope.ADMIN] if token is None else token
        sent = {"content-type": "application/json"}
        if token:
            sent["authorization"] = f"Bearer {token}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        if content is None:
            content = b"" if body is None else json.dumps(body).encode()

        async def read(most: int) -> bytes:
            return content[: most + 1]

        target, _, query = path.partition("?")
        request = ApiRequest(method, target, query, sent, read, "192.0.2.1")
        response = await self.dispatcher.answer(request)
        if response.pieces is not None:
            try:
                whole = b"".join([piece async for piece in response.pieces])
            finally:
                await response.pieces.aclose()
            response = ApiResponse(response.status, response.headers, whole)
        found = reply(response)
        for _, event, fields in self.logger.lines:
            assert event != "api.defect" or not self.fails_at_defects, fields["stack"]
        return found

    async def _wait(self, seconds: float) -> None:
        self.services.monotonic += seconds
        self.pauses.append(seconds)

    def _request_id(self) -> str:
        self.requests += 1
        return f"request-{self.requests}"


def reply(response: ApiResponse) -> ApiReply:
    return ApiReply(response.status, response.headers, response.body)
