"""A partner's requests wait for its own share of the threads, and for nobody else's."""

import asyncio
from collections.abc import Callable

from hookstream.entry.api.thread_shares import ThreadShares


class Visits:
    """Requests that go on until they are ended by hand."""

    def __init__(self, shares: ThreadShares, tasks: asyncio.TaskGroup) -> None:
        self.shares = shares
        self.tasks = tasks
        self.inside: list[str] = []

    async def begin(self, name: str, partner_id: str | None) -> Callable[[], None]:
        ended = asyncio.Event()

        async def visit() -> None:
            async with self.shares.one(partner_id):
                self.inside.append(name)
                await ended.wait()
                self.inside.remove(name)

        task = self.tasks.create_task(visit(), name=name)
        await asyncio.sleep(0)
        self.task = task
        return ended.set


async def steps() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_partner_waits_for_its_own_and_no_other_caller_waits_for_it() -> None:
    async with asyncio.TaskGroup() as tasks:
        visits = Visits(ThreadShares(2, 3), tasks)
        ends = [await visits.begin(f"acme-{number}", "acme") for number in range(4)]
        ends += [await visits.begin("rival", "rival"), await visits.begin("operator", None)]
        assert visits.inside == ["acme-0", "acme-1", "rival", "operator"]
        ends[1]()
        await steps()
        assert visits.inside == ["acme-0", "rival", "operator", "acme-2"]
        for end in ends:
            end()


async def test_partners_take_turns_and_leave_the_rest_to_operators() -> None:
    async with asyncio.TaskGroup() as tasks:
        visits = Visits(ThreadShares(1, 1), tasks)
        names = ("a-1", "a-2", "a-3", "b-1", "c-1", "b-2")
        ends = {name: await visits.begin(name, name[0]) for name in names}
        ends["operator"] = await visits.begin("operator", None)
        order = []
        for _ in names:
            now = visits.inside[-1] if visits.inside[-1] != "operator" else visits.inside[0]
            order.append(now)
            ends[now]()
            await steps()
        assert order == ["a-1", "a-2", "b-1", "c-1", "a-3", "b-2"]
        assert visits.inside == ["operator"]
        ends["operator"]()


async def test_one_that_is_cancelled_while_it_waits_or_has_just_begun_keeps_no_share() -> None:
    async with asyncio.TaskGroup() as tasks:
        visits = Visits(ThreadShares(1, 1), tasks)
        first = await visits.begin("first", "acme")
        await visits.begin("waits", "acme")
        visits.task.cancel()
        await steps()
        await visits.begin("begun", "acme")
        begun = visits.task
        last = await visits.begin("last", "rival")
        first()
        # Its turn came, and it has not gone on yet.
        await asyncio.sleep(0)
        begun.cancel()
        await steps()
        assert visits.inside == ["last"]
        last()
