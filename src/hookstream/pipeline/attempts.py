"""One attempt: the subscription as it is now, the body, the signature, the POST, and what follows.

1. Where the subscription is not what it was, decide without an attempt.
2. End a delivery that expired, or whose partner may not see the event any more.
3. Render and sign.
4. Send, and wait for the answer. Directly before the first byte the sender asks once more whether
   the tables are current and the subscription unchanged; where not, no attempt was made.
5. Classify, decide, and hand both to the settler.

A process that dies during any of these has written nothing, and its offset is not committed.
"""

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
from hookstream.core.outcome.classify import classify
from hookstream.core.outcome.words import Asked, asked_in, rest_in
from hookstream.pipeline.defects import Step, line_of
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.health import Checkup, EndpointHealth
from hookstream.pipeline.ports import Permitted, Ports, Post, Span
from hookstream.pipeline.prepared import Prepared, PreparedRequests
from hookstream.pipeline.rendering import BodyRenderer
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Work

_TOKEN_REPLACED = "the first of two requests was answered 401, the second had another token"  # noqa: S105


@dataclass(slots=True, frozen=True)
class Ready:
    """One attempt, up to its request."""

    prepared: Prepared
    live: Live
    """How the subscription stood when it was made."""
    version: int
    body_bytes: int
    """The size of the delivery's own body."""
    post: Post
    began_at: Millis


@dataclass(slots=True, frozen=True)
class _Unrendered:
    """What an attempt lacks: a body whose making takes long."""

    prepared: Prepared
    partner: Partner | None
    version: int


class Attempts:
    """Makes attempts, one call each, and settles what they come to."""

    def __init__(
        self,
        ports: Ports,
        rules: EngineRules,
        eligibility: Eligibility,
        settler: Settler,
        fence: Fence,
    ) -> None:
        """Ask `eligibility` before every attempt, and once more before its first byte."""
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
        """Offers work to its lane again, unless its subscription makes an attempt pointless."""
        self.rest: Callable[[str, Millis], None] = _no_lane
        """Begins no attempt of a subscription for so long: its endpoint has nothing left of its limit."""

    def keep_if_eligible(self, work: Work) -> bool:
        """Return whether an attempt may be made; where not, settle the work without one."""
        return self.live(work, self._clock.now()) is not None

    def live(self, work: Work, now: Millis) -> Live | None:
        """Return the live subscription; None: no attempt may be made, and the work is settled without one."""
        judged = self._eligibility.judge(work.delivery, now)
        if isinstance(judged, Live):
            return judged
        # Whatever it is, its keys need not stay in memory for it.
        self.prepared.forget(work.delivery.subscription_id)
        self.end(work, judged)
        return None

    def overflow(self, work: Work, slot: DeferUntil) -> None:
        """Defer work that its lane has no room for until the slot that the lane gave it."""
        try:
            if not self.keep_if_eligible(work):
                # What was stopped meanwhile waits for that, and does not age as one that is too slow.
                return
            now = self._clock.now()
            self.end(work, policy.slot_until(work.delivery, slot.due_at, slot.reason, now))
        except Exception as error:  # noqa: BLE001  the fence
            self.stop(work, error, Step.SETTLE)

    def end(self, work: Work, disposition: Disposition, outcome: Outcome | None = None) -> None:
        """Settle work without an attempt having been made."""
        if work.delivery.trigger is Trigger.TEST:
            disposition = policy.test_ended(disposition)
        if isinstance(disposition, DeferUntil):
            self._settler.deferred(work, disposition)
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
        self._settler.ended(work, record)

    def refuse(self, work: Work, refused: Refused) -> None:
        """Dead-letter work of which no attempt may ever be made."""
        outcome = None if refused.reason is RefusalReason.NOT_GRANTED else refused
        self.end(work, DeadLetter(DeadReason(refused.reason), refused.detail), outcome)

    async def attempt(self, work: Work) -> Outcome | Withheld | None:
        """Make one attempt, settle it, and return its outcome. None: ended without an attempt.

        Withheld: no request was made and nothing is settled; the work is the caller's again.
        """
        try:
            ready = self._ready(work)
            if isinstance(ready, _Unrendered):
                await self.rendering.make(work, ready.prepared, ready.partner, ready.version)
                # The lane gave this attempt its turn a while ago; it gives it another.
                return BODY_MADE
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self.stop(work, error, Step.PREPARE)
            return None
        return None if ready is None else await self._send(work, ready)

    def stop(self, work: Work, error: Exception, step: Step) -> None:
        """Stop the partition of work of which nothing was sent, for a defect of ours.

        Raises:
            Exception: What `Fence.stop` raises.
        """
        self._settler.stop(work, error, step, partial(self._retry, work))

    async def _retry(self, work: Work) -> None:
        """Do what an attempt does before its request, without a trace of it, and then offer the work again.

        What can fail without the lane comes first, so that a defect that lasts costs the lane nothing.
        """
        now = self._clock.now()
        status = self._eligibility.status(work.delivery, now)
        if isinstance(status, Live):
            version = self.rendering.version(work, status.subscription)
            prepared = self.prepared.of(status.subscription, now)
            body = await self.rendering.make(work, prepared, status.partner, version)
            if not isinstance(body, Refused):
                prepared.request((work.delivery,), (body,), now)
        if work.receipt.wanted:
            await self.readmit(work)

    def _ready(self, work: Work) -> Ready | _Unrendered | None:
        """Return what an attempt is made of, None where the work ended without one."""
        now = self._clock.now()
        live = self.live(work, now)
        if live is None:
            return None
        version = self.rendering.version(work, live.subscription)
        prepared = self.prepared.of(live.subscription, now)
        body = self.rendering.at_hand(work, prepared, live.partner, version)
        if body is None:
            return _Unrendered(prepared, live.partner, version)
        # Only now: a lane that is full prolongs the wait that the delivery comes from.
        policy.wait_ended(work.delivery, now)
        if isinstance(body, Refused):
            self.refuse(work, body)
            return None
        post = prepared.request((work.delivery,), (body,), now)
        return Ready(prepared, live, version, len(body), post, now)

    async def _send(self, work: Work, ready: Ready) -> Outcome | Withheld:
        """Send a request and settle what it came to. From here on the attempt counts."""
        step, began = work.delivery.step, self._clock.monotonic()
        work.delivery.attempt += 1
        try:
            return await self._post(work, ready, began)
        except Exception as error:  # noqa: BLE001  the fence: what was sent must not be sent at every start
            self._fence.note(error, Step.SETTLE)
            # A retry that was decided already is decided again.
            work.delivery.step = step
            return self.failed_by_us(work, ready, began, error)

    def failed_by_us(self, work: Work, ready: Ready, began: float, error: Exception) -> Outcome:
        """Settle an attempt that a defect of ours interrupted: it failed, and is made again by schedule."""
        delivery, subscription = work.delivery, ready.prepared.subscription
        detail = f"a defect of hookstream behind the request: {type(error).__name__} at {line_of(error)}"
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
        self._settler.interrupted(work, self.record(work, ready, outcome, disposition, took))
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
        response = answer if isinstance(answer, Response) else None
        return AttemptRecord(
            delivery=work.delivery,
            event_version=ready.version,
            entity_id=work.event.entity_id,
            environment=work.event.environment,
            attempt=work.delivery.attempt,
            outcome=outcome,
            disposition=disposition,
            started_at=ready.began_at,
            duration_us=int(took * 1_000_000),
            request_bytes=ready.body_bytes,
            host=ready.prepared.host,
            trace_id=None if span is None else span.trace_id,
            span_id=None if span is None else span.span_id,
            response_excerpt=None
            if response is None
            else without_quoted(response.excerpt, ready.prepared.secret_forms),
            batch_id=ready.post.batch_id,
            note=_TOKEN_REPLACED if response is not None and response.requests > 1 else None,
        )

    async def _post(self, work: Work, ready: Ready, began: float) -> Outcome | Withheld:
        """Send the request, decide what follows from the answer, and settle it."""
        span = parent = work.receipt.span
        if parent is not None:
            span = self._tracer.post(parent, ready.post.url, work.delivery, work.delivery.attempt)
        still = partial(self._eligibility.still, work.delivery, ready.live)
        answer = await self.answer(ready.post, still, (span,))
        if isinstance(answer, Withheld):
            work.delivery.attempt -= 1
            return answer
        took, now = self._clock.monotonic() - began, self._clock.now()
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
                end_span(span, answer, outcome, disposition)
        record = self.record(work, ready, outcome, disposition, took, span=span, answer=answer)
        self._settler.attempted(work, record, also)
        self.note_latency(work.delivery, outcome, now)
        return outcome

    async def answer(
        self, post: Post, still: Permitted, spans: Sequence[Span | None]
    ) -> Answer | Withheld:
        """Send a request and return what came of it. Spans end here where nothing did."""
        try:
            answer = await self._sender.send(post, still)
        except BaseException as error:
            # Cancelled: the drain's deadline passed. Nothing is settled; the attempt may repeat.
            defect = isinstance(error, Exception)
            _end_all(spans, FailureKind.INTERNAL_ERROR.value if defect else "cancelled")
            raise
        if isinstance(answer, Withheld):
            _end_all(spans, "withheld")
        return answer

    def read_words(
        self, delivery: Delivery, ready: Ready, words: Words, outcome: Outcome
    ) -> Asked | None:
        """Rest the lane as the answer's RateLimit says; return what the answer asks of the delivery.

        A Retry-After that was followed takes precedence over a RateLimit. What a test is answered
        concerns neither, and what a batch is answered no delivery in particular.
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
        return asked_in(words.delivery)

    def _decided(
        self, work: Work, ready: Ready, outcome: Outcome, asked: Asked | None, now: Millis
    ) -> Checkup:
        """Return what becomes of the delivery, and what the endpoint's health adds to that."""
        if work.delivery.trigger is Trigger.TEST:
            # It says nothing about the endpoint's health over days.
            return policy.test_attempted(outcome), ()
        disposition = policy.decide(
            outcome,
            work.delivery,
            ready.prepared.subscription.retry,
            now=now,
            jitter=self._chance.fraction(),
        )
        if asked is not None:
            disposition = policy.heed(asked, outcome, disposition)
        elif isinstance(outcome, Delivered) and not self.health.failing:
            return disposition, ()
        return self.health.after(work.delivery, outcome, disposition, now)

    def note_latency(self, delivery: Delivery, outcome: Outcome, now: Millis) -> None:
        """Measure how long a first attempt that arrived took from the event on; a run of a job is none."""
        if delivery.job is not None:
            return
        appended = delivery.origin.timestamp
        if isinstance(outcome, Delivered) and delivery.attempt == 1 and is_plausible(appended):
            self._metrics.delivered(delivery.event_type, now - appended)


def end_span(
    span: Span, answer: Answer, outcome: Outcome, disposition: Disposition | None
) -> None:
    """End the span of a request with its answer, and what that made of the delivery, if it was decided."""
    if disposition is not None:
        span.decided(disposition)
    status = answer.status if isinstance(answer, Response) else 0
    attributes = {"http.response.status_code": status} if status else {}
    span.end(error=None if isinstance(outcome, Delivered) else _error(outcome), **attributes)


def _end_all(spans: Sequence[Span | None], error: str) -> None:
    for span in spans:
        if span is not None:
            span.end(error=error)


async def _nobody(_: Work) -> None:
    """Stand in until admission says how work is offered again."""


def _no_lane(_: str, __: Millis) -> None:
    """Stand in until admission says which lanes there are."""


def _error(outcome: Outcome) -> str:
    """Return OpenTelemetry's `error.type`: the status as text, or the kind of failure."""
    match outcome:
        case Failed(kind=kind, status=None):
            return kind.value
        case Refused(reason=reason):
            return reason.value
        case _:
            return str(outcome.status)
