"""Queries workers at their health ports for the state of a lane, within a second.

Answers are cached for a second only; a worker that does not answer is reported with the reason.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver

from hookstream.adapters.telemetry.lane_reports import LARGEST_REPORT, read_lane_report
from hookstream.core.lanes.lane_status import LaneStatus

SECONDS: Final = 1.0
"""The longest that a page waits for all workers."""
KEPT: Final = 1.0
"""Seconds for which an answer is reused for the same query."""
RESTS: Final = 10.0
"""Seconds for which a worker that did not answer in time is not queried again, so that pages do not wait for it."""
MOST_ADDRESSES: Final = 64
"""The most workers behind one name that are queried."""
AT_ONCE: Final = 4
"""The most subscriptions that are queried at once. Each takes one of a worker's few connections."""
_CONNECTIONS = 64
"""The most connections at once, over all workers."""
_LONGEST_WHY = 200
_OK = 200

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses, `host:port`, of a name and a port; raises OSError if there are none."""
Fetch: TypeAlias = Callable[[str, str], Awaitable[bytes]]
"""Returns the report of the worker at an address about a subscription's lane; raises OSError or ValueError otherwise."""


@dataclass(slots=True, frozen=True)
class WorkerLane:
    """One worker's report of its lane of a subscription."""

    address: str
    """`host:port` as it was queried; if its name was not found, as the setting has it."""
    worker: str = ""
    """Its name in audit records; empty: it did not answer."""
    lane: LaneStatus | None = None
    """None: it has none, since it had no work for it in ten minutes, or it did not answer."""
    problem: str = ""
    """Why it did not answer; empty: it did."""


class AskedWorkers:
    """Queries the workers. For one event loop.

    Args:
        workers: `HOST:PORT` of each; a name with several addresses is that many workers.
        resolve: Looks up names, at each query.
        fetch: Queries one worker.
        seconds: The longest that a query takes, for names, connections and answers together.
    """

    def __init__(
        self,
        workers: Sequence[str],
        resolve: Resolve,
        fetch: Fetch,
        seconds: float = SECONDS,
    ) -> None:
        self._workers = workers
        self._seconds = seconds
        self._resolve = resolve
        self._fetch = fetch
        self._now = asyncio.get_running_loop().time
        self._asking: dict[str, asyncio.Task[tuple[WorkerLane, ...]]] = {}
        self._known: dict[str, tuple[float, tuple[WorkerLane, ...]]] = {}
        self._silent: dict[str, float] = {}
        """The time until which each worker that did not answer in time is not queried."""

    async def lanes(self, subscription_id: str) -> tuple[WorkerLane, ...]:
        """Return each worker's report of its lane of a subscription, in the order of the setting."""
        now = self._now()
        self._known = {key: each for key, each in self._known.items() if now - each[0] < KEPT}
        self._silent = {key: until for key, until in self._silent.items() if until > now}
        if (known := self._known.get(subscription_id)) is not None:
            return known[1]
        asking = self._asking.get(subscription_id)
        if asking is None:
            if len(self._asking) >= AT_ONCE:
                why = f"it was not asked: {AT_ONCE} subscriptions are asked about already"
                return tuple(WorkerLane(each, problem=why) for each in self._workers)
            asking = asyncio.get_running_loop().create_task(self._asked(subscription_id))
            self._asking[subscription_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(subscription_id, None))
        # A caller that is cancelled does not cancel the query for others.
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """Cancel all queries."""
        asking = list(self._asking.values())
        for each in asking:
            each.cancel()
        if asking:
            await asyncio.wait(asking)

    async def _asked(self, subscription_id: str) -> tuple[WorkerLane, ...]:
        until = self._now() + self._seconds
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._of_name(each, subscription_id, until))
                for each in self._workers
            ]
        found = tuple(each for task in tasks for each in task.result())
        self._known[subscription_id] = self._now(), found
        return found

    async def _of_name(self, named: str, subscription_id: str, until: float) -> list[WorkerLane]:
        """Query all workers behind one name."""
        host, _, port = named.rpartition(":")
        try:
            async with asyncio.timeout_at(until):
                addresses = await self._resolve(host.strip("[]"), int(port))
        except (OSError, TimeoutError) as error:
            return [WorkerLane(named, problem=f"its name was not found: {_why(error)}")]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._of_worker(each, subscription_id, until))
                for each in addresses[:MOST_ADDRESSES]
            ]
        found = [task.result() for task in tasks]
        if len(addresses) > MOST_ADDRESSES:
            left = f"of its {len(addresses)} addresses the first {MOST_ADDRESSES} were asked"
            found.append(WorkerLane(named, problem=left))
        return found

    async def _of_worker(self, address: str, subscription_id: str, until: float) -> WorkerLane:
        if address in self._silent:
            return WorkerLane(address, problem="it gave no answer in time a moment ago")
        try:
            async with asyncio.timeout_at(until):
                worker, lane = read_lane_report(await self._fetch(address, subscription_id))
        except TimeoutError:
            self._silent[address] = self._now() + RESTS
            return WorkerLane(address, problem=f"it gave no answer within {self._seconds:g} s")
        except (OSError, ValueError) as error:
            return WorkerLane(address, problem=f"it gave no answer: {_why(error)}")
        return WorkerLane(address, worker, lane)


def _why(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(str(said).split())[:_LONGEST_WHY] or type(error).__name__


@asynccontextmanager
async def asked_workers(
    workers: Sequence[str], seconds: float = SECONDS
) -> AsyncIterator[AskedWorkers]:
    """Lend an `AskedWorkers` that queries by HTTP; the arguments are the same."""
    resolver = aiohttp.AsyncResolver(timeout=seconds, tries=1)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, force_close=True),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    addresses, fetched = partial(_addresses, resolver), partial(_fetched, session)
    asked = AskedWorkers(workers, addresses, fetched, seconds)
    try:
        yield asked
    finally:
        await asked.close()
        await session.close()
        await resolver.close()


async def _addresses(resolver: AbstractResolver, host: str, port: int) -> list[str]:
    resolved = await resolver.resolve(host, port, socket.AF_UNSPEC)
    # A worker with addresses of both kinds is one worker.
    families = {each["family"] for each in resolved}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    hosts = sorted({each["host"] for each in resolved if each["family"] == family})
    return [f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in hosts]


async def _fetched(session: aiohttp.ClientSession, address: str, subscription_id: str) -> bytes:
    try:
        async with session.get(
            f"http://{address}/lanes",
            params={"subscription": subscription_id},
            allow_redirects=False,
        ) as response:
            if response.status != _OK:
                raise ValueError(f"/lanes was answered {response.status}")
            content = bytearray()
            while piece := await response.content.read(LARGEST_REPORT):
                content += piece
                if len(content) > LARGEST_REPORT:
                    response.close()
                    raise ValueError(f"its answer has more than {LARGEST_REPORT} bytes")
            return bytes(content)
    except aiohttp.ClientError as error:
        raise ValueError(_why(error)) from error
