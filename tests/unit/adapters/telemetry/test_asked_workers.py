"""Workers are asked what their lanes do within a second, whoever hangs; on virtual time."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from tests.doubles.lanes import BROKEN, CALM

from hookstream.adapters.telemetry.asked_workers import (
    AT_ONCE,
    KEPT,
    MOST_ADDRESSES,
    RESTS,
    SECONDS,
    AskedWorkers,
    WorkerLane,
)
from hookstream.adapters.telemetry.lane_reports import lane_report


class Fleet:
    """Workers by their addresses, and the addresses of their names."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.hangs: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self.asked: Counter[str] = Counter()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if host == "nowhere":
            await asyncio.sleep(3_600)
        found = self.names.get(host, [host])
        if not found:
            raise OSError("no such name")
        return [f"{each}:{port}" for each in found]

    async def fetch(self, address: str, subscription_id: str) -> bytes:
        self.asked[address] += 1
        host = address.partition(":")[0]
        await asyncio.sleep(3_600 if host in self.hangs else 0.01)
        if host in self.broken:
            raise self.broken[host]
        return lane_report(f"worker-{host}", CALM if subscription_id == "crm" else BROKEN)

    def asking(self, *workers: str) -> AskedWorkers:
        return AskedWorkers(workers, self.resolve, self.fetch)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_each_address_of_a_name_is_a_worker_as_the_name_is_now() -> None:
    fleet = Fleet()
    fleet.names["workers"] = ["a", "b"]
    asked = fleet.asking("workers:9464", "c:9000")
    expected = [("a:9464", "worker-a"), ("b:9464", "worker-b"), ("c:9000", "worker-c")]
    found = await asked.lanes("crm")
    assert [(each.address, each.worker) for each in found] == expected
    assert {each.lane for each in found} == {CALM}
    fleet.names["workers"] = ["b", "d"]
    await asyncio.sleep(KEPT)
    assert [each.worker for each in await asked.lanes("crm")] == [
        "worker-b",
        "worker-d",
        "worker-c",
    ]


async def test_who_hangs_is_named_within_a_second_while_the_others_have_answered() -> None:
    fleet = Fleet()
    fleet.hangs = {"b"}
    fleet.names["gone"] = []
    fleet.broken["c"] = ValueError("/lanes was answered 404")
    began = now()
    found = await fleet.asking("a:1", "b:1", "c:1", "gone:1", "nowhere:1").lanes("crm")
    assert now() - began <= SECONDS + 0.01
    assert found == (
        WorkerLane("a:1", "worker-a", CALM),
        WorkerLane("b:1", problem="it gave no answer within 1 s"),
        WorkerLane("c:1", problem="it gave no answer: /lanes was answered 404"),
        WorkerLane("gone:1", problem="its name was not found: no such name"),
        WorkerLane("nowhere:1", problem="its name was not found: TimeoutError"),
    )


async def test_a_worker_that_hung_is_not_waited_for_again_at_once() -> None:
    fleet = Fleet()
    fleet.hangs = {"b"}
    asked = fleet.asking("a:1", "b:1")
    await asked.lanes("crm")
    fleet.hangs = set()
    await asyncio.sleep(KEPT)
    began = now()
    _, hung = await asked.lanes("crm")
    assert (hung.problem, now() - began < SECONDS) == (
        "it gave no answer in time a moment ago",
        True,
    )
    await asyncio.sleep(RESTS)
    assert [each.problem for each in await asked.lanes("crm")] == ["", ""]
    assert fleet.asked["b:1"] == 2


async def test_many_who_ask_the_same_within_a_second_are_one_ask() -> None:
    fleet = Fleet()
    asked = fleet.asking("a:1")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked.lanes("crm")) for _ in range(50)]
    assert len({task.result() for task in tasks}) == 1
    await asked.lanes("crm")
    assert fleet.asked["a:1"] == 1
    await asyncio.sleep(KEPT)
    await asked.lanes("crm")
    assert fleet.asked["a:1"] == 2


async def test_no_more_subscriptions_than_a_few_are_asked_about_at_once() -> None:
    fleet = Fleet()
    asked = fleet.asking("a:1")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked.lanes(f"s{n}")) for n in range(3 * AT_ONCE)]
    answered = [not task.result()[0].problem for task in tasks]
    assert answered == [True] * AT_ONCE + [False] * 2 * AT_ONCE
    assert "4 subscriptions are asked about" in tasks[-1].result()[0].problem
    assert (await asked.lanes("s9"))[0].lane == BROKEN


async def test_of_a_name_with_very_many_addresses_a_bounded_number_is_asked_and_that_is_said() -> (
    None
):
    fleet = Fleet()
    fleet.names["many"] = [f"w{n}" for n in range(MOST_ADDRESSES + 6)]
    found = await fleet.asking("many:1").lanes("crm")
    assert len(fleet.asked) == MOST_ADDRESSES
    assert found[-1].problem == "of its 70 addresses the first 64 were asked"


async def test_who_gives_up_asking_does_not_end_it_for_others() -> None:
    fleet = Fleet()
    asked = fleet.asking("a:1")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(asked.lanes("crm"))
        second = group.create_task(asked.lanes("crm"))
        await asyncio.sleep(0.001)
        first.cancel()
    assert [each.worker for each in second.result()] == ["worker-a"]
    assert fleet.asked["a:1"] == 1


async def test_nobody_is_asked_any_more_when_it_is_closed() -> None:
    fleet = Fleet()
    fleet.hangs = {"a"}
    asked = fleet.asking("a:1")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(asked.lanes("crm"))
        await asyncio.sleep(0.001)
        await asked.close()
    assert waiting.cancelled()
    assert len(asyncio.all_tasks()) == 1
