"""Whatever happens to a lane, in whichever order, it keeps its bounds; so does the cap that all share."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hookstream.core.lanes.circuit_breaker import LONGEST_DEFERRAL
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.permits import LanePermits, Permits
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.lanes.rate_limiter import RateLimiter
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.outcome import Delivered, Failed, FailureKind, Outcome, Throttled

MOST, QUEUE = 6, 50

outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.just(Delivered(204)),
    st.just(Failed(FailureKind.TIMEOUT, "no answer in time")),
    st.just(Failed(FailureKind.STATUS, "answered 500", 500)),
    st.just(Failed(FailureKind.STATUS, "answered 404", 404)),
    st.builds(Throttled, st.just(429), st.none() | st.integers(0, 900_000)),
)


class LaneUnderAnything(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane(LanePolicy(MOST, max_queue=QUEUE))
        self.now = 0.0
        self.ticket = 0
        self.out: dict[int, float] = {}
        self.limited: list[float] = []

    @rule(passed=st.floats(0, 400))
    def time(self, passed: float) -> None:
        self.now += passed

    @rule(passed=st.floats(0, 0.5))
    def moment(self, passed: float) -> None:
        self.now += passed

    @precondition(lambda self: self.lane.may_start(self.now))
    @rule()
    def start(self) -> None:
        oldest = min(self.out.values(), default=self.now)
        broken = self.lane.broken
        self.ticket += 1
        self.lane.start(self.ticket, self.now)
        self.out[self.ticket] = self.now
        # One probe at a time; and until anything was answered, no attempt is outstanding for more than
        # a second while another one starts.
        assert not broken or len(self.out) == 1
        assert self.answered or self.now - oldest <= 1.0

    answered = False

    @precondition(lambda self: self.out)
    @rule(outcome=outcomes, data=st.data())
    def finish(self, outcome: Outcome, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.out)))
        del self.out[ticket]
        self.lane.finish(ticket, self.now, outcome)
        self.answered = self.answered or isinstance(outcome, Delivered)

    @precondition(lambda self: self.out)
    @rule()
    def pass_over(self) -> None:
        ticket = min(self.out)
        del self.out[ticket]
        self.lane.pass_over(ticket)

    @rule(rate=st.none() | st.floats(0.01, 1_000), batch=st.integers(1, 2 * QUEUE))
    def limit(self, rate: float | None, batch: int) -> None:
        self.lane.policy = LanePolicy(MOST, max_queue=QUEUE, rate_limit=rate, batch_events=batch)

    @rule(missed_slot=st.booleans(), slot=st.none() | st.floats(0, 1e6))
    def defer(self, missed_slot: bool, slot: float | None) -> None:  # noqa: FBT001
        if slot is not None:
            self.lane.seen(slot)
        deferral = self.lane.defer(self.now, missed_slot=missed_slot)
        assert deferral.slot >= self.now
        if deferral.reason is DeferReason.BREAKER_OPEN:
            assert deferral.slot - self.now <= LONGEST_DEFERRAL
        elif deferral.reason is not DeferReason.RATE_LIMITED:
            # At most half an hour after the endpoint's Retry-After.
            assert deferral.slot - self.now <= 1_800 + 300

    @rule(queued=st.integers(0, 60), alone=st.booleans())
    def ask(self, queued: int, alone: bool) -> None:  # noqa: FBT001
        full = self.lane.full(queued, self.now, alone=alone)
        # What is refused to old deliveries is free for new events; never the other way round.
        assert not full or self.lane.full(queued, self.now, alone=alone, again=True)
        assert full or queued < QUEUE
        assert self.lane.excess(queued, self.now, alone=alone) <= queued
        assert self.lane.early_room(queued, self.now) <= self.lane.room(self.now)

    @invariant()
    def bounded(self) -> None:
        assert self.lane.in_flight == len(self.out) <= MOST
        assert 0 <= self.lane.room(self.now) <= QUEUE

    @invariant()
    def never_stuck(self) -> None:
        """An idle lane may start sooner or later, and reports when."""
        if not self.out and not self.lane.may_start(self.now):
            at = self.lane.start_at(self.now)
            assert at is not None
            assert self.now < at <= self.now + 10_000
            assert self.lane.may_start(at + 1e-6)


TestLaneUnderAnything = LaneUnderAnything.TestCase


@given(
    st.floats(0.1, 500),
    st.lists(st.tuples(st.floats(0, 2), st.none() | st.integers(0, 3)), min_size=1, max_size=200),
)
def test_no_interval_has_more_attempts_than_its_rate_allows(
    rate: float, attempts: list[tuple[float, int | None]]
) -> None:
    """Some are not made after all, and returned at once or after up to three others were started."""
    rate_limiter = RateLimiter()
    rate_limiter.limit(rate)
    now, made, back = 0.0, [], {}
    for number, (wait, given_back_after) in enumerate(attempts):
        now = max(now + wait, rate_limiter.free_at())
        rate_limiter.took(number, now)
        if given_back_after is None:
            made.append(now)
        else:
            back[number] = number + given_back_after
        for each in [each for each, when in back.items() if when <= number]:
            del back[each]
            rate_limiter.gave_back(each)

    for index, begin in enumerate(made):
        for later in range(index, len(made)):
            # Except for the first; a tenth of a second's worth may be early.
            assert later - index <= rate * (made[later] - begin + 0.1) + 1e-6


class CapacityAgainstCounting(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.capacity = Permits(9)
        self.holders = [LanePermits() for _ in range(3)]
        self.out: list[tuple[LanePermits, bool]] = []

    @rule(which=st.integers(0, 2), first=st.booleans())
    def take(self, which: int, first: bool) -> None:  # noqa: FBT001
        holder = self.holders[which]
        reserved = first and holder.prompt
        allowed = len(self.out) < 9 and (reserved or self.common() < 5)
        assert self.capacity.may_take(reserved=reserved) == allowed
        if allowed:
            self.capacity.take(holder, reserved=reserved)
            self.out.append((holder, reserved))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        holder, reserved = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.capacity.give(holder, reserved=reserved)

    @rule(which=st.integers(0, 2), prompt=st.booleans())
    def turn(self, which: int, prompt: bool) -> None:  # noqa: FBT001
        turn = self.capacity.proved if prompt else self.capacity.slowed
        turn(self.holders[which])

    def common(self) -> int:
        return sum(1 for holder, reserved in self.out if not (reserved and holder.prompt))

    @invariant()
    def counted(self) -> None:
        assert self.capacity.free == 9 - len(self.out)
        assert self.capacity.may_take(reserved=False) == (len(self.out) < 9 and self.common() < 5)


TestCapacityAgainstCounting = CapacityAgainstCounting.TestCase


@given(st.lists(st.booleans(), max_size=300))
def test_whatever_an_endpoint_throttled_its_rate_recovers_within_a_minute(
    course: list[bool],
) -> None:
    rate_limiter = RateLimiter()
    now = 0.0

    def attempt(*, borne: bool) -> None:
        nonlocal now
        now = max(now, rate_limiter.free_at())
        rate_limiter.took(0, now)
        (rate_limiter.delivered if borne else rate_limiter.throttled)()

    for borne in course:
        attempt(borne=borne)
    last = now
    while rate_limiter.spacing > 0.05 and now - last <= 60:
        attempt(borne=True)

    assert rate_limiter.spacing <= 0.05
