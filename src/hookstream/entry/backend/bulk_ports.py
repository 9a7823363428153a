"""The ports for dead letters and undecodable records: listing, exporting, redriving and purging them.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from hookstream.core.jobs.job import Job
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.export import Export
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letter_details import DeadLetterDetails
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.backend.listing_ports import Progress
from hookstream.entry.backend.sending_ports import NewJob


class ListingProblems(NamedTuple):
    """The limits of a listing."""

    unreadable_marks: Sequence[str] = ()
    """Unreadable marks: because of them, some records that are shown as open may have been redriven or purged."""
    reservations: Sequence[str] = ()


class DetailsRead(NamedTuple):
    """Records of the topic with all their details."""

    found: Sequence[DeadLetterDetails]
    unreadable_marks: Sequence[str] = ()
    """As in `ListingProblems`."""
    reservations: Sequence[str] = ()
    """The limits of the details."""


class ExportCommand(Protocol):
    """One export of dead letters or undecodable records."""

    @property
    def counts(self) -> Export:
        """The counts of exported and left out records, as far as the lines were read."""

    def encoded(self) -> Iterator[bytes]:
        """Yield the lines as JSON without line feeds, once; the last one only after all others."""


class SetAsideCommands(Protocol):
    """The dead letters, or the undecodable records."""

    @property
    def topic(self) -> str:
        """The name of their topic."""

    def grouped(self, by: GroupBy) -> Grouping:
        """Return a grouping to fill."""

    def check_names(self, selector: Selector, progress: Progress) -> None:
        """Refuse a condition by an unknown name."""

    def listed(self, selector: Selector, listing: Listing, progress: Progress) -> ListingProblems:
        """Read the selected records into a listing."""

    def details(self, name: str, progress: Progress) -> DetailsRead:
        """Return the record at a place, or of dead letters those of a delivery.

        Args:
            name: The place, `3@1042` or `topic-3@1042`, or the id of the delivery.
            progress: As for all.

        Raises:
            InputRefused: There is none, or it is a place in another topic.
        """

    def export(
        self, selector: Selector, progress: Progress, *, with_resolved: bool
    ) -> ExportCommand:
        """Return the export of the selected records; `with_resolved`: redriven and purged ones too."""

    def refuse_rival(self, job_id: str = "") -> None:
        """Refuse an act that conflicts with another job."""

    def survey(
        self, act: BulkAct, row: JsonObject, preview: Preview | None, progress: Progress
    ) -> Survey:
        """Count the records that an act would take.

        Args:
            act: The act.
            row: The conditions, as `Selector.row` writes them.
            preview: Fixes the end up to which records are taken; None: the present end.
            progress: As for all.
        """

    def preview(self, act: BulkAct, row: JsonObject, found: Survey) -> Preview | None:
        """Return the preview that fixes the counted records; None: they cannot be fixed."""

    def known_preview(self, act: BulkAct, token: str, row: JsonObject) -> Preview:
        """Return the preview of a token."""

    def redrive(
        self,
        row: JsonObject,
        found: Survey,
        rate: float | None,
        report: Callable[[Unredrivable], None],
    ) -> NewJob:
        """Return the job that redrives the counted records.

        Args:
            row: The conditions.
            found: The counts.
            rate: Records a second at most; None: as fast as the brokers take them.
            report: Called with each record that stays open, as far as that is known here.
        """

    def purge(self, row: JsonObject, found: Survey, why: str) -> NewJob:
        """Return the job that purges the counted records."""

    def redrive_in(self, job_id: str) -> Job:
        """Return a redrive that has not ended, to resume or to cancel it."""

    def resumed(
        self, job: Job, rate: float | None, report: Callable[[Unredrivable], None]
    ) -> NewJob:
        """Return a redrive that is continued."""

    def redrives(self) -> tuple[Sequence[tuple[Job, RedriveRequest]], Sequence[str]]:
        """Return the redrives of the topic, the oldest first, and problems of rows."""
