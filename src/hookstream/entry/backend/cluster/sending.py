"""Tests, replays, and the ends of pauses and disablings, on the cluster itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import Disabled
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.replay.preview import ReplayPreview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin import delivery_tests, gaps
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.delivery_tests import PreparedTest, SentTest
from hookstream.entry.admin.gaps import EndedGap, FillOptions, GapCount
from hookstream.entry.admin.replays import (
    SurveyWatch,
    new_replay,
    new_replay_of,
    replayable,
    survey_replay,
)
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.admin.tables import at_revision, refuse_not_started
from hookstream.entry.backend.cluster.access import ClusterAccess, effect_of
from hookstream.entry.backend.ports import Effect
from hookstream.entry.backend.sending_ports import GapBefore, NewJob, WantedTest
from hookstream.pipeline.replay import curtailed_text


@dataclass(slots=True, frozen=True)
class ClusterTests:
    """Implements `TestCommands`."""

    cluster: ClusterAccess

    def prepare(
        self, wanted: WantedTest, unreadable: Callable[[Iterable[str]], None]
    ) -> PreparedTest:
        state = self.cluster.state()
        unreadable(state.unreadable)
        return delivery_tests.prepare_test(
            self.cluster.settings, state, wanted.subscription_id, wanted.event_type, wanted.line
        )

    def send(
        self,
        wanted: WantedTest,
        seconds: float,
        unreadable: Callable[[Iterable[str]], None],
        sent: Callable[[str], None],
    ) -> tuple[PreparedTest, SentTest]:
        prepared = self.prepare(wanted, unreadable)
        return prepared, self.cluster.send_test(prepared, seconds, sent)


@dataclass(slots=True, frozen=True)
class ClusterReplays:
    """Implements `ReplayCommands`."""

    cluster: ClusterAccess

    def check(self, request: ReplayRequest) -> None:
        found = replayable(self.cluster.state(), request)
        refuse_not_started(found, "a replay", self.cluster.now())

    def survey(
        self, request: ReplayRequest, watch: SurveyWatch
    ) -> tuple[ReplaySurvey, ReplayPreview | None]:
        found, extent = survey_replay(self.cluster.settings, request, watch)
        return found, ReplayPreview(request, extent, found.events)

    def start(
        self, request: ReplayRequest, rate: float | None, counted: ReplayPreview | None
    ) -> NewJob:
        now = self.cluster.now()
        if counted is None:
            return self.cluster.new_job(new_replay(request, now, rate))
        return self.cluster.new_job(
            new_replay_of(request, counted.extent, now, rate, counted.events)
        )


@dataclass(slots=True, frozen=True)
class ClusterGaps:
    """Implements `GapCommands`."""

    cluster: ClusterAccess

    def before(self, subscription_id: str, revision: int | None) -> GapBefore:
        state = self.cluster.state()
        found = at_revision(state, subscription_id, revision)
        return GapBefore(found, state.current.disabled.get(subscription_id))

    def remarks(self, before: GapBefore, *, enabling: bool) -> Sequence[str]:
        spans = self._spans(before, enabling=enabling)
        if not spans:
            return ()
        found = [gaps.NOT_EXACT] if self.cluster.settings.events.accept_create_time else []
        taken = self.cluster.retained_since(spans[0][0] + 1)
        return [*found, curtailed_text(taken)] if taken else found

    def count(self, before: GapBefore, watch: SurveyWatch, *, enabling: bool) -> GapCount | None:
        spans = self._spans(before, enabling=enabling)
        if not spans:
            return None
        return gaps.count_gap(self.cluster.settings, before.subscription.id, spans, watch)

    def end(
        self, before: GapBefore, revision: int | None, options: FillOptions, *, enabling: bool
    ) -> tuple[EndedGap, Effect]:
        act = partial(
            gaps.enable if enabling else gaps.resume,
            subscription_id=before.subscription.id,
            revision=revision,
            options=options,
        )
        done = self.cluster.change(act)
        return done.result, effect_of(done.writer)

    def given_up(self, disabled: Disabled, progress: Callable[[int, int], None]) -> int:
        return self._given_up(disabled, progress).tally.records

    def redrive(
        self, disabled: Disabled, rate: float | None, progress: Callable[[int, int], None]
    ) -> NewJob | None:
        found = self._given_up(disabled, progress)
        if not found.tally.records:
            return None
        DeadLetterReader(self.cluster.settings, RedriveSource.DEAD_LETTERS).refuse_rival()
        return self.cluster.new_job(gaps.redrive_of(disabled, found, rate))

    def _spans(self, before: GapBefore, *, enabling: bool) -> Sequence[tuple[Millis, Millis]]:
        return gaps.spans_of(before.subscription, before.disabled, enabling=enabling)

    def _given_up(self, disabled: Disabled, progress: Callable[[int, int], None]) -> Survey:
        reader = DeadLetterReader(self.cluster.settings, RedriveSource.DEAD_LETTERS)
        reader.progress = progress
        return gaps.given_up(reader, disabled)
