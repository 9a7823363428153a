"""Dead letters and undecodable records from their topics: a command runs its redrive or purge itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hookstream.core.jobs.job import Job
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.core.redrive.job import RedriveRequest, redrives_of
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin import dead_letter_groups, redrives
from hookstream.entry.admin.audit import AuditLog
from hookstream.entry.admin.dead_letter_details import DetailsReader, position_in
from hookstream.entry.admin.dead_letter_export import DeadLetterExport
from hookstream.entry.admin.dead_letters import DeadLetterReader, Listing, listed
from hookstream.entry.admin.jobs import resume_job, start_job
from hookstream.entry.admin.known_names import (
    NO_TOPIC,
    Filter,
    name_filters,
    read_names,
    refuse_unknown,
)
from hookstream.entry.admin.previews import known_preview, preview_of
from hookstream.entry.admin.purges import narrowed, new_purge, purge_kind
from hookstream.entry.admin.redrives import new_job, redrive_kind, rules_of
from hookstream.entry.admin.surveys import Survey, nothing_left_out, survey
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.backend.bulk_ports import DetailsRead, ListingProblems
from hookstream.entry.backend.listing_ports import Progress
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.errors import InputRefused
from hookstream.pipeline.job_kind import JobKind
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class ClusterAside:
    """One of the two topics. Implements `SetAsideCommands`."""

    settings: Settings
    source: RedriveSource

    @property
    def topic(self) -> str:
        return self._reader().topic

    def grouped(self, by: GroupBy) -> Grouping:
        return dead_letter_groups.grouped(self.settings, by)

    def check_names(self, selector: Selector, progress: Progress) -> None:
        topics = cluster_topics(self.settings) if selector.topics else frozenset()
        filters = (
            *name_filters(
                partial(read_names, self.settings),
                subscriptions=selector.subscriptions,
                partners=selector.partners,
                event_types=selector.event_types,
            ),
            Filter("--topic", selector.topics, topics, NO_TOPIC),
        )

        def seen() -> Iterator[tuple[str, ...]]:
            reader = self._reader(progress)
            for each in map(summary_of, reader.between(selector.since, selector.until)):
                yield each.subscription_id, each.partner_id, each.event_type, each.origin_topic

        refuse_unknown(filters, seen)

    def listed(self, selector: Selector, listing: Listing, progress: Progress) -> ListingProblems:
        reader = self._reader(progress)
        ledger, problems = reader.read_ledger()
        listed(reader, ledger, selector, listing)
        return ListingProblems([f"{problem.key}: {problem.why}" for problem in problems])

    def details(self, name: str, progress: Progress) -> DetailsRead:
        reader, audit = self._reader(progress), AuditLog(self.settings, progress)
        found = self._found(reader, name)
        ledger, problems = reader.read_ledger()
        details = DetailsReader(reader, ledger, audit)
        marks = [f"{problem.key}: {problem.why}" for problem in problems]
        return DetailsRead([details.of(record) for record in found], marks)

    def _found(self, reader: DeadLetterReader, name: str) -> Sequence[Record]:
        position = position_in(name, reader.topic)
        if position is not None:
            record = reader.at(position)
            if record is None:
                raise InputRefused(f"{reader.topic} holds no record at {position} (any more)")
            return [record]
        if self.source is RedriveSource.UNDECODABLE:
            raise InputRefused(f"{name!r} is not a place such as 3@1042")
        found = reader.of_delivery(name)
        if not found:
            raise InputRefused(
                f"{reader.topic} holds no dead letter of {name}: a place is written 3@1042; for a"
                f" delivery that was not given up, ask: hookstream attempts show {name}"
            )
        return found

    def export(
        self, selector: Selector, progress: Progress, *, with_resolved: bool
    ) -> DeadLetterExport:
        reader = self._reader(progress)
        return DeadLetterExport(reader, reader.ledger(), selector, with_resolved)

    def refuse_rival(self, job_id: str = "") -> None:
        self._reader().refuse_rival(job_id)

    def survey(
        self, act: BulkAct, row: JsonObject, preview: Preview | None, progress: Progress
    ) -> Survey:
        reader = self._reader(progress)
        until = None if preview is None else preview.topic_ends
        if act is BulkAct.PURGE:
            return survey(reader, narrowed(reader, row), until, nothing_left_out)
        rules = rules_of(reader, row)
        return survey(reader, rules.selector, until, rules.obstacle)

    def preview(self, act: BulkAct, row: JsonObject, found: Survey) -> Preview | None:
        return preview_of(self._reader(), act, row, found.topic_ends, found.tally.records)

    def known_preview(self, act: BulkAct, token: str, row: JsonObject) -> Preview:
        return known_preview(self._reader(), act, token, row)

    def redrive(
        self,
        row: JsonObject,
        found: Survey,
        rate: float | None,
        report: Callable[[Unredrivable], None],
    ) -> NewJob:
        kind = redrive_kind(self.settings, report)
        return self._started(new_job(self.source, row, found, rate), kind)

    def purge(self, row: JsonObject, found: Survey, why: str) -> NewJob:
        job = new_purge(self._reader(), row, found, why)
        return self._started(job, purge_kind(self.settings))

    def redrive_in(self, job_id: str) -> Job:
        return redrives.redrive_in(self._reader().jobs(), job_id, self.source)

    def resumed(
        self, job: Job, rate: float | None, report: Callable[[Unredrivable], None]
    ) -> NewJob:
        kind = redrive_kind(self.settings, report)
        kinds = {kind.name: kind}
        return NewJob(job, lambda watch: resume_job(self.settings, job.id, watch, kinds, rate))

    def redrives(self) -> tuple[Sequence[tuple[Job, RedriveRequest]], Sequence[str]]:
        found, problems = redrives_of(self._reader().jobs())
        mine = [each for each in found if each[1].source is self.source]
        return mine, [f"{problem.key}: {problem.why}" for problem in problems]

    def _reader(self, progress: Progress | None = None) -> DeadLetterReader:
        reader = DeadLetterReader(self.settings, self.source)
        if progress is not None:
            reader.progress = progress
        return reader

    def _started(self, job: Job, kind: JobKind) -> NewJob:
        kinds = {kind.name: kind}
        return NewJob(job, lambda watch: start_job(self.settings, job, watch, kinds))
