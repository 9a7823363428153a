"""Sends several deliveries of a subscription in one request, and settles each of them alone.

1. Check each delivery as `Attempts` does: if it may not be attempted, settle it.
2. Compose a batch of those that fit into one body, the oldest first.
3. Send it; the answer applies to every member.
4. Settle each member by its own schedule. After a 400, 413 or 422 the batch is halved first
   (`core.lanes.halving`): its members return to the lane, audited and unsettled.

If the process dies during any of these, each member is either settled or read again: a batch is never
settled as a whole.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from hookstream.core.lanes.halving import HALVED_AGAIN_AFTER, REFUSES_BODY, Halving
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.outcome import (
    BODY_MADE,
    Answer,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Outcome,
    Response,
    RetryAt,
    Withheld,
)
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription_status import Live, SubscriptionStatus
from hookstream.core.outcome import policy
from hookstream.core.outcome.classify import classify
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.batch_composer import (
    MEMBERS_BETWEEN_YIELDS,
    BatchComposer,
    BatchMember,
    Composed,
    mark_alone,
    one_or_together,
)
from hookstream.pipeline.defects import Step
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.lane_queue import LaneQueue
from hookstream.pipeline.open_attempt import Ready, end_span
from hookstream.pipeline.ports import Ports, Span
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Work

_ENDS_OF_SCHEDULES = frozenset({DeadReason.ATTEMPTS_EXHAUSTED, DeadReason.EXPIRED})
"""Why a refused delivery is not retried."""


class BatchEnd(NamedTuple):
    """The result of one request of a lane."""

    outcome: Outcome | Withheld | None
    """As `Attempts.attempt` returns it: None or Withheld if there was no answer."""
    back: Sequence[Work]
    """Unsettled work that returns to the head of its lane, in this order."""
    answered_at: float | None = None
    """When the answer came, monotonic seconds: settling the members is no time of the endpoint."""


@dataclass(slots=True)
class _Sent:
    """A delivery in a request that was sent."""

    work: Work
    ready: Ready
    span: Span | None
    """None: its trace is not sampled, or it has ended."""


@dataclass(slots=True, frozen=True)
class _Answered:
    """A request with its answer, which is the same for all of its members."""

    members: Sequence[_Sent]
    answer: Answer
    outcome: Outcome
    began: float
    """When it was sent, monotonic seconds."""
    took: float


class BatchAttempts:
    """Makes the attempts of several deliveries in one request."""

    def __init__(
        self,
        ports: Ports,
        rules: EngineRules,
        eligibility: Eligibility,
        attempts: Attempts,
        settler: Settler,
        fence: Fence,
    ) -> None:
        """Share the state of `attempts`, which also makes the attempts of single deliveries."""
        self._clock = ports.clock
        self._chance = ports.chance
        self._tracer = ports.tracer
        self._longest_tier = max(rules.tiers)
        self._eligibility = eligibility
        self._attempts = attempts
        self._composer = BatchComposer(ports, eligibility, attempts)
        self.put_back: Callable[[LaneQueue, Sequence[Work]], None] = _nowhere
        """Returns work to the head of its lane, for its next request."""
        self._settler = settler
        self._fence = fence

    async def attempt(self, works: Sequence[Work], queue: LaneQueue) -> BatchEnd:
        """Make one request with as many of these deliveries as it may contain.

        Args:
            works: Work of one lane, the oldest first: a batch, or all unsettled members of a search.
            queue: The lane.
        """
        halving, asked = self._next_probe(works)
        if len(asked) == 1:
            if halving is None:
                return await self._alone(works, asked[0], queue)
            return await self._probe(asked[0], works, halving, queue)
        composed = await self._composer.composed(asked)
        members = [member.work for member in composed.members]
        left_out = set(asked).difference(composed.later)
        others = [work for work in works if work not in left_out]
        if len(members) < len(asked):
            _give_up(works)
            halving = None
        if halving is None:
            self._return(composed, others, queue)
            others = []
        if composed.long is not None:
            made = await self._composer.make_body(composed.long)
            return BatchEnd(BODY_MADE, [composed.long.work] if made else [])
        if not members:
            return BatchEnd(None, [])
        if len(members) == 1 or composed.members[0].prepared.batch is None:
            # The other members ended or come later, or the subscription no longer has batches.
            return await self._alone(members, members[0], queue)
        return await self._together(composed.members, others, halving, queue)

    def _return(self, composed: Composed, others: Sequence[Work], queue: LaneQueue) -> None:
        """Put the work that a request leaves out back into its lane: it does not wait for the answer."""
        self.put_back(queue, others)
        if composed.members:
            queue.lane.fits(len(composed.members), full=composed.full)

    async def _together(
        self,
        composed: Sequence[BatchMember],
        others: list[Work],
        halving: Halving[Work] | None,
        queue: LaneQueue,
    ) -> BatchEnd:
        """Send one request, and settle its members. `others` are the unsettled members of its search."""
        members = [member.work for member in composed]
        answered = await self._send(composed)
        if isinstance(answered, _Answered):
            answered_at = answered.began + answered.took
            try:
                back = await self._settle(answered, others, halving, queue)
            finally:
                _end_spans(answered)
            return BatchEnd(answered.outcome, back, answered_at)
        if isinstance(answered, Withheld):
            return BatchEnd(answered, members + others)
        _give_up(members + others)
        return BatchEnd(answered, others if answered is not None else members[1:] + others)

    def overflow(self, work: Work, slot: DeferUntil) -> None:
        """Defer work for which its lane has no room; work of a search leaves the search.

        Otherwise it would return unchanged, be refused and be deferred again, without end.
        """
        if work.halving is None or self._end_found([work]):
            work.alone = False
            self._attempts.overflow(work, slot)

    def abandon(self, work: Work) -> None:
        """Drop work that this worker may no longer attempt.

        An unsettled member of a search is retried by its schedule: its attempts are audited, and the next worker
        that reads the delivery continues its count.
        """
        if work.halving is None or not work.receipt.assigned or self._end_found([work]):
            self._settler.give_back(work)

    def _next_probe(self, works: Sequence[Work]) -> tuple[Halving[Work] | None, list[Work]]:
        """Return the search that continues with this work, and the members of the next request."""
        status: SubscriptionStatus | None = None
        try:
            status = self._eligibility.status(works[0].delivery, self._clock.now())
        except Exception as error:  # noqa: BLE001  the fence: each delivery asks again, and stops its partition
            self._fence.note(error, Step.PREPARE)
        most = len(works)  # The lane may not know the present batch settings yet.
        if isinstance(status, Live):
            batch = status.subscription.batch
            most = 1 if batch is None else batch.max_events
        halving = works[0].halving
        if halving is not None and set(halving.members()) == set(works):
            probe = halving.probe()
            if len(probe) <= most:
                return halving, probe
        # Members of a search were deferred, their partition was revoked, or batches are smaller now.
        _give_up(works)
        if isinstance(status, Live):
            mark_alone(works, len(status.subscription.retry.schedule))
        return None, one_or_together(works)[:most]

    async def _alone(self, works: Sequence[Work], work: Work, queue: LaneQueue) -> BatchEnd:
        """Attempt one delivery as `Attempts` does; the others do not wait for its answer."""
        self.put_back(queue, [other for other in works if other is not work])
        outcome = await self._attempts.attempt(work)
        return BatchEnd(outcome, [work] if isinstance(outcome, Withheld) else [])

    async def _probe(
        self, work: Work, works: Sequence[Work], halving: Halving[Work], queue: LaneQueue
    ) -> BatchEnd:
        """Attempt one delivery of a search, which continues with the others."""
        outcome = await self._attempts.attempt(work)
        if isinstance(outcome, Withheld):
            return BatchEnd(outcome, works)
        if not (isinstance(outcome, Delivered) or _refuses(outcome)):
            _give_up(works)
            return BatchEnd(outcome, [other for other in works if other is not work])
        back = self._end_found(halving.answered(accepted=isinstance(outcome, Delivered)))
        return BatchEnd(outcome, back + self._search_on(halving, queue))

    # The request.

    async def _send(self, members: Sequence[BatchMember]) -> _Answered | Outcome | Withheld | None:
        """Send one request.

        An Outcome: a defect of ours interrupted it, and all members are settled. None: it could not be made,
        and the partition of its first member is stopped (one exception stops at most one partition).
        """
        prepared, live = members[0].prepared, members[0].live
        deliveries = [member.work.delivery for member in members]
        now = self._clock.now()
        for delivery in deliveries:
            # Only now: work that returns to the lane continues its earlier wait.
            policy.wait_ended(delivery, now)
        try:
            post = prepared.request(deliveries, [member.body for member in members], now)
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self._attempts.stop(members[0].work, error, Step.PREPARE)
            return None
        sent = [
            _Sent(
                each.work,
                Ready(prepared, live, each.version, len(each.body), post, now),
                self._span(each.work, post.url),
            )
            for each in members
        ]
        began = self._clock.monotonic()
        for delivery in deliveries:
            delivery.attempt += 1
        try:
            answered = await self._exchange(sent, live, began)
        except Exception as error:  # noqa: BLE001  the fence: what was sent must not be sent at every start
            self._fence.note(error, Step.SETTLE)
            outcomes = [
                self._attempts.failed_by_us(each.work, each.ready, began, error) for each in sent
            ]
            return outcomes[0]
        if isinstance(answered, Withheld):
            for delivery in deliveries:
                delivery.attempt -= 1
        return answered

    async def _exchange(
        self, sent: Sequence[_Sent], live: Live, began: float
    ) -> _Answered | Withheld:
        """Send the request, and classify its answer."""
        # Holds are by event type; all other conditions are the same for all members.
        kinds = {each.work.delivery.event_type: each.work.delivery for each in sent}
        still = partial(self._still, list(kinds.values()), live)
        post, spans = sent[0].ready.post, [each.span for each in sent]
        answer = await self._attempts.answer(post, still, spans)
        if isinstance(answer, Withheld):
            return answer
        took = self._clock.monotonic() - began
        outcome = classify(
            answer,
            now=self._clock.now(),
            # Final statuses concern the body of one delivery.
            final_statuses=frozenset(),
            longest_tier=self._longest_tier,
        )
        answered = _Answered(sent, answer, outcome, began, took)
        try:
            if isinstance(answer, Response) and answer.words is not None:
                first = sent[0]
                self._attempts.read_words(first.work.delivery, first.ready, answer.words, outcome)
        except Exception:
            _end_spans(answered)
            raise
        return answered

    def _span(self, work: Work, url: str) -> Span | None:
        parent = work.receipt.span
        if parent is None:
            return None
        # The attempt is counted when the request begins.
        return self._tracer.post(parent, url, work.delivery, work.delivery.attempt + 1)

    def _still(self, deliveries: Sequence[Delivery], live: Live) -> bool:
        return all(self._eligibility.still(delivery, live) for delivery in deliveries)

    # After the answer.

    async def _settle(
        self,
        request: _Answered,
        others: list[Work],
        halving: Halving[Work] | None,
        queue: LaneQueue,
    ) -> list[Work]:
        """Settle the members, or search among them; return the work that goes back to the lane."""
        outcome = request.outcome
        accepted, found = isinstance(outcome, Delivered), list[Work]()
        if not (accepted or _refuses(outcome)):
            _give_up(others)
            halving = None
        elif halving is not None:
            found = halving.answered(accepted=accepted)
        elif not accepted and self._clock.monotonic() >= queue.halves_from:
            halving = Halving([each.work for each in request.members])
        if halving is None:
            return await self._end(request, request.members) + others
        searched = set(halving.members())
        sent = {each.work for each in request.members}
        await self._continue(request, [each for each in request.members if each.work in searched])
        back = await self._end(
            request, [each for each in request.members if each.work not in searched]
        )
        back += self._end_found([work for work in found if work not in sent])
        others = [work for work in others if work not in searched and work not in found]
        return back + self._search_on(halving, queue) + others

    async def _end(self, request: _Answered, members: Sequence[_Sent]) -> list[Work]:
        """Settle members; return those that must be sent alone first."""
        alone: list[Work] = []
        now, unjudged = self._clock.now(), True
        for place, each in enumerate(members):
            if place % MEMBERS_BETWEEN_YIELDS == MEMBERS_BETWEEN_YIELDS - 1:
                await asyncio.sleep(0)
            delivery, step = each.work.delivery, each.work.delivery.step
            try:
                asked = each.ready.prepared.subscription
                disposition = policy.decide(
                    request.outcome, delivery, asked.retry, now=now, jitter=self._chance.fraction()
                )
                if self._may_be_about_another(request.outcome, disposition):
                    self._settler.audit_and_continue(
                        each.work, self._record(request, each, RetryAt(now))
                    )
                    each.work.alone = True
                    alone.append(each.work)
                    continue
                also: Sequence[OutgoingRecord] = ()
                if unjudged:
                    # An endpoint's health counts requests.
                    unjudged = False
                    disposition, also = self._attempts.health.after(
                        delivery, asked, request.outcome, disposition, now
                    )
                self._settler.settle_attempt(
                    each.work, self._record(request, each, disposition), also
                )
                self._attempts.note_latency(delivery, request.outcome, now)
            except Exception as error:  # noqa: BLE001  the fence: as for a single delivery
                self._fence.note(error, Step.SETTLE)
                delivery.step = step
                self._attempts.failed_by_us(each.work, each.ready, request.began, error)
        return alone

    def _may_be_about_another(self, outcome: Outcome, disposition: Disposition) -> bool:
        """Return whether a delivery would be given up for an answer that another member may have caused."""
        ends = isinstance(disposition, DeadLetter) and disposition.reason in _ENDS_OF_SCHEDULES
        return ends and _refuses(outcome)

    async def _continue(self, request: _Answered, members: Sequence[_Sent]) -> None:
        """Audit the attempt of members that the search sends again."""
        now = self._clock.now()
        for place, each in enumerate(members):
            if place % MEMBERS_BETWEEN_YIELDS == MEMBERS_BETWEEN_YIELDS - 1:
                await asyncio.sleep(0)
            try:
                self._settler.audit_and_continue(
                    each.work, self._record(request, each, RetryAt(now))
                )
            except Exception as error:  # noqa: BLE001  the fence: it stays unsettled, and is sent again
                self._fence.note(error, Step.NOTIFY)

    def _record(self, request: _Answered, sent: _Sent, disposition: Disposition) -> AttemptRecord:
        """Return the audit record of a member's attempt, and end its span."""
        record = self._attempts.record(
            sent.work,
            sent.ready,
            request.outcome,
            disposition,
            request.took,
            span=sent.span,
            answer=request.answer,
        )
        _end_span(request, sent, disposition)
        return record

    def _end_found(self, found: Sequence[Work]) -> list[Work]:
        """Settle members that a search found without sending them; return those to be sent alone first."""
        alone: list[Work] = []
        for work in found:
            work.halving = None
            try:
                if not self._reschedule(work):
                    work.alone = True
                    alone.append(work)
            except Exception as error:  # noqa: BLE001  the fence
                self._attempts.stop(work, error, Step.SETTLE)
        return alone

    def _reschedule(self, work: Work) -> bool:
        """Retry a delivery by its schedule, because its batch was refused; False: the schedule has ended."""
        delivery, now = work.delivery, self._clock.now()
        live = self._attempts.live_or_settled(work, now)
        if live is None:
            return True
        step, why = delivery.step, delivery.last_error or "refused in a batch"
        disposition = policy.decide(
            Failed(FailureKind.STATUS, why, delivery.last_status),
            delivery,
            live.subscription.retry,
            now=now,
            jitter=self._chance.fraction(),
        )
        if not isinstance(disposition, RetryAt):
            return False
        try:
            self._settler.reschedule(work, disposition)
        except Exception:
            # It is decided again.
            delivery.step = step
            raise
        return True

    def _search_on(self, halving: Halving[Work], queue: LaneQueue) -> list[Work]:
        """Return the work with which a search continues; if a search that found nothing ends, record that."""
        members = halving.members()
        for work in members:
            work.halving = halving
        if not members and not halving.accepted:
            queue.halves_from = self._clock.monotonic() + HALVED_AGAIN_AFTER
        return members


def _nowhere(_: LaneQueue, __: Sequence[Work]) -> None:
    """Stand in until the engine sets `put_back`."""


def _end_span(request: _Answered, sent: _Sent, disposition: Disposition | None) -> None:
    """End the span of a member's attempt, unless it has ended."""
    if sent.span is not None:
        end_span(sent.span, request.answer, request.outcome, disposition)
        sent.span = None


def _end_spans(request: _Answered) -> None:
    """End the spans of members whose disposition was not decided."""
    for each in request.members:
        _end_span(request, each, None)


def _give_up(works: Sequence[Work]) -> None:
    """End the search in this work; it is treated as other work from then on."""
    for work in works:
        work.halving = None


def _refuses(outcome: Outcome | None) -> bool:
    """Return whether an answer may concern the body of one delivery."""
    match outcome:
        case Failed(status=status) | FailedForGood(status=status):
            return status in REFUSES_BODY
        case _:
            return False
