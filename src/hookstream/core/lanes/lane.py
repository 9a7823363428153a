"""Decides when a delivery of one subscription may be attempted, and whether it waits in memory or in a tier.

It composes the concurrency limit, rate limiter, circuit breaker and reservations of one
subscription: a state machine over a monotonic `now` in seconds. The pipeline keeps the deliveries.
Guarantees: only attempts and about a second of queue keep source offsets unsettled; an endpoint that does
not answer gets no further attempts; the backlog of a healthy endpoint that has the worker to
itself is never copied to a tier; each deferred delivery has a slot of its own.
"""

from dataclasses import dataclass, field

from hookstream.core.lanes.circuit_breaker import CircuitBreaker
from hookstream.core.lanes.concurrency_limit import ConcurrencyLimit
from hookstream.core.lanes.lane_status import BreakerState, LaneStatus
from hookstream.core.lanes.policy import Deferral, LanePolicy
from hookstream.core.lanes.rate_limiter import RateLimiter
from hookstream.core.lanes.reservations import Reservations
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.outcome import (
    Delivered,
    Failed,
    FailureKind,
    Outcome,
    Throttled,
    is_defect,
)

HEALTHY_ANSWER = 1.0
"""Seconds. The queue waits for an endpoint that answers within it; a slower one is deferred."""

PROMPT_FOR = 600.0
"""Seconds after an answer within a second for which a lane counts as prompt."""

_LONGEST_WAIT = 1.0
"""Seconds that a queued delivery may wait at the lane's measured rate before the lane is full."""

_FIRST_GUESS = 0.005
"""The assumed latency, in seconds, of an endpoint that has never answered. Low, so that a worker's
first burst is not copied to a tier. An attempt that hangs corrects it within a second, and what
no longer fits is then deferred."""

_WEIGHT = 0.2
"""Weight of the newest answer in the moving average: about the last ten answers count."""

_LONG_WEIGHT = 0.02
"""Weight of the newest answer in the endpoint's usual latency."""

_OVERDUE = 2.0
"""While an attempt has been outstanding for more than a second and `_OVERDUE` times the usual
latency, no further attempt is started."""

_QUICK = HEALTHY_ANSWER / _OVERDUE
"""Up to this usual latency, in seconds, an attempt is overdue after one second."""

_RISEN = 0.05
"""Seconds above twice the usual latency from which answers count as slow."""

LONG_ITERATION = 0.01
"""Seconds that one iteration of the event loop may take. Each step of a delivery waits for an iteration, and
a delivery has about five steps."""
_NEAR = 4
"""An endpoint that answers within this many iterations is limited by the worker, not by itself."""
_ENOUGH_AT_ONCE = 8
"""Concurrent attempts to one such endpoint that keep the worker busy."""

_LONGEST_REST = 300.0
"""The longest pause that an endpoint can request (Retry-After, RateLimit), in seconds."""

_LONGEST_SLOT = 1800.0
"""Seconds to the farthest slot at the lane's measured rate, which may change at any time."""

_LONGEST_LIMITED = 86_400.0
"""Seconds to the farthest slot at a rate limit, which is constant."""

_LONGEST_SPACING = 5.0
"""Seconds between attempts up to which a lane keeps a batch for the next one. A search takes a minute then."""

_SERVER_ERRORS_FROM = 500
"""Below this status the endpoint is up: the failure is the delivery's, not the endpoint's."""
_NO_ANSWER_IN_TIME = 408


@dataclass(slots=True, eq=False)
class Lane:
    """The admission state of one subscription's lane. It starts idle, with the endpoint's speed unknown."""

    _policy: LanePolicy
    _limit: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)
    _rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    _circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    _reservations: Reservations = field(default_factory=Reservations)
    _background: Reservations = field(init=False)
    """Those of background deliveries (a replay's)."""
    _answer: float = _FIRST_GUESS
    _usual: float = 0.0
    _failing: bool = False
    _prompt_at: float = float("-inf")
    _rests_until: float = float("-inf")
    _slowed_at: float = float("-inf")
    _started: dict[int, float] = field(default_factory=dict)
    """When each attempt in flight began, the oldest first."""
    # The fast path of a healthy lane: values that are read for each delivery.
    _gated: bool = False
    """Whether the breaker, the rate limiter or a pause that the endpoint requested may block an attempt."""
    _allowed: int = 0
    """The current concurrency limit."""
    _crowded: int = 0
    """The part of it that the event loop's load allows."""
    _overdue_after: float = HEALTHY_ANSWER
    batched: bool = False
    """Whether an attempt may have several deliveries."""
    _fits: float = 0.0
    """How many deliveries an attempt has if many wait: fewer than the policy allows if bodies are large."""

    def __post_init__(self) -> None:
        """Apply the policy."""
        self._fits = self._policy.batch_events
        self._background = Reservations(before=self._reservations)
        self._bound()

    @property
    def policy(self) -> LanePolicy:
        """The lane's maxima."""
        return self._policy

    @policy.setter
    def policy(self, policy: LanePolicy) -> None:
        if policy == self._policy:
            return
        if policy.batch_events != self._policy.batch_events:
            self._fits = policy.batch_events
        self._policy = policy
        self._bound()

    def _bound(self) -> None:
        """Apply the policy from now on."""
        self.batched = self._policy.batch_events > 1
        self._crowded = self._policy.max_in_flight
        self._rate_limiter.limit(self._policy.rate_limit)
        self._circuit_breaker.longest = self._policy.probe_every
        self._allow()
        self._gate()

    @property
    def in_flight(self) -> int:
        """Attempts that have not been answered."""
        return len(self._started)

    @property
    def broken(self) -> bool:
        """Whether the breaker is not closed."""
        return self._circuit_breaker.probe_at is not None

    def status(self, queued: int, now: float) -> LaneStatus:
        """Return the lane's status; `queued` deliveries wait in it. It changes nothing."""
        breaker, spacing = self._circuit_breaker, self._rate_limiter.spacing
        state, probe_at = BreakerState.CLOSED, now
        if breaker.probe_at is not None:
            state = BreakerState.HALF_OPEN if breaker.may_probe(now) else BreakerState.OPEN
            probe_at = breaker.probe_at
        return LaneStatus(
            in_flight=len(self._started),
            limit=self._allowed,
            most=self._policy.max_in_flight,
            ramping=self._limit.ramping,
            overdue=self._overdue(now),
            queued=queued,
            rate=1 / spacing if spacing else None,
            throttled=spacing > 0 and not self._rate_limiter.limited,
            breaker=state,
            probe_after=max(0.0, probe_at - now),
            rests=max(0.0, self._rests_until - now),
            answers_in=self.answer_time(now),
        )

    def prompt(self, now: float) -> bool:
        """Return whether the endpoint answered within a second lately and no attempt is overdue."""
        return now - self._prompt_at <= PROMPT_FOR and not self._overdue(now)

    def crowd(self, iteration: float) -> None:
        """Set the duration of an event-loop iteration, in seconds. It is called a few times a second.

        When iterations are long, more concurrent attempts to a fast endpoint deliver no more: they lengthen
        every iteration, and with it the wait of every other endpoint.
        """
        if iteration > LONG_ITERATION and self._answer < _NEAR * iteration:
            self._crowded = max(min(self._crowded, self._allowed) // 2, _ENOUGH_AT_ONCE)
        elif self._crowded < self._policy.max_in_flight:
            self._crowded += 1
        else:
            return
        self._allow()

    def _allow(self) -> None:
        self._allowed = min(self._limit.allowed(self._policy.max_in_flight), self._crowded)

    # Attempts.

    def may_start(self, now: float) -> bool:
        """Return whether another attempt may be made now."""
        started = self._started
        if started:
            if len(started) >= self._allowed:
                return False
            # Insertion order is start order, so the first is the oldest.
            if now - next(iter(started.values())) > self._overdue_after:
                return False
        return not self._gated or self._gate_opens(now)

    def _gate_opens(self, now: float) -> bool:
        # While the breaker is not closed, one at a time: the probe.
        if self._started and self._circuit_breaker.probe_at is not None:
            return False
        return self._open_at(now) <= now

    def start_at(self, now: float) -> float | None:
        """Return when the next attempt may begin if only time blocks it; None if something else does."""
        if len(self._started) >= self._allowed:
            return None
        at = self._open_at(now)
        return at if at > now and not self._overdue(now) else None

    def start(self, ticket: int, now: float) -> None:
        """Record that an attempt began. `ticket` identifies it until `finish`."""
        self._started[ticket] = now
        if self._gated:
            self._rate_limiter.took(ticket, now)

    def finish(self, ticket: int, now: float, outcome: Outcome) -> None:
        """Record the outcome of an attempt."""
        started = self._started
        if not isinstance(outcome, Delivered) and is_defect(outcome):
            # An internal failure after the request: it says nothing about the endpoint.
            del started[ticket]
            return
        took = now - started.pop(ticket)
        self._answer = answer = self._answer + _WEIGHT * (took - self._answer)
        if took <= HEALTHY_ANSWER:
            self._prompt_at = now
        if not isinstance(outcome, Delivered):
            self._not_delivered(took, now, outcome)
            return
        usual = self._usual
        self._usual = usual = took if usual == 0.0 else usual + _LONG_WEIGHT * (took - usual)
        if usual > _QUICK or self._overdue_after > HEALTHY_ANSWER:
            self._overdue_after = max(HEALTHY_ANSWER, _OVERDUE * usual)
        self._failing = False
        if self._gated or self._circuit_breaker.counting:
            self._answered(took, now)
            self._rate_limiter.delivered()
            self._gate()
        if answer > 2 * usual + _RISEN:
            self._limit.ease(now, answer)
            self._allow()
        elif len(started) + 1 >= self._allowed < self._policy.max_in_flight:
            self._limit.grow(len(started) + 1, self._policy.max_in_flight)
            self._allow()

    def _not_delivered(self, took: float, now: float, outcome: Outcome) -> None:
        self._failing = True
        match outcome:
            case Throttled(retry_after=wait):
                self._throttled(took, now, wait)
            case Failed(kind=kind, status=status) if not _up(kind, status):
                self._limit.shrink(now, self._answer)
                self._circuit_breaker.failed(now, counts=2 if kind is FailureKind.TIMEOUT else 1)
            case _:
                # The endpoint answers; the rejection concerns this delivery only.
                self._answered(took, now)
        self._allow()
        self._gate()

    def fits(self, deliveries: int, *, full: bool) -> None:
        """Record how many deliveries an attempt has, and whether its body is full.

        If it is not full although it has as many as expected, the next one may have more.
        """
        if full:
            self._fits += _WEIGHT * (deliveries - self._fits)
        elif deliveries >= int(self._fits):
            self._fits = min(2 * self._fits, self._policy.batch_events)

    def rest(self, seconds: float, now: float) -> None:
        """Begin no attempt for `seconds`, at most five minutes: the endpoint's rate limit is used up.

        That is not a failure, and says nothing about the endpoint's speed.
        """
        self._rests_until = max(self._rests_until, now + min(seconds, _LONGEST_REST))
        self._gate()

    def pass_over(self, ticket: int) -> None:
        """Record that no attempt was made after all. It says nothing about the endpoint."""
        del self._started[ticket]
        self._rate_limiter.gave_back(ticket)

    def waited(self, seconds: float, now: float) -> None:
        """Exclude `seconds` in which no attempt could begin: they say nothing about the endpoint."""
        self._prompt_at = min(self._prompt_at + seconds, now)

    def froze(self, seconds: float, now: float) -> None:
        """Exclude `seconds` in which the process did not run: no answer could be seen, none was late."""
        self.waited(seconds, now)
        self._started = {
            ticket: min(began + seconds, now) for ticket, began in self._started.items()
        }

    def _answered(self, took: float, now: float) -> None:
        """Record that the endpoint is up. Its capacity from before an outage may have changed."""
        if self._rests_until <= now:
            self._rests_until = float("-inf")
        if self._circuit_breaker.succeeded(now):
            self._limit.restart()
            self._allow()
            self._answer = took

    def _throttled(self, took: float, now: float, wait: int | None) -> None:
        """Slow down, and pause for as long as the endpoint asked, within bounds. It is up."""
        self._answered(took, now)
        if now - took >= self._slowed_at:
            # Attempts already in flight were sent at the previous rate: slow down once for all of them.
            self._slowed_at = now
            self._rate_limiter.throttled()
        self._limit.shrink(now, max(took, self._answer))
        if wait:
            self.rest(wait / 1000, now)

    def _gate(self) -> None:
        """Update whether anything but the concurrency limit may block an attempt."""
        self._gated = (
            self._rate_limiter.spacing > 0.0
            or self._circuit_breaker.probe_at is not None
            or self._rests_until > float("-inf")
        )

    # Waiting.

    def answer_time(self, now: float) -> float:
        """Return the latency in seconds: the average, or more while an attempt is overdue."""
        if not self._started:
            return self._answer
        # Insertion order is start order, so the first is the oldest.
        oldest = next(iter(self._started.values()))
        return max(self._answer, now - oldest)

    def healthy(self, now: float) -> bool:
        """Return whether the endpoint delivers, and soon enough for its queue to wait."""
        if self._failing or self._rests_until > now:
            return False
        return self.answer_time(now) <= HEALTHY_ANSWER

    def room(self, now: float) -> int:
        """Return how many deliveries may be queued without any waiting more than a second.

        A batch may fill until the next request may be sent; at a slow rate, in the last second before it.
        """
        if self._circuit_breaker.probe_at is not None:
            return 1 if not self._started and self._circuit_breaker.may_probe(now) else 0
        if self._overdue(now):
            return 0
        if self._gated and not self._fills(now):
            return 0
        a_second = int(_LONGEST_WAIT / self._spacing(now) * self._fits)
        return min(max(a_second, int(self._fits)), self._policy.max_queue)

    def full(self, queued: int, now: float, *, alone: bool, again: bool = False) -> bool:
        """Return whether one more delivery must be deferred.

        Args:
            queued: Deliveries in the lane's queue.
            now: Monotonic seconds.
            alone: No other lane had work lately. Then a healthy lane is full only at its hard
                bound: intake slows down instead, and nothing is copied.
            again: The delivery comes from a tier. Such deliveries fill only half of the room (or as much as
                one batch takes, if that is more), so that a backlog never displaces new events.
        """
        if not queued and not self._gated and not self._started:
            return False
        if queued >= self._policy.max_queue:
            return True
        if alone and self._unpaced and self.healthy(now):
            return False
        room = self.room(now)
        return queued >= (self._room_again(room) if again else room)

    def excess(self, queued: int, now: float, *, alone: bool) -> int:
        """Return how many queued deliveries to defer, now that the endpoint has slowed down."""
        if alone and self._unpaced and self.healthy(now):
            return 0
        return max(0, queued - self.room(now))

    def _fills(self, now: float) -> bool:
        """Return whether work that is queued now begins within a second, or waits there for the next batch."""
        if self._open_at(now) - now <= _LONGEST_WAIT:
            return self.batched or self._rests_until <= now
        return self.batched and self.keeps_a_batch(now)

    def keeps_a_batch(self, now: float) -> bool:
        """Return whether a batch, and the unsettled members of a search, wait in the lane for the next attempt.

        They do if only the lane's rate delays that attempt, and by seconds.
        """
        rests = self._rests_until > now or self._circuit_breaker.probe_at is not None
        return not rests and self._rate_limiter.spacing <= _LONGEST_SPACING

    def early_room(self, queued: int, now: float) -> int:
        """Return how many deferred deliveries the lane would take before their slots."""
        return max(0, self._room_again(self.room(now)) - queued)

    def _room_again(self, room: int) -> int:
        """Return how much of the room deliveries from tiers may fill."""
        return max((room + 1) // 2, min(room, int(self._fits)))

    def defer(
        self,
        now: float,
        *,
        missed_slot: bool = False,
        waited: float = 0.0,
        background: bool = False,
    ) -> Deferral:
        """Reserve a slot for a delivery that was not admitted.

        Args:
            now: Monotonic seconds.
            missed_slot: The delivery came back at a slot that its lane could not keep; it gets another one soon,
                not at the end of the queue.
            waited: Seconds for which it has waited for the breaker.
            background: Whether it is a background delivery, whose slot comes after those of all others.
        """
        if self._circuit_breaker.probe_at is not None:
            slot = self._circuit_breaker.put_off_until(now, waited)
            return Deferral(slot, DeferReason.BREAKER_OPEN)
        begin = max(now, self._rests_until)
        spacing = self._spacing(now) / self._fits
        limited = self._rate_limiter.spacing > 0 and self._rate_limiter.limited
        longest = _LONGEST_LIMITED if limited else _LONGEST_SLOT
        reservations = self._background if background else self._reservations
        book = reservations.again if missed_slot else reservations.book
        slot = book(begin, spacing, longest)
        if begin > now:
            return Deferral(slot, DeferReason.THROTTLED)
        if limited:
            return Deferral(slot, DeferReason.RATE_LIMITED)
        reason = DeferReason.THROTTLED if self._rate_limiter.spacing else DeferReason.LANE_FULL
        return Deferral(slot, reason)

    def seen(self, slot: float, *, background: bool = False) -> None:
        """Take into account a slot read from a tier record. Another worker may have reserved it."""
        (self._background if background else self._reservations).seen(slot)

    @property
    def _unpaced(self) -> bool:
        return self._rate_limiter.spacing == 0.0 and self._circuit_breaker.probe_at is None

    def _overdue(self, now: float) -> bool:
        if not self._started:
            return False
        oldest = next(iter(self._started.values()))
        return now - oldest > self._overdue_after

    def _open_at(self, now: float) -> float:
        """Return when breaker, rate limiter and the endpoint's requested pause allow the next attempt."""
        at = self._rests_until
        if self._circuit_breaker.probe_at is not None:
            at = max(at, self._circuit_breaker.probe_at)
        if self._rate_limiter.spacing:
            at = max(at, self._rate_limiter.free_at())
        return max(at, now)

    def _spacing(self, now: float) -> float:
        """Return the seconds between attempts that the lane can sustain.

        While the endpoint's limit is unknown, the lane assumes the policy's maximum, as far as the
        event loop's load allows.
        """
        most = min(self._policy.max_in_flight, self._crowded)
        at_once = most if self._limit.ramping else self._allowed
        return max(self._rate_limiter.spacing, max(self.answer_time(now), 1e-4) / at_once)


def _up(kind: FailureKind, status: int | None) -> bool:
    """Return whether a failed attempt was answered by an endpoint that works."""
    if kind is not FailureKind.STATUS or status is None:
        return False
    return status < _SERVER_ERRORS_FROM and status != _NO_ANSWER_IN_TIME
