"""Changes the tables concurrently with other processes: consoles and commands are equal writers.

A change is an act on the tables' present rows: it checks revisions, and stages what is to be written. If
another writer took over before that is committed, nothing of it was written, and the act begins again
on the rows as they are then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from hookstream.adapters.kafka.tables.equal_writer import EqualWriter, NothingWritten
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.kafka.transactions import AppendedLate
from hookstream.adapters.system import BlockingClock, SystemChance
from hookstream.adapters.tables.sealed import Keys
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.planning.lead import LONGEST_LEAD, lead_for, writing_time
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import completed
from hookstream.entry.admin.tables import (
    ROWS_A_TRANSACTION,
    SEALED,
    StateReader,
    TablesSession,
    operators_tables,
)
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cluster import reached
from hookstream.errors import Contended, HookstreamError, InputRefused, ProducerFenced
from hookstream.settings import Settings

BEGUN_AGAIN = 3
"""How often a change begins again after another writer took over."""
_PAUSE_SECONDS = 0.2
"""The longest pause before the first beginning again, or twice as long as an attempt takes, if that is more; doubled
each time. Its length is drawn, or two writers would fence each other in step. Whoever takes over within an attempt
of another ends it: with three writers that write all the time, pauses of half the length had two fifths of all
changes refused."""
_LONGEST_PAUSE_SECONDS = 10.0
_ROW_MILLIS = 0.3
"""What a row takes to be appended, twice as long as measured with a plan of 10,000."""
_LEAST_MILLIS = 100
"""The least that a change is expected to take if the lead that operators set is too short for it."""
_LONGER = 1.5
"""How much longer than it took, or is expected to take, a change that is begun again may take."""

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class Changed(Generic[T]):
    """A change that was made."""

    result: T
    """The act's result."""
    writer: ChangeWriter
    """What wrote it: its warning, its times, and what it started. It can wait, and write no more."""


@dataclass(slots=True)
class _Staged:
    """Keeps what an act writes until the act is over. It is the tables' writer to the act."""

    tables: EqualWriter
    writes: list[tuple[Sequence[TableChange], Sequence[OutgoingRecord]]] = field(
        default_factory=list
    )

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, TableRecord]]:
        """The live rows by topic and key, without what is staged."""
        return self.tables.snapshot

    def broker_now(self) -> Millis:
        """Return the brokers' time."""
        return self.tables.broker_now()

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        """Stage rows and records, which are committed together."""
        self.writes.append((changes, also))

    def transactions(
        self, more: Sequence[TableChange]
    ) -> list[tuple[list[TableChange], list[OutgoingRecord]]]:
        """Return what is staged as transactions: one, unless a plan is too large for that.

        Args:
            more: Rows for the last of them.
        """
        found: list[tuple[list[TableChange], list[OutgoingRecord]]] = [([], [])]
        for changes, also in self.writes:
            rows, records = found[-1]
            if rows and len(rows) + len(changes) > ROWS_A_TRANSACTION:
                found.append((rows := [], records := []))
            rows += changes
            records += also
        found[-1][0].extend(more)
        return [each for each in found if each[0] or each[1]]


class EqualWriting:
    """Changes the tables as one of several processes. Blocks; for one thread at a time.

    A process that stays keeps one, whose clients stay open: a change then takes a third of the time.

    Args:
        settings: The cluster and the names of the tables.
        keys: Decrypts the signing secrets, or passes them on encrypted.
        console: Whether acts read or write the console topic, which is then needed; None: where there
            is one.
        reader: What has read rows before, by the same keys; None: nothing has.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys = SEALED,
        *,
        console: bool | None = False,
        reader: StateReader | None = None,
    ) -> None:
        names = settings.topics_names
        self._settings = settings
        self._keys = keys
        self._reader = reader or StateReader(names, keys)
        if console is None:
            console = names.console in cluster_topics(settings)
        tables = [*operators_tables(names), *([names.console] if console else [])]
        self._tables = EqualWriter(reached(settings), names.writer, tables, names.subscriptions)
        self._fraction = SystemChance().fraction
        self._clock = BlockingClock()
        self._took = 0.0
        """Seconds of the last attempt that wrote, or of a longer one since."""

    def __enter__(self) -> Self:
        """Begin; clients are opened when the first change needs them."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all clients."""
        self.close()

    def close(self) -> None:
        """Close all clients. A later change opens them again."""
        self._tables.close()

    def attempt(
        self,
        act: Callable[[ChangeWriter], T],
        also: Callable[[T, ChangeWriter], Sequence[TableChange]] = lambda _result, _writer: (),
    ) -> Changed[T]:
        """Make a change: all of it is written, or nothing.

        A plan of more than `ROWS_A_TRANSACTION` rows is several transactions. If another writer takes
        over between them, the act begins again on what was written.

        Args:
            act: Checks and stages the change. It may be called several times, so it does nothing else.
            also: Returns rows that commit with the change, such as that of an idempotency key. With rows
                of the console topic, some that have expired are removed.

        Raises:
            Contended: Other writers took over each time; nothing was written.
            AppendedLate: The brokers appended the rows each time too late for the instant from which they
                are in effect; nothing was written, or of a large plan its first transactions.
            AnsweredMeanwhile: An idempotency key among those rows has an answer; nothing was written.
            ConfigurationError: What the act raises, or the tables cannot be used; nothing was written.
            DependencyUnavailable: The brokers did not answer; its text says if it is not known
                whether the change was written.
        """
        failed: HookstreamError
        lead = self._settings.tables.activation_lead
        for begun in range(BEGUN_AGAIN + 1):
            if begun:
                # Where brokers are slow, a short pause would only fence the others again.
                most = max(_PAUSE_SECONDS, 2 * self._took) * 2 ** (begun - 1)
                self._clock.sleep(min(most, _LONGEST_PAUSE_SECONDS) * self._fraction())
            began = self._clock.monotonic()
            try:
                changed = self._attempt(act, also, lead)
            except AppendedLate as why:
                failed = why
                took = max(writing_time(lead) + why.by, _LEAST_MILLIS)
                lead = max(lead, lead_for(int(_LONGER * took)))
            except (ProducerFenced, NothingWritten) as why:
                # One that learns at once that it was fenced says nothing about what a whole one takes.
                failed, self._took = why, max(self._took, self._clock.monotonic() - began)
            else:
                self._took = self._clock.monotonic() - began
                return changed
        if isinstance(failed, NothingWritten | AppendedLate):
            raise failed
        raise Contended(
            f"other writers took over the tables {BEGUN_AGAIN + 1} times during this change: nothing"
            " was written. Try again"
        ) from failed

    def _attempt(
        self,
        act: Callable[[ChangeWriter], T],
        also: Callable[[T, ChangeWriter], Sequence[TableChange]],
        lead: Millis,
    ) -> Changed[T]:
        try:
            if self._tables.read_ahead():
                # Ten thousand rows take a second, in which nobody is to be fenced.
                self._reader.state(self._tables.snapshot)
            self._tables.begin()
            while True:
                staged = _Staged(self._tables)
                asked = self._clock.monotonic()
                session = TablesSession(self._settings, self._reader, staged, self._clock, lead)
                # Unless the brokers' time is known, a transaction asked for it: the change takes one, too.
                transaction = int((self._clock.monotonic() - asked) * 1_000)
                writer = ChangeWriter(session, self._keys)
                result = act(writer)
                more = also(result, writer)
                rows_of_all = [*(row for rows, _ in staged.writes for row in rows), *more]
                more = completed(session, rows_of_all, more)
                takes = session.age + transaction + int(_ROW_MILLIS * len(rows_of_all))
                if (
                    session.append_by is None
                    or takes <= writing_time(lead)
                    or lead >= LONGEST_LEAD
                ):
                    break
                # It would be late, as a large plan, or with slow brokers: a longer lead, before anything is written.
                lead = max(lead, lead_for(int(_LONGER * max(takes, _LEAST_MILLIS))))
            for rows, records in staged.transactions(more):
                self._tables.write(rows, records, append_by=session.append_by)
        except (ProducerFenced, NothingWritten, AppendedLate, InputRefused):
            # The clients are good, and so is what they read.
            raise
        except HookstreamError:
            self._tables.close()
            raise
        return Changed(result, writer)


def attempt_change(
    settings: Settings,
    act: Callable[[ChangeWriter], T],
    keys: Keys = SEALED,
    *,
    console: bool | None = False,
    also: Callable[[T, ChangeWriter], Sequence[TableChange]] = lambda _result, _writer: (),
    reader: StateReader | None = None,
) -> Changed[T]:
    """Make one change, with clients of its own; see `EqualWriting` and `attempt` of it."""
    with EqualWriting(settings, keys, console=console, reader=reader) as writing:
        return writing.attempt(act, also)
