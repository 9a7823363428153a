"""A desk at one of our two topics of letters: reads them, what resolved them, and their origins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.adapters.kafka.tables import read_tables
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.marks import Ledger, MarkProblem, Place, Shelf, read_ledger
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError
from hookstream.pipeline.redrive import refuse_unreadable
from hookstream.settings import Settings

Told: TypeAlias = Callable[[int, int], None]
"""Told how many offsets of how many are behind."""


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


def topic_of(shelf: Shelf, topics: Topics) -> str:
    """Return the topic of a kind of letters."""
    match shelf:
        case Shelf.DEAD_LETTERS:
            return topics.dead_letters
        case Shelf.UNDECODABLE:
            return topics.undecodable


@dataclass(slots=True)
class DeadLetterReader:
    """Reads one topic of letters and the jobs table. Fits `Shelves`."""

    settings: Settings
    shelf: Shelf
    progress: Told = field(default=no_progress)
    since: Millis | None = None
    """No letter from before this instant is wanted by any reading of `letters`."""

    @property
    def topic(self) -> str:
        """The topic of these letters."""
        return topic_of(self.shelf, self.settings.topics_names)

    def watch(self, told: Told) -> None:
        """Tell this one from now on how far each reading is."""
        self.progress = told

    def ledger(self) -> Ledger:
        """Return what is resolved now.

        Raises:
            InputRefused: A mark cannot be read: what is open is not known.
        """
        ledger, problems = read_ledger(self.jobs())
        refuse_unreadable(problems)
        return ledger

    def ledger_so_far(self) -> tuple[Ledger, Sequence[MarkProblem]]:
        """Return what is known to be resolved, and the marks that cannot be read: for views only."""
        return read_ledger(self.jobs())

    def jobs(self) -> Mapping[str, bytes]:
        """Return the live rows of the jobs table."""
        table = self.settings.topics_names.jobs
        rows = read_tables(reached(self.settings), [table])[table]
        return {key: row.value for key, row in rows.items() if row.value is not None}

    def ends(self) -> dict[int, int]:
        """Return where each partition ends now."""
        return {partition: bounds.end for partition, bounds in self._scan().bounds().items()}

    def starts(self) -> Mapping[tuple[Shelf, int], int]:
        """Return the first offset that each partition of both topics still holds."""
        client, topics = reached(self.settings), self.settings.topics_names
        return {
            (shelf, partition): bounds.start
            for shelf in Shelf
            for partition, bounds in LogScan(client, topic_of(shelf, topics)).bounds().items()
        }

    def letters(self, ends: Mapping[int, int]) -> Iterator[Record]:
        """Yield the letters up to, not including, these offsets, showing progress."""
        return self._scan().read(Stretch(since=self.since, ends=ends), progress=self.progress)

    def between(self, since: Millis | None, until: Millis | None) -> Iterator[Record]:
        """Yield the letters that were appended between two times, showing progress."""
        return self._scan().read(Stretch(since, until), progress=self.progress)

    def at(self, place: Place) -> Record | None:
        """Return the letter at a place, or None where there is none (any more)."""
        return self._scan().at(place.partition, place.offset)

    def origin(self, origin: Origin) -> Record | None:
        """Return the record that an event came from, or None where it is gone."""
        try:
            scan = LogScan(reached(self.settings), origin.topic)
            return scan.at(origin.partition, origin.offset)
        except ConfigurationError:
            # The event topic was deleted, and the record with it.
            return None

    def _scan(self) -> LogScan:
        return LogScan(reached(self.settings), self.topic)
