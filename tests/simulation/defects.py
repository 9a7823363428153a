"""Defects that a worker might have, each planted by a part put in place of the real one.

Each has lost events in some product. The simulator must find them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.doubles.broker import BrokerSource
from tests.doubles.clock import Unquestioned
from tests.simulation.invariants import (
    EARLY,
    ENDS,
    EXACT,
    GAPS,
    GUESSED,
    HELD,
    INTERVALS,
    JUSTIFIED,
    PROMISE,
    RESTS,
    SILENT,
    STALE,
    TIME,
)
from tests.simulation.world import Host, Parts

from hookstream.core.matching.directory import Directory
from hookstream.core.matching.fanout import Match, Matching, Question
from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.event import (
    Event,
    Identified,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Complete, DeadLetter, DeadReason, Outcome, Withheld
from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.model.registered import UnresolvedSchema
from hookstream.core.model.subscription_status import Absent, Deleted, SubscriptionStatus
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import Start, StartAt
from hookstream.core.redrive.revive import Revival, Unredrivable
from hookstream.core.retry.tiers import Ladder, Release, WaitUntil
from hookstream.core.retry.waiting import Owner, WaitingRoom
from hookstream.pipeline import engine as engines
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.broker_clock import BrokerClock
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.engine import Engine, EngineRules, Ports
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.open_attempt import AttemptListener, AttemptResult, OpenAttempt
from hookstream.pipeline.partitions import Gap, Partitions, Receipt
from hookstream.pipeline.ports import Acknowledged, Continuation, RecordSink, WriteRefused
from hookstream.pipeline.retrier import WaitingRecord
from hookstream.pipeline.work import Work


@dataclass(frozen=True, slots=True)
class Defect:
    """A worker with one wrong part, and what the simulator must report of it."""

    name: str
    parts: Parts
    breaks: frozenset[str]
    """The invariants, any of which shows it."""
    within: int
    """Seeds within which it is found."""
    shown_by: int = 0
    """One of these that showed it: tried before the others, which cost up to half a minute."""


def built_with(**parts: type) -> Callable[[Ports, EngineRules], Engine]:
    """Return what builds an engine with parts in place of those of these names."""

    def build(outside: Ports, rules: EngineRules) -> Engine:
        kept = {name: getattr(engines, name) for name in parts}
        try:
            for name, part in parts.items():
                setattr(engines, name, part)
            return Engine(outside, rules)
        finally:
            for name, part in kept.items():
                setattr(engines, name, part)

    return build


class Hasty:
    """A RecordSink that acknowledges before anything is durable."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        self._sink.write(record, lambda _: None)
        acknowledged(None)


class Careless:
    """A RecordSink that acknowledges a refused dead letter."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        def acknowledge(verdict: WriteRefused | None) -> None:
            acknowledged(None if record.topic.endswith(".dead-letters") else verdict)

        self._sink.write(record, acknowledge)


class Expiring:
    """A RecordSink that acknowledges a write that the broker has not accepted for half a minute.

    As a client's message timeout does if its error is ignored.
    """

    PATIENCE = 30.0

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink
        self._waiting: deque[tuple[OutgoingRecord, Acknowledged, float]] = deque()
        self._writing = False

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        expires_at = asyncio.get_running_loop().time() + self.PATIENCE
        self._waiting.append((record, acknowledged, expires_at))
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._writing:
            record, acknowledged, expires_at = self._waiting.popleft()
            if asyncio.get_running_loop().time() > expires_at:
                acknowledged(None)
            else:
                self._writing = True
                self._sink.write(record, partial(self._written, acknowledged))

    def _written(self, acknowledged: Acknowledged, verdict: WriteRefused | None) -> None:
        self._writing = False
        acknowledged(verdict)
        self._next()


class Forgetful(Attempts):
    """Counts attempts in memory, as if no other process ever took a delivery over."""

    made: Counter[str]

    def begin(
        self, work: Work, notify: AttemptListener
    ) -> OpenAttempt | Continuation[AttemptResult] | AttemptResult:
        if not hasattr(self, "made"):
            self.made = Counter()
        delivery = work.delivery
        delivery.attempt = self.made[delivery.delivery_id]
        self.made[delivery.delivery_id] += 1
        return super().begin(work, notify)


class Impatient(Ladder):
    """Releases a record when its tier does, whatever remains of its wait."""

    def release(
        self, appended_at: Millis, delay: Millis, due_at: Millis | None, *, now: Millis = 0
    ) -> Release:
        del due_at
        return WaitUntil(max(appended_at + delay, now))


class Forsaking(Partitions):
    """Revokes a partition as if everything that it took of it were settled."""

    taken: dict[TopicPartition, int]

    def receive(self, batch: Sequence[Record]) -> list[Receipt]:
        self.taken = getattr(self, "taken", {})
        self.taken.update((record.where, record.offset + 1) for record in batch)
        return super().receive(batch)

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        taken = getattr(self, "taken", {})
        settled = await super().on_revoked(partitions)
        return {
            where: CommitPosition(max(progress.offset, taken.get(where, 0)))
            for where, progress in settled.items()
        }


class Mute(Engine):
    """Counts a gap in the log without reporting it."""

    def on_gap(self, partitions: Partitions, where: TopicPartition, gap: Gap) -> None:
        partitions.gap_published(where, gap)


class AtTheEnd(BrokerSource):
    """Starts at the log's end if its offset is gone, as clients do by default."""

    def decide(self, at: TopicPartition) -> Start:
        if at in self.broker.commits.get(self.group.name, {}):
            return super().decide(at)
        return StartAt(self.broker.high(at), commit=True)


class Deduplicating(Admission):
    """Takes a redriven delivery for a copy of the one that it ended."""

    async def due(self, receipt: Receipt, delivery: Delivery) -> None:
        if delivery.trigger is Trigger.REDRIVE and delivery.attempt:
            receipt.release()
        else:
            await super().due(receipt, delivery)


class Confusing(WaitingRoom[WaitingRecord]):
    """Takes deliveries of one id for copies, whichever events they are of."""

    def admit(
        self,
        partition: TopicPartition,
        offset: int,
        due: Millis,
        size: int,
        item: WaitingRecord,
        key: Hashable | None = None,
        owner: Owner | None = None,
        *,
        rank: int = 0,
    ) -> WaitingRecord | None:
        alike = key[:2] if isinstance(key, tuple) else key
        return super().admit(partition, offset, due, size, item, alike, owner, rank=rank)


class Rejuvenating(Revival):
    """Redrives a dead letter as if no attempt had been made for it."""

    def delivery(self, dead: Record) -> OutgoingRecord | Unredrivable:
        forgotten = [(n, b"0" if n == names.ATTEMPT else v) for n, v in dead.headers]
        return super().delivery(replace(dead, headers=forgotten))


class Heedless(Eligibility):
    """Makes attempts at what is held."""

    def status(self, delivery: Delivery, now: Millis) -> SubscriptionStatus:
        return self._directory.status(delivery.subscription_id, now)


class Presuming(Directory):
    """Takes a subscription that is in no table for a deleted one."""

    def status(self, subscription_id: str, now: Millis) -> SubscriptionStatus:
        found = super().status(subscription_id, now)
        return Deleted(subscription_id, "acme") if isinstance(found, Absent) else found


class ByTheWall(Directory):
    """Decides by the wall clock who is active, not by the record's timestamp."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def has_subscribers(self, event_type: str, timestamp: Millis) -> bool:
        del timestamp
        return super().has_subscribers(event_type, self._host.clock.now())

    def match(self, question: Question, load: int = 0) -> Iterator[Match | None]:
        return super().match(self._now(question), load)

    def matching(self, question: Question) -> Matching:
        return super().matching(self._now(question))

    def _now(self, question: Question) -> Question:
        return replace(question, timestamp=self._host.clock.now())


class Believing:
    """Tables that count as current whatever happens."""

    def current(self) -> bool:
        return True


def _believing(outside: Ports, rules: EngineRules) -> Engine:
    return Engine(replace(outside, tables=Believing()), rules)


def _by_the_machine(outside: Ports, rules: EngineRules) -> Engine:
    clock = outside.clock
    assert isinstance(clock, BrokerClock)
    return Engine(replace(outside, clock=clock.machine, agreement=Unquestioned()), rules)


def _behind(sink: Callable[[RecordSink], RecordSink]) -> Callable[[Ports, EngineRules], Engine]:
    return lambda outside, rules: Engine(replace(outside, sink=sink(outside.sink)), rules)


class Accusing(Admission):
    """It makes undecodable whatever raises while it is identified or decoded."""

    def _identified(
        self, record: Record, origin: Origin
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        try:
            return super()._identified(record, origin)
        except Exception as error:  # noqa: BLE001
            return Undecodable(UndecodableReason.NOT_FRAMED, repr(error))

    def _decoded(
        self, identified: Identified, record: Record, origin: Origin, event_id: str
    ) -> Event | Undecodable:
        try:
            return super()._decoded(identified, record, origin, event_id)
        except Exception as error:  # noqa: BLE001
            return Undecodable(UndecodableReason.MALFORMED, repr(error))


class Unfenced(Attempts):
    """An exception after a request ends the process."""

    def _interrupted(self, attempt: OpenAttempt, error: Exception) -> Outcome:
        del attempt
        raise error


class Charging(Attempts):
    """It counts an attempt for which nothing was sent."""

    def _withheld(self, attempt: OpenAttempt, withheld: Withheld) -> Withheld:
        super()._withheld(attempt, withheld)
        attempt.work.delivery.attempt += 1
        return withheld


class Ungrateful(Attempts):
    """It gives up what a receiver accepted, as it asks to be disabled."""

    def _decided(self, *given: Any) -> Any:  # noqa: ANN401  its own
        disposition, also = super()._decided(*given)
        if isinstance(disposition, Complete) and disposition.asked is not None:
            return DeadLetter(DeadReason.ASKED, disposition.asked), also
        return disposition, also


class Dropping(Attempts):
    """It takes for complete what was refused by a receiver that asks to be disabled."""

    def _decided(self, *given: Any) -> Any:  # noqa: ANN401  its own
        disposition, also = super()._decided(*given)
        if isinstance(disposition, DeadLetter) and disposition.reason is DeadReason.ASKED:
            return Complete(), also
        return disposition, also


class Restless(Lanes):
    """It goes on though nothing is left of a limit."""

    def rest(self, subscription_id: str, wait: Millis) -> None:
        del subscription_id, wait


DEFECTS: Sequence[Defect] = (
    Defect(
        "gives up what was accepted by a receiver that asks to be disabled",
        Parts(engine=built_with(Attempts=Ungrateful)),
        frozenset({JUSTIFIED}),
        within=200,
        shown_by=17,
    ),
    Defect(
        "drops what was refused by a receiver that asks to be disabled",
        Parts(engine=built_with(Attempts=Dropping)),
        frozenset({PROMISE}),
        within=200,
        shown_by=76,
    ),
    Defect(
        "goes on though nothing is left of a limit",
        Parts(engine=built_with(Lanes=Restless)),
        frozenset({RESTS}),
        within=200,
        shown_by=35,
    ),
    Defect(
        "commits before the acknowledgement",
        Parts(engine=_behind(Hasty)),
        frozenset({PROMISE}),
        within=50,
    ),
    Defect(
        "drops what the dead-letter topic refuses",
        Parts(engine=_behind(Careless)),
        frozenset({PROMISE}),
        within=400,
    ),
    Defect(
        "takes a mistake of its own for the record's",
        Parts(engine=built_with(Admission=Accusing)),
        frozenset({JUSTIFIED, PROMISE}),
        within=1_000,
        shown_by=35,
    ),
    Defect(
        "sends again, at every start, what it cannot account for",
        Parts(engine=built_with(Attempts=Unfenced)),
        frozenset({ENDS}),
        within=400,
        shown_by=287,
    ),
    Defect(
        "counts attempts in memory",
        Parts(engine=built_with(Attempts=Forgetful)),
        frozenset({EXACT}),
        within=50,
    ),
    Defect(
        "counts an attempt for which nothing was sent",
        Parts(engine=built_with(Attempts=Charging)),
        frozenset({EXACT}),
        within=200,
    ),
    Defect(
        "retries early",
        Parts(engine=built_with(Ladder=Impatient)),
        frozenset({EARLY}),
        within=50,
    ),
    Defect(
        "loses what is in hand when a partition is revoked",
        Parts(engine=built_with(Partitions=Forsaking)),
        frozenset({PROMISE}),
        within=200,
    ),
    Defect(
        "takes an absent subscription for a deleted one",
        Parts(directory=lambda _: Presuming()),
        frozenset({PROMISE}),
        within=400,
        shown_by=125,
    ),
    Defect(
        "judges a pause by the clock on the wall",
        Parts(directory=ByTheWall),
        frozenset({INTERVALS, PROMISE}),
        within=200,
    ),
    Defect(
        "gives up a write that the broker has not taken for half a minute",
        Parts(engine=_behind(Expiring)),
        frozenset({PROMISE, SILENT}),
        within=400,
        shown_by=252,
    ),
    Defect(
        "counts a gap without reporting it",
        Parts(engine=Mute),
        frozenset({GAPS, PROMISE}),
        within=200,
        shown_by=22,
    ),
    Defect(
        "begins at the log's end where its offset is gone",
        Parts(source=AtTheEnd),
        frozenset({GUESSED, PROMISE}),
        within=200,
    ),
    Defect(
        "takes a redriven delivery for a copy",
        Parts(engine=built_with(Admission=Deduplicating)),
        frozenset({PROMISE}),
        within=200,
        shown_by=1,
    ),
    Defect(
        "merges deliveries of one id though their events differ",
        Parts(engine=built_with(WaitingRoom=Confusing)),
        frozenset({PROMISE, SILENT}),
        within=400,
        shown_by=25,
    ),
    Defect(
        "counts attempts again after a redrive",
        Parts(revival=Rejuvenating),
        frozenset({EXACT}),
        within=200,
        shown_by=1,
    ),
    Defect(
        "sends by tables that are out of date",
        Parts(engine=_believing),
        frozenset({STALE, INTERVALS}),
        within=400,
        shown_by=18,
    ),
    Defect(
        "goes by its machine's clock",
        Parts(engine=_by_the_machine),
        frozenset({TIME, EARLY, JUSTIFIED, PROMISE}),
        within=200,
    ),
    Defect(
        "attempts what is held",
        Parts(engine=built_with(Eligibility=Heedless)),
        frozenset({HELD}),
        within=200,
    ),
)
