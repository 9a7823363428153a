"""Provides the brokers' time, by which a worker judges due times, expiry and signatures.

Every acknowledgement has the time at which a broker appended the record. From these the difference of the clocks
is known, and `now` is the brokers' time. A wall clock that differs by more than a bound still prevents sending:
certificates, logs and other programs use it, so it must be set.
"""

from collections.abc import Callable

from hookstream.core.model.broker_time import BrokerTime
from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.topics import Topics
from hookstream.pipeline.ports import Clock, Logger

MOST_SKEW: Millis = 30 * SECOND
"""The default of `worker.max_clock_skew`."""

WORTH_SAYING = 5.0
"""Seconds of difference from which a warning is logged."""

ASK_EVERY = 10.0
"""Seconds without a broker's timestamp after which one is requested."""

UNKNOWN_FOR = 30.0
"""Seconds of acknowledgements without a broker's time after which the worker uses its own clock, and logs
that. While nothing is acknowledged at all, the tables are not current either."""

_SAY_AGAIN = 30.0
_SAY_SKEW_AGAIN = 600.0


TIME_KEY = b"clock"
"""The key of the records that request the brokers' time. They delete nothing, because no row has this key."""


def time_request(topics: Topics) -> OutgoingRecord:
    """Return a record that is written only for its acknowledgement, which has a broker's time.

    It goes into a table that workers write anyway, and compaction soon removes it.
    """
    return OutgoingRecord(topics.health, TIME_KEY, None)


class BrokerClock:
    """A Clock that shows the brokers' time, and the Agreement about it."""

    def __init__(
        self,
        machine: Clock,
        logger: Logger,
        most: Millis = MOST_SKEW,
        boot: Callable[[], float] | None = None,
    ) -> None:
        """Use `machine` until the first timestamp; agree only while both clocks differ by at most `most`.

        `boot` returns only the first of the machine's two clocks, if that is cheaper.
        """
        self._boot = boot or (lambda: machine.moment()[0])
        self.machine = machine
        # The machine's own functions: each delivery calls them a dozen times.
        self.monotonic = machine.monotonic
        """Returns the machine's monotonic seconds."""
        self.moment = machine.moment
        """Returns the machine's two clocks unchanged: ages are counted by them."""
        self._logger = logger
        self._most = most / 1000
        self._time = BrokerTime()
        self._unstamped_since: float | None = None
        """Since when acknowledgements have no broker's time, by the clock since boot."""
        self._unstamped_at = float("-inf")
        """When the last such acknowledgement came."""
        self._refusal: str | None = None
        """Why the last request was refused."""
        self._asked_at = float("-inf")
        self._logged_at = float("-inf")
        self._wrong = False

    # The clock.

    def now(self) -> Millis:
        """Return the brokers' time once it is known, the machine's before.

        It is the earliest time that the acknowledgements allow: an estimate in the middle would make attempts
        early after a slow acknowledgement, while a slight delay does no harm.
        """
        ahead = self._time.ahead_at_least
        if ahead is None:
            return self.machine.now()
        return int((self._boot() + ahead) * 1000)

    # Acknowledgements.

    def learn(self, place: str, stamp: Millis, asked: Moment, answered: Moment) -> None:
        """Record that a broker timestamped a record of a partition between two moments."""
        self._time.learn(place, stamp, asked.boot, answered.boot)

    def unstamped(self, refusal: str | None = None) -> None:
        """As Agreement says."""
        self._refusal = refusal
        now = self.machine.moment().boot
        # After a silence of the brokers, the period starts again.
        if not self._has_given_up() and now - self._unstamped_at > UNKNOWN_FOR:
            self._unstamped_since = now
        self._unstamped_at = now

    @property
    def known(self) -> bool:
        """As Agreement says: before that, due times would be judged by a clock that may be months off."""
        return self._time.ahead is not None or self._has_given_up()

    @property
    def skew(self) -> float | None:
        """Seconds by which the machine's wall clock is ahead of the brokers' time; None: not known."""
        ahead = self._time.ahead
        if ahead is None:
            return None
        moment = self.machine.moment()
        return moment[1] - moment[0] - ahead

    # The agreement.

    @property
    def needs_timestamp(self) -> bool:
        """As Agreement says: True once after each period without a timestamp."""
        now = self.machine.moment().boot
        last = max(self._time.learned_at, self._asked_at)
        if now - last < (ASK_EVERY if self.known else 1.0):
            return False
        self._asked_at = now
        return True

    def agrees(self) -> bool:
        """As Agreement says."""
        ahead = self._time.ahead
        if ahead is None:
            return self._has_given_up()
        boot, wall = self.machine.moment()
        return -self._most <= wall - boot - ahead <= self._most

    def _has_given_up(self) -> bool:
        """Return whether acknowledgements have had no time for so long that none is expected."""
        since = self._unstamped_since
        return since is not None and self._unstamped_at - since > UNKNOWN_FOR

    def why(self) -> str:
        """As Agreement says."""
        skew = self.skew
        if skew is None:
            return "no acknowledgement has had a broker's time yet"
        return (
            f"this machine's clock is {_described(skew)} the brokers', more than"
            f" worker.max_clock_skew ({self._most:g} s)"
        )

    def look(self) -> None:
        """As Agreement says: at once if sending is prevented, and again while that lasts."""
        now, skew = self.machine.moment().boot, self.skew
        if skew is None:
            self._log_unknown(now)
        elif abs(skew) > self._most:
            self._log_wrong(now, skew)
        else:
            if self._wrong:
                self._wrong = False
                self._logger.info("clock.right", seconds=round(skew, 3))
            self._log_skew(now, skew)

    def _log_unknown(self, now: float) -> None:
        if not self._has_given_up() or now - self._logged_at < _SAY_SKEW_AGAIN:
            return
        self._logged_at = now
        why = "no acknowledgement has a broker's time"
        remedy = "run 'hookstream topics apply', which sets LogAppendTime on our topics"
        if self._refusal is not None:
            why = f"the write that requests the brokers' time is refused: {self._refusal}"
            remedy = "let this worker write to our health topic (docs/security.md, Kafka)"
        self._logger.error(
            "clock.unknown", detail=f"{why}: the worker uses its own clock", remedy=remedy
        )

    def _log_wrong(self, now: float, skew: float) -> None:
        if self._wrong and now - self._logged_at < _SAY_AGAIN:
            return
        self._wrong, self._logged_at = True, now
        self._logger.error(
            "clock.wrong",
            seconds=round(skew, 3),
            detail=f"{self.why()}: no attempt begins and nothing expires",
            remedy="set this machine's clock (chronyc makestep, or your time service); the worker"
            " resumes automatically. If the brokers' clocks are wrong, set those",
        )

    def _log_skew(self, now: float, skew: float) -> None:
        """Warn of a difference that does not prevent sending yet."""
        apart = self._time.apart
        if max(abs(skew), apart) <= WORTH_SAYING or now - self._logged_at < _SAY_SKEW_AGAIN:
            return
        self._logged_at = now
        self._logger.warning(
            "clock.skewed",
            seconds=round(skew, 3),
            brokers_apart=round(apart, 3),
            detail=f"this machine's clock is {_described(skew)} the brokers', which differ by"
            f" {apart:.1f} s among themselves; beyond {self._most:g} s no attempt begins",
            remedy="let a time service keep the clocks of this machine and of the brokers",
        )


def _described(skew: float) -> str:
    return f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'}"
