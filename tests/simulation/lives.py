"""How the processes of a story start, die, shut down and restart."""

import asyncio
from collections.abc import Callable, Coroutine

from tests.simulation.process import Doom, Process
from tests.simulation.story import HOSTS, Act, Story
from tests.simulation.world import Host, Parts, World

DOOMED_FOR = 3.0
"""Virtual seconds within which a process that is to die has died."""


class Lives:
    """The acts on processes, each a method `do_…`."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        self.story = story
        self.world = World(story, parts, tasks)
        self.crashes = 0
        self.running: list[asyncio.Task[None]] = []
        self._tasks = tasks
        self.world.writer.spawn = self.spawn

    async def start(self, host: Host) -> None:
        if host.process is not None and host.process.alive:
            return
        self.world.ledger.note(f"{host.name} starts")
        process = host.process = Process(self.world, host)
        self.spawn(self._watch(process))
        await process.start()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        self.running.append(self._tasks.create_task(work))

    async def _watch(self, process: Process) -> None:
        """Wait for a process to die; start another in its place."""
        await process.died.wait()
        doom = process.doom
        if doom is None:
            return
        self.crashes += 1
        for _ in range(doom.turns):
            await asyncio.sleep(0)
        await process.kill(appended=doom.appended, away=doom.away)
        await asyncio.sleep(doom.back)
        await self.start(process.host)

    def process_of(self, act: Act) -> Process | None:
        process = self.world.hosts[act.who].process
        return process if process is not None and process.alive else None

    def do_start(self, act: Act) -> None:
        """Start a worker on a host that has none."""
        self.spawn(self.start(self.world.hosts[act.who]))

    def do_crash(self, act: Act) -> None:
        """Let a process die at its nth call of a kind from now on."""
        process = self.process_of(act)
        if process is None or process.doom is not None:
            return
        kind, nth, turns, appended, away, back = act.more
        nth = process.did[str(kind)] + int(nth)
        process.doom = Doom(str(kind), nth, int(turns), bool(appended), float(away), float(back))
        # A process that does not reach that point dies all the same.
        asyncio.get_running_loop().call_later(DOOMED_FOR, process.died.set)

    def do_stop(self, act: Act) -> None:
        """SIGTERM; another process starts a while later."""
        process = self.process_of(act)
        if process is not None:
            self.spawn(self._restart(process, act.amount))

    async def _restart(self, process: Process, after: float) -> None:
        await process.terminate()
        await asyncio.sleep(after)
        await self.start(process.host)

    def do_move(self, _: Act) -> None:
        """Rebalance both groups: every partition goes to the next member."""
        for group in (self.world.topics.group, self.world.topics.retry_group):
            self.spawn(self.world.broker.move(group))

    def do_expel(self, act: Act) -> None:
        """Expel a member from its groups; it is notified a while later."""
        process = self.process_of(act)
        if process is not None:
            self.spawn(process.events.member.lose(notified_after=act.amount))
            self.spawn(process.tiers.member.lose(notified_after=act.amount))

    async def desert(self, away: float, meanwhile: Callable[[], None]) -> None:
        """Let every process die, and do something after a while without any process."""
        await self._kill_all()
        await asyncio.sleep(away)
        there = await self._kill_all()
        meanwhile()
        for host in there or [self.world.hosts[HOSTS[0]]]:
            await self.start(host)

    async def _kill_all(self) -> list[Host]:
        there: list[Host] = []
        while alive := [h for h in self.world.hosts.values() if h.process and h.process.alive]:
            for host in alive:
                assert host.process is not None
                await host.process.kill(appended=True, away=0.0)
            there += alive
        return there
