"""The services of a console on Kafka: the followed tables, and one writer of them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TypeVar

from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.index.answers import DeliveryAnswer
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.record_writer import RecordWriter
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.keyring import KeyRing
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.adapters.telemetry.asked_workers import AskedWorkers, WorkerLane
from hookstream.core.access.idempotency import KeptAnswer
from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.scopes import Caller
from hookstream.core.access.sessions import Session, SessionRefusal
from hookstream.core.access.tokens import ApiToken, token_hash, used_today
from hookstream.core.access.uses import ApiUses
from hookstream.core.failures.book import Due, FailureBook
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.delivery_payload import RenderedPayload, payload_of
from hookstream.entry.admin.delivery_tests import (
    OnceOnly,
    PreparedTest,
    SentTest,
    send_test,
)
from hookstream.entry.admin.failures import FailureLooks, look_and_write
from hookstream.entry.admin.gaps import retained_since
from hookstream.entry.admin.indexed_details import details_of_answer
from hookstream.entry.admin.job_ids import executor_name
from hookstream.entry.admin.job_offers import offer_job
from hookstream.entry.admin.jobs import cancel_job, free_job
from hookstream.entry.admin.resends import plan_resend, resend
from hookstream.entry.admin.tables import State, StateReader
from hookstream.entry.admin.tokens import note_use
from hookstream.entry.admin.turns import Turn
from hookstream.entry.admin.writing import EqualWriting
from hookstream.entry.api.services import JobRecords
from hookstream.entry.cluster import reached
from hookstream.entry.console.index_readers import IndexReaders
from hookstream.entry.console.live_tables import LiveTables
from hookstream.entry.console.log_services import LogServices
from hookstream.errors import DependencyUnavailable
from hookstream.pipeline.pull.service import PullService
from hookstream.settings import Settings

T = TypeVar("T")

_CATCH_UP_SECONDS = 5.0
"""The most seconds that a change waits until the console's own tables have it."""


class KafkaServices(LogServices):
    """The services. Made on the event loop, and called from any thread.

    Args:
        settings: All settings.
        keys: Encrypts secrets and cursors.
        live: The tables.
        reader: Follows them.
        folder: The index's.
        door: The pull door.
        workers: Asks workers for the state of their lanes.
    """

    def __init__(
        self,
        settings: Settings,
        keys: KeyRing,
        live: LiveTables,
        reader: TableReader,
        folder: Path,
        door: PullService,
        workers: AskedWorkers,
    ) -> None:
        super().__init__(settings, live.scanned_records_a_second)
        self.keys = keys
        self._live = live
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._writing = EqualWriting(settings, keys, console=True)
        self._one_writer = Lock()
        self._door = door
        self._workers = workers
        self._readers = IndexReaders(folder)
        self._uses = ApiUses()
        self._uses_lock = Lock()
        self._name = executor_name()
        self._events = AvroOwnRecords(settings.topics_names, self._name, disabled_row, failing_row)
        self._looks = FailureLooks(settings.console.failures_quiet)
        self._used: set[str] = set()
        """Tokens that were used today, and whose rows do not have that yet."""

    def close(self) -> None:
        """Close the writer's clients."""
        with self._one_writer:
            self._writing.close()

    def current(self) -> bool:
        """As ConsoleServices says."""
        return self._reader.current()

    def now(self) -> Millis:
        """As ConsoleServices says."""
        return self._clock.now()

    def caller(self, token: str) -> Caller | None:
        """As ConsoleServices says."""
        now = self.now()
        found = self._live.caller(token_hash(token), now)
        if not isinstance(found, Caller):
            return None
        row = self._live.token(found.token_id)
        if row is not None and used_today(row, now) is not None:
            self._used.add(row.id)
        return found

    def note_uses(self) -> None:
        """Write the day of use of the tokens that were used today.

        Raises:
            HookstreamError: It was not written; it is tried again at the next call.
        """
        used = set(self._used)
        if used:
            self.change(lambda writer: note_use(writer, used), lambda _count, _writer: ())
            self._used -= used

    def note_use(self, act: str, caller: Caller, subject: str) -> None:
        """As ConsoleServices says."""
        with self._uses_lock:
            self._uses.note(act, caller.token_id, subject, caller.partner_id, self.now())

    def write_uses(self, *, all_of_them: bool = False) -> None:
        """Write the counts of the minutes that are over, or all counts.

        Raises:
            HookstreamError: It was not written; it is tried again at the next call.
        """
        with self._uses_lock:
            uses = self._uses.take(None if all_of_them else self.now())
        if not uses:
            return
        try:
            with RecordWriter(reached(self.settings)) as writer:
                while uses:
                    writer.write(self._events.accessed(uses[-1], self._name, self.now()))
                    uses.pop()
        finally:
            with self._uses_lock:
                self._uses.put_back(uses)

    def kept_answer(self, token_id: str, key_hash: str) -> KeptAnswer | None:
        """As ConsoleServices says."""
        return self._live.kept_answer(token_id, key_hash, self.now())

    def tokens(self, partner_id: str | None) -> list[ApiToken]:
        """As ConsoleServices says."""
        return self._live.tokens(partner_id)

    def token(self, token_id: str) -> ApiToken | None:
        """As ConsoleServices says."""
        return self._live.token(token_id)

    def session_caller(self, cookie: str) -> Caller | SessionRefusal:
        """As ConsoleServices says."""
        return self._live.session_caller(token_hash(cookie), self.now())

    def sessions(self) -> list[Session]:
        """As ConsoleServices says."""
        return self._live.sessions()

    def session(self, session_id: str) -> Session | None:
        """As ConsoleServices says."""
        return self._live.session(session_id)

    def links(self) -> list[PortalLink]:
        """As ConsoleServices says."""
        return self._live.links()

    def link(self, link_id: str) -> PortalLink | None:
        """As ConsoleServices says."""
        return self._live.link(link_id)

    def link_with(self, text: str) -> PortalLink | None:
        """As ConsoleServices says."""
        return self._live.link_with(token_hash(text))

    def state(self) -> State:
        """As ConsoleServices says."""
        return self._live.state()

    def opened_state(self) -> State:
        """As ConsoleServices says."""
        state, names = self.state(), self.settings.topics_names
        return StateReader.beside(state, names, self.keys).state(state.rows)

    def retained_since(self, since: Millis) -> Sequence[TopicPartition]:
        """As ConsoleServices says."""
        return retained_since(self.settings, since)

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        also: Callable[[T, ChangeWriter], Sequence[TableChange]],
    ) -> T:
        """As ConsoleServices says."""
        try:
            with self._one_writer:
                return self._writing.attempt(act, also).result
        finally:
            # A refusal too may be about rows that this console has not read yet.
            self._catch_up()

    def send_test(self, prepared: PreparedTest, seconds: float, once: OnceOnly | None) -> SentTest:
        """As ConsoleServices says."""
        sent = send_test(self.settings, prepared, seconds, once=once)
        if once is not None:
            self._catch_up()
        return sent

    def index(self) -> IndexReader:
        """As ConsoleServices says."""
        return self._readers.own()

    def details(self, found: DeliveryAnswer) -> DeliveryDetails:
        """As ConsoleServices says."""
        return details_of_answer(self.settings, found)

    def payload(
        self, state: State, details: DeliveryDetails, origin: str | None
    ) -> RenderedPayload:
        """As ConsoleServices says."""
        return payload_of(self.settings, state, details, origin)

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
        """As ConsoleServices says."""
        planned = plan_resend(
            self.settings,
            state,
            details,
            origin,
            as_granted_today=as_granted_today,
            reason=reason,
        )
        job = resend(self.settings, planned, also, turn)
        self._catch_up()
        return job

    def failures(self) -> FailureBook:
        """As ConsoleServices says."""
        return self._live.failures()

    def look_for_failures(self) -> Due:
        """Search the index, and write the changes of failure groups; for one thread at a time.

        Raises:
            HookstreamError: Nothing was written; the next search finds the same.
        """
        if not self.current():
            return Due()
        return look_and_write(
            self._looks,
            self.index(),
            self.failures(),
            self.state(),
            self.now(),
            lambda act: self.change(act, lambda _found, _writer: ()),
        )

    def jobs(self) -> list[Job]:
        """As ConsoleServices says."""
        return self._live.jobs()

    def job(self, job_id: str) -> Job | None:
        """As ConsoleServices says."""
        return self._live.job(job_id)

    def caught_up(self) -> None:
        """As ConsoleServices says."""
        reading = self._reader.read_to_end(_CATCH_UP_SECONDS)
        try:
            asyncio.run_coroutine_threadsafe(reading, self._loop).result(_CATCH_UP_SECONDS + 1)
        except TimeoutError:
            raise DependencyUnavailable("the tables could not be read to their ends") from None

    def offer_job(self, job: Job, also: JobRecords, turn: Turn | None) -> Job:
        """As ConsoleServices says."""
        offered = offer_job(self.settings, job, also, turn)
        self._catch_up()
        return offered

    def cancel_job(self, job_id: str, also: JobRecords) -> Job:
        """As ConsoleServices says."""
        try:
            return cancel_job(self.settings, job_id, also)
        finally:
            # A refusal too may be about rows that this console has not read yet.
            self._catch_up()

    def free_job(self, job_id: str, also: JobRecords, rate: float | None) -> Job:
        """As ConsoleServices says."""
        try:
            return free_job(self.settings, job_id, also, rate)
        finally:
            self._catch_up()

    def lanes(self, subscription_id: str) -> Sequence[WorkerLane]:
        """As ConsoleServices says."""
        asking = self._workers.lanes(subscription_id)
        return asyncio.run_coroutine_threadsafe(asking, self._loop).result()

    def pull(self) -> PullService:
        """As ConsoleServices says."""
        return self._door

    def _catch_up(self) -> None:
        """Wait until the console's own tables have the written rows, so that the next request sees them."""
        try:
            self.caught_up()
        except DependencyUnavailable:
            # The rows are written anyway; while the tables are not current, requests are answered 503.
            return
