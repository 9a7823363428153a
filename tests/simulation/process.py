"""One worker process: the unchanged engine, with wrapped ports that observe it and let it die."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tests.doubles.broker_sink import BrokerSink
from tests.doubles.endpoint import SHORT_SECONDS, WITHOUT_DESCRIPTORS
from tests.doubles.exchange import PlayedExchange
from tests.doubles.seeing import (
    CountingMetrics,
    JsonOwnRecords,
    RememberingLogger,
    SilentTracer,
)
from tests.simulation.behaviours import may_be_gone
from tests.simulation.expectation import LAG, Pair, SubscriptionStatus, is_test
from tests.simulation.flaws import BY_THE_SENDER
from tests.simulation.hand import Hand, Sent
from tests.simulation.headers import OF_LANES, text_in
from tests.simulation.invariants import (
    BEHIND,
    ENDS,
    HELD,
    ISOLATION,
    JUSTIFIED,
    MEMORY,
    RATE,
    RESTS,
    STALE,
    TIME,
    Ledger,
)
from tests.simulation.listening import SeenListener
from tests.simulation.sent_tests import AT_ONCE, TESTED
from tests.simulation.story import Story

from hookstream.adapters.ed25519 import signer
from hookstream.core.model.broker_time import MOST_WIDE
from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import MINUTE, SECOND, Millis
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
)
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import Subscription
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.outcome.answer_headers import rest_in
from hookstream.pipeline.broker_clock import BrokerClock, time_request
from hookstream.pipeline.engine import Engine, Ports
from hookstream.pipeline.ports import (
    Acknowledged,
    Answered,
    AssignmentListener,
    Continuation,
    Exchange,
    Permitted,
    Post,
    WriteRefused,
    always_permitted,
)
from hookstream.pipeline.retrier import WAITING_BYTES

if TYPE_CHECKING:
    from tests.simulation.world import Host, World

T = TypeVar("T")

LANE_TICK = 1_300
"""Milliseconds within which a lane has read its subscription's limits again."""

RUN_AHEAD = 0.11
"""Seconds by which attempts may run ahead of an even spacing."""

MOST_OFF = MOST_WIDE + 0.1
"""Seconds by which a worker's time may be from the brokers'."""

TINY = 0.001
"""Seconds by which a timer may be early."""

OVERDRAWN = 2
"""Deliveries above the budget: one for each of the two loops that spend it."""

AUDITED_WITHIN = 0.05
"""Seconds from an answer until an attempt's audit record is written."""

STAYS = 25 * SECOND
"""How long a worker may drain."""


@dataclass(slots=True)
class Doom:
    """Where a process dies: a moment after its `nth` call of a kind."""

    at: str
    nth: int
    turns: int
    """Turns of the event loop that it still lives then; 0: it dies in the middle of the call."""
    appended: bool
    """Whether the broker has what the process was writing."""
    away: float
    """Seconds until the group detects it."""
    back: float
    """Seconds until a new process starts on the host."""


class HostClock:
    """A Clock that may be wrong, and jump."""

    def __init__(self, true: Callable[[], Millis]) -> None:
        self.ahead: Millis = 0
        self._true = true
        # The loop's function itself: a worker asks for the time thousands of times in a story.
        self.monotonic: Callable[[], float] = asyncio.get_running_loop().time

    def now(self) -> Millis:
        return self._true() + self.ahead

    def moment(self) -> Moment:
        return Moment(self.monotonic(), (self._true() + self.ahead) / 1000)


class DrawnChance:
    """A Random that the seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def fraction(self) -> float:
        return self._random.random()


class DrawnOffload:
    """An Offload whose computations take a while, during which everything else continues."""

    def __init__(self, story: Story) -> None:
        self._random = random.Random(story.seed)
        self._seconds = (0.0, 0.01) if story.quiet else (0.0, 0.01, 0.3)
        self._one = asyncio.Lock()

    async def run(self, compute: Callable[[], T]) -> T:
        async with self._one:
            await asyncio.sleep(self._random.choice(self._seconds))
            try:
                return compute()
            finally:
                await asyncio.sleep(self._random.choice(self._seconds))


class Process:
    """One worker from its start to its end, of whatever kind."""

    def __init__(self, world: "World", host: "Host") -> None:
        self.world = world
        self.host = host
        self.ledger: Ledger = world.ledger
        self.alive = True
        self.hand = Hand()
        self.died = asyncio.Event()
        self.doom: Doom | None = None
        self.view = world.view(host)
        self.producer = BrokerSink(host.link, 0.001)
        self.metrics = CountingMetrics()
        self.logger = RememberingLogger()
        self.clock = BrokerClock(host.clock, self.logger, boot=host.clock.monotonic)
        self.did: Counter[str] = Counter()
        self.sink = SeenSink(self)
        self.events = SeenSource(self, world.topics.group, world.event_topics)
        self.tiers = SeenSource(self, world.topics.retry_group, world.tier_topics)
        outside = Ports(
            events=self.events,
            tiers=self.tiers,
            topics=world.topics,
            directory=self.view.directory,
            tables=self.view,
            codec=world.codec,
            sink=self.sink,
            sender=SeenSender(self),
            public_key_signing=signer,
            own_records=JsonOwnRecords(world.topics),
            clock=self.clock,
            agreement=self.clock,
            chance=DrawnChance(world.random.getrandbits(32)),
            tracer=SilentTracer(),
            metrics=self.metrics,
            logger=self.logger,
            health=self.view.health,
            offload=DrawnOffload(world.story),
        )
        if world.flawed:
            outside = world.flaws.within(outside)
        self.engine: Engine = world.parts.engine(outside, world.rules)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = self.world.tasks.create_task(self._run())
        await asyncio.sleep(0)
        self.sink.write(time_request(self.world.topics), lambda _: None)
        await self.events.start(self.engine.events)
        if self.alive:
            await self.tiers.start(self.engine.tiers)

    async def _run(self) -> None:
        try:
            await self.engine.run(self._stop, STAYS)
        except Exception as error:  # noqa: BLE001  any exception is a finding
            if self.alive:
                self.ledger.blame(ENDS, _causes(error))

    async def terminate(self) -> None:
        """SIGTERM: drain, commit, leave."""
        self._stop.set()
        assert self._task is not None
        await asyncio.wait([self._task])
        if not self.alive:
            return
        await self.producer.flush(5)
        self.engine.commit()
        await self.events.member.close()
        await self.tiers.member.close()
        self.alive = False
        self.ledger.note(f"{self.host.name} has stopped")
        self.view.close()

    async def kill(self, *, appended: bool, away: float) -> None:
        """SIGKILL: what was not acknowledged is lost, or was appended; the group learns it later."""
        self.stop_dead(appended=appended)
        await asyncio.sleep(away)
        await self.events.member.crash()
        await self.tiers.member.crash()

    def stop_dead(self, *, appended: bool) -> None:
        """Do nothing more, from this very instruction on."""
        if not self.alive:
            return
        self.alive = False
        for source in self._sources:
            source.member.dead = True
        self.ledger.note(f"{self.host.name} is dead")
        self.view.close()
        self.producer.crash(appended=appended)
        if self._task is not None:
            self._task.cancel()

    def stopped(self, where: TopicPartition) -> bool:
        """Return whether it was given a partition and does not read it."""
        return self.alive and any(where in source.member.stopped for source in self._sources)

    def start_partition(self, where: TopicPartition, at: str | Millis) -> None:
        """Take an operator's request."""
        for source in self._sources:
            source.member.start_partition(where, at)

    def wake(self) -> None:
        """Check again what can be read."""
        for source in self._sources:
            source.member.wake()

    @property
    def _sources(self) -> "tuple[SeenSource, SeenSource]":
        return self.events, self.tiers

    def lives(self) -> bool:
        """Return whether it does, also directly after a query."""
        return self.alive

    def does(self, what: str) -> None:
        """Record a call at a wrapped port, and die there if that is the planned death."""
        self.did[what] += 1
        doom = self.doom
        if doom is None or doom.at != what or self.did[what] < doom.nth or self.died.is_set():
            return
        self.died.set()
        if doom.turns == 0:
            self.stop_dead(appended=doom.appended)

    def look(self) -> None:
        """Compare what the process has in memory with its bounds."""
        bounds = self.world.story.bounds
        engine = self.engine
        if engine.budget.room < -OVERDRAWN:
            self.ledger.blame(MEMORY, f"{-engine.budget.room} deliveries above the budget")
        shares = len(self.tiers.assigned)
        # Each partition is paused at its share, which what was already fetched may exceed.
        most = bounds.room_bytes + shares * (bounds.room_floor + self.tiers.largest)
        if engine.room.waiting_bytes > most:
            self.ledger.blame(MEMORY, f"{engine.room.waiting_bytes} bytes in a room of {most}")


def _causes(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_causes(each) for each in error.exceptions)
    return repr(error)


class SeenSource:
    """A RecordSource that reports to the ledger what it returns, and returns nothing to a dead process."""

    def __init__(
        self,
        process: Process,
        group: str,
        pick: Callable[..., list[str]],
    ) -> None:
        self.assigned: set[TopicPartition] = set()
        self.largest = 0
        """Memory that the largest batch that it gave takes in the room."""
        world = process.world
        starts = world.starts(group, process.view.directory)
        made_as = world.parts.source
        self.member = world.broker.source(group, pick, starts, made_as)
        self.member.up = process.host.link.up
        self._process = process

    async def start(self, listener: AssignmentListener) -> None:
        await self.member.start(SeenListener(self._process, listener, self.assigned))

    @property
    def exist(self) -> int:
        return self.member.exist

    async def take(self, most: int) -> Sequence[Record]:
        process = self._process
        records = await self.member.take(most)
        if not process.alive:
            return ()
        if records:
            self.largest = max(
                self.largest, sum(record.size + WAITING_BYTES for record in records)
            )
            process.ledger.taken(process.hand, records)
            process.look()
            process.does("take")
        return records if process.lives() else ()

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        if self._process.alive:
            self.member.commit(offsets)
            self._process.does("commit")

    def pause(self, partition: TopicPartition) -> None:
        if self._process.alive:
            self.member.pause(partition)

    def resume(self, partition: TopicPartition) -> None:
        if self._process.alive:
            self.member.resume(partition)


class SeenSink:
    """A RecordSink whose writes the story refuses and delays."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._refused: list[OutgoingRecord] = []
        """What is written again: its lane deferred it at its first write, and has other work since."""

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        process = self._process
        if not process.alive:
            return
        asked = process.clock.moment()
        refusal = process.world.refusal(record)
        self._is_deferred_rightly(record)
        self._disables_rightly(record)
        now, refused = process.clock.now(), refusal is not None
        process.ledger.writing(process.hand, record, now, refused=refused)
        if refusal is not None:
            self._refused.append(record)
            process.ledger.note(f"{process.host.name} is refused a write to {record.topic}")
            asyncio.get_running_loop().call_later(0.002, self._acknowledge, acknowledged, refusal)
        else:
            before, after = process.world.delays(process.host)
            process.producer.latency = before

            def appended(verdict: WriteRefused | None) -> None:
                stamp = process.world.clock.now()

                def acknowledge(verdict: WriteRefused | None) -> None:
                    if verdict is None:
                        answered = process.clock.moment()
                        # What fell due before may wait for its batch while the clock is set back.
                        process.hand.latest = max(process.hand.latest, process.clock.now())
                        process.clock.learn(record.topic, stamp, asked, answered)
                    acknowledged(verdict)

                if after:
                    loop = asyncio.get_running_loop()
                    loop.call_later(after, self._acknowledge, acknowledge, verdict)
                else:
                    self._acknowledge(acknowledge, verdict)

            process.producer.write(record, appended)
        process.does("write")

    def _is_deferred_rightly(self, record: OutgoingRecord) -> None:
        """Check that no replayed delivery keeps a place in a lane that defers a live one."""
        process = self._process
        if (
            process.world.topics.delay_of(record.topic) is None
            or text_in(record, "hs-deferred-reason") not in OF_LANES
            or any(each is record for each in self._refused)
            or (who := text_in(record, "hs-subscription-id")) is None
            or text_in(record, "hs-job") is not None
        ):
            return
        queue = process.engine.lanes._queues[who]  # noqa: SLF001  no other part shows what waits where
        # What a search in a refused batch has left stays: it is short, and would begin again.
        left = sum(
            work.delivery.is_background and work.halving is None and not work.alone
            for work in (*queue.waiting, *queue.background)
        )
        if left:
            what = f"{left} replayed deliveries stay in the lane of {who}, which defers a live one"
            process.ledger.blame(BEHIND, what)

    def _disables_rightly(self, record: OutgoingRecord) -> None:
        """Check that no endpoint is disabled for what that of its id's earlier life answered."""
        process = self._process
        if record.topic != process.world.topics.health or not record.value:
            return
        name = (record.key or b"").decode().rpartition("/")[0]
        row = process.view.directory.subscriptions.get(name)
        if json.loads(record.value).get("reason") != "gone" or not isinstance(row, Subscription):
            return
        if any(each is record for each in self._refused):
            return
        if not may_be_gone(process.ledger.expected.by_url[row.endpoint.url].wish):
            process.ledger.blame(JUSTIFIED, f"{row.endpoint.url} is disabled, and is not gone")

    def _acknowledge(self, acknowledged: Acknowledged, verdict: WriteRefused | None) -> None:
        if self._process.alive:
            acknowledged(verdict)
            self._process.does("acknowledgement")


class SeenSender:
    """A Sender to the endpoints of the story, which reports to the ledger what they see and answer."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._connected: set[str] = set()
        self._in_flight: Counter[str] = Counter()
        self._tests_in_flight: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        """When the latest attempt at each endpoint began, by its URL."""
        self._rests: dict[str, tuple[float, float]] = {}
        """Since when, and until when, each endpoint has nothing left of its limit."""

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Continuation[Answer | Withheld]:
        """Send over an open connection, where there is one: the first request of all makes it."""
        if self._process.host.short or post.url not in self._connected:
            self._connected.add(post.url)
            return Continuation(partial(self.send, post, permitted))
        return PlayedExchange(self.send(post, permitted), answered)

    async def _withheld(self, permitted: Permitted) -> Withheld | None:
        if self._process.host.short:
            await asyncio.sleep(SHORT_SECONDS)
            return WITHOUT_DESCRIPTORS
        return None if permitted() else NOT_PERMITTED

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        process = self._process
        if not process.alive:
            await asyncio.Event().wait()
        withheld = await self._withheld(permitted)
        if withheld is not None:
            return withheld
        ledger, who = process.ledger, post.subscription_id
        sent = ledger.sending(process.hand, post, process.clock.now())
        pairs = list(sent.numbers)
        self._may_be_sent(post, pairs)
        self._keeps_time(post)
        in_flight = self._count_begun(post, pairs)
        process.does("attempt")
        try:
            async with asyncio.timeout(post.timeout / 1000):
                answer = await process.world.endpoint(post.url)(post)
        except TimeoutError:
            answer = TransportFailure(FailureKind.TIMEOUT, "no answer in time")
        finally:
            in_flight[post.url] -= 1
        if isinstance(answer, Response) and 200 <= answer.status < 300:
            for pair in pairs:
                ledger.accepts(pair)
                process.world.arrived(pair)
        ledger.answered(process.hand, sent, answer)
        named = ", ".join(event for event, _ in pairs)
        ledger.note(f"{who} answers {process.host.name} for {named}: {answer}")
        if process.alive:
            loop = asyncio.get_running_loop()
            loop.call_later(AUDITED_WITHIN, self._is_audited, sent)
            process.does("answer")
            process.world.flaws.meet(BY_THE_SENDER)
        if in_flight is self._in_flight:
            self._note_rest(post.url, answer)
        return answer

    def _count_begun(self, post: Post, pairs: Sequence[Pair]) -> Counter[str]:
        """Check a request against what else is in flight; a test is beside its lane, whose limits do not count it."""
        if any(map(is_test, pairs)):
            self._count_test(post.url)
            return self._tests_in_flight
        self._respects_rest(post.url, asyncio.get_running_loop().time())
        self._in_flight[post.url] += 1
        self._count(post)
        return self._in_flight

    def _may_be_sent(self, post: Post, pairs: Sequence[Pair]) -> None:
        """Check each delivery of a request against what its subscription and its type allow."""
        process, who = self._process, post.subscription_id
        for event, _ in pairs:
            found = process.ledger.expected.event(event)
            event_type = "" if found is None else found.type
            stopped = process.world.stopped(post.url, event_type)
            if stopped is not None:
                process.ledger.blame(STALE, f"{event} was attempted for {who}, which {stopped}")
            if process.view.holds(who, event_type):
                process.ledger.blame(HELD, f"{event} for {who} was attempted")

    def _is_audited(self, sent: Sent) -> None:
        """Check that each delivery of an answered request was audited."""
        process = self._process
        if process.alive and sent.numbers and process.world.audits_at_once:
            process.ledger.unaudited(sent)

    def _note_rest(self, url: str, answer: Answer) -> None:
        words = answer.words if isinstance(answer, Response) else None
        wait = rest_in(words.ratelimit, longest=MINUTE) if words and words.ratelimit else None
        if wait:
            now = asyncio.get_running_loop().time()
            _, until = self._rests.get(url, (0.0, 0.0))
            self._rests[url] = now, max(until, now + wait / 1000)

    def _respects_rest(self, url: str, began: float) -> None:
        """Check that an attempt did not begin after the process knew that nothing is left."""
        since, until = self._rests.get(url, (0.0, 0.0))
        if since < began < until - TINY:
            left = until - began
            self._process.ledger.blame(RESTS, f"{url} is attempted {left:.3f}s before its reset")

    def _keeps_time(self, post: Post) -> None:
        """Compare a request's timestamp with the brokers' time."""
        process = self._process
        off = int(dict(post.headers)["webhook-timestamp"]) - process.world.clock.now() / 1000
        if not -MOST_OFF - 1 <= off <= MOST_OFF:
            process.ledger.blame(TIME, f"a request is signed {off:.1f}s from the brokers' time")

    def _count_test(self, url: str) -> None:
        there = self._tests_in_flight
        there[url] += 1
        if there[url] > 1 or there.total() > AT_ONCE:
            what = f"{there[url]} tests of {url} are in flight, {there.total()} of all"
            self._process.ledger.blame(TESTED, what)

    def _knows_limits(self, status: SubscriptionStatus) -> bool:
        """Return whether the lane has its limits: one whose row was gone, or deleted, has them with its next tick."""
        world = self._process.world
        again = status.wish.id in world.expectation.earlier
        there = not again or world.clock.now() > status.written + LAG + LANE_TICK
        return there and not status.absences

    def _count(self, post: Post) -> None:
        process, who, url = self._process, post.subscription_id, post.url
        process.look()
        status = process.ledger.expected.by_url[url]
        wish = status.wish
        now = asyncio.get_running_loop().time()
        apart = now - self._last.get(url, float("-inf"))
        self._last[url] = now
        if (
            self._knows_limits(status)
            and wish.rate is not None
            and apart < 1 / wish.rate - RUN_AHEAD
        ):
            process.ledger.blame(RATE, f"{apart:.3f}s between two attempts at {who}")
        queue = process.engine.lanes._queues.get(who)  # noqa: SLF001  no other part shows what waits where
        if queue is not None and any(work.delivery.is_background for work in queue.waiting):
            process.ledger.blame(BEHIND, f"a replay waits among live deliveries of {who}")
        if self._in_flight[url] > wish.max_in_flight:
            process.ledger.blame(ISOLATION, f"{self._in_flight[url]} in flight to {url}")
        if self._in_flight.total() > process.world.story.bounds.max_in_flight:
            process.ledger.blame(MEMORY, f"{self._in_flight.total()} in flight")
