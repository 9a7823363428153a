"""What readers of the pull door may cost: decoded and matched once for all, and little of the log at once."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from tests.doubles.past import PastOf
from tests.doubles.pulling import PageReader, PullWorld, pulled
from tests.doubles.replaying import CRM, acme

from hookstream.core.model.record import TopicPartition
from hookstream.core.pull.page import Busy, PullPage
from hookstream.pipeline.past_ports import PastReader, Taken
from hookstream.pipeline.pull.ports import PullRules

NEVER_FIRST = 1
"""The tail's reader is not one of the pool's."""


@dataclass
class Pace:
    """How many readers of the log there are, and how long each take lasts."""

    takes: float = 0.0
    open: int = 0
    most: int = 0


@dataclass(eq=False)
class PacedLog(PastOf):
    """Counts the readers of the log, and makes each take last."""

    pace: Pace = field(default_factory=Pace)

    @asynccontextmanager
    async def read(self, positions: Mapping[TopicPartition, int]) -> AsyncIterator[PastReader]:
        pace = self.pace
        pace.open += 1
        pace.most = max(pace.most, pace.open)
        try:
            async with super().read(positions) as reader:
                yield PacedReader(reader, pace)
        finally:
            pace.open -= 1


@dataclass(eq=False)
class PacedReader:
    """A reader whose takes last."""

    reader: PastReader
    pace: Pace

    async def take(self, most: int) -> Taken:
        await asyncio.sleep(self.pace.takes)
        return await self.reader.take(most)

    async def place(self, positions: Mapping[TopicPartition, int]) -> None:
        await self.reader.place(positions)

    async def drop(self, partitions: Collection[TopicPartition]) -> None:
        await self.reader.drop(partitions)


def paced(world: PullWorld, takes: float, most: int = 1_000) -> Pace:
    """Give a world a log whose readers are counted."""
    pace = Pace(takes)
    world.log = PacedLog(world.process, world.past, most, pace=pace)
    return pace


async def test_behind_the_head_at_most_eight_consumers_read_however_many_readers_there_are() -> (
    None
):
    world = PullWorld()
    pace = paced(world, takes=0.1)
    world.past.create("t")
    for n in range(60):
        world.event("t", f"{n}")
    for n in range(30):
        world.directory.put_partner(replace(acme(), id=f"p{n}"))
        world.directory.put_subscription(pulled(id=f"s{n}", partner_id=f"p{n}"))
    async with world.door() as door, asyncio.TaskGroup() as group:
        asked = [group.create_task(door.page(f"s{n}", None, 10, 0)) for n in range(30)]
    found = [each.result() for each in asked]
    assert all(isinstance(each, PullPage | Busy) for each in found)
    assert sum(isinstance(each, PullPage) for each in found) > 8
    assert pace.most == 8 + NEVER_FIRST
    assert pace.open == 0


async def test_an_answer_reads_no_more_than_its_share_and_goes_on_with_the_next() -> None:
    world = PullWorld(rules=PullRules(reading_records=500))
    world.past.create("t")
    for n in range(1_250):
        world.event("t", f"{n}", environment="elsewhere" if n != 1_200 else "live")
    world.directory.put_subscription(pulled(environments=("live",)))
    async with world.door() as door:
        reader = PageReader(door)
        first = await reader.next()
        assert first is not None
        assert (first.entries, first.has_more) == ((), True)
        await reader.drain()
        assert len(reader.pages) == 3
        assert reader.event_ids == ["1200"]


async def test_too_many_readers_behind_the_head_are_asked_to_come_again() -> None:
    world = PullWorld(rules=PullRules(readers=1, reading_seconds=1.0))
    world.past.create("t")
    async with world.door() as door, asyncio.TaskGroup() as group:
        asked = [group.create_task(door.page(CRM, None, 10, 0)) for _ in range(50)]
    found = [each.result() for each in asked]
    busy = [each for each in found if isinstance(each, Busy)]
    assert busy
    assert all(each.retry_after > 0 for each in busy)
    assert any(isinstance(each, PullPage) for each in found)


async def test_an_answer_reads_for_its_time_from_its_first_record_on_and_then_says_that_there_is_more() -> (
    None
):
    world = PullWorld(rules=PullRules(reading_seconds=0.2))
    paced(world, takes=0.06, most=10)
    world.past.create("t")
    for n in range(1_000):
        world.event("t", f"{n}")
    async with world.door() as door:
        page = await door.page(CRM, None, 1_000, 0)
        assert isinstance(page, PullPage)
        # The first take begins the time, and the last may end after it.
        assert 30 <= len(page.entries) <= 50
        assert page.has_more
        reader = PageReader(door, cursor=page.cursor)
        await reader.drain(1_000)
        assert len(page.entries) + len(reader.entries) == 1_000


async def test_an_answer_reads_twenty_thousand_records_at_most() -> None:
    world = PullWorld(rules=PullRules(reading_seconds=60))
    world.past.create("t")
    for n in range(20_500):
        world.event("t", f"{n}", environment="elsewhere")
    world.directory.put_subscription(pulled(environments=("live",)))
    async with world.door() as door:
        first = await door.page(CRM, None, 10, 0)
        assert isinstance(first, PullPage)
        assert (first.entries, first.has_more) == ((), True)
        assert world.codec.decoded == 20_000
        second = await door.page(CRM, first.cursor, 10, 0)
        assert isinstance(second, PullPage)
        assert not second.has_more


async def test_a_reader_at_the_head_is_given_each_record_once_before_and_after_it_is_forgotten() -> (
    None
):
    world = PullWorld()
    world.past.create("t", 2)
    async with world.door() as door:
        reader = PageReader(door)
        await reader.next(wait=3)
        for n in range(200):
            world.event("t", f"{n}", partition=n % 2)
            await reader.next(wait=5)
        decoded = world.codec.decoded
        assert reader.event_ids == [f"{n}" for n in range(200)]
        assert decoded == 200
        # The oldest are forgotten in their order, and one that begins now has none of them.
        await asyncio.sleep(31)
        await reader.next(wait=1)
        late = PageReader(door, cursor="latest")
        world.event("t", "last")
        await late.next(wait=5)
        await reader.next(wait=5)
        assert late.event_ids == reader.event_ids[-1:] == ["last"]


@pytest.mark.parametrize("served_by", ["the tail", "the log"])
async def test_a_reader_that_waits_is_answered_when_its_process_ends(served_by: str) -> None:
    """Otherwise the process would wait for it, longer than it may take to end."""
    world = PullWorld()
    world.past.create("t")
    async with world.door() as door:
        reader = PageReader(door)
        if served_by == "the tail":
            await reader.next(wait=5)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(reader.next(wait=30))
            await asyncio.sleep(3)
            began = world.clock.monotonic()
            door.leave()
        page = waiting.result()
        assert (page is not None, reader.event_ids) == (True, [])
        assert world.clock.monotonic() - began <= 1
        await reader.next(wait=30)
        assert world.clock.monotonic() - began <= 1
