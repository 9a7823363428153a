"""Whoever sends cookies that nobody knows keeps no thread from others, and waits no longer than it must."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from tests.doubles.api import ApiWorld

from hookstream.core.access.sessions import cookie_text
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.pages.sessions import LateSessions
from hookstream.errors import DependencyUnavailable

T = TypeVar("T")
UNKNOWN = [cookie_text(bytes([number]) * 32) for number in range(50)]


class HeldThreads:
    """Threads whose work ends when a test says so."""

    def __init__(self) -> None:
        self.most = 1
        self.taken: list[asyncio.Future[None]] = []
        """Of each work that was begun, in order."""

    async def run(self, compute: Callable[[], T]) -> T:
        self.taken.append(asyncio.get_running_loop().create_future())
        await self.taken[-1]
        return compute()

    @property
    def in_use(self) -> int:
        return sum(not each.done() for each in self.taken)

    async def end(self, error: Exception | None = None) -> None:
        """End what was begun last, and let those who waited go on."""
        if error is None:
            self.taken[-1].set_result(None)
        else:
            self.taken[-1].set_exception(error)
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def sessions() -> ConsoleSessions:
    return ConsoleSessions(ApiWorld().services, lambda: 0.0)


async def test_however_many_cookies_nobody_knows_they_take_one_thread(
    sessions: ConsoleSessions,
) -> None:
    threads = HeldThreads()
    late = LateSessions(sessions, threads)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(late.find(UNKNOWN[0]))
        await settled()
        later = [group.create_task(late.find(each)) for each in UNKNOWN[1:]]
        await settled()
        assert threads.in_use == 1
        await threads.end()
        assert first.result() is None
        # Theirs may be of a session that was begun meanwhile: another wait is for all of them.
        assert not any(each.done() for each in later)
        assert (threads.in_use, len(threads.taken)) == (1, 2)
        await threads.end()
    assert [each.result() for each in later] == [None] * 49
    assert len(threads.taken) == 2


async def test_a_wait_in_vain_is_that_for_all_who_share_it_and_for_nobody_else(
    sessions: ConsoleSessions,
) -> None:
    threads = HeldThreads()
    late = LateSessions(sessions, threads)

    async def asked(cookie: str) -> str:
        try:
            return str(await late.find(cookie))
        except DependencyUnavailable:
            return "in vain"

    async with asyncio.TaskGroup() as group:
        first = group.create_task(asked(UNKNOWN[0]))
        await settled()
        later = [group.create_task(asked(each)) for each in UNKNOWN[1:3]]
        await settled()
        await threads.end()
        await threads.end(DependencyUnavailable("the tables could not be read to their ends"))
        last = group.create_task(asked(UNKNOWN[3]))
        await settled()
        await threads.end()
    assert [each.result() for each in (first, *later, last)] == [
        "None",
        "in vain",
        "in vain",
        "None",
    ]
    assert len(threads.taken) == 3


async def test_who_goes_away_takes_the_wait_from_nobody(sessions: ConsoleSessions) -> None:
    threads = HeldThreads()
    late = LateSessions(sessions, threads)
    async with asyncio.TaskGroup() as group:
        gone, stays = (group.create_task(late.find(each)) for each in UNKNOWN[:2])
        await settled()
        gone.cancel()
        await settled()
        await threads.end()
    assert (gone.cancelled(), stays.result()) == (True, None)


async def test_nothing_is_waited_for_where_a_cookie_is_none(sessions: ConsoleSessions) -> None:
    threads = HeldThreads()
    assert await LateSessions(sessions, threads).find("nonsense") is None
    assert threads.taken == []
