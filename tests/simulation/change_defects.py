"""Defects in what changes of the tables do, each planted by a part put in place of the real one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.simulation.defects import Defect, built_with
from tests.simulation.invariants import INTERVALS, JUSTIFIED, LIVES, PROMISE, SILENT
from tests.simulation.world import Parts

from hookstream.core.jobs.job import Job
from hookstream.core.jobs.step import NextStep
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.outcome import Cancel, Disposition
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Live
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.health import EndpointHealth
from hookstream.pipeline.replay import ReplayKind, ReplayWork
from hookstream.pipeline.request_parts import Prepared, PreparedRequests
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Work


class Inheriting(Eligibility):
    """Sends what waits to whoever has the id now."""

    def judge(self, delivery: Delivery, now: Millis) -> Live | Disposition:
        judged, status = super().judge(delivery, now), self.status(delivery, now)
        again = isinstance(judged, Cancel) and "re-created" in judged.detail
        return status if again and isinstance(status, Live) else judged


class Continued(ReplayWork):
    """Goes on for whoever has the id now, and at once."""

    async def next(self, job: Job) -> NextStep:
        return await super().next(replace(job, asked_at=job.asked_at + HOUR))


class Continuing(ReplayKind):
    """Takes a replay for one that was requested a moment ago."""

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[ReplayWork]:
        async with super().open(job) as work:
            yield Continued(
                work.job_id, work.request, work.reached, work.ports, work.reading, work.stack
            )


class LastingParts(PreparedRequests):
    """Keeps the parts of a subscription's requests, whatever its row says later."""

    def of(self, subscription: Subscription, now: Millis) -> Prepared:
        return self._prepared.get(subscription.id) or super().of(subscription, now)

    def forget(self, subscription_id: str) -> None:
        del subscription_id


class Faithful(Attempts):
    """Sends to the endpoint that an id had first."""

    def __init__(self, *given: Any) -> None:  # noqa: ANN401  its own
        super().__init__(*given)
        self.prepared = LastingParts(given[0].public_key_signing)


class Unforgiving(EndpointHealth):
    """Takes every answer for one of the endpoint that the subscription has now."""

    def _has_other_endpoint(self, asked: Subscription) -> bool:
        del asked
        return False


class Resentful(Attempts):
    """Disables whatever endpoint there is for what an earlier one answered."""

    def __init__(self, *given: Any) -> None:  # noqa: ANN401  its own
        super().__init__(*given)
        self.health = Unforgiving(given[0], given[1])


class Secretive(Settler):
    """Releases what is cancelled, and says nothing of it."""

    def end_without_attempt(self, work: Work, record: AttemptRecord) -> None:
        if isinstance(record.disposition, Cancel):
            self.skip(work)
        else:
            super().end_without_attempt(work, record)


CHANGE_DEFECTS: Sequence[Defect] = (
    Defect(
        "has rows written after the instant from which they are in effect",
        Parts(writing_time=lambda _: 1 << 62),
        frozenset({INTERVALS, PROMISE}),
        within=400,
        shown_by=47,
    ),
    Defect(
        "has rows written just before the instant from which they are in effect",
        Parts(writing_time=lambda lead: lead),
        frozenset({INTERVALS, PROMISE}),
        within=400,
        shown_by=47,
    ),
    Defect(
        "sends what waits for an earlier life of an id to the endpoint of the next",
        Parts(engine=built_with(Eligibility=Inheriting)),
        frozenset({LIVES}),
        within=200,
        shown_by=10,
    ),
    Defect(
        "sends what is for a later life of an id to the endpoint of the first",
        Parts(engine=built_with(Attempts=Faithful)),
        frozenset({LIVES}),
        within=200,
        shown_by=20,
    ),
    Defect(
        "goes on with a replay of an earlier life of an id for the next",
        Parts(replay=Continuing),
        frozenset({LIVES}),
        within=200,
        shown_by=12,
    ),
    Defect(
        "disables the endpoint of a later life of an id for an answer of the first",
        Parts(engine=built_with(Attempts=Resentful)),
        frozenset({JUSTIFIED}),
        within=1_000,
        shown_by=220,
    ),
    Defect(
        "cancels deliveries without a record",
        Parts(engine=built_with(Settler=Secretive)),
        frozenset({SILENT}),
        within=200,
        shown_by=10,
    ),
)
