"""What happens to logs and offsets while a story goes on, and what operators do about it."""

import math
from functools import partial

from tests.simulation.lives import Lives
from tests.simulation.story import TIERS, Act
from tests.simulation.world import EVENTS

from hookstream.core.model.record import TopicPartition


class Logs(Lives):
    """The acts that are about logs, each a method `do_…`."""

    def do_cut(self, act: Act) -> None:
        """Let retention cut a share of what is not settled; of a tier where `who` says so.

        While workers are at it, or while nobody is there for so many seconds.
        """
        partition, away = act.more
        cut = partial(self._cut, act.who, int(partition) % self.story.partitions, act.amount)
        if away:
            self.spawn(self.desert(float(away), cut))
        else:
            cut()

    def _cut(self, kind: str, partition: int, share: float) -> None:
        world = self.world
        where = TopicPartition(EVENTS, partition)
        if kind == "tier":
            tiers = [TopicPartition(world.topics.tier(delay), 0) for delay in TIERS]
            where = max(tiers, key=lambda tier: world.broker.high(tier) - world.committed(tier))
        first = max(world.committed(where), world.broker.low(where))
        start = first + math.ceil(share * (world.broker.high(where) - first))
        if start > first:
            world.ledger.note(f"{where.topic}/{where.partition} begins at {start} now")
            world.ledger.given_up.starts[where] = start
            world.broker.delete_before(where, start)
