"""A worker uses the brokers' time, and does nothing if its machine's clock is far from it."""

import pytest
from tests.doubles.seeing import RememberingLogger

from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.pipeline.broker_clock import ASK_EVERY, UNKNOWN_FOR, BrokerClock

TRUE = 1_795_521_600_000


class Machine:
    """A machine whose wall clock is wrong by `ahead` milliseconds, and may be set."""

    def __init__(self, ahead: Millis = 0) -> None:
        self.boot = 500.0
        self.ahead = ahead

    def true(self) -> Millis:
        return TRUE + round(self.boot * 1000)

    def now(self) -> Millis:
        return self.true() + self.ahead

    def monotonic(self) -> float:
        return self.boot

    def moment(self) -> Moment:
        return Moment(self.boot, self.now() / 1000)


def clock_of(machine: Machine, logger: RememberingLogger | None = None) -> BrokerClock:
    clock = BrokerClock(machine, logger or RememberingLogger())
    learn(clock, machine)
    return clock


def learn(clock: BrokerClock, machine: Machine) -> None:
    asked = machine.moment()
    stamp = machine.true()
    machine.boot += 0.004
    clock.learn("hookstream.health/0", stamp, asked, machine.moment())


SKEWS = [-90 * DAY, -40 * DAY, -HOUR, -MINUTE, 0, 20 * SECOND, MINUTE, HOUR, 40 * DAY, 90 * DAY]


@pytest.mark.parametrize("ahead", SKEWS)
def test_its_time_is_the_brokers_however_wrong_the_machine_is(ahead: Millis) -> None:
    machine = Machine(ahead)
    clock = clock_of(machine)
    machine.boot += 7
    assert abs(clock.now() - machine.true()) <= 5
    assert clock.skew == pytest.approx(ahead / 1000, abs=0.01)


@pytest.mark.parametrize("back", [0.0, 0.1, 0.9])
def test_its_time_is_never_ahead_of_the_brokers_however_slow_the_first_answer_is(
    back: float,
) -> None:
    machine = Machine()
    clock = BrokerClock(machine, RememberingLogger())
    asked, stamp = machine.moment(), machine.true()
    machine.boot += back
    clock.learn("hookstream.health/0", stamp, asked, machine.moment())
    assert -1_000 * back - 1 <= clock.now() - machine.true() <= 0
    learn(clock, machine)
    assert -5 <= clock.now() - machine.true() <= 0


@pytest.mark.parametrize("ahead", SKEWS)
def test_it_acts_only_if_the_machines_clock_is_within_the_bound(ahead: Millis) -> None:
    assert clock_of(Machine(ahead)).agrees() is (abs(ahead) <= 30 * SECOND)


def test_a_clock_step_while_it_runs_is_detected_before_the_next_act_and_changes_no_time() -> None:
    machine = Machine()
    clock = clock_of(machine)
    before = clock.now()
    machine.ahead = -DAY
    assert clock.now() - before <= 5
    assert not clock.agrees()
    machine.ahead = 0
    assert clock.agrees()


def without_times(clock: BrokerClock, machine: Machine, refusal: str | None = None) -> None:
    """Acknowledge, once a second, what carries no time."""
    for _ in range(int(UNKNOWN_FOR) + 2):
        clock.unstamped(refusal)
        machine.boot += 1


def test_it_waits_for_the_brokers_time_but_not_for_ever() -> None:
    machine, logger = Machine(), RememberingLogger()
    clock = BrokerClock(machine, logger)
    machine.boot += 10 * UNKNOWN_FOR
    assert not clock.agrees()
    clock.unstamped()
    assert not clock.agrees()
    without_times(clock, machine)
    clock.look()
    assert clock.agrees()
    assert logger.events("error") == ["clock.unknown"]
    machine.boot += 10 * UNKNOWN_FOR
    clock.unstamped()
    assert clock.agrees()


def test_silence_of_the_brokers_is_no_acknowledgement_without_their_time() -> None:
    """The write that requests it is refused once, and then nothing is acknowledged for an outage."""
    machine = Machine(ahead=HOUR)
    clock = BrokerClock(machine, RememberingLogger())
    clock.unstamped("refused")
    machine.boot += 3 * UNKNOWN_FOR
    known = [clock.known]
    assert not clock.agrees()

    clock.unstamped("refused")
    known.append(clock.known)
    learn(clock, machine)
    assert [*known, clock.known] == [False, False, True]
    assert abs(clock.now() - machine.true()) < SECOND


def test_a_refused_write_for_the_brokers_time_is_named_with_its_own_remedy() -> None:
    machine, logger = Machine(), RememberingLogger()
    clock = BrokerClock(machine, logger)
    without_times(clock, machine, "Broker: Topic authorization failed")
    clock.look()
    [(_, event, fields)] = logger.lines
    assert event == "clock.unknown"
    assert "Topic authorization failed" in str(fields["detail"])
    assert "write to our health topic" in str(fields["remedy"])


def test_a_broker_timestamp_is_requested_once_if_none_has_come_for_a_while() -> None:
    machine = Machine()
    clock = clock_of(machine)
    assert not clock.needs_timestamp
    machine.boot += ASK_EVERY
    assert [clock.needs_timestamp, clock.needs_timestamp] == [True, False]
    learn(clock, machine)
    assert not clock.needs_timestamp


def test_a_wrong_clock_is_logged_at_once_with_its_distance_its_remedy_and_its_end() -> None:
    machine, logger = Machine(-40 * DAY), RememberingLogger()
    clock = clock_of(machine, logger)
    for _ in range(40):
        clock.look()
        machine.boot += 1
        learn(clock, machine)
    machine.ahead = 0
    clock.look()

    wrong, again, over = logger.lines
    assert wrong[:2] == again[:2] == ("error", "clock.wrong")
    assert "behind" in str(wrong[2]["detail"])
    assert "set this machine's clock" in str(wrong[2]["remedy"])
    assert over[:2] == ("info", "clock.right")


def test_a_clock_that_is_slightly_wrong_gives_a_warning() -> None:
    machine, logger = Machine(6 * SECOND), RememberingLogger()
    clock = clock_of(machine, logger)
    clock.look()
    clock.look()
    assert logger.events("warning") == ["clock.skewed"]
    assert clock.agrees()


def test_brokers_that_differ_among_themselves_are_warned_of() -> None:
    machine, logger = Machine(), RememberingLogger()
    clock = clock_of(machine, logger)
    for partition in (1, 2):
        asked = machine.moment()
        off = HOUR if partition == 2 else 0
        clock.learn(f"hookstream.attempts/{partition}", machine.true() + off, asked, asked)
    clock.look()
    [line] = logger.lines
    assert line[1] == "clock.skewed"
    assert line[2]["brokers_apart"] == pytest.approx(3_600, abs=1)
    assert clock.agrees()
