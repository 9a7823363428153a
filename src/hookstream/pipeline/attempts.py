"""One attempt: the subscription as it is now, the body, the signature, the POST, and what follows.

1. Where the subscription is not what it was, decide without an attempt.
2. End a delivery that expired, or whose partner may not see the event any more.
3. Render and sign.
4. Send, and wait for the answer.
5. Classify, decide, and hand both to the settler.

A process that dies during any of these has written nothing; the source offset still stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hookstream.core.delivery import address, signing
from hookstream.core.matching.directory import Directory
from hookstream.core.model.attempt import AttemptRecord, ended
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import (
    Answer,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    Response,
    RetryAt,
    Throttled,
)
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.standing import Live, Standing
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.outcome import policy
from hookstream.core.outcome.classify import classify
from hookstream.pipeline.health import EndpointHealth
from hookstream.pipeline.lane_queue import Slot
from hookstream.pipeline.ports import Chance, Clock, Codec, Metrics, Post, Sender, Tracer
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
class _Prepared:
    """What every attempt of one revision of a subscription shares."""

    subscription: Subscription
    headers: signing.RequestHeaders
    host: str


class Attempts:
    """Makes attempts, one call each, and settles what they come to."""

    def __init__(
        self,
        means: AttemptMeans,
        rules: AttemptRules,
        directory: Directory,
        settler: Settler,
        health: EndpointHealth,
    ) -> None:
        """Ask `directory` for the subscription anew before every attempt."""
        self._means = means
        self._rules = rules
        self._directory = directory
        self._settler = settler
        self._health = health
        self._prepared: dict[str, _Prepared] = {}

    def stands(self, work: Work) -> bool:
        """Tell whether an attempt may be made; where not, settle the work without one."""
        return self._live(work, self._means.clock.now()) is not None

    def may_attempt(self, delivery: Delivery) -> bool:
        """Tell whether the subscription stands, is not stopped, and can be read."""
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
            self._prepared.pop(work.delivery.subscription_id, None)
            self.end(work, disposition)
            return None
        return standing if isinstance(standing, Live) else None

    def overflow(self, work: Work, slot: Slot) -> None:
        """Defer work that its lane has no room for until the slot that the lane gave it."""
        if not self.stands(work):
            # What was stopped meanwhile waits for that, and does not age as one that is too slow.
            return
        now = self._means.clock.now()
        self.end(work, policy.slot_until(work.delivery, slot.due_at, slot.reason, now))

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

    async def attempt(self, work: Work) -> Outcome | None:
        """Make one attempt, settle it, tell what it came to. None: ended without an attempt."""
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
        return await self._post(work, live.subscription, version, body, now)

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

    async def _post(
        self, work: Work, subscription: Subscription, version: int, body: bytes, now: Millis
    ) -> Outcome:
        means = self._means
        delivery = work.delivery
        delivery.attempt += 1
        endpoint = subscription.endpoint
        prepared = self._prepare(subscription)
        headers = prepared.headers.of(
            delivery.delivery_id,
            now // 1000,
            body,
            attempt=delivery.attempt,
            trigger=delivery.trigger,
        )
        post = Post(subscription.id, endpoint.url, headers, body, endpoint.timeout)
        parent = work.receipt.span
        span = None
        if parent is not None:
            span = means.tracer.post(parent, endpoint.url, delivery.attempt - 1)
        began = means.clock.monotonic()
        try:
            answer = await means.sender.send(post)
        except BaseException:
            # Cancelled: the drain's deadline passed. Nothing is settled; the attempt may repeat.
            if span is not None:
                span.end(error="cancelled")
            raise
        took = means.clock.monotonic() - began
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
        record = AttemptRecord(
            delivery=delivery,
            event_version=version,
            entity_id=work.event.entity_id,
            environment=work.event.environment,
            attempt=delivery.attempt,
            outcome=outcome,
            disposition=disposition,
            started_at=now,
            duration_us=int(took * 1_000_000),
            request_bytes=len(body),
            host=prepared.host,
            trace_id=None if span is None else span.trace_id,
            response_excerpt=_excerpt(answer),
        )
        audit = self._settler.audited(record)
        policy.attempted(delivery, outcome)
        if isinstance(disposition, RetryAt):
            policy.retried(delivery, disposition)
        if isinstance(outcome, Delivered) and delivery.attempt == 1:
            means.metrics.delivered(delivery.event_type, answered - delivery.origin.timestamp)
        self._settler.settle(work, disposition, audit, told)
        return outcome

    def _prepare(self, subscription: Subscription) -> _Prepared:
        """Return what attempts of a subscription share, made once per revision of it."""
        found = self._prepared.get(subscription.id)
        if found is not None and found.subscription is subscription:
            return found
        endpoint = subscription.endpoint
        headers = signing.RequestHeaders(
            [secret.key for secret in endpoint.secrets], endpoint.headers
        )
        prepared = _Prepared(subscription, headers, address.host_of(endpoint.url))
        self._prepared[subscription.id] = prepared
        return prepared


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
