"""The services that handlers get from their console; each function may block."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from hookstream.adapters.index.answers import DeliveryAnswer
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.keyring import KeyRing
from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.idempotency import KeptAnswer
from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.scopes import Caller
from hookstream.core.access.sessions import Session, SessionRefusal
from hookstream.core.access.tokens import ApiToken
from hookstream.core.failures.book import FailureBook
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.replay.extent import Extent
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.dead_letter_details import SetAsideRecord
from hookstream.entry.admin.dead_letter_export import (
    ExportBatch,
    ExportPosition,
    ExportRequest,
)
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.delivery_payload import RenderedPayload
from hookstream.entry.admin.delivery_tests import OnceOnly, PreparedTest, SentTest
from hookstream.entry.admin.event_pages import EventsAsked, EventsPart
from hookstream.entry.admin.event_sending import SentEvents
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Explanation
from hookstream.entry.admin.partition_watch import PartitionsLook
from hookstream.entry.admin.partitions import StartAt
from hookstream.entry.admin.status import Status
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.admin.tables import State
from hookstream.entry.admin.turns import Turn
from hookstream.pipeline.pull.service import PullService
from hookstream.settings import Settings

T = TypeVar("T")
JobRecords: TypeAlias = Callable[[Job], Sequence[OutgoingRecord]]
"""Returns records that commit with a new job."""


class HeavyWork(Enum):
    """What few requests do at a time, since each takes a thread or the processor for long."""

    TEST = "tests are sent"
    TRIAL = "events are tried"
    COUNT = "dead letters and replays are counted"


class ConsoleServices(Protocol):
    """The console's services. Each may be called from any thread."""

    settings: Settings
    keys: KeyRing
    """Encrypts secrets and cursors."""

    def current(self) -> bool:
        """Return whether the tables are current; while they are not, no request is answered."""

    def now(self) -> Millis:
        """Return the present."""

    def caller(self, token: str) -> Caller | None:
        """Return the caller of a token; None: it is unknown, expired or revoked."""

    def kept_answer(self, token_id: str, key_hash: str) -> KeptAnswer | None:
        """Return the answer of an idempotency key; None: it has none."""

    def tokens(self, partner_id: str | None) -> list[ApiToken]:
        """Return all tokens, or those of one partner, oldest first."""

    def token(self, token_id: str) -> ApiToken | None:
        """Return a token; None: there is none, or its row cannot be read."""

    def session_caller(self, cookie: str) -> Caller | SessionRefusal:
        """Return the caller of the session of a cookie's value, or why there is none."""

    def sessions(self) -> list[Session]:
        """Return all sessions of pages, in no order."""

    def session(self, session_id: str) -> Session | None:
        """Return a session of pages; None: there is none, or its row cannot be read."""

    def links(self) -> list[PortalLink]:
        """Return all portal links, in no order."""

    def link(self, link_id: str) -> PortalLink | None:
        """Return a portal link; None: there is none, or its row cannot be read."""

    def link_with(self, text: str) -> PortalLink | None:
        """Return the portal link of a text, whether it is valid or not; None: there is none."""

    def state(self) -> State:
        """Return a snapshot of the tables as they are now."""

    def opened_state(self) -> State:
        """Return a snapshot of the tables with decrypted secrets, which must not get into an answer."""

    def retained_since(self, since: Millis) -> Sequence[TopicPartition]:
        """Return the partitions from which retention may have deleted records, as the service of this name."""

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        also: Callable[[T, ChangeWriter], Sequence[TableChange]],
    ) -> T:
        """Change the tables: all of it is written, or nothing; then `state` has it.

        Args:
            act: Checks and stages the change. It may be called several times, so it must do nothing else.
            also: Returns rows of the console topic that commit with it.

        Raises:
            Conflict: Other writers took over each time.
            DependencyUnavailable: The brokers did not answer.
        """

    def send_test(self, prepared: PreparedTest, seconds: float, once: OnceOnly | None) -> SentTest:
        """Send a test, and wait for its audit record for so many seconds at most."""

    def index(self) -> IndexReader:
        """Return the index; only for the calling thread.

        Raises:
            DependencyUnavailable: There is none yet.
        """

    def details(self, found: DeliveryAnswer) -> DeliveryDetails:
        """Return all details of a delivery of the index, with the records that may have its event."""

    def payload(
        self, state: State, details: DeliveryDetails, origin: str | None
    ) -> RenderedPayload:
        """As `payload_of`."""

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
        """Send a delivery again; return its job, which is done. Otherwise as `plan_resend` and `resend`."""

    def failures(self) -> FailureBook:
        """Return a snapshot of the failure groups as they are now."""

    def jobs(self) -> list[Job]:
        """Return all jobs, oldest first, ended ones too."""

    def job(self, job_id: str) -> Job | None:
        """Return a job; None: there is none, or its row cannot be read."""

    def caught_up(self) -> None:
        """Wait until this console's tables have everything that was written so far.

        Raises:
            DependencyUnavailable: It takes more than some seconds.
        """

    def offer_job(self, job: Job, also: JobRecords, turn: Turn | None) -> Job:
        """Create a job that any executor takes over. Otherwise as the service of this name."""

    def cancel_job(self, job_id: str, also: JobRecords) -> Job:
        """Cancel a job, whichever executor runs it. Otherwise as the service of this name."""

    def free_job(self, job_id: str, also: JobRecords, rate: float | None) -> Job:
        """Let any executor continue a job. Otherwise as the service of this name."""

    def export(self, wanted: ExportRequest) -> Iterator[ExportBatch | ExportPosition]:
        """As `DeadLetterExport.part`; what is wrong with the request is raised at once."""

    def explain(self, request: ExplainRequest, caller: Caller) -> Explanation:
        """As `explain`, within some seconds; what it read is noted for the caller.

        Raises:
            RequestRefused: Too many events are explained at this time.
        """

    def set_aside(
        self, source: RedriveSource, positions: Sequence[Position], partner_id: str | None
    ) -> list[SetAsideRecord]:
        """As `set_aside_at`; with `partner_id` events are shown as to that partner."""

    def topic_ends(self, source: RedriveSource) -> TopicEnds:
        """Return the present end of a topic of dead letters or undecodable records."""

    def survey(
        self,
        source: RedriveSource,
        selector: JsonObject,
        act: BulkAct,
        until: TopicEnds | None,
        caller: Caller,
    ) -> Survey:
        """Count what a redrive or purge would take, up to the ends of a preview; None: now.

        It takes some seconds at most; what it read is noted for the caller.
        """

    def preview(
        self, source: RedriveSource, act: BulkAct, selector: JsonObject, found: Survey
    ) -> Preview:
        """Return the preview that identifies the counted records."""

    def known_preview(
        self, source: RedriveSource, act: BulkAct, token: str, selector: JsonObject
    ) -> Preview:
        """As `known_preview`."""

    def survey_replay(self, request: ReplayRequest, caller: Caller) -> tuple[ReplaySurvey, Extent]:
        """As the service of this name, within some seconds; what it read is noted for the caller."""

    def read_events(self, asked: EventsAsked) -> EventsPart:
        """As the service of this name; DependencyUnavailable if too many are read at once."""

    def send_events(self, lines: Sequence[bytes], topic_prefix: str) -> SentEvents:
        """As `send_lines`; DependencyUnavailable where too many are sent at once."""

    def pull(self) -> PullService:
        """Return the pull door, which belongs to the event loop."""

    def status(self, most: int) -> Status:
        """As `read_status`.

        Raises:
            RequestRefused: Too many readers are served at this time.
        """

    def lanes(self, subscription_id: str) -> Sequence[WorkerLane]:
        """Return the reports of the workers that the settings name about a subscription's lane, within about a second."""

    def positions(self) -> list[GroupPosition]:
        """Return the positions of the workers' groups in every partition."""

    def open_partitions(self) -> PartitionsLook:
        """Return the partitions that need an operator's attention, as of at most a minute ago."""

    def position(self, at: TopicPartition) -> GroupPosition:
        """Return the position of the group that reads a partition.

        Raises:
            InputRefused: hookstream reads no such partition.
            DependencyUnavailable: The brokers did not answer; the group may be moving.
        """

    def offset_at(self, at: TopicPartition, where: StartAt) -> int:
        """Return the offset of a position in a partition's log. Raises as `position` does."""

    def large_body(self) -> AbstractContextManager[None]:
        """Count as one of the few concurrent requests that read files or definitions.

        Raises:
            RequestRefused: The bound is reached: 503 with `Retry-After`.
        """

    def one(self, work: HeavyWork, caller: Caller) -> AbstractContextManager[None]:
        """Be one of the few requests at a time that do such work.

        Raises:
            RequestRefused: There are as many already: 429 where they are the caller's partner's own, or else 503,
                each with `Retry-After`.
        """

    def scan_wait(self, caller: Caller) -> float:
        """Return for how many seconds no more records may be read for a caller; 0: reading is allowed."""

    def note_scanned(self, caller: Caller, records: int) -> float:
        """Note records that were read for a caller; return as `scan_wait`."""

    def note_use(self, act: str, caller: Caller, subject: str) -> None:
        """Count a use for operators' audit log, which is written within about a minute."""
