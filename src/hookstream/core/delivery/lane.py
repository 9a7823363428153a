"""A lane decides when a delivery of one subscription may be attempted, and when it must wait elsewhere.

It is a state machine over a monotonic `now` in seconds; the shell holds the deliveries themselves.
What it promises: only attempts and about a second of queue hold source offsets, and the backlog of
a healthy endpoint that has the worker to itself is never copied to a tier.
"""

from dataclasses import dataclass

HEALTHY_ANSWER = 1.0
"""Seconds. An endpoint that answers within it is served by waiting; a slower one by deferring."""

_LONGEST_WAIT = 1.0
"""Seconds that a queued delivery may wait at the lane's measured rate before the lane is full."""

_FIRST_GUESS = 0.005
"""Seconds that an endpoint is taken to need before it has ever answered. Low, so that the burst
that a worker begins with is not copied; an attempt that hangs corrects it within a quarter of a
second, when what does not fit any more is deferred."""

_WEIGHT = 0.2
"""Weight of the newest answer in the moving average: about the last ten answers count."""


@dataclass(slots=True, frozen=True)
class LanePolicy:
    """What a lane may do at most."""

    max_in_flight: int
    max_queue: int = 2_000
    """Deliveries held in the queue, whatever the rate: the hard bound."""


class Lane:
    """The admission state of one subscription's lane."""

    __slots__ = ("_answer", "_failing", "_started", "policy")

    def __init__(self, policy: LanePolicy) -> None:
        """Start idle, with the endpoint's speed unknown."""
        self.policy = policy
        self._answer = _FIRST_GUESS
        self._failing = False
        self._started: dict[int, float] = {}

    @property
    def in_flight(self) -> int:
        """Attempts that have not been answered."""
        return len(self._started)

    def may_start(self) -> bool:
        """Tell whether another attempt may be made now."""
        return len(self._started) < self.policy.max_in_flight

    def start(self, ticket: int, now: float) -> None:
        """Note that an attempt began; `ticket` names it until `finish`."""
        self._started[ticket] = now

    def finish(self, ticket: int, now: float, *, delivered: bool) -> None:
        """Note that an attempt was answered, or failed."""
        took = now - self._started.pop(ticket)
        self._answer += _WEIGHT * (took - self._answer)
        self._failing = not delivered

    def pass_over(self, ticket: int) -> None:
        """Note that no attempt was made after all, which tells nothing of the endpoint."""
        del self._started[ticket]

    def answer_time(self, now: float) -> float:
        """Return the seconds that an answer takes: the average, or longer where one is overdue."""
        if not self._started:
            return self._answer
        # Insertion order is start order, so the first is the oldest.
        oldest = next(iter(self._started.values()))
        return max(self._answer, now - oldest)

    def healthy(self, now: float) -> bool:
        """Tell whether the endpoint delivers, and fast enough to wait for."""
        return not self._failing and self.answer_time(now) <= HEALTHY_ANSWER

    def room(self, now: float) -> int:
        """Return how many deliveries may be queued without any waiting more than a second."""
        slots = self.policy.max_in_flight
        a_second = int(_LONGEST_WAIT * slots / max(self.answer_time(now), 1e-4))
        return min(max(a_second, 1), self.policy.max_queue)

    def full(self, queued: int, now: float, *, alone: bool) -> bool:
        """Tell whether one more delivery must be deferred.

        Args:
            queued: Deliveries that wait in the lane now.
            now: Monotonic seconds.
            alone: No other lane had work in the last second. Then a healthy lane is full only at
                its hard bound: intake slows instead, and nothing is copied.
        """
        if queued >= self.policy.max_queue:
            return True
        if alone and self.healthy(now):
            return False
        return queued >= self.room(now)

    def excess(self, queued: int, now: float, *, alone: bool) -> int:
        """Return how many queued deliveries should be deferred, now that the endpoint slowed down."""
        if alone and self.healthy(now):
            return 0
        return max(0, queued - self.room(now))
