"""The tables that a console follows: rows are taken on the event loop, and read from any thread."""

from collections.abc import Sequence
from threading import Lock

from hookstream.adapters.kafka.tables.log import TableRecord, apply_records
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.core.access.idempotency import KeptAnswer
from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.scopes import Caller
from hookstream.core.access.sessions import Session, SessionRefusal
from hookstream.core.access.tokens import ApiToken, TokenRefused
from hookstream.core.failures.book import FailureBook
from hookstream.core.jobs.book import JobBook
from hookstream.core.jobs.job import Job, read_job
from hookstream.core.model.instant import Millis
from hookstream.core.model.partner_limits import DEFAULT_PARTNER_LIMITS, PartnerLimits
from hookstream.core.model.topics import Topics
from hookstream.entry.admin.tables import SEALED, State, StateReader, operators_tables


class LiveTables:
    """All tables, the console topic among them.

    Rows are stored as they arrive, and decoded when a state is requested, so a long start or a large change does not
    occupy the event loop.

    Args:
        names: The names of the topics.
    """

    def __init__(self, names: Topics) -> None:
        self._names = names
        self._lock = Lock()
        """Held while rows are decoded into a state."""
        self._short = Lock()
        """Held only briefly, by the event loop too."""
        self._pending: list[TableRecord] = []
        self.reader = StateReader(names, SEALED)
        self._rows: dict[str, dict[str, TableRecord]] = {
            table: {} for table in operators_tables(names)
        }
        self._state: State | None = None
        self._console = ConsoleTable()
        self._jobs: dict[str, Job] = {}
        self.running = JobBook()
        """The jobs that have not ended; for the event loop alone."""

    def take(self, records: Sequence[TableRecord]) -> None:
        """Take the next records of the tables; on the event loop."""
        with self._short:
            for record in records:
                if record.table == self._names.console:
                    self._console.put(record.key, record.value, record.timestamp)
                elif record.table == self._names.jobs:
                    self._take_job(record)
                else:
                    self._pending.append(record)

    def _take_job(self, record: TableRecord) -> None:
        self.running.put(record.key, record.value, record.timestamp)
        found = (
            None if record.value is None else read_job(record.key, record.value, record.timestamp)
        )
        if isinstance(found, Job):
            self._jobs[record.key] = found
        else:
            self._jobs.pop(record.key, None)

    def state(self) -> State:
        """Return a snapshot of the tables as they are now."""
        with self._lock:
            with self._short:
                pending, self._pending = self._pending, []
            if pending or self._state is None:
                apply_records(self._rows, pending)
                rows = {table: {**found} for table, found in self._rows.items()}
                self._state = self.reader.state(rows)
            return self._state

    def requests_a_second(self, partner_id: str) -> float:
        """Return how many requests a second a partner may make, by the latest requested state."""
        return float(self._limits(partner_id).requests_a_second)

    def scanned_records_a_second(self, partner_id: str) -> float:
        """Return how many records a second may be read for a partner, by the latest requested state."""
        return float(self._limits(partner_id).scanned_records_a_second)

    def _limits(self, partner_id: str) -> PartnerLimits:
        state = self._state
        partner = None if state is None else state.current.partners.get(partner_id)
        return DEFAULT_PARTNER_LIMITS if partner is None else partner.limits

    def caller(self, presented: str, now: Millis) -> Caller | TokenRefused:
        """Return the caller of a token by its hash, or why the token is refused."""
        with self._short:
            return self._console.tokens.caller(presented, now)

    def tokens(self, partner_id: str | None = None) -> list[ApiToken]:
        """Return all tokens, or those of one partner, oldest first."""
        with self._short:
            return self._console.tokens.tokens(partner_id)

    def token(self, token_id: str) -> ApiToken | None:
        """Return a token; None: there is none, or its row cannot be read."""
        with self._short:
            return self._console.tokens.get(token_id)

    def session_caller(self, presented: str, now: Millis) -> Caller | SessionRefusal:
        """Return the caller of a session by its cookie's hash, or why there is none."""
        with self._short:
            return self._console.session_caller(presented, now)

    def sessions(self) -> list[Session]:
        """Return all sessions of pages."""
        with self._short:
            return self._console.sessions.rows()

    def session(self, session_id: str) -> Session | None:
        """Return a session of pages; None: there is none, or its row cannot be read."""
        with self._short:
            return self._console.sessions.get(session_id)

    def links(self) -> list[PortalLink]:
        """Return all portal links."""
        with self._short:
            return self._console.links.rows()

    def link(self, link_id: str) -> PortalLink | None:
        """Return a portal link; None: there is none, or its row cannot be read."""
        with self._short:
            return self._console.links.get(link_id)

    def link_with(self, presented: str) -> PortalLink | None:
        """Return the portal link of a text's hash, whether it is valid or not."""
        with self._short:
            return self._console.links.with_hash(presented)

    def kept_answer(self, token_id: str, key_hash: str, now: Millis) -> KeptAnswer | None:
        """Return the answer of an idempotency key; None: it has none."""
        with self._short:
            return self._console.answer(token_id, key_hash, now)

    def failures(self) -> FailureBook:
        """Return a snapshot of the failure groups as they are now."""
        with self._short:
            return self._console.failures.copy()

    def failure_counts(self) -> dict[str, int]:
        """Return how many failure groups are in each state."""
        with self._short:
            counts = self._console.failures.counts()
        return {state.value: count for state, count in counts.items()}

    def jobs(self) -> list[Job]:
        """Return all jobs, oldest first, ended ones too."""
        with self._short:
            found = list(self._jobs.values())
        return sorted(found, key=lambda job: (job.asked_at, job.id))

    def job(self, job_id: str) -> Job | None:
        """Return a job; None: there is none, or its row cannot be read."""
        with self._short:
            return self._jobs.get(job_id)
