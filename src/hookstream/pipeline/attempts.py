"""Makes one attempt: checks the subscription, makes the body, signs, posts, and settles the result.

1. If the subscription allows no attempt, decide without one.
2. End a delivery that expired, or whose partner may no longer see the event.
3. Render and sign.
4. Send, and wait for the answer. Directly before the first byte the sender checks again whether the tables
   are current and the subscription is unchanged; if not, no attempt was made.
5. Classify, decide, and pass both to the settler.

A process that dies during any of these has written nothing, and its offset is not committed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hookstream.core.delivery.quoted_secrets import without_quoted
from hookstream.core.model.attempt import AttemptRecord, ended
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.instant import Millis, is_plausible
from hookstream.core.model.outcome import (
    BODY_MADE,
    Answer,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailureKind,
    Outcome,
    RefusalReason,
    Refused,
    Response,
    Throttled,
    Withheld,
    Words,
)
from hookstream.core.model.subscription import Partner
from hookstream.core.model.subscription_status import Live
from hookstream.core.outcome import policy
from hookstream.core.outcome.answer_headers import ReceiverRequest, receiver_request, rest_in
from hookstream.core.outcome.classify import classify
from hookstream.pipeline.defects import Step, line_of
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.health import Checkup, EndpointHealth
from hookstream.pipeline.open_attempt import (
    AttemptListener,
    AttemptResult,
    Awaiting,
    OpenAttempt,
    Ready,
    end_all,
    end_span,
)
from hookstream.pipeline.ports import Continuation, Permitted, Ports, Post, Span
from hookstream.pipeline.rendering import BodyRenderer
from hookstream.pipeline.request_parts import Prepared, PreparedRequests
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Work

_TOKEN_REPLACED = "the first of two requests was answered 401, the second had another token"  # noqa: S105


@dataclass(slots=True, frozen=True)
class _Unrendered:
    """An attempt without its body, which takes long to make."""

    prepared: Prepared
    partner: Partner | None
    version: int


class Attempts:
    """Makes attempts, one call each, and settles their results."""

    def __init__(
        self,
        ports: Ports,
        rules: EngineRules,
        eligibility: Eligibility,
        settler: Settler,
        fence: Fence,
    ) -> None:
        """Check `eligibility` before every attempt, and again before its first byte."""
        self._clock = ports.clock
        self._chance = ports.chance
        self._sender = ports.sender
        self._tracer = ports.tracer
        self._metrics = ports.metrics
        self._longest_tier = max(rules.tiers)
        self._eligibility = eligibility
        self.rendering = BodyRenderer(ports, rules.max_body_bytes)
        self._settler = settler
        self.health = EndpointHealth(ports, rules)
        self._fence = fence
        self.prepared = PreparedRequests(ports.public_key_signing)
        self.readmit: Callable[[Work], Awaitable[None]] = _nobody
        """Offers work to its lane again, unless its subscription allows no attempt."""
        self.rest: Callable[[str, Millis], None] = _no_lane
        """Pauses the lane of a subscription for some milliseconds: its endpoint's rate limit is used up."""

    def settle_if_ineligible(self, work: Work) -> bool:
        """Settle work of which no attempt may be made now; return whether it was settled."""
        return self.live_or_settled(work, self._clock.now()) is None

    def live_or_settled(self, work: Work, now: Millis) -> Live | None:
        """Return the live subscription; None: no attempt may be made, and the work is settled without one."""
        judged = self._eligibility.judge(work.delivery, now)
        if isinstance(judged, Live):
            return judged
        # Its keys need not stay in memory meanwhile.
        self.prepared.forget(work.delivery.subscription_id)
        self.end(work, judged)
        return None

    def overflow(self, work: Work, slot: DeferUntil) -> None:
        """Defer work for which its lane has no room, until the slot that the lane reserved."""
        try:
            if self.settle_if_ineligible(work):
                # A paused or held delivery waits for that and does not age, unlike one of a slow lane.
                return
            now = self._clock.now()
            self.end(work, policy.slot_until(work.delivery, slot.due_at, slot.reason, now))
        except Exception as error:  # noqa: BLE001  the fence
            self.stop(work, error, Step.SETTLE)

    def end(self, work: Work, disposition: Disposition, outcome: Outcome | None = None) -> None:
        """Settle work of which no attempt was made."""
        if work.delivery.trigger is Trigger.TEST:
            disposition = policy.test_ended(disposition)
        if isinstance(disposition, DeferUntil):
            self._settler.defer_work(work, disposition)
            return
        now, span = self._clock.now(), work.receipt.span
        record = ended(
            work.delivery,
            work.event,
            disposition,
            now,
            outcome=outcome,
            trace_id=None if span is None else span.trace_id,
            span_id=None if span is None else span.span_id,
        )
        self._settler.end_without_attempt(work, record)

    def refuse(self, work: Work, refused: Refused) -> None:
        """Dead-letter work of which no attempt may ever be made."""
        outcome = None if refused.reason is RefusalReason.NOT_GRANTED else refused
        self.end(work, DeadLetter(DeadReason(refused.reason), refused.detail), outcome)

    def begin(
        self, work: Work, notify: AttemptListener
    ) -> OpenAttempt | Continuation[AttemptResult] | AttemptResult:
        """Begin an attempt; `notify` is called when an open attempt has ended and is settled.

        Returns:
            The open attempt; a continuation if something must be awaited; or the result. None: the delivery
            ended without an attempt. Withheld: nothing is settled, and the caller has the work again.
        """
        try:
            ready = self._ready(work)
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self.stop(work, error, Step.PREPARE)
            return None
        if ready is None:
            return None
        if isinstance(ready, _Unrendered):
            return Continuation(partial(self._rendered, work, ready))
        return self._send(work, ready, notify)

    async def attempt(self, work: Work) -> AttemptResult:
        """Make one attempt, settle it, and return its result, as `begin` does."""
        awaiting = Awaiting()
        begun = self.begin(work, awaiting)
        if isinstance(begun, OpenAttempt):
            try:
                came = await awaiting.came
            except asyncio.CancelledError:
                begun.abandon()
                raise
        else:
            came = begun
        return await came.run() if isinstance(came, Continuation) else came

    async def _rendered(self, work: Work, unrendered: _Unrendered) -> AttemptResult:
        """Make the body of an attempt in a thread."""
        prepared, partner, version = unrendered.prepared, unrendered.partner, unrendered.version
        try:
            await self.rendering.make(work, prepared, partner, version)
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self.stop(work, error, Step.PREPARE)
            return None
        # The permit was for an earlier moment; the lane begins the attempt again.
        return BODY_MADE

    def stop(self, work: Work, error: Exception, step: Step) -> None:
        """Stop the partition of unsent work because of a defect of ours.

        Raises:
            Exception: What `Fence.stop` raises.
        """
        self._settler.stop(work, error, step, partial(self._retry, work))

    async def _retry(self, work: Work) -> None:
        """Repeat the preparation of an attempt, then offer the work to its lane again. Nothing is recorded.

        Steps that can fail without the lane come first, so that a lasting defect costs the lane nothing.
        """
        now = self._clock.now()
        status = self._eligibility.status(work.delivery, now)
        if isinstance(status, Live):
            version = self.rendering.version(work, status.subscription)
            prepared = self.prepared.of(status.subscription, now)
            body = await self.rendering.make(work, prepared, status.partner, version)
            if not isinstance(body, Refused):
                prepared.request((work.delivery,), (body,), now)
        if work.receipt.may_start:
            await self.readmit(work)

    def _ready(self, work: Work) -> Ready | _Unrendered | None:
        """Return a prepared attempt, or one that lacks its body; None: the work ended without one."""
        now = self._clock.now()
        live = self.live_or_settled(work, now)
        if live is None:
            return None
        version = self.rendering.version(work, live.subscription)
        prepared = self.prepared.of(live.subscription, now)
        body = self.rendering.at_hand(work, prepared, live.partner, version)
        if body is None:
            return _Unrendered(prepared, live.partner, version)
        # Only now: until here, a full lane may have prolonged the wait.
        policy.wait_ended(work.delivery, now)
        if isinstance(body, Refused):
            self.refuse(work, body)
            return None
        post = prepared.request((work.delivery,), (body,), now)
        return Ready(prepared, live, version, len(body), post, now)

    def _send(
        self, work: Work, ready: Ready, notify: AttemptListener
    ) -> OpenAttempt | Continuation[AttemptResult] | AttemptResult:
        """Send a request. From here on the attempt counts."""
        delivery = work.delivery
        attempt = OpenAttempt(work, ready, self._clock.monotonic(), delivery.step, notify)
        delivery.attempt += 1
        try:
            parent = work.receipt.span
            if parent is not None:
                attempt.span = self._tracer.post(
                    parent, ready.post.url, delivery, delivery.attempt
                )
            still = partial(self._eligibility.still, delivery, ready.live)
            begun = self._sender.begin(ready.post, still, partial(self._answered, attempt))
        except Exception as error:  # noqa: BLE001  the fence: what was sent must not be sent at every start
            return self._interrupted(attempt, error)
        if isinstance(begun, Withheld):
            return self._withheld(attempt, begun)
        if isinstance(begun, Continuation):
            return Continuation(partial(self._awaited, attempt, begun))
        attempt.exchange = begun
        return attempt

    def _answered(
        self,
        attempt: OpenAttempt,
        answer: Answer | Withheld | Continuation[Answer | Withheld] | Exception,
    ) -> None:
        """Settle the result of an open attempt's request. It never raises: the caller is a socket's callback."""
        came: AttemptResult | Continuation[AttemptResult]
        attempt.exchange = None
        try:
            if isinstance(answer, Continuation):
                came = Continuation(partial(self._awaited, attempt, answer))
            elif isinstance(answer, Exception):
                came = self._interrupted(attempt, answer)
            else:
                came = self._came(attempt, answer)
        except BaseException as error:  # noqa: BLE001  it passes the fence, but must not reach the event loop
            attempt.notify.broke(error)
            return
        attempt.notify.ended(came)

    async def _awaited(
        self, attempt: OpenAttempt, rest: Continuation[Answer | Withheld]
    ) -> Outcome | Withheld:
        """Await the result of a request, and settle it."""
        try:
            answer = await rest.run()
        except Exception as error:  # noqa: BLE001  the fence
            return self._interrupted(attempt, error)
        except BaseException:
            # Cancelled: the drain's deadline passed. Nothing is settled; the attempt may repeat.
            end_all((attempt.span,), "cancelled")
            raise
        return self._came(attempt, answer)

    def _came(self, attempt: OpenAttempt, answer: Answer | Withheld) -> Outcome | Withheld:
        if isinstance(answer, Withheld):
            return self._withheld(attempt, answer)
        try:
            return self._settle(attempt, answer)
        except Exception as error:  # noqa: BLE001  the fence: what was sent must not be sent at every start
            return self._interrupted(attempt, error)

    def _withheld(self, attempt: OpenAttempt, withheld: Withheld) -> Withheld:
        """Undo the count of an attempt that was not made."""
        attempt.work.delivery.attempt -= 1
        end_all((attempt.span,), "withheld")
        return withheld

    def _interrupted(self, attempt: OpenAttempt, error: Exception) -> Outcome:
        """Settle an attempt whose request was, or may have been, sent before a defect of ours."""
        self._fence.note(error, Step.SETTLE)
        end_all((attempt.span,), FailureKind.INTERNAL_ERROR.value)
        # If a retry was decided already, it is decided again.
        attempt.work.delivery.step = attempt.step
        return self.failed_by_us(attempt.work, attempt.ready, attempt.began, error)

    def failed_by_us(self, work: Work, ready: Ready, began: float, error: Exception) -> Outcome:
        """Settle an attempt that a defect of ours interrupted: it failed, and is retried by schedule."""
        delivery, subscription = work.delivery, ready.prepared.subscription
        detail = (
            f"a defect of hookstream after the request: {type(error).__name__} at {line_of(error)}"
        )
        outcome = Failed(FailureKind.INTERNAL_ERROR, detail)
        now = self._clock.now()
        disposition: Disposition
        try:
            disposition = policy.decide(
                outcome, delivery, subscription.retry, now=now, jitter=self._chance.fraction()
            )
        except Exception as undecided:  # noqa: BLE001  the fence
            self._fence.note(undecided, Step.SETTLE)
            disposition = policy.undecided(detail, delivery, subscription.retry, now=now)
        if delivery.trigger is Trigger.TEST:
            disposition = policy.test_attempted(outcome)
        took = self._clock.monotonic() - began
        self._settler.settle_interrupted(
            work, self.record(work, ready, outcome, disposition, took)
        )
        return outcome

    def record(
        self,
        work: Work,
        ready: Ready,
        outcome: Outcome,
        disposition: Disposition,
        took: float,
        *,
        span: Span | None = None,
        answer: Answer | None = None,
    ) -> AttemptRecord:
        """Return the audit record of an attempt that took `took` seconds."""
        delivery, event, prepared = work.delivery, work.bodies.event, ready.prepared
        # Made for each attempt: with keywords, the constructor takes twice as long.
        record = AttemptRecord(
            delivery,
            ready.version,
            event.entity_id,
            event.environment,
            delivery.attempt,
            outcome,
            disposition,
            ready.began_at,
            int(took * 1_000_000),
            ready.body_bytes,
            prepared.host,
        )
        record.batch_id = ready.post.batch_id
        if span is not None:
            record.trace_id, record.span_id = span.trace_id, span.span_id
        if isinstance(answer, Response):
            if answer.excerpt:
                record.response_excerpt = without_quoted(answer.excerpt, prepared.secret_forms)
            if answer.requests > 1:
                record.note = _TOKEN_REPLACED
        return record

    def _settle(self, attempt: OpenAttempt, answer: Answer) -> Outcome:
        """Classify an answer, decide the disposition, and settle both."""
        work, ready, span = attempt.work, attempt.ready, attempt.span
        took, now = self._clock.monotonic() - attempt.began, self._clock.now()
        outcome = classify(
            answer,
            now=now,
            final_statuses=ready.prepared.subscription.retry.final_statuses,
            longest_tier=self._longest_tier,
        )
        words, disposition = answer.words if isinstance(answer, Response) else None, None
        try:
            asked = (
                None if words is None else self.read_words(work.delivery, ready, words, outcome)
            )
            disposition, also = self._decided(work, ready, outcome, asked, now)
        finally:
            if span is not None:
                # It ends here even if a later step fails.
                attempt.span = None
                end_span(span, answer, outcome, disposition)
        record = self.record(work, ready, outcome, disposition, took, span=span, answer=answer)
        self._settler.settle_attempt(work, record, also)
        self.note_latency(work.delivery, outcome, now)
        return outcome

    async def answer(
        self, post: Post, still: Permitted, spans: Sequence[Span | None]
    ) -> Answer | Withheld:
        """Send a request and return its result. If there is no answer, the spans end here."""
        try:
            answer = await self._sender.send(post, still)
        except BaseException as error:
            # Cancelled: the drain's deadline passed. Nothing is settled; the attempt may repeat.
            defect = isinstance(error, Exception)
            end_all(spans, FailureKind.INTERNAL_ERROR.value if defect else "cancelled")
            raise
        if isinstance(answer, Withheld):
            end_all(spans, "withheld")
        return answer

    def read_words(
        self, delivery: Delivery, ready: Ready, words: Words, outcome: Outcome
    ) -> ReceiverRequest | None:
        """Pause the lane by the answer's RateLimit; return the request in `webhook-delivery`, if any.

        A Retry-After that was followed takes precedence over a RateLimit. The headers of a test's answer are
        ignored, and a batch's `webhook-delivery` concerns no delivery in particular.
        """
        if delivery.trigger is Trigger.TEST:
            return None
        followed = isinstance(outcome, Throttled) and outcome.retry_after is not None
        if words.ratelimit is not None and not followed:
            rest = rest_in(words.ratelimit, longest=self._longest_tier)
            if rest:
                self.rest(delivery.subscription_id, rest)
        if words.delivery is None or ready.post.batch_id is not None:
            return None
        return receiver_request(words.delivery)

    def _decided(
        self,
        work: Work,
        ready: Ready,
        outcome: Outcome,
        asked: ReceiverRequest | None,
        now: Millis,
    ) -> Checkup:
        """Return the delivery's disposition, and the records for a change of its endpoint's health."""
        if work.delivery.trigger is Trigger.TEST:
            # It says nothing about the endpoint's health over days.
            return policy.test_attempted(outcome), ()
        asked_of = ready.prepared.subscription
        disposition = policy.decide(
            outcome,
            work.delivery,
            asked_of.retry,
            now=now,
            jitter=self._chance.fraction(),
        )
        if asked is not None:
            disposition = policy.heed(asked, outcome, disposition)
        elif isinstance(outcome, Delivered) and not self.health.failing:
            return disposition, ()
        return self.health.after(work.delivery, asked_of, outcome, disposition, now)

    def note_latency(self, delivery: Delivery, outcome: Outcome, now: Millis) -> None:
        """Measure the time from an event's append to its successful first attempt; runs of jobs are ignored."""
        if delivery.job is not None:
            return
        appended = delivery.origin.timestamp
        if isinstance(outcome, Delivered) and delivery.attempt == 1 and is_plausible(appended):
            self._metrics.delivered(delivery.event_type, now - appended)


async def _nobody(_: Work) -> None:
    """Stand in until admission sets `readmit`."""


def _no_lane(_: str, __: Millis) -> None:
    """Stand in until admission sets `rest`."""
