"""A lane decides when a delivery of one subscription may be attempted, and where it must wait instead.

It composes the concurrency limit, rate limiter, circuit breaker and reservations of one subscription: a state
machine over a monotonic `now` in seconds; the shell holds the deliveries themselves. What it
promises: only attempts and about a second of queue hold source offsets, an endpoint that does not
answer is given no more attempts to hold, the backlog of a healthy endpoint that has the worker to
itself is never copied to a tier, and what is put off comes back at a slot of its own.
"""

from hookstream.core.lanes.circuit_breaker import CircuitBreaker
from hookstream.core.lanes.concurrency_limit import ConcurrencyLimit
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
"""Seconds. An endpoint that answers within it is served by waiting; a slower one by deferring."""

PROMPT_FOR = 600.0
"""Seconds after an answer within a second for which a lane counts as prompt."""

_LONGEST_WAIT = 1.0
"""Seconds that a queued delivery may wait at the lane's measured rate before the lane is full."""

_FIRST_GUESS = 0.005
"""Seconds that an endpoint is taken to need before it has ever answered. Low, so that the burst
that a worker begins with is not copied; an attempt that hangs corrects it within a second, when
what does not fit any more is deferred."""

_WEIGHT = 0.2
"""Weight of the newest answer in the moving average: about the last ten answers count."""

_LONG_WEIGHT = 0.02
"""Weight of the newest answer in what the endpoint usually needs."""

_OVERDUE = 2.0
"""An attempt that has been out for longer than so many usual answer times, and than a second, is
overdue: the lane begins no other before it ends."""

_QUICK = HEALTHY_ANSWER / _OVERDUE
"""Seconds of a usual answer up to which an attempt is overdue after a second, not sooner."""

_RISEN = 0.05
"""Seconds above twice the usual answer time from which answers count as having become slow."""

LONG_TURN = 0.01
"""Seconds that a turn of everything the worker has in hand may take: each step of a delivery waits
for one, and a delivery has about five."""
_NEAR = 4
"""Turns within which an endpoint answers that is served as fast as the worker can, not as it can."""
_ENOUGH_AT_ONCE = 8
"""Attempts at once that keep the worker busy with one such endpoint."""

_LONGEST_REST = 300.0
"""Seconds for which a lane rests at most as its endpoint asked for (Retry-After)."""

_LONGEST_SLOT = 1800.0
"""Seconds to the farthest slot by the lane's measured rate, which may change at any time."""

_LONGEST_LIMITED = 86_400.0
"""Seconds to the farthest slot by a rate limit, which stands."""

_UP_ALL_THE_SAME = 500
"""A status below it is an answer: something is wrong with the delivery, not with the endpoint."""
_NO_ANSWER_IN_TIME = 408


class Lane:
    """The admission state of one subscription's lane."""

    __slots__ = (
        "_allowed",
        "_answer",
        "_circuit_breaker",
        "_crowded",
        "_failing",
        "_gated",
        "_limit",
        "_overdue_after",
        "_policy",
        "_prompt_at",
        "_rate_limiter",
        "_reservations",
        "_rests_until",
        "_slowed_at",
        "_started",
        "_usual",
    )

    def __init__(self, policy: LanePolicy) -> None:
        """Start idle, with the endpoint's speed unknown."""
        self._limit = ConcurrencyLimit()
        self._rate_limiter = RateLimiter()
        self._circuit_breaker = CircuitBreaker()
        self._reservations = Reservations()
        self._answer = _FIRST_GUESS
        self._usual = 0.0
        self._failing = False
        self._prompt_at = float("-inf")
        self._rests_until = float("-inf")
        self._slowed_at = float("-inf")
        self._started: dict[int, float] = {}
        # What a healthy lane is asked for each delivery, kept ready.
        self._gated = False
        """Whether breaker, pace or the endpoint's own wish may keep an attempt from beginning."""
        self._allowed = 0
        """The in-flight limit as it stands."""
        self._crowded = 0
        """What the worker's own business leaves of it."""
        self._overdue_after = HEALTHY_ANSWER
        self._policy = policy
        self._bound()

    @property
    def policy(self) -> LanePolicy:
        """What the lane may do at most."""
        return self._policy

    @policy.setter
    def policy(self, policy: LanePolicy) -> None:
        if policy == self._policy:
            return
        self._policy = policy
        self._bound()

    def _bound(self) -> None:
        """Keep to the policy from now on."""
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

    def prompt(self, now: float) -> bool:
        """Return whether the endpoint answered within a second lately, and leaves nothing unanswered."""
        return now - self._prompt_at <= PROMPT_FOR and not self._overdue(now)

    def crowd(self, turn: float) -> None:
        """Note how many seconds a turn of the worker takes now; told a few times a second.

        Where turns are long, more attempts at once of an endpoint that answers at once deliver no
        more: they make every turn longer, and with it every other endpoint's wait.
        """
        if turn > LONG_TURN and self._answer < _NEAR * turn:
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
        # One at a time while the breaker is not closed: the probe.
        if self._started and self._circuit_breaker.probe_at is not None:
            return False
        return self._open_at(now) <= now

    def start_at(self, now: float) -> float | None:
        """Return when an attempt may begin that only time keeps from it; None: not only time."""
        if len(self._started) >= self._allowed:
            return None
        at = self._open_at(now)
        return at if at > now and not self._overdue(now) else None

    def start(self, ticket: int, now: float) -> None:
        """Note that an attempt began; `ticket` names it until `finish`."""
        self._started[ticket] = now
        if self._gated:
            self._rate_limiter.took(ticket, now)

    def finish(self, ticket: int, now: float, outcome: Outcome) -> None:
        """Note what an attempt came to."""
        started = self._started
        if not isinstance(outcome, Delivered) and is_defect(outcome):
            # Ours, met behind the request: nothing is known of the endpoint.
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
                # It answers; that it refuses is a matter of the delivery.
                self._answered(took, now)
        self._allow()
        self._gate()

    def pass_over(self, ticket: int) -> None:
        """Note that no attempt was made after all, which tells nothing of the endpoint."""
        del self._started[ticket]
        self._rate_limiter.gave_back(ticket)

    def waited(self, seconds: float, now: float) -> None:
        """Note that no attempt could begin for so long, which tells nothing of the endpoint."""
        self._prompt_at = min(self._prompt_at + seconds, now)

    def froze(self, seconds: float, now: float) -> None:
        """Note that the process did not run for so long: no answer could be seen, and none was late."""
        self.waited(seconds, now)
        self._started = {
            ticket: min(began + seconds, now) for ticket, began in self._started.items()
        }

    def _answered(self, took: float, now: float) -> None:
        """Note that the endpoint is up; what it bore before an outage is no longer known."""
        if self._rests_until <= now:
            self._rests_until = float("-inf")
        if self._circuit_breaker.succeeded(now):
            self._limit.restart()
            self._allow()
            self._answer = took

    def _throttled(self, took: float, now: float, wait: int | None) -> None:
        """Slow down, and rest for as long as the endpoint asked, within bounds. It is up."""
        self._answered(took, now)
        if now - took >= self._slowed_at:
            # What was under way when the pace was slowed had been sent at the pace before.
            self._slowed_at = now
            self._rate_limiter.throttled()
        self._limit.shrink(now, max(took, self._answer))
        if wait:
            self._rests_until = max(self._rests_until, now + min(wait / 1000, _LONGEST_REST))

    def _gate(self) -> None:
        """Bring up to date whether anything but the limit may keep an attempt from beginning."""
        self._gated = (
            self._rate_limiter.spacing > 0.0
            or self._circuit_breaker.probe_at is not None
            or self._rests_until > float("-inf")
        )

    # Waiting.

    def answer_time(self, now: float) -> float:
        """Return the seconds that an answer takes: the average, or longer where one is overdue."""
        if not self._started:
            return self._answer
        # Insertion order is start order, so the first is the oldest.
        oldest = next(iter(self._started.values()))
        return max(self._answer, now - oldest)

    def healthy(self, now: float) -> bool:
        """Return whether the endpoint delivers, and fast enough to wait for."""
        return not self._failing and self.answer_time(now) <= HEALTHY_ANSWER

    def room(self, now: float) -> int:
        """Return how many deliveries may be queued without any waiting more than a second."""
        if self._circuit_breaker.probe_at is not None:
            return 1 if not self._started and self._circuit_breaker.may_probe(now) else 0
        if self._rests_until > now or self._overdue(now):
            return 0
        if self._rate_limiter.spacing and self._rate_limiter.free_at() - now > _LONGEST_WAIT:
            return 0
        a_second = int(_LONGEST_WAIT / self._spacing(now))
        return min(max(a_second, 1), self._policy.max_queue)

    def full(self, queued: int, now: float, *, alone: bool, again: bool = False) -> bool:
        """Return whether one more delivery must be deferred.

        Args:
            queued: Deliveries that wait in the lane now.
            now: Monotonic seconds.
            alone: No other lane had work lately. Then a healthy lane is full only at
                its hard bound: intake slows instead, and nothing is copied.
            again: It comes from a tier. Such deliveries fill half of the room only, so that old
                ones never keep new events out.
        """
        if not queued and not self._gated and not self._started:
            return False
        if queued >= self._policy.max_queue:
            return True
        if alone and self._unpaced and self.healthy(now):
            return False
        room = self.room(now)
        return queued >= ((room + 1) // 2 if again else room)

    def excess(self, queued: int, now: float, *, alone: bool) -> int:
        """Return how many queued deliveries should be deferred, now that the endpoint slowed down."""
        if alone and self._unpaced and self.healthy(now):
            return 0
        return max(0, queued - self.room(now))

    def wants(self, queued: int, now: float) -> int:
        """Return how many deferred deliveries the lane would take before their slots."""
        return max(0, (self.room(now) + 1) // 2 - queued)

    def defer(self, now: float, *, kept: bool = False, waited: float = 0.0) -> Deferral:
        """Give a delivery that was not admitted a slot.

        Args:
            now: Monotonic seconds.
            kept: It came at a slot that it was given before; it does not go to the end again.
            waited: Seconds for which it has waited for the breaker.
        """
        if self._circuit_breaker.probe_at is not None:
            slot = self._circuit_breaker.put_off_until(now, waited)
            return Deferral(slot, DeferReason.BREAKER_OPEN)
        begin = max(now, self._rests_until)
        spacing = self._spacing(now)
        limited = self._rate_limiter.spacing > 0 and self._rate_limiter.limited
        longest = _LONGEST_LIMITED if limited else _LONGEST_SLOT
        book = self._reservations.again if kept else self._reservations.book
        slot = book(begin, spacing, longest)
        if begin > now:
            return Deferral(slot, DeferReason.THROTTLED)
        if limited:
            return Deferral(slot, DeferReason.RATE_LIMITED)
        reason = DeferReason.THROTTLED if self._rate_limiter.spacing else DeferReason.LANE_FULL
        return Deferral(slot, reason)

    def seen(self, slot: float) -> None:
        """Learn of a slot that stands in a tier record, perhaps of another worker's giving."""
        self._reservations.seen(slot)

    @property
    def _unpaced(self) -> bool:
        return self._rate_limiter.spacing == 0.0 and self._circuit_breaker.probe_at is None

    def _overdue(self, now: float) -> bool:
        if not self._started:
            return False
        oldest = next(iter(self._started.values()))
        return now - oldest > self._overdue_after

    def _open_at(self, now: float) -> float:
        """Return when breaker, pace and the endpoint's own wish let the next attempt begin."""
        at = self._rests_until
        if self._circuit_breaker.probe_at is not None:
            at = max(at, self._circuit_breaker.probe_at)
        if self._rate_limiter.spacing:
            at = max(at, self._rate_limiter.free_at())
        return max(at, now)

    def _spacing(self, now: float) -> float:
        """Return the seconds between attempts that the lane can bear in the long run.

        An endpoint whose limit is not known yet is taken to bear all that is allowed, as far as
        the worker's own business leaves it.
        """
        most = min(self._policy.max_in_flight, self._crowded)
        at_once = most if self._limit.ramping else self._allowed
        return max(self._rate_limiter.spacing, max(self.answer_time(now), 1e-4) / at_once)


def _up(kind: FailureKind, status: int | None) -> bool:
    """Return whether a failed attempt was answered by an endpoint that works."""
    if kind is not FailureKind.STATUS or status is None:
        return False
    return status < _UP_ALL_THE_SAME and status != _NO_ANSWER_IN_TIME
