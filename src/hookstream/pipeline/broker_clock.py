"""The clock by which a worker judges due times, expiry and signatures: it agrees with the brokers'.

Every acknowledgement of a record carries the time at which a broker appended it. From these the
difference is known, and `now` is the brokers' time, whatever the machine's wall clock says. A wall
clock that differs by more than a bound stops the worker's acts all the same: what else on the
machine goes by it (certificates, logs, other programs) would be wrong, and somebody must set it.
"""

from collections.abc import Callable
from typing import Protocol

from hookstream.core.model.broker_time import BrokerTime
from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.topics import Topics
from hookstream.pipeline.ports import Clock, Journal

MOST_SKEW: Millis = 30 * SECOND
"""What `worker.max_clock_skew` is by default."""

WORTH_SAYING = 5.0
"""Seconds of difference from which an operator hears of it."""

ASK_EVERY = 10.0
"""Seconds without a stamp after which one is asked for."""

UNKNOWN_FOR = 30.0
"""Seconds for which answers may come without a broker's time; then the worker goes by its own, and
says so. While no answer comes at all, the tables are not current either."""

_SAY_AGAIN = 30.0
_SAY_SKEW_AGAIN = 600.0


TIME_KEY = b"clock"
"""The key of the records that ask for the brokers' time. They remove nothing: no row has it."""


def time_asked(topics: Topics) -> OutgoingRecord:
    """Return a record whose acknowledgement carries a broker's time, and that says nothing else.

    It goes into a table that workers write anyway, where compaction soon removes it.
    """
    return OutgoingRecord(topics.health, TIME_KEY, None)


class Agreement(Protocol):
    """Whether the worker's time may be acted by."""

    @property
    def known(self) -> bool:
        """Whether the clock shows the brokers' time, or never will."""

    @property
    def asks(self) -> bool:
        """Whether a stamp of a broker's is wanted now."""

    def agrees(self) -> bool:
        """Return whether attempts may begin and deliveries expire by the clock as it stands."""

    def why(self) -> str:
        """Tell why not, with the remedy."""

    def unstamped(self, refusal: str | None = None) -> None:
        """Note an answer without a broker's time; `refusal`: the write that asked for it was refused."""

    def look(self) -> None:
        """Raise what an operator must hear of; called once a second."""


class Unquestioned:
    """An Agreement for a clock that is right by definition."""

    known = True
    asks = False

    def agrees(self) -> bool:
        """Tell that it does."""
        return True

    def why(self) -> str:
        """Say nothing."""
        return ""

    def unstamped(self, refusal: str | None = None) -> None:
        """Care for nothing."""

    def look(self) -> None:
        """Raise nothing."""


UNQUESTIONED = Unquestioned()


class BrokerClock:
    """A Clock that shows the brokers' time, and the Agreement about it."""

    def __init__(
        self,
        machine: Clock,
        journal: Journal,
        most: Millis = MOST_SKEW,
        boot: Callable[[], float] | None = None,
    ) -> None:
        """Go by `machine` until the first stamp; act only while they differ by `most` at most.

        `boot` tells the first of the machine's two clocks alone, where that is cheaper.
        """
        self._boot = boot or (lambda: machine.moment()[0])
        self.machine = machine
        self._journal = journal
        self._most = most / 1000
        self._time = BrokerTime()
        self._unstamped_since: float | None = None
        """Since when answers come without a broker's time, by the clock since boot."""
        self._refusal: str | None = None
        """Why the last of them was none."""
        self._asked_at = float("-inf")
        self._said_at = float("-inf")
        self._wrong = False

    # The clock.

    def now(self) -> Millis:
        """Return the brokers' time as far as it is known, else the machine's.

        It is the earliest that the acknowledgements allow: half of a slow one's time would make an
        attempt early, while a moment late does no harm.
        """
        ahead = self._time.ahead_at_least
        if ahead is None:
            return self.machine.now()
        return int((self._boot() + ahead) * 1000)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return self.machine.monotonic()

    def moment(self) -> Moment:
        """Return the machine's two clocks as they are: ages are counted by them."""
        return self.machine.moment()

    # What is known.

    def heard(self, place: str, stamp: Millis, asked: Moment, answered: Moment) -> None:
        """Learn that a broker stamped a record of a partition between two moments."""
        self._time.heard(place, stamp, asked.boot, answered.boot)

    def unstamped(self, refusal: str | None = None) -> None:
        """As Agreement says."""
        self._refusal = refusal
        if self._unstamped_since is None:
            self._unstamped_since = self.machine.moment().boot

    @property
    def known(self) -> bool:
        """As Agreement says: what is read before would be put off by a time that may be months off."""
        return self._time.ahead is not None or self._given_up(self.machine.moment().boot)

    @property
    def skew(self) -> float | None:
        """Seconds by which the machine's wall clock is ahead of the brokers; None: not known."""
        ahead = self._time.ahead
        if ahead is None:
            return None
        moment = self.machine.moment()
        return moment[1] - moment[0] - ahead

    # The agreement.

    @property
    def asks(self) -> bool:
        """Whether no broker has stamped anything of ours for a while; once for each while."""
        now = self.machine.moment().boot
        last = max(self._time.heard_at, self._asked_at)
        if now - last < (ASK_EVERY if self.known else 1.0):
            return False
        self._asked_at = now
        return True

    def agrees(self) -> bool:
        """As Agreement says."""
        ahead = self._time.ahead
        if ahead is None:
            return self._given_up(self._boot())
        boot, wall = self.machine.moment()
        return -self._most <= wall - boot - ahead <= self._most

    def _given_up(self, now: float) -> bool:
        """Return whether answers have come without a time for so long that none will."""
        return self._unstamped_since is not None and now - self._unstamped_since > UNKNOWN_FOR

    def why(self) -> str:
        """As Agreement says."""
        skew = self.skew
        if skew is None:
            return "no broker has told its time yet, as every acknowledged write does"
        return (
            f"this machine's clock is {_told(skew)} the brokers', more than"
            f" worker.max_clock_skew ({self._most:g} s)"
        )

    def look(self) -> None:
        """As Agreement says: at once where nothing may be done, and again while that lasts."""
        now, skew = self.machine.moment().boot, self.skew
        if skew is None:
            self._say_unknown(now)
        elif abs(skew) > self._most:
            self._say_wrong(now, skew)
        else:
            if self._wrong:
                self._wrong = False
                self._journal.info("clock.right", seconds=round(skew, 3))
            self._say_skew(now, skew)

    def _say_unknown(self, now: float) -> None:
        if not self._given_up(now) or now - self._said_at < _SAY_SKEW_AGAIN:
            return
        self._said_at = now
        why = "no acknowledgement carries a broker's time"
        remedy = "run 'hookstream topics apply', which sets LogAppendTime on our topics"
        if self._refusal is not None:
            why = f"the write that asks for the brokers' time is refused: {self._refusal}"
            remedy = "let this worker write to our health topic (docs/security.md, Kafka)"
        self._journal.error(
            "clock.unknown", detail=f"{why}: the worker goes by its own clock", remedy=remedy
        )

    def _say_wrong(self, now: float, skew: float) -> None:
        if self._wrong and now - self._said_at < _SAY_AGAIN:
            return
        self._wrong, self._said_at = True, now
        self._journal.error(
            "clock.wrong",
            seconds=round(skew, 3),
            detail=f"{self.why()}: no attempt begins and nothing expires",
            remedy="set this machine's clock (chronyc makestep, or your time service); the worker"
            " goes on by itself. If the brokers' clocks are wrong, set those",
        )

    def _say_skew(self, now: float, skew: float) -> None:
        """Warn of what is not wrong enough yet to stop at."""
        apart = self._time.apart
        if max(abs(skew), apart) <= WORTH_SAYING or now - self._said_at < _SAY_SKEW_AGAIN:
            return
        self._said_at = now
        self._journal.warning(
            "clock.skewed",
            seconds=round(skew, 3),
            brokers_apart=round(apart, 3),
            detail=f"this machine's clock is {_told(skew)} the brokers', which differ by"
            f" {apart:.1f} s among themselves; beyond {self._most:g} s no attempt begins",
            remedy="let a time service keep the clocks of this machine and of the brokers",
        )


def _told(skew: float) -> str:
    return f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'}"
