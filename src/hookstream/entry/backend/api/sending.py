"""Tests, replays, and the ends of pauses and disablings, through the API: executors work on the jobs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import from_rfc3339, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Disabled
from hookstream.core.model.subscription_status import DisabledStatus
from hookstream.core.planning import transitions
from hookstream.core.replay.extent import LostOffsets
from hookstream.core.replay.preview import ReplayPreview, read_replay_preview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey, TypeCount
from hookstream.entry.admin import gaps
from hookstream.entry.admin.delivery_tests import FilterReport, PreparedTest, SentTest
from hookstream.entry.admin.gap_jobs import filling_request
from hookstream.entry.admin.gaps import EndedGap, FillOptions, GapCount
from hookstream.entry.admin.replays import SurveyWatch
from hookstream.entry.api.resources.deliveries import AttemptsPage, AttemptsQuery
from hookstream.entry.api.resources.job_starts import (
    PreviewGiven,
    PreviewShown,
    RedriveGiven,
    ReplayGiven,
    ReplayPreviewGiven,
    ReplayPreviewShown,
    SelectorGiven,
)
from hookstream.entry.api.resources.jobs import (
    JobShown,
)
from hookstream.entry.api.resources.subscription_acts import MatchShown, SentTestShown
from hookstream.entry.api.resources.subscription_bodies import (
    EndedGapOptions,
    MatchGiven,
    SubscriptionTestGiven,
)
from hookstream.entry.api.resources.subscription_views import (
    SubscriptionShown,
    SubscriptionWritten,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.past import attempt_in
from hookstream.entry.backend.api.rows import SUBSCRIPTION, effect_of
from hookstream.entry.backend.api.values import (
    facts_in,
    instant_or_none,
    job_in,
    subscription_in,
)
from hookstream.entry.backend.api.work import ApiJobs
from hookstream.entry.backend.ports import Effect
from hookstream.entry.backend.sending_ports import GapBefore, NewJob, WantedTest
from hookstream.errors import Conflict

_LONGEST_WAIT: Final = 20
"""Seconds for which a test's answer waits for its result; after that, the index is searched for it."""
_EVERY: Final = 1.0


def new_job(api: ApiClient, shown: JobShown) -> NewJob:
    """Return a job that was just created, and that executors run."""
    job = job_in(shown).job
    return NewJob(job, partial(ApiJobs(api).follow, job))


@dataclass(slots=True, frozen=True)
class ApiTests:
    """Implements `TestCommands`."""

    api: ApiClient

    def prepare(
        self, wanted: WantedTest, unreadable: Callable[[Iterable[str]], None]
    ) -> PreparedTest:
        del unreadable
        to = self._subscription(wanted)
        given = MatchGiven(event_type=wanted.event_type, event=wanted.text or None)
        where = path(SUBSCRIPTION + "/test/preview", subscription_id=wanted.subscription_id)
        shown = self.api.change("POST", where, MatchShown, given)
        report = FilterReport(shown.matches, shown.why, shown.environment)
        return PreparedTest(subscription_in(to), shown.event_type, shown.event, b"", report)

    def send(
        self,
        wanted: WantedTest,
        seconds: float,
        unreadable: Callable[[Iterable[str]], None],
        sent: Callable[[str], None],
    ) -> tuple[PreparedTest, SentTest]:
        del unreadable
        began = self.api.monotonic()
        to = self._subscription(wanted)
        given = SubscriptionTestGiven(
            event_type=wanted.event_type,
            event=wanted.text or None,
            wait=min(int(seconds), _LONGEST_WAIT),
        )
        where = path(SUBSCRIPTION + "/test", subscription_id=wanted.subscription_id)
        shown = self.api.change("POST", where, SentTestShown, given, repeatable=False)
        sent(shown.job)
        entry = None if shown.attempt is None else attempt_in(shown.attempt)
        while entry is None and self.api.monotonic() - began < seconds:
            self.api.sleep(_EVERY)
            entry = self._attempt(shown)
        report = FilterReport(shown.matches, shown.why, shown.environment)
        prepared = PreparedTest(subscription_in(to), shown.event_type, shown.event, b"", report)
        return prepared, SentTest(shown.job, from_rfc3339(shown.expires_at), entry)

    def _subscription(self, wanted: WantedTest) -> SubscriptionShown:
        where = path(SUBSCRIPTION, subscription_id=wanted.subscription_id)
        return self.api.get(where, SubscriptionShown)

    def _attempt(self, shown: SentTestShown) -> AuditEntry | None:
        query = AttemptsQuery(delivery=shown.delivery, limit=1)
        found = self.api.get("/v1/attempts", AttemptsPage, query).items
        return attempt_in(found[0]) if found else None


@dataclass(slots=True, frozen=True)
class ApiReplays:
    """Implements `ReplayCommands`."""

    api: ApiClient

    def check(self, request: ReplayRequest) -> None:
        """Do nothing: the request that starts it is refused before anything is written."""

    def survey(
        self, request: ReplayRequest, watch: SurveyWatch
    ) -> tuple[ReplaySurvey, ReplayPreview | None]:
        del watch
        return counted_in(_preview(self.api, request))

    def start(
        self, request: ReplayRequest, rate: float | None, counted: ReplayPreview | None
    ) -> NewJob:
        given = ReplayGiven(
            since=to_rfc3339(request.interval.since),
            until=to_rfc3339(request.interval.until),
            event_types=tuple(sorted(request.event_types)) or None,
            rate=rate,
            as_granted_today=request.as_granted_today,
            preview=None if counted is None else counted.token(),
        )
        where = path(SUBSCRIPTION + "/replays", subscription_id=request.subscription_id)
        return new_job(self.api, self.api.change("POST", where, JobShown, given))


def _preview(api: ApiClient, request: ReplayRequest) -> ReplayPreviewShown:
    given = ReplayPreviewGiven(
        since=to_rfc3339(request.interval.since),
        until=to_rfc3339(request.interval.until),
        event_types=tuple(sorted(request.event_types)) or None,
        as_granted_today=request.as_granted_today,
    )
    where = path(SUBSCRIPTION + "/replays/preview", subscription_id=request.subscription_id)
    return api.change("POST", where, ReplayPreviewShown, given)


def counted_in(shown: ReplayPreviewShown) -> tuple[ReplaySurvey, ReplayPreview | None]:
    """Return the counts of a replay, and the preview that fixes them."""
    by_type = {
        each.event_type: TypeCount(
            each.events,
            instant_or_none(each.first),
            instant_or_none(each.last),
            each.not_granted,
        )
        for each in shown.event_types
    }
    survey = ReplaySurvey(
        by_type,
        # The others are not identified yet.
        unidentified=shown.events - sum(each.events for each in by_type.values()),
        undecodable=shown.undecodable,
        retained_from={
            TopicPartition(each.topic, each.partition): from_rfc3339(each.since)
            for each in shown.retained_from
        },
        lost=[
            LostOffsets(TopicPartition(each.topic, each.partition), each.first, each.end, each.why)
            for each in shown.lost
        ],
        producers_times=set(shown.producers_times),
    )
    return survey, None if shown.preview is None else read_replay_preview(shown.preview)


@dataclass(slots=True, frozen=True)
class ApiGaps:
    """Implements `GapCommands`."""

    api: ApiClient

    def before(self, subscription_id: str, revision: int | None) -> GapBefore:
        where = path(SUBSCRIPTION, subscription_id=subscription_id)
        shown = self.api.get(where, SubscriptionShown)
        if revision not in (None, shown.revision):
            raise Conflict(
                f"subscription {subscription_id!r} is at revision {shown.revision}, not {revision}"
            )
        return GapBefore(subscription_in(shown), _disabled(shown))

    def remarks(self, before: GapBefore, *, enabling: bool) -> Sequence[str]:
        del before, enabling
        return ()

    def count(self, before: GapBefore, watch: SurveyWatch, *, enabling: bool) -> GapCount | None:
        del watch
        spans = gaps.spans_of(before.subscription, before.disabled, enabling=enabling)
        if not spans:
            return None
        found = GapCount(spans)
        for start, end in spans:
            request = filling_request(before.subscription.id, start, end)
            found.surveys.append(counted_in(_preview(self.api, request))[0])
        return found

    def end(
        self, before: GapBefore, revision: int | None, options: FillOptions, *, enabling: bool
    ) -> tuple[EndedGap, Effect]:
        act = "enable" if enabling else "resume"
        given = EndedGapOptions(fill=options.fill, rate=options.rate)
        where = path(f"{SUBSCRIPTION}/{act}", subscription_id=before.subscription.id)
        written = self.api.change("POST", where, SubscriptionWritten, given, revision=revision)
        effect = effect_of(self.api, written)
        ended = EndedGap(
            subscription_in(written.subscription),
            written.changed,
            before.disabled,
            [self._job(each) for each in written.jobs],
        )
        return ended, effect

    def given_up(self, disabled: Disabled, progress: Callable[[int, int], None]) -> int:
        del progress
        given = PreviewGiven(selector=_given_up(disabled))
        found = self.api.change("POST", "/v1/dead-letters/preview", PreviewShown, given)
        return found.records

    def redrive(
        self, disabled: Disabled, rate: float | None, progress: Callable[[int, int], None]
    ) -> NewJob | None:
        if not self.given_up(disabled, progress):
            return None
        given = RedriveGiven(selector=_given_up(disabled), rate=rate)
        return new_job(self.api, self.api.change("POST", "/v1/redrives", JobShown, given))

    def _job(self, job_id: str) -> Job:
        return ApiJobs(self.api).found(job_id).job


def _disabled(shown: SubscriptionShown) -> Disabled | None:
    status = facts_in(shown).status
    return status.disabled if isinstance(status, DisabledStatus) else None


def _given_up(disabled: Disabled) -> SelectorGiven:
    return SelectorGiven(
        subscriptions=(disabled.subscription_id,),
        reasons=tuple(sorted(gaps.GIVEN_UP)),
        since=to_rfc3339(disabled.since - transitions.SLACK),
    )
