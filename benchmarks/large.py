"""How long one large event blocks a worker's event loop.

    python -m benchmarks.large [--values N]

For each kind of event: the CPU time that decoding, matching and rendering it take, and the longest
time for which the loop stood still while a thread did the same. The latter is wall time: on a crowded
machine it reflects its neighbours' load.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import uvloop

from hookstream.adapters.avro.codec import DEFAULT_MAX_VALUES, AvroCodec
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.system import ThreadOffload
from hookstream.core.matching.pattern import parse
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.pipeline.ports import Offload

T = TypeVar("T")

_LOOK_EVERY = 0.0005
"""Seconds between two looks at the clock."""
_RUNS = 3


@dataclass(slots=True, frozen=True)
class Kind:
    """One kind of large event."""

    name: str
    items: Json
    """The Avro type of its array's items."""
    item: object
    pattern: JsonObject | None = None
    share: float = 1.0
    """How many of the requested values it contains."""


def kinds() -> list[Kind]:
    """Return the kinds that were found to be the slowest, and two ordinary ones."""
    decimal: JsonObject = {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 4000,
        "scale": 2,
    }
    suffixes: list[Json] = [{"suffix": f"-{number}"} for number in range(500)]
    return [
        Kind("text", "string", "a text of some length"),
        Kind("numbers", "long", 1_234_567_890_123),
        Kind("floats", "float", 0.1),
        Kind("float or double", ["float", "double"], 0.1),
        Kind("times", {"type": "long", "logicalType": "timestamp-micros"}, 1_795_521_600_123_456),
        Kind("decimals of 4,000 digits", decimal, b"\x01" + b"\xa7" * 1_600, share=0.012),
        Kind(
            "addresses, cidr", "string", "10.1.2.3", {"data": {"items": [{"cidr": "11.0.0.0/8"}]}}
        ),
        Kind("text, 500 suffixes", "string", "abc-x", {"data": {"items": suffixes}}),
    ]


class Scene:
    """One kind of event, and what a worker does with it."""

    def __init__(self, kind: Kind, values: int) -> None:
        """Write the record."""
        book = SchemaBook()
        schema = _taken(book.schema(book.publish(_schema(kind.items))), PublishedSchema)
        self.codec = AvroCodec(book, max_record_bytes=64 << 20, max_values=2 * values)
        value = schema.encode(
            {
                "event_id": str(uuid.UUID(int=0, version=4)),
                "occurred_at": 1_795_521_600_000_000,
                "entity_id": "job-1",
                "environment": "production",
                "data": {"items": [kind.item] * int(values * kind.share)},
            }
        )
        self.record = Record("large.happened", 0, 0, 1_795_521_600_000, None, value, ())
        self.pattern = None if kind.pattern is None else parse(kind.pattern)
        self.seconds: list[float] = []

    async def deliver(self, offload: Offload) -> None:
        """Decode, match and render it by way of `offload`."""
        identified = _taken(self.codec.identify(self.record), Identified)
        began = time.thread_time()
        self.codec.load(identified, self.record)
        self.seconds = [time.thread_time() - began]

        decode = partial(self.codec.decode, identified, self.record)
        event = _taken(await offload.run(self._timed(decode)), Event)
        render = partial(self.codec.document, event, 1)
        document: JsonObject = _taken(await offload.run(self._timed(render)), dict)
        pattern = self.pattern
        if pattern is not None:
            await offload.run(self._timed(lambda: pattern.matches(document)))
        await offload.run(self._timed(lambda: self.codec.encode(document)))

    def _timed(self, compute: Callable[[], T]) -> Callable[[], T]:
        def timed() -> T:
            began = time.thread_time()
            try:
                return compute()
            finally:
                self.seconds.append(time.thread_time() - began)

        return timed


class Inline:
    """An Offload that computes at once."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Compute."""
        return compute()


async def longest_hold(scene: Scene) -> float:
    """Return the longest time between two turns of the event loop while a thread computes."""
    offload, longest, over = ThreadOffload(), 0.0, asyncio.Event()

    async def look() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not over.is_set():
            await asyncio.sleep(_LOOK_EVERY)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        await asyncio.sleep(0.01)
        await scene.deliver(offload)
        over.set()
    offload.close()
    return longest


async def measure(values: int) -> None:
    """Print a line for each kind."""
    print(
        f"{'':26} {'bytes':>9} {'load':>6} {'decode':>7} {'render':>7} {'match':>7} {'json':>6}"
        f" {'loop stood':>11}  (ms)"
    )
    for kind in kinds():
        scene = Scene(kind, values)
        await scene.deliver(Inline())
        load, decode, render, *match, encode = (1000 * seconds for seconds in scene.seconds)
        holds = [await longest_hold(scene) for _ in range(_RUNS)]
        asked = f"{match[0]:7.1f}" if match else " " * 7
        print(
            f"{kind.name:26} {scene.record.size:9,} {load:6.1f} {decode:7.1f} {render:7.1f} {asked}"
            f" {encode:6.1f} {1000 * min(holds):5.1f}-{1000 * max(holds):5.1f}"
        )


def _taken(found: object, kind: type[T]) -> T:
    """Return what was found, where it is of the kind that it must be."""
    if not isinstance(found, kind):
        raise SystemExit(f"not {kind.__name__}: {found}")
    return found


def _schema(items: Json) -> JsonObject:
    data: JsonObject = {
        "type": "record",
        "name": "Data",
        "fields": [{"name": "items", "type": {"type": "array", "items": items}}],
    }
    texts: list[Json] = [
        {"name": name, "type": "string"} for name in ("event_id", "entity_id", "environment")
    ]
    time_type: JsonObject = {"type": "long", "logicalType": "timestamp-micros"}
    return {
        "type": "record",
        "name": "LargeHappened",
        "namespace": "benchmarks",
        "eventType": "large.happened",
        "eventVersion": 1,
        "fields": [
            *texts,
            {"name": "occurred_at", "type": time_type},
            {"name": "data", "type": data},
        ],
    }


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="How long one large event blocks the event loop.")
    parser.add_argument(
        "--values", type=int, default=DEFAULT_MAX_VALUES, help="(default: %(default)s)"
    )
    uvloop.run(measure(parser.parse_args().values))


if __name__ == "__main__":
    main()
