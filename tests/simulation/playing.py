"""Plays one story to its end: the acts at their times, then no more faults, then everything must drain."""

import asyncio
from dataclasses import dataclass

from tests.doubles import virtual_time
from tests.doubles.clock import NOON
from tests.simulation.ending import judge
from tests.simulation.expectation import Event
from tests.simulation.link import Link
from tests.simulation.owners import Owners
from tests.simulation.story import HOSTS, LATE, Act, Broken, Story, Wish
from tests.simulation.world import EVENTS, LATE_EVENTS, Host, Parts

from hookstream.core.model.record import TopicPartition
from hookstream.core.replay import outstanding
from hookstream.pipeline.ports import WriteRefused

SESSION_SECONDS = 3.0
"""Seconds without a heartbeat after which a group reassigns a member's partitions."""

DRAINS_WITHIN = 600.0
"""Virtual seconds after the last fault within which everything must have completed."""

LOOK_EVERY = 0.5

WINDOW, LEAST_ROOM = 6, 2
"""How many deliveries of a replay may be out here, and the least of them that a step has room for."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a story went."""

    broken: Broken | None
    events: int
    attempts: int
    tier_writes: int
    crashes: int
    seconds: float
    """Virtual ones."""


ALL_PARTS = Parts()


def play(story: Story, parts: Parts = ALL_PARTS, chronicle: list[str] | None = None) -> Result:
    """Play a story on virtual time; what happens is written into `chronicle`, line by line.

    Its seed also decides which timer of one instant fires first.
    """
    kept = outstanding.WINDOW, outstanding.LEAST_ROOM
    outstanding.WINDOW, outstanding.LEAST_ROOM = WINDOW, LEAST_ROOM  # type: ignore[misc]
    try:
        return virtual_time.run(_play(story, parts, chronicle), virtual_time.drawn(story.seed))
    finally:
        outstanding.WINDOW, outstanding.LEAST_ROOM = kept  # type: ignore[misc]


async def _play(story: Story, parts: Parts, chronicle: list[str] | None) -> Result:
    async with asyncio.TaskGroup() as tasks:
        playing = Player(story, parts, tasks)
        playing.world.ledger.chronicle = chronicle
        await playing.run()
        playing.end()
        for task in playing.running:
            task.cancel()
    world = playing.world
    ledger = world.ledger
    loop = asyncio.get_running_loop()
    if isinstance(loop, virtual_time.VirtualTimeLoop) and loop.troubles:
        ledger.blame("no exception is unhandled", loop.troubles[0])
    if ledger.broken is None:
        judge(ledger, world.topics, story)
    return Result(
        broken=ledger.broken,
        events=len(world.expectation.events),
        attempts=ledger.attempts,
        tier_writes=ledger.tier_writes,
        crashes=playing.crashes,
        seconds=asyncio.get_running_loop().time(),
    )


class Player(Owners):
    """The acts of a story, each a method `do_…`."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        super().__init__(story, parts, tasks)
        self._over = asyncio.Event()
        self._outages = 0
        self._away_until = 0.0
        """When the last outage of the broker ends."""
        self.world.ledger.on_broken = self._over.set
        world = self.world
        world.hosts = {
            name: Host(name, world.clock.now, Link(world.broker.write)) for name in HOSTS
        }

    async def run(self) -> None:
        """Let everything happen, until it has or an invariant breaks."""
        for wish in self.story.wishes:
            if wish.born <= 0:
                self.world.subscribe(wish, self.world.subscription(wish, NOON - 1))
        timeline: list[tuple[float, Act | Wish]] = [(act.at, act) for act in self.story.acts]
        timeline += [(wish.born, wish) for wish in self.story.wishes if wish.born > 0]
        timeline.sort(key=lambda each: each[0])
        for act in self.story.acts:
            if act.does == "wrong_clock":
                self.world.hosts[act.who].set_clock(int(act.amount))
        await self.start(self.world.hosts[HOSTS[0]])
        for at, what in timeline:
            await self._until(at)
            if self._over.is_set():
                return
            if isinstance(what, Act):
                self.world.ledger.note(f"* {str(what)[9:]}")
                getattr(self, f"do_{what.does}")(what)
            else:
                self.subscribe(what)
        await self._until(self._away_until)
        await self.world.writer.idle.wait()
        await self._calm()

    async def _until(self, at: float) -> None:
        wait = at - asyncio.get_running_loop().time()
        if wait > 0:
            await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return

    async def _calm(self) -> None:
        """End all faults, and wait until nothing is left to do."""
        self._end_faults()
        await self._drain()

    def _end_faults(self) -> None:
        world = self.world
        world.ledger.note("* all faults are over")
        world.calm = True
        world.refusals.clear()
        world.flaws.heal()
        world.broker_is(up=True)
        world.codec.publish(LATE)
        for host in world.hosts.values():
            host.set_clock(0)
            host.link.mend_all()
            host.wake()
            host.lag, host.append_delay, host.answer_delay = 0.05, 0.0, 0.0
            if host.process is not None and not host.process.died.is_set():
                # One that has just died is removed like any other.
                host.process.doom = None
        world.commit_open()
        world.writer.pace = None
        for name in list(world.subscriptions):
            self.return_row(name)
            self.do_resume(Act(0, "resume", name))

    async def _drain(self) -> None:
        world = self.world
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAINS_WITHIN
        while self.unfinished() or world.undrained() or loop.time() < self._quiet_until():
            if self._over.is_set():
                return
            if loop.time() > deadline:
                world.ledger.blame("everything completes", self._what_is_left())
                return
            if not any(host.process and host.process.alive for host in world.hosts.values()):
                await self.start(world.hosts[HOSTS[0]])
            await self._sleep(LOOK_EVERY)

    def _quiet_until(self) -> float:
        return self.story.acts[-1].at + 1.0 if self.story.acts else 1.0

    def _what_is_left(self) -> str:
        left = self.unfinished()
        left += [f"{w.topic}/{w.partition} from {at}" for w, at in self.world.undrained().items()]
        return f"not committed after {DRAINS_WITHIN:g}s of calm: {', '.join(left)}"

    def end(self) -> None:
        """Stop everything."""
        for host in self.world.hosts.values():
            if host.process is not None:
                host.process.stop_dead(appended=False)

    def do_clock(self, act: Act) -> None:
        """Let a host's clock jump by so many milliseconds."""
        host = self.world.hosts[act.who]
        host.set_clock(host.clock.ahead + int(act.amount))

    def do_wrong_clock(self, _: Act) -> None:
        """Let a host's clock have been wrong by so many milliseconds from the start."""

    # The broker.

    def do_outage(self, act: Act) -> None:
        """Let the broker be down for so many seconds, and longer if it is down already."""
        loop = asyncio.get_running_loop()
        self._outages += 1
        self.world.broker_is(up=False)
        self._away_until = max(self._away_until, loop.time() + act.amount)
        loop.call_later(act.amount, self._back)

    def _back(self) -> None:
        self._outages -= 1
        if not self._outages:
            self.world.broker_is(up=True)

    def do_cut_link(self, act: Act) -> None:
        """Disconnect a host from the broker for so many seconds; its groups detect it after a while."""
        host = self.world.hosts[act.who]
        host.link.cut()
        self.spawn(self._cut_off(host, act.amount))

    async def _cut_off(self, host: Host, seconds: float) -> None:
        process = host.process
        await asyncio.sleep(min(seconds, SESSION_SECONDS))
        left = seconds - SESSION_SECONDS
        if left > 0 and process is not None and process.alive:
            self.spawn(process.events.member.lose(notified_after=left + 0.2))
            self.spawn(process.tiers.member.lose(notified_after=left + 0.2))
        await asyncio.sleep(max(0.0, left))
        host.link.mend()
        host.wake()

    def do_short(self, act: Act) -> None:
        """Leave a host without descriptors for connections for so many seconds."""
        host = self.world.hosts[act.who]
        host.short += 1

        def enough() -> None:
            host.short -= 1

        asyncio.get_running_loop().call_later(act.amount, enough)

    def do_late(self, act: Act) -> None:
        """Delay a host's writes and their acknowledgements."""
        host = self.world.hosts[act.who]
        host.append_delay, host.answer_delay = act.amount, float(act.more[0])

    def do_refuse(self, act: Act) -> None:
        """Refuse writes to a kind of topic for good, for so many seconds."""
        refusal = WriteRefused("refused by the story", too_large=bool(act.more[0]))
        self.world.refusals[act.who] = refusal
        asyncio.get_running_loop().call_later(act.amount, self.world.refusals.pop, act.who, None)

    def do_mark(self, act: Act) -> None:
        partition = int(act.amount) % self.story.partitions
        self.world.broker.mark(TopicPartition(EVENTS, partition))

    # Upstream.

    def do_publish(self, act: Act) -> None:
        kind, colour, partition, *event_id = act.more
        self.world.publish(
            act.who, str(kind), str(colour), int(partition), *(str(each) for each in event_id)
        )

    def do_publish_stamped(self, act: Act) -> None:
        kind, colour, partition, stamp = act.more
        self.world.publish(act.who, str(kind), str(colour), int(partition), stamped=int(stamp))

    def do_publish_stepped(self, act: Act) -> None:
        """Publish an event by a broker whose clock is so many milliseconds behind."""
        kind, colour, partition = act.more
        behind = int(act.amount) if self.world.keeps_offsets else 0
        stamped = self.world.clock.now() - behind
        self.world.publish(act.who, str(kind), str(colour), int(partition), stamped=stamped)

    def do_publish_open(self, act: Act) -> None:
        """Publish an event in a transaction that ends after so many seconds; some are aborted."""
        kind, colour, partition, aborts = act.more
        world = self.world
        event = world.publish(act.who, str(kind), str(colour), int(partition))
        if world.keeps_offsets:
            log = world.broker.logs[TopicPartition(event.topic, event.partition)]
            log.opened.append(event.offset)
            loop = asyncio.get_running_loop()
            loop.call_later(act.amount, self._end_transaction, event, bool(aborts))

    def _end_transaction(self, event: Event, aborts: bool) -> None:  # noqa: FBT001
        world = self.world
        where = TopicPartition(event.topic, event.partition)
        log = world.broker.logs[where]
        if event.offset not in log.opened:
            return
        log.opened.remove(event.offset)
        if aborts:
            world.abort(event)
        world.ledger.note(
            f"the transaction of {event.id} is {'aborted' if aborts else 'committed'}"
        )
        world.broker.mark(where)
        for host in world.hosts.values():
            host.wake()

    def do_publish_late(self, act: Act) -> None:
        """Publish to a topic that is created for it."""
        world = self.world
        kind, colour = act.more
        # Where offsets may be lost, one that was never read looks like one whose offset is.
        topic = LATE_EVENTS if world.keeps_offsets else EVENTS
        if topic not in world.broker.partitions:
            world.broker.create(topic)
        world.publish(act.who, str(kind), str(colour), 0, topic=topic)

    def do_grow(self, act: Act) -> None:
        """Add so many partitions to the event topic."""
        broker = self.world.broker
        # Where offsets may be lost, a partition that was never read looks like one whose offset is.
        if self.world.keeps_offsets and broker.up.is_set():
            broker.add_partitions(EVENTS, int(act.amount))

    def do_publish_newest(self, act: Act) -> None:
        """Publish to the partition that was added last."""
        kind, colour = act.more
        newest = self.world.broker.partitions[EVENTS] - 1
        self.world.publish(act.who, str(kind), str(colour), newest)

    def do_flaw(self, act: Act) -> None:
        """Let the next calls of a port raise, in any worker."""
        self.world.flaws.plant(act.who, int(act.amount))

    def do_publish_schema(self, _: Act) -> None:
        self.world.codec.publish(LATE)

    def do_lag(self, act: Act) -> None:
        """Let a host read its tables so many seconds late, for a while."""
        host = self.world.hosts[act.who]
        host.lag = act.amount
        asyncio.get_running_loop().call_later(float(act.more[0]), setattr, host, "lag", 0.05)
