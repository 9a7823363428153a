"""Dead letters and undecodable records through the API: a console's index has them; executors run their jobs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from hookstream.core.jobs.job import Job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.core.redrive.job import RedriveRequest, TopicEnds, request_of
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview, read_preview
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import DeadLetterSummary, Group, GroupCount
from hookstream.entry.admin.dead_letter_groups import by_host
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.api.resources.aside import (
    DeadLettersPage,
    DeadLettersQuery,
    UndecodablePage,
    UndecodableQuery,
)
from hookstream.entry.api.resources.job_starts import (
    PreviewGiven,
    PreviewShown,
    PurgeGiven,
    RedriveGiven,
    SelectorGiven,
)
from hookstream.entry.api.resources.jobs import (
    JobShown,
    JobsPage,
    JobsQuery,
)
from hookstream.entry.backend.api.aside_details import (
    dead_letter_in,
    read_details,
    resolved_in,
    undecodable_in,
)
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.api.exporting import ApiExport
from hookstream.entry.backend.api.listing import MOST_ASKED, WindowWatch
from hookstream.entry.backend.api.rows import ApiSubscriptions
from hookstream.entry.backend.api.sending import new_job
from hookstream.entry.backend.api.values import job_in
from hookstream.entry.backend.api.work import ApiJobs
from hookstream.entry.backend.bulk_ports import DetailsRead, ListingProblems
from hookstream.entry.backend.listing_ports import Progress
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.errors import AccessRefused, InputRefused

_TOPICS: Final = {
    RedriveSource.DEAD_LETTERS: "dead letters",
    RedriveSource.UNDECODABLE: "undecodable records",
}


@dataclass(slots=True, frozen=True)
class ApiAside:
    """One of the two kinds of records. Implements `SetAsideCommands`."""

    api: ApiClient
    source: RedriveSource

    @property
    def topic(self) -> str:
        return _TOPICS[self.source]

    def grouped(self, by: GroupBy) -> Grouping:
        if by is not GroupBy.HOST:
            return Grouping(by)
        source = ApiSubscriptions(self.api)
        try:
            listing = source.listed(None, with_deleted=True)
        except AccessRefused:
            # Partners do not see deleted ones.
            listing = source.listed(None, with_deleted=False)
        return by_host({each.subscription.id: each.subscription for each in listing.found})

    def check_names(self, selector: Selector, progress: Progress) -> None:
        """Do nothing: the API itself refuses an unknown subscription."""

    def listed(self, selector: Selector, listing: Listing, progress: Progress) -> ListingProblems:
        watch, said = WindowWatch(selector.since or 0), list[str]()
        for read, (summary, resolved_by) in enumerate(self._records(selector, watch), 1):
            if read > MOST_ASKED:
                said.append(f"only the newest {MOST_ASKED:,} records were requested and counted")
                break
            progress(read, 0)
            if _within(summary.at, selector):
                listing.add(summary, resolved_by)
        return ListingProblems((), [*watch.said, *said])

    def _records(
        self, selector: Selector, watch: WindowWatch
    ) -> Iterator[tuple[DeadLetterSummary, ResolvedBy | None]]:
        if self.source is RedriveSource.UNDECODABLE:
            for found in self.api.pages(
                "/v1/undecodable",
                UndecodablePage,
                UndecodableQuery,
                topic=_words(selector.topics),
                reason=_words(selector.reasons),
            ):
                watch.note(found.window)
                yield from ((undecodable_in(each), resolved_in(each)) for each in found.items)
            return
        some, of = _or_none(selector.subscriptions), _or_none(selector.partners)
        for subscription, partner in product(some, of):
            for page in self.api.pages(
                "/v1/dead-letters",
                DeadLettersPage,
                DeadLettersQuery,
                subscription=subscription,
                partner=partner,
                event_type=_words(selector.event_types),
                reason=_words(selector.reasons),
                status=_words(selector.statuses),
                since=_time(selector.since),
                until=_time(selector.until),
            ):
                watch.note(page.window)
                yield from ((dead_letter_in(each), resolved_in(each)) for each in page.items)

    def details(self, name: str, progress: Progress) -> DetailsRead:
        del progress
        return read_details(self.api, self.source, name)

    def export(self, selector: Selector, progress: Progress, *, with_resolved: bool) -> ApiExport:
        return ApiExport(self.api, self.source, selector, progress, with_resolved)

    def refuse_rival(self, job_id: str = "") -> None:
        """Do nothing: the new job waits for its turn, as executors take one after the other."""

    def survey(
        self, act: BulkAct, row: JsonObject, preview: Preview | None, progress: Progress
    ) -> Survey:
        del progress
        given = PreviewGiven(
            selector=_selector(row),
            act=act.value,
            source=self.source.value,
            preview=None if preview is None else preview.token(),
        )
        shown = self.api.change("POST", "/v1/dead-letters/preview", PreviewShown, given)
        made = None if shown.preview is None else read_preview(shown.preview)
        ends, topic_id = TopicEnds({}) if made is None else made.topic_ends
        found = Survey(ends, left_out=dict(shown.left_out), preview=made, topic_id=topic_id)
        found.tally.records = shown.records
        for each in shown.groups:
            found.tally.groups[Group(each.of, each.reason)] = GroupCount(
                each.records, from_rfc3339(each.oldest), from_rfc3339(each.newest)
            )
        return found

    def preview(self, act: BulkAct, row: JsonObject, found: Survey) -> Preview | None:
        del act, row
        return found.preview

    def known_preview(self, act: BulkAct, token: str, row: JsonObject) -> Preview:
        preview = read_preview(token)
        # The console checks that it is of this topic.
        preview.refuse_other(act, self.source, preview.topic_id, row)
        return preview

    def redrive(
        self,
        row: JsonObject,
        found: Survey,
        rate: float | None,
        report: Callable[[Unredrivable], None],
    ) -> NewJob:
        del report
        given = RedriveGiven(
            selector=_selector(row),
            source=self.source.value,
            rate=rate,
            preview=_token(found),
        )
        return new_job(self.api, self.api.change("POST", "/v1/redrives", JobShown, given))

    def purge(self, row: JsonObject, found: Survey, why: str) -> NewJob:
        given = PurgeGiven(
            selector=_selector(row), why=why, source=self.source.value, preview=_token(found)
        )
        return new_job(self.api, self.api.change("POST", "/v1/purges", JobShown, given))

    def redrive_in(self, job_id: str) -> Job:
        job = ApiJobs(self.api).found(job_id).job
        if self._request(job) is None or not job.state.is_resumable:
            raise InputRefused(f"job {job_id} is not an unfinished redrive of {self.topic}")
        return job

    def resumed(
        self, job: Job, rate: float | None, report: Callable[[Unredrivable], None]
    ) -> NewJob:
        del report
        return NewJob(job, lambda watch: ApiJobs(self.api).resume(job.id, watch, rate))

    def redrives(self) -> tuple[Sequence[tuple[Job, RedriveRequest]], Sequence[str]]:
        pages = self.api.pages("/v1/jobs", JobsPage, JobsQuery, kind="redrive")
        found = [job_in(each).job for page in pages for each in page.items]
        mine = [(job, self._request(job)) for job in reversed(found)]
        return [(job, request) for job, request in mine if request is not None], ()

    def _request(self, job: Job) -> RedriveRequest | None:
        request = request_of(job)
        if request is None or isinstance(request, RowProblem) or request.source is not self.source:
            return None
        return request


def _selector(row: JsonObject) -> SelectorGiven:
    words = {
        name: tuple(str(each) for each in value) if isinstance(value, list) else str(value)
        for name, value in row.items()
    }
    return SelectorGiven(**words)  # type: ignore[arg-type]  # as `Selector.row` writes it


def _token(found: Survey) -> str | None:
    """Return the token of a preview; None for partners, and for very many conditions."""
    return None if found.preview is None else found.preview.token()


def _within(at: Millis, selector: Selector) -> bool:
    return (selector.since is None or at >= selector.since) and (
        selector.until is None or at < selector.until
    )


def _words(given: frozenset[str] | None) -> tuple[str, ...]:
    return tuple(sorted(given or ()))


def _or_none(given: frozenset[str] | None) -> tuple[str | None, ...]:
    return _words(given) or (None,)


def _time(at: Millis | None) -> str | None:
    return None if at is None else to_rfc3339(at)
