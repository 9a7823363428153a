"""Provides the brokers' time to an executor: the newest timestamp, continued by the clock since boot.

It is the earliest time that the timestamp allows, so no lease seems over too early. The clock since boot also
counts while the machine or the process is suspended, so a holder that was frozen knows that its lease is over.
"""

from hookstream.core.model.instant import Millis
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Clock


class LeaseClock:
    """The brokers' time by their timestamps."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._ahead: float | None = None
        """Seconds by which the brokers are ahead of the clock since boot; None: no timestamp yet."""

    @property
    def boot(self) -> float:
        """Seconds since boot, suspended ones included."""
        return self._machine.moment().boot

    def learn(self, stamp: Millis) -> None:
        """Record the time at which a broker appended a record that was acknowledged just now."""
        self._ahead = stamp / 1000 - self.boot

    def now(self) -> Millis:
        """Return the brokers' time.

        Raises:
            InvariantBroken: No stamp was learned.
        """
        if self._ahead is None:
            raise InvariantBroken("a lease is judged before the brokers' time is known")
        return int((self.boot + self._ahead) * 1000)
