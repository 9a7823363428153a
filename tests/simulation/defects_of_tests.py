"""Defects that the tests of endpoints might have, each planted by a part put in place of the real one."""

from collections.abc import Sequence
from typing import Any

from tests.simulation.defects import Defect, built_with
from tests.simulation.sent_tests import TESTED
from tests.simulation.world import Parts

from hookstream.core.model.delivery import Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Outcome
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.core.outcome import policy
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.open_attempt import Ready
from hookstream.pipeline.work import Work


class Rescheduling(Attempts):
    """Retries a test by the schedule of its subscription."""

    def _decided(
        self,
        work: Work,
        ready: Ready,
        outcome: Outcome,
        asked: Any,  # noqa: ANN401  its own
        now: Millis,
    ) -> Any:  # noqa: ANN401  its own
        if work.delivery.trigger is not Trigger.TEST:
            return super()._decided(work, ready, outcome, asked, now)
        retry = ready.prepared.subscription.retry
        return policy.decide(outcome, work.delivery, retry, now=now, jitter=0.5), ()


class Learning(Attempts):
    """Takes what a test is answered for the health of its endpoint."""

    def _decided(
        self,
        work: Work,
        ready: Ready,
        outcome: Outcome,
        asked: Any,  # noqa: ANN401  its own
        now: Millis,
    ) -> Any:  # noqa: ANN401  its own
        decided = super()._decided(work, ready, outcome, asked, now)
        if work.delivery.trigger is not Trigger.TEST:
            return decided
        disposition, _ = decided
        subscription = ready.prepared.subscription
        return disposition, self.health.after(
            work.delivery, subscription, outcome, disposition, now
        )[1]


class Queueing(Lanes):
    """Lets tests wait in the lanes of their subscriptions."""

    def offer(self, work: Work) -> None:
        if self._closed or work.delivery.trigger is not Trigger.TEST:
            super().offer(work)
            return
        queue, now = self._queue_of(work), self._time.present()
        if queue.lane.full(len(queue.waiting), now, alone=False):
            self._overflow(work, self._slot(queue, work.delivery, now))
            return
        queue.waiting.append(work)
        self.waiting += 1
        self._idle.clear()
        self._start(queue, now)

    def _queue_of(self, work: Work) -> Any:  # noqa: ANN401  its own
        who = work.delivery.subscription_id
        return self._queues.get(who) or self._queue(who)


class Persevering(Eligibility):
    """Puts a test off, as any delivery, while its subscription is paused."""

    def status(self, delivery: Any, now: Millis) -> SubscriptionStatus:  # noqa: ANN401  its own
        return self._directory.holds.over(
            self._directory.status(delivery.subscription_id, now), delivery.event_type
        )


DEFECTS_OF_TESTS: Sequence[Defect] = (
    Defect(
        "retries a test",
        Parts(engine=built_with(Attempts=Rescheduling)),
        frozenset({TESTED}),
        within=200,
    ),
    Defect(
        "takes what a test is answered for its endpoint's health",
        Parts(engine=built_with(Attempts=Learning)),
        frozenset({TESTED}),
        within=200,
    ),
    Defect(
        "lets tests wait in lanes",
        Parts(engine=built_with(Lanes=Queueing)),
        frozenset({TESTED}),
        within=400,
        shown_by=70,
    ),
    Defect(
        "does not test what is paused",
        Parts(engine=built_with(Eligibility=Persevering)),
        frozenset({TESTED}),
        within=400,
        shown_by=23,
    ),
)
