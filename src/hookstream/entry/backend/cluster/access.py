"""The access of this package's commands to the cluster; tests replace it by tables in memory."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin import delivery_tests, gaps, jobs, lanes, tokens, writing
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.delivery_tests import PreparedTest, SentTest
from hookstream.entry.admin.event_sending import EventSender
from hookstream.entry.admin.job_listing import JobListing, Watch, list_jobs
from hookstream.entry.admin.tables import SEALED, State, StateReader, read_rows, read_state
from hookstream.entry.admin.writing import Changed
from hookstream.entry.backend.ports import Effect
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.entry.keys import key_ring
from hookstream.pipeline.job_kind import JobKind, RunResult
from hookstream.settings import Settings

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class ClusterAccess:
    """The tables of a cluster, read and changed by a short-lived process."""

    settings: Settings

    def now(self) -> Millis:
        """Return the present, by this machine's clock."""
        return SystemClock().now()

    def state(self) -> State:
        """Read the tables, as `read_state`."""
        return read_state(self.settings)

    def console(self) -> ConsoleTable:
        """Read the console topic, as `read_console`."""
        return tokens.read_console(self.settings)

    def lanes(self, subscription_id: str, workers: Sequence[str]) -> Sequence[WorkerLane]:
        """Return what workers report about a lane, as `ask_named_lanes`."""
        return lanes.ask_named_lanes(self.settings, workers, subscription_id)

    def jobs(self) -> JobListing:
        """Return all jobs, as `list_jobs`."""
        return list_jobs(self.settings)

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        *,
        console: bool | None = False,
        signed: bool = False,
    ) -> Changed[T]:
        """Make one change, as `attempt_change`.

        Args:
            act: Checks and stages the change.
            console: Whether it needs the console topic; None: if it exists.
            signed: Whether it needs the key ring.
        """
        keys = key_ring(self.settings) if signed else SEALED
        return writing.attempt_change(self.settings, act, keys, console=console, also=_nothing)

    def keys(self, settings: Settings) -> Keys:
        """Return the key ring.

        Raises:
            ConfigurationError: No key ring is set.
        """
        return key_ring(settings)

    def opened_state(self, reader: StateReader) -> State:
        """Read the tables, each row with a reader."""
        return reader.state(read_rows(self.settings))

    def change_opened(
        self, act: Callable[[ChangeWriter], T], keys: Keys, reader: StateReader
    ) -> Changed[T]:
        """Make one change with given keys, and with the console topic if it exists.

        Args:
            act: Checks and stages the change.
            keys: Encrypts secrets.
            reader: The reader that read rows before, by the same keys: it reads those that have changed since.
        """
        return writing.attempt_change(
            self.settings, act, keys, console=None, also=_nothing, reader=reader
        )

    def retained_since(self, since: Millis) -> list[TopicPartition]:
        """Return the partitions of which retention may have taken records, as the service of this name."""
        return gaps.retained_since(self.settings, since)

    def send_file(self, sender: EventSender, file: BinaryIO, topic_prefix: str) -> None:
        """Publish the lines of a file, as `EventSender.run`."""
        asyncio.run(sender.run(file, topic_prefix))

    def send_test(
        self, prepared: PreparedTest, seconds: float, sent: Callable[[str], None]
    ) -> SentTest:
        """Send a test, as the service of this name."""
        return delivery_tests.send_test(self.settings, prepared, seconds, sent)

    def start_job(
        self, job: Job, watch: Watch, kinds: Mapping[str, JobKind] | None = None
    ) -> RunResult:
        """Create a job and work on it, as the service of this name."""
        return jobs.start_job(self.settings, job, watch, kinds)

    def new_job(self, job: Job, kind: JobKind | None = None) -> NewJob:
        """Return a job that `start_job` creates and works on; `kind`: as this one, else as every executor."""
        kinds = None if kind is None else {kind.name: kind}
        return NewJob(job, lambda watch: self.start_job(job, watch, kinds))


def _nothing(_result: object, _writer: ChangeWriter) -> Sequence[TableChange]:
    return ()


def effect_of(writer: ChangeWriter) -> Effect:
    """Return the instant from which a writer's change is in effect."""
    at = writer.session.takes_effect
    return Effect(at, lambda: writer.session.wait_until(at), writer.warning)
