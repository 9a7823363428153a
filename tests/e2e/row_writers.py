"""Writers of one row: consoles by their API, and commands; what each was answered, and what it took."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import random

from examples.demo.stage import CommandFailed
from tests.e2e.consoles import DEADLINE, Answered, Console, Received
from tests.e2e.platform import Platform

ROW = "written"
MARK = "x-write"
"""The header that each write of a console changes: the worker's requests have that of the row it knows."""
_NOTHING = ("nothing of it was written", "nothing was written", "cannot be reached")
"""What a command says that has written nothing."""
_OF_REVISION_READ = 10
"""One in so many writes is for the revision that was read last; the others are for any."""


@dataclass
class Writer:
    """Writes the row by the API of one console."""

    console: Console
    token: str
    made: dict[int, str] = field(default_factory=dict)
    """What was written as which revision."""
    at: dict[int, float] = field(default_factory=dict)
    """When each was answered."""
    took: list[float] = field(default_factory=list)
    """Seconds of each write, with whatever had to be sent again."""
    unsaid: set[str] = field(default_factory=set)
    """What was sent in requests whose answers do not say whether it was written."""
    pause: Callable[[], float] = field(default=random)
    """Seconds before a request is sent again."""
    conflicts: int = 0
    """Requests of which nothing was written, by their answers."""

    async def write(self, count: int) -> None:
        """Write so many times; what is refused for the moment is sent again."""
        for number in range(count):
            began = time.monotonic()
            answered = await self._written(number)
            self.took.append(time.monotonic() - began)
            revision = _revision(answered)
            self.made[revision] = self._mark(number, len(self.unsaid))
            self.at[revision] = answered.ended

    async def _written(self, number: int) -> Answered:
        path, deadline = f"/v1/subscriptions/{ROW}", time.monotonic() + DEADLINE
        for_read = number % _OF_REVISION_READ == 0
        while True:
            match = "*"
            if for_read:
                match = (await self.console.done("GET", path, self.token)).headers["etag"]
            mark = self._mark(number, len(self.unsaid))
            patch = {"endpoint": {"headers": {MARK: mark}}}
            answered = await self.console.ask("PATCH", path, self.token, patch, If_Match=match)
            if answered.status == 200:
                return answered
            assert answered.status in (0, 409, 503), answered
            assert time.monotonic() < deadline, (answered, self.console.tail())
            if answered.status == 409:
                self.conflicts += 1
            else:
                self.unsaid.add(mark)
            # As clients do; those that begin together would meet again.
            await asyncio.sleep(self.pause())

    def _mark(self, number: int, before: int) -> str:
        """Return a text that no other request has."""
        return f"{self.console.name} {number} {before}"


async def rotate(platform: Platform, count: int) -> int:
    """Rotate the row's secret by so many commands; return of how many more it is not known whether they wrote."""
    unsaid, number, deadline = 0, 0, time.monotonic() + DEADLINE
    while number < count:
        try:
            said = await platform.world.stage.hookstream(
                *("subscriptions", "rotate-secret", ROW),
                *("--overlap", "0s", "--no-wait", "--json"),
            )
        except CommandFailed as failed:
            if time.monotonic() > deadline:
                raise
            if not any(text in str(failed) for text in _NOTHING):
                unsaid += 1
        else:
            platform.kept(f"secret of command {number}", json.loads(said)["secret"])
            number += 1
    return unsaid


def figures(writers: Sequence[Writer], received: Sequence[Received]) -> str:
    """Return what the writes took, and how old the rows were that the worker's requests were made by."""
    took = sorted(each for writer in writers for each in writer.took)
    answered = {at: moment for writer in writers for at, moment in writer.at.items()}
    by_mark = {mark: at for writer in writers for at, mark in writer.made.items()}
    ages = []
    for each in received:
        at = by_mark.get(each.headers.get(MARK, ""))
        if at is not None:
            newer = [moment for later, moment in answered.items() if later > at]
            ages.append(max(0.0, each.at - min(newer, default=each.at)))
    return (
        f"{len(took)} writes: p50 {took[len(took) // 2] * 1_000:.0f} ms, p99"
        f" {took[len(took) * 99 // 100] * 1_000:.0f} ms, longest {took[-1] * 1_000:.0f} ms;"
        f" {sum(each.conflicts for each in writers)} refused,"
        f" {sum(len(each.unsaid) for each in writers)} not said; of {len(ages)} requests"
        f" {sum(age > 1 for age in ages)} were made by a row that was replaced for more than a"
        f" second, at most {max(ages, default=0) * 1_000:.0f} ms\n"
    )


def _revision(answered: Answered) -> int:
    return int(answered.headers["etag"].strip('"'))
