"""What deliveries cost along the other axis, in memory: many subscriptions, large bodies, many filters.

    python -m benchmarks.scale fanout|single|sizes|filters [--rounds N] [--json FILE]

`fanout`: events that so many subscriptions match. `single`: one event for so many, alone. `sizes`: bodies of
1, 10 and 100 KB. `filters`: one event against the filters of so many subscriptions to its type.

The first three run the pipeline of a worker without Kafka and sockets, as `benchmarks.path` does. Each row has a
process of its own on one core, so that its memory is its own. Rows take turns, round by round: what disturbs the
machine disturbs all of them. Each table has the cheapest stretch, the cheapest of the costliest round, and what the
yardstick cost meanwhile (`benchmarks/yardstick.py`): rows whose yardsticks differ do not compare.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.gauge import peak_mib
from benchmarks.load import EVENT_TYPE
from benchmarks.path import Ends, codec_of_schemas, costs, deliver, records_of
from benchmarks.rig import cores, say
from benchmarks.yardstick import Yardstick
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.core.matching.directory import Directory
from hookstream.core.matching.fanout import Question
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    SigningSecret,
    Subscription,
)

_FANOUTS = (1, 10, 100, 1_000, 10_000)
_SINGLES = (100, 1_000, 10_000)
_SIZES = {1_024: 20_000, 10_240: 4_000, 102_400: 400}
"""How many events there are with a body of so many bytes."""
_FILTERS = (10, 100, 1_000, 10_000)
_DELIVERIES = 20_000
"""Of each row of `fanout`."""
_AGAIN = 4
"""How often one event for many comes after the first, for which everything is made anew."""
_GROUPS = 100
"""An event matches one of so many groups of subscriptions: each filter selects 1 % of the events."""
_BODIES = 200
"""Different bodies that filters are asked about."""
_PASSES = 30
_LOOK = 0.0005
_FORGET_PEAK = "5"
"""Makes Linux take the present resident set of a process for its largest."""
_MOST_AS_MUCH = 3.0
"""10,000 filters may cost so many times what 100 cost."""
_MIB = 1 << 20
_WIDTH = 120
"""Columns of a terminal that the table needs."""


@dataclass(slots=True)
class Cost:
    """One row in one round."""

    cost_us: list[float]
    """Of CPU a delivery (`filters`: an event), by stretch."""
    more: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    yardstick_us: float = 0.0


@dataclass(slots=True)
class Row:
    """One row over all rounds."""

    name: str
    rounds: list[Cost] = field(default_factory=list)

    @property
    def cheapest(self) -> float:
        """Microseconds of the cheapest stretch of all."""
        return min(min(found.cost_us) for found in self.rounds)

    @property
    def worst(self) -> float:
        """Microseconds of the cheapest stretch of the costliest round: beside the former, the machine's noise."""
        return max(min(found.cost_us) for found in self.rounds)

    @property
    def median(self) -> float:
        """Microseconds of the median stretch of all."""
        return statistics.median(cost for found in self.rounds for cost in found.cost_us)

    @property
    def yardstick(self) -> float:
        """Microseconds of the yardstick in the best round."""
        return min(found.yardstick_us for found in self.rounds)

    @property
    def peak(self) -> float:
        """MiB."""
        return max(found.peak_mib for found in self.rounds)

    def least(self, name: str) -> float:
        """Return the least of a further value over the rounds."""
        return min(found.more[name] for found in self.rounds)


class CountingCodec:
    """Counts how often bodies are made, by Python or by the accelerator."""

    def __init__(self, codec: AvroCodec) -> None:
        """Count what `encode` and `body` return."""
        self.made = 0
        self._encode, self._body = codec.encode, codec.body
        self._seen: dict[tuple[str, int], int] = {}
        codec.encode = self.encode  # type: ignore[method-assign]
        codec.body = self.body  # type: ignore[method-assign]

    def encode(self, value: Json) -> bytes:
        """Count, and encode."""
        self.made += 1
        return self._encode(value)

    def body(self, event: Event, version: int) -> bytes | None:
        """Return the body, and count it if it is not the one that was returned before."""
        body = self._body(event, version)
        at = event.event_id, version
        if body is not None and self._seen.get(at) != id(body):
            self._seen[at] = id(body)
            self.made += 1
        return body


class Alone(Ends):
    """Gives one event at a time: the next when all deliveries of the last are made."""

    def __init__(self, records: Sequence[Record], each: int) -> None:
        super().__init__(records, each * len(records))
        self._each = each
        self.begun: list[tuple[float, float]] = []
        """Seconds of the clock and of CPU when each event was given."""

    async def take(self, most: int) -> Sequence[Record]:  # noqa: ARG002  the port's name
        """Give the next event when the last one is delivered."""
        while self.delivered < self._each * len(self.begun):  # noqa: ASYNC110  counted elsewhere
            await asyncio.sleep(_LOOK)
        self.begun.append((time.perf_counter(), time.process_time()))
        return await super().take(1)


def subscribed(
    many: int, pattern: Callable[[int], JsonObject | None] = lambda _: None
) -> Directory:
    """Return so many subscriptions to one type, each of a partner of its own with an endpoint of its own."""
    directory = Directory()
    for number in range(many):
        partner = f"partner-{number}"
        directory.put_partner(Partner(partner, partner, Grant(("*",), ("*",)), 0))
        secret = SigningSecret("s1", number.to_bytes(24, "big"))
        endpoint = Endpoint(f"http://127.0.0.1:1/hook/{number}", (secret,))
        directory.put_subscription(
            Subscription(
                f"sub-{number}", partner, endpoint, (EVENT_TYPE,), 0, pattern=pattern(number)
            )
        )
    directory.has_subscribers(EVENT_TYPE, 0)
    return directory


def fanout(many: int) -> Cost:
    """Deliver events that so many subscriptions match."""
    codec = codec_of_schemas()
    counting = CountingCodec(codec)
    events = max(1, _DELIVERIES // many)

    async def run() -> list[float]:
        ends = Ends(records_of(events), events * many)
        await deliver(ends, subscribed(many), codec)
        return ends.looks

    looks = uvloop.run(run())
    return Cost(costs(looks), {"bodies": counting.made / events})


def single(many: int) -> Cost:
    """Deliver one event to so many, then others in the same way."""
    marks = uvloop.run(_alone(many))
    pairs = list(pairwise(marks))
    took = [after[0] - before[0] for before, after in pairs]
    used = [(after[1] - before[1]) / many * 1e6 for before, after in pairs]
    return Cost(used[1:], {"first_s": took[0], "first_us": used[0], "again_s": min(took[1:])})


async def _alone(many: int) -> list[tuple[float, float]]:
    # One more, whose begin is the end of the last that counts.
    events = 2 + _AGAIN
    ends = Alone(records_of(events), many)
    await deliver(ends, subscribed(many), codec_of_schemas())
    return ends.begun[:events]


def sizes(body_bytes: int) -> Cost:
    """Deliver events of one size to one subscription each."""
    events = _SIZES[body_bytes]

    async def run() -> tuple[list[float], float]:
        ends = Ends(records_of(events, body_bytes))
        before, had = time.process_time(), _resident_mib()
        await deliver(ends, subscribed(1), codec_of_schemas())
        found = costs(ends.looks[:-1])
        # Where there are fewer than two stretches, all of them are one.
        used = (time.process_time() - before) / events * 1e6
        return found or [used], peak_mib(os.getpid()) - had

    found, grown = uvloop.run(run())
    return Cost(found, {"grown_mib": grown})


def _resident_mib() -> float:
    """Return the present resident set; from now on none before counts for the largest."""
    Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
    return peak_mib(os.getpid())


def filters(many: int, groups: int) -> Cost:
    """Match events against the filters of so many subscriptions, which are in so many groups."""
    before = peak_mib(os.getpid())
    directory = subscribed(many, partial(filter_of, groups=groups))
    grown = peak_mib(os.getpid()) - before
    asked = list(bodies(groups))
    found: list[float] = []
    matches = 0
    for _ in range(_PASSES):
        began = time.thread_time()
        for event, document in asked:
            question = Question(
                event.event_type,
                event.environment,
                event.origin.timestamp,
                lambda _, body=document: body,  # type: ignore[misc]
                1,
            )
            for match in directory.match(question, event.load):
                matches += match is not None
        found.append((time.thread_time() - began) / len(asked) * 1e6)
    return Cost(
        found,
        {
            "matches": matches / len(asked) / _PASSES,
            "bytes_each": grown * _MIB / many,
        },
    )


def filter_of(number: int, groups: int) -> JsonObject:
    """Return one of the kinds of filters that subscriptions have, for its group of events."""
    group = name_of(number % groups)
    more: JsonObject
    match number % 5:
        case 0:
            more = {"customer_id": [group]}
        case 1:
            more = {"customer_id": [group], "currency": [{"anything-but": ["XXX"]}]}
        case 2:
            more = {"customer_id": [{"prefix": group}]}
        case 3:
            more = {"customer_id": [group, f"{group}-sold"], "order_number": [{"exists": True}]}
        case _:
            more = {"customer_id": [group], "lines": {"line": [{"numeric": [">=", 1]}]}}
    return {"data": more}


def bodies(groups: int) -> Sequence[tuple[Event, JsonObject]]:
    """Return events with their bodies: evenly of all groups."""
    codec, found = codec_of_schemas(), []
    for number, record in enumerate(records_of(_BODIES)):
        identified = codec.identify(record)
        if not isinstance(identified, Identified):
            raise SystemExit(f"the benchmark's event is not identified: {identified}")
        event = codec.decode(identified, record)
        if not isinstance(event, Event):
            raise SystemExit(f"the benchmark's event is not decoded: {event}")
        event.load = codec.load(identified, record)
        document = codec.document(event, 1)
        if not isinstance(document, dict) or not isinstance(document["data"], dict):
            raise SystemExit(f"the benchmark's event is not rendered: {document}")
        document["data"]["customer_id"] = name_of(number * groups // _BODIES)
        found.append((event, document))
    return found


def name_of(group: int) -> str:
    """Return the value by which filters know a group's events."""
    return f"cust-{group:06d}"


# Tables.


def in_rounds(rows: Sequence[tuple[str, Callable[[], Cost]]], rounds: int) -> list[Row]:
    """Measure every row once a round, each in a process of its own on one core."""
    found = [Row(name) for name, _ in rows]
    core, _ = cores()
    for number in range(rounds):
        for row, (name, act) in zip(found, rows, strict=True):
            say(f"round {number + 1} of {rounds}: {name}")
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                row.rounds.append(pool.submit(_measured, act, core).result())
    return found


def _measured(act: Callable[[], Cost], core: int) -> Cost:
    os.sched_setaffinity(0, {core})
    with Yardstick(core) as yardstick:
        cost = act()
    cost.peak_mib = round(peak_mib(os.getpid()), 1)
    cost.yardstick_us = yardstick.median_us
    return cost


def measure_fanout(rounds: int) -> tuple[list[Row], Table]:
    """Return the table of events that many subscriptions match."""
    rows = in_rounds([(f"{many:,}", partial(fanout, many)) for many in _FANOUTS], rounds)
    table = Table(
        "subscriptions",
        "CPU a delivery",
        "noisiest round",
        "CPU an event",
        "bodies made of an event",
        "yardstick",
        "memory",
    )
    for row, many in zip(rows, _FANOUTS, strict=True):
        table.add_row(
            row.name,
            f"{row.cheapest:.0f} µs",
            f"{row.worst:.0f} µs",
            f"{row.cheapest * many / 1000:,.2f} ms",
            f"{row.least('bodies'):g}",
            f"{row.yardstick} µs",
            f"{row.peak:.0f} MiB",
        )
    return rows, table


def measure_single(rounds: int) -> tuple[list[Row], Table]:
    """Return the table of one event alone."""
    rows = in_rounds([(f"{many:,}", partial(single, many)) for many in _SINGLES], rounds)
    table = Table(
        "subscriptions",
        "the first event",
        "CPU a delivery",
        "the next ones",
        "CPU a delivery",
        "noisiest round",
        "yardstick",
        "memory",
    )
    for row in rows:
        table.add_row(
            row.name,
            f"{row.least('first_s'):.3f} s",
            f"{row.least('first_us'):.0f} µs",
            f"{row.least('again_s'):.3f} s",
            f"{row.cheapest:.0f} µs",
            f"{row.worst:.0f} µs",
            f"{row.yardstick} µs",
            f"{row.peak:.0f} MiB",
        )
    return rows, table


def measure_sizes(rounds: int) -> tuple[list[Row], Table]:
    """Return the table of large bodies."""
    rows = in_rounds([(f"{size // 1024} KB", partial(sizes, size)) for size in _SIZES], rounds)
    table = Table(
        "body", "CPU a delivery", "noisiest round", "CPU a KB", "yardstick", "memory of deliveries"
    )
    for row, size in zip(rows, _SIZES, strict=True):
        table.add_row(
            row.name,
            f"{row.cheapest:,.0f} µs",
            f"{row.worst:,.0f} µs",
            f"{row.cheapest / size * 1024:.0f} µs",
            f"{row.yardstick} µs",
            f"{row.least('grown_mib'):.0f} MiB",
        )
    return rows, table


def measure_filters(rounds: int) -> tuple[list[Row], Table]:
    """Return the table of filters: one match an event, and filters that each select 1 % of the events."""
    kinds = [(many, many) for many in _FILTERS]
    kinds += [(many, _GROUPS) for many in _FILTERS if many >= _GROUPS]
    rows = in_rounds(
        [
            (f"{many:,}, {max(1, many // groups)} match", partial(filters, many, groups))
            for many, groups in kinds
        ],
        rounds,
    )
    table = Table(
        "subscriptions",
        "matches an event",
        "CPU an event",
        "noisiest round",
        "in signatures of 1 KB",
        "CPU a match",
        "memory of a subscription",
        "memory",
    )
    for row, (many, _) in zip(rows, kinds, strict=True):
        matches = row.least("matches")
        table.add_row(
            f"{many:,}",
            f"{matches:g}",
            f"{row.cheapest:.1f} µs",
            f"{row.worst:.1f} µs",
            f"{row.cheapest / row.yardstick:.1f}",
            f"{row.cheapest / matches:.2f} µs",
            f"{row.least('bytes_each') / 1024:.1f} KiB",
            f"{row.peak:.0f} MiB",
        )
    by_many = dict(zip(_FILTERS, rows, strict=False))
    ratio = by_many[10_000].cheapest / by_many[100].cheapest
    table.caption = (
        f"With one match an event, 10,000 cost {ratio:.2f} times 100 (at most {_MOST_AS_MUCH:g})."
    )
    return rows, table


_TABLES: dict[str, Callable[[int], tuple[list[Row], Table]]] = {
    "fanout": measure_fanout,
    "single": measure_single,
    "sizes": measure_sizes,
    "filters": measure_filters,
}


def noise(rows: Sequence[Row], before: Sequence[float]) -> str:
    """Return what the machine did meanwhile."""
    looks = [found.yardstick_us for row in rows for found in row.rounds]
    return (
        f"yardstick {min(looks)} to {max(looks)} µs over all processes (about 2 on a quiet machine);"
        f" load average {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores"
    )


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("table", choices=tuple(_TABLES))
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all values to this file")
    given = parser.parse_args()
    before = os.getloadavg()
    rows, table = _TABLES[given.table](given.rounds)
    for column in table.columns[1:]:
        column.justify = "right"
    Console(width=_WIDTH).print(table)
    print(noise(rows, before))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
