"""A sink whose acknowledgements have the broker's time, and a machine whose clock is wrong."""

from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.pipeline.broker_clock import BrokerClock
from hookstream.pipeline.ports import Acknowledged, Clock, RecordSink, WriteRefused


class WrongMachine:
    """A machine whose wall clock is `ahead` milliseconds ahead, and may be set."""

    def __init__(self, true: Clock, ahead: Millis) -> None:
        self.ahead = ahead
        self._true = true

    def now(self) -> Millis:
        return self._true.now() + self.ahead

    def monotonic(self) -> float:
        return self._true.monotonic()

    def moment(self) -> Moment:
        return Moment(self._true.monotonic(), self.now() / 1000)


class StampedSink:
    """A RecordSink whose acknowledgements carry the broker's time, or none if `stamped` is False."""

    def __init__(
        self, sink: RecordSink, true: Clock, clock: BrokerClock, *, stamped: bool = True
    ) -> None:
        self.stamped = stamped
        self._sink = sink
        self._true = true
        self._clock = clock

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        asked = self._clock.moment()

        def stamp(verdict: WriteRefused | None) -> None:
            if verdict is None and self.stamped:
                stamp = self._true.now()
                self._clock.learn(record.topic, stamp, asked, self._clock.moment())
            elif verdict is None:
                self._clock.unstamped()
            acknowledged(verdict)

        self._sink.write(record, stamp)
