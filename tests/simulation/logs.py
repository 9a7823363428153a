"""What happens to logs and offsets during a story, and what operators do about it."""

import asyncio
import math
from functools import partial

from tests.simulation.lives import Lives
from tests.simulation.story import TIERS, Act
from tests.simulation.world import EVENTS

from hookstream.core.model.record import TopicPartition


class Logs(Lives):
    """The acts on logs, each a method `do_…`."""

    def do_cut(self, act: Act) -> None:
        """Let retention delete a share of what is not settled; of a tier if `who` names one.

        While workers run, or while none runs for so many seconds.
        """
        partition, away = act.more
        cut = partial(self._cut, act.who, int(partition), act.amount)
        if away:
            self.spawn(self.desert(float(away), cut))
        else:
            cut()

    def do_lose_offsets(self, act: Act) -> None:
        """Let a group's offset of a partition be lost while no worker runs for so many seconds.

        An operator names a position a while later, if the partition stops.
        """
        partition, grace, hesitates, position = act.more

        def lose() -> None:
            where = self._partition(act.who, int(partition))
            self.world.lose_offset(where, int(grace))
            self.spawn(self._say(where, float(hesitates), position))

        self.spawn(self.desert(act.amount, lose))

    async def _say(self, where: TopicPartition, hesitates: float, position: str | float) -> None:
        """Name where a partition starts; the request is repeated until it is applied."""
        world = self.world
        at = position if isinstance(position, str) else world.clock.now() - int(position)
        while where in world.ledger.given_up.lost:
            await asyncio.sleep(hesitates)
            there = [host.process for host in world.hosts.values() if host.process is not None]
            stopped = [process for process in there if process.stopped(where)]
            if stopped and world.broker.up.is_set():
                world.ledger.note(f"an operator starts {where.topic}/{where.partition} at {at}")
                world.ledger.given_up.said.add(where)
                stopped[0].start_partition(where, at)

    def _partition(self, kind: str, partition: int) -> TopicPartition:
        """Return a partition of the event topic, or the tier of which most is not settled."""
        if kind != "tier":
            return TopicPartition(EVENTS, partition % self.story.partitions)
        world = self.world
        tiers = [TopicPartition(world.topics.tier(delay), 0) for delay in TIERS]
        return max(tiers, key=lambda tier: world.broker.high(tier) - world.committed(tier))

    def _cut(self, kind: str, partition: int, share: float) -> None:
        world = self.world
        where = self._partition(kind, partition)
        first = max(world.committed(where), world.broker.low(where))
        start = first + math.ceil(share * (world.broker.high(where) - first))
        if start > first and not world.broker.logs[where].opened:
            world.ledger.note(f"{where.topic}/{where.partition} begins at {start} now")
            world.ledger.given_up.starts[where] = start
            world.broker.delete_before(where, start)
