"""One attempt: the subscription as it is now, the body, the signature, the POST, and what follows.

1. Where the subscription is not what it was, decide without an attempt.
2. End a delivery that expired, or whose partner may not see the event any more.
3. Render and sign.
4. Send, and wait for the answer. Directly before the first byte the sender asks once more whether
   the tables are current and the subscription stands as it did; where not, no attempt was made.
5. Classify, decide, and hand both to the settler.

A process that dies during any of these has written nothing; the source offset still stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hookstream.core.matching.directory import Directory
from hookstream.core.model.attempt import AttemptRecord, ended
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis, is_plausible
from hookstream.core.model.outcome import (
    Answer,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    Response,
    RetryAt,
    Throttled,
    Withheld,
)
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.standing import Live, Standing
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.outcome import policy
from hookstream.core.outcome.classify import classify
from hookstream.pipeline.defects import Step, line_of
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.health import EndpointHealth
from hookstream.pipeline.lane_queue import Slot
from hookstream.pipeline.ports import (
    Chance,
    Clock,
    Codec,
    Metrics,
    Permitted,
    Post,
    Sender,
    Span,
    Tracer,
    always_permitted,
)
from hookstream.pipeline.prepared import Prepared, PreparedRequests
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Work


@dataclass(slots=True, frozen=True)
class AttemptRules:
    """The bounds that attempts keep."""

    max_body_bytes: int
    longest_tier: Millis
    tiers: tuple[Millis, ...]
    """Every configured delay above zero, ascending."""
    pause_hop: Millis
    absent_grace: Millis
    paused_for: Millis


@dataclass(slots=True, frozen=True)
class AttemptMeans:
    """What an attempt asks of the outside."""

    clock: Clock
    chance: Chance
    codec: Codec
    sender: Sender
    tracer: Tracer
    metrics: Metrics


@dataclass(slots=True, frozen=True)
class _Ready:
    """One attempt, up to its request."""

    prepared: Prepared
    live: Live
    """How the subscription stood when it was made."""
    version: int
    post: Post
    began_at: Millis


class Attempts:
    """Makes attempts, one call each, and settles what they come to."""

    def __init__(
        self,
        means: AttemptMeans,
        rules: AttemptRules,
        directory: Directory,
        settler: Settler,
        health: EndpointHealth,
        fence: Fence,
        may_act: Permitted = always_permitted,
    ) -> None:
        """Ask `directory` for the subscription before every attempt.

        `may_act` tells whether what it says is fresh enough to send anything.
        """
        self._may_act = may_act
        self._means = means
        self._rules = rules
        self._directory = directory
        self._settler = settler
        self._health = health
        self._fence = fence
        self._prepared = PreparedRequests()
        self.readmit: Callable[[Work], None] = _nobody
        """Offers work to its lane again, unless its subscription makes an attempt pointless."""

    def stands(self, work: Work) -> bool:
        """Return whether an attempt may be made; where not, settle the work without one."""
        return self._live(work, self._means.clock.now()) is not None

    def may_attempt(self, delivery: Delivery) -> bool:
        """Return whether the subscription stands, is not stopped, and can be read."""
        return isinstance(self._standing(delivery, self._means.clock.now()), Live)

    def _standing(self, delivery: Delivery, now: Millis) -> Standing:
        standing: Standing = self._directory.standing(delivery.subscription_id, now)
        if self._directory.holds.any:
            return self._directory.holds.over(standing, delivery.event_type)
        return standing

    def _live(self, work: Work, now: Millis) -> Live | None:
        rules = self._rules
        standing = self._standing(work.delivery, now)
        disposition = policy.before_attempt(
            standing,
            work.delivery,
            now=now,
            pause_hop=rules.pause_hop,
            hold_hops=rules.tiers,
            absent_grace=rules.absent_grace,
            paused_for=rules.paused_for,
        )
        if disposition is not None:
            # Whatever it is, its keys need not stay in memory for it.
            self._prepared.forget(work.delivery.subscription_id)
            self.end(work, disposition)
            return None
        return standing if isinstance(standing, Live) else None

    def overflow(self, work: Work, slot: Slot) -> None:
        """Defer work that its lane has no room for until the slot that the lane gave it."""
        try:
            if not self.stands(work):
                # What was stopped meanwhile waits for that, and does not age as one that is too slow.
                return
            now = self._means.clock.now()
            self.end(work, policy.slot_until(work.delivery, slot.due_at, slot.reason, now))
        except Exception as error:  # noqa: BLE001  the fence
            self.stop(work, error, Step.SETTLE)

    def end(self, work: Work, disposition: Disposition, outcome: Outcome | None = None) -> None:
        """Settle work without an attempt having been made."""
        now = self._means.clock.now()
        if isinstance(disposition, DeferUntil):
            policy.deferred(work.delivery, disposition, now)
            self._means.metrics.deferral(disposition.reason)
            self._settler.settle(work, disposition, None)
            return
        span = work.receipt.span
        trace_id = None if span is None else span.trace_id
        record = ended(
            work.delivery, work.event, disposition, now, outcome=outcome, trace_id=trace_id
        )
        audit = self._settler.audited(record)
        if outcome is not None:
            work.delivery.last_outcome = outcome.name
        self._settler.settle(work, disposition, audit)

    def refuse(self, work: Work, refused: Refused) -> None:
        """Dead-letter work of which no attempt may ever be made."""
        outcome = None if refused.reason is RefusalReason.NOT_GRANTED else refused
        self.end(work, DeadLetter(DeadReason(refused.reason), refused.detail), outcome)

    async def attempt(self, work: Work) -> Outcome | Withheld | None:
        """Make one attempt, settle it, tell what it came to. None: ended without an attempt.

        Withheld: no request was made and nothing is settled; the work is the caller's again.
        """
        try:
            ready = self._ready(work)
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self.stop(work, error, Step.PREPARE)
            return None
        return None if ready is None else await self._send(work, ready)

    def stop(self, work: Work, error: Exception, step: Step) -> None:
        """Stop the partition of work of which nothing was sent, for a defect of ours.

        Raises:
            Exception: What `Fence.stop` raises.
        """

        def again() -> None:
            # First all that can fail without the lane, so that a defect that lasts costs it nothing.
            self._rehearse(work)
            self.readmit(work)

        self._settler.stop(work, error, step, again)

    def _rehearse(self, work: Work) -> None:
        """Do what an attempt does before its request, without a trace of it."""
        now = self._means.clock.now()
        standing = self._standing(work.delivery, now)
        if isinstance(standing, Live):
            version = self._version(work, standing.subscription)
            body = self._body(work, standing.partner, version)
            if not isinstance(body, Refused):
                self._request(work, self._prepared.of(standing.subscription), body, now)

    def _ready(self, work: Work) -> _Ready | None:
        """Return what an attempt is made of, None where the work ended without one."""
        now = self._means.clock.now()
        live = self._live(work, now)
        if live is None:
            return None
        # Only now: a lane that is full prolongs the wait that the delivery comes from.
        policy.wait_ended(work.delivery, now)
        version = self._version(work, live.subscription)
        body = self._body(work, live.partner, version)
        if isinstance(body, Refused):
            self.refuse(work, body)
            return None
        prepared = self._prepared.of(live.subscription)
        post = self._request(work, prepared, body, now)
        return _Ready(prepared, live, version, post, now)

    def _version(self, work: Work, subscription: Subscription) -> int:
        pin = subscription.pin(work.delivery.event_type)
        return self._means.codec.latest(work.delivery.event_type) if pin == "latest" else pin

    def _body(self, work: Work, partner: Partner | None, version: int) -> bytes | Refused:
        """Return the bytes to send, or why no attempt may be made of this event now."""
        event = work.event
        granted = self._directory.granted(
            partner,
            event.event_type,
            event.environment,
            work.delivery.origin.timestamp,
            lambda: work.bodies.document(version),
        )
        if isinstance(granted, Refused):
            return granted
        if not granted:
            return Refused(RefusalReason.NOT_GRANTED, "the partner's grant does not cover it")
        body = work.bodies.encoded(version)
        if isinstance(body, Refused) or len(body) <= self._rules.max_body_bytes:
            return body
        detail = f"{len(body)} bytes; at most {self._rules.max_body_bytes} are sent"
        return Refused(RefusalReason.BODY_TOO_LARGE, detail)

    def _request(self, work: Work, prepared: Prepared, body: bytes, now: Millis) -> Post:
        """Return the next attempt's request, signed."""
        delivery, subscription = work.delivery, prepared.subscription
        endpoint = subscription.endpoint
        headers = prepared.headers.of(
            delivery.delivery_id,
            now // 1000,
            body,
            attempt=delivery.attempt + 1,
            trigger=delivery.trigger,
        )
        return Post(subscription.id, endpoint.url, headers, body, endpoint.timeout)

    def _still(self, delivery: Delivery, live: Live) -> bool:
        """Return whether the tables are current and the subscription stands as it did."""
        try:
            if not self._may_act():
                return False
            standing = self._standing(delivery, self._means.clock.now())
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent, and nothing is
            self._fence.note(error, Step.PREPARE)
            return False
        return (
            isinstance(standing, Live)
            and standing.subscription is live.subscription
            and standing.partner is live.partner
        )

    async def _send(self, work: Work, ready: _Ready) -> Outcome | Withheld:
        """Send a request and settle what it came to. From here on the attempt counts."""
        step, began = work.delivery.step, self._means.clock.monotonic()
        work.delivery.attempt += 1
        try:
            return await self._post(work, ready, began)
        except Exception as error:  # noqa: BLE001  the fence: what was sent must not be sent at every start
            self._fence.note(error, Step.SETTLE)
            # A retry that was decided already is decided again.
            work.delivery.step = step
            return self._failed_by_us(work, ready, began, error)

    def _failed_by_us(self, work: Work, ready: _Ready, began: float, error: Exception) -> Outcome:
        """Settle an attempt that a defect of ours interrupted: it failed, and is made again by schedule."""
        means, delivery, subscription = self._means, work.delivery, ready.prepared.subscription
        detail = f"a defect of hookstream behind the request: {type(error).__name__} at {line_of(error)}"
        outcome = Failed(FailureKind.INTERNAL_ERROR, detail)
        now = means.clock.now()
        disposition: Disposition
        try:
            disposition = policy.decide(
                outcome, delivery, subscription.retry, now=now, jitter=means.chance.fraction()
            )
        except Exception as undecided:  # noqa: BLE001  the fence
            self._fence.note(undecided, Step.SETTLE)
            disposition = policy.undecided(detail, delivery, subscription.retry, now=now)
        audit: OutgoingRecord | None = None
        try:
            took = means.clock.monotonic() - began
            audit = self._settler.audited(self._record(work, ready, outcome, disposition, took))
        except Exception as untold:  # noqa: BLE001  a retry without its audit record is better than none
            self._fence.note(untold, Step.TELL)
        policy.attempted(delivery, outcome)
        if isinstance(disposition, RetryAt):
            policy.retried(delivery, disposition)
        self._settle_or_stop(work, disposition, audit)
        return outcome

    def _settle_or_stop(
        self, work: Work, disposition: Disposition, audit: OutgoingRecord | None
    ) -> None:
        try:
            self._settler.settle(work, disposition, audit)
        except Exception as error:  # noqa: BLE001  the fence: what cannot be written stops the partition
            again = partial(self._settler.settle, work, disposition, audit)
            self._settler.stop(work, error, Step.SETTLE, again)

    def _record(
        self,
        work: Work,
        ready: _Ready,
        outcome: Outcome,
        disposition: Disposition,
        took: float,
        *,
        trace_id: str | None = None,
        excerpt: str | None = None,
    ) -> AttemptRecord:
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
            request_bytes=len(ready.post.body),
            host=ready.prepared.host,
            trace_id=trace_id,
            response_excerpt=excerpt,
        )

    async def _post(self, work: Work, ready: _Ready, began: float) -> Outcome | Withheld:
        means = self._means
        delivery, post = work.delivery, ready.post
        parent = work.receipt.span
        span = None
        if parent is not None:
            span = means.tracer.post(parent, post.url, delivery.attempt - 1)
        try:
            answer = await means.sender.send(post, partial(self._still, delivery, ready.live))
        except BaseException as error:
            # Cancelled: the drain's deadline passed. Nothing is settled; the attempt may repeat.
            if span is not None:
                defect = isinstance(error, Exception)
                span.end(error=FailureKind.INTERNAL_ERROR.value if defect else "cancelled")
            raise
        if isinstance(answer, Withheld):
            delivery.attempt -= 1
            if span is not None:
                span.end(error="withheld")
            return answer
        took = means.clock.monotonic() - began
        return self._answered(work, ready, answer, took, span)

    def _answered(
        self, work: Work, ready: _Ready, answer: Answer, took: float, span: Span | None
    ) -> Outcome:
        """Decide what follows from an answer, and settle it."""
        means = self._means
        delivery, subscription = work.delivery, ready.prepared.subscription
        answered = means.clock.now()
        outcome = classify(
            answer,
            now=answered,
            final_statuses=subscription.retry.final_statuses,
            longest_tier=self._rules.longest_tier,
        )
        if span is not None:
            status = answer.status if isinstance(answer, Response) else 0
            attributes = {"http.response.status_code": status} if status else {}
            delivered = isinstance(outcome, Delivered)
            span.end(error=None if delivered else _error(outcome), **attributes)
        disposition = policy.decide(
            outcome,
            delivery,
            subscription.retry,
            now=answered,
            jitter=means.chance.fraction(),
        )
        told: Sequence[OutgoingRecord] = ()
        if self._health.failing or not isinstance(outcome, Delivered):
            checkup = self._health.after(delivery, outcome, disposition, answered)
            disposition, told = checkup.disposition, checkup.records
        record = self._record(
            work,
            ready,
            outcome,
            disposition,
            took,
            trace_id=None if span is None else span.trace_id,
            excerpt=_excerpt(answer),
        )
        audit = self._settler.audited(record)
        policy.attempted(delivery, outcome)
        if isinstance(disposition, RetryAt):
            policy.retried(delivery, disposition)
        if (
            isinstance(outcome, Delivered)
            and delivery.attempt == 1
            and is_plausible(delivery.origin.timestamp)
        ):
            means.metrics.delivered(delivery.event_type, answered - delivery.origin.timestamp)
        self._settler.settle(work, disposition, audit, told)
        return outcome


def _nobody(_: Work) -> None:
    """Stand in until admission says how work is offered again."""


def _error(outcome: Outcome) -> str:
    """Return OpenTelemetry's `error.type`: the status as text, or the kind of failure."""
    match outcome:
        case Failed(kind=kind, status=status):
            return kind.value if status is None else str(status)
        case Delivered(status=status) | Gone(status=status) | FailedForGood(status=status):
            return str(status)
        case Throttled(status=status):
            return str(status)
        case Refused(reason=reason):
            return reason.value


def _excerpt(answer: Answer) -> str | None:
    return answer.excerpt if isinstance(answer, Response) else None
