"""Whole workers on the other axis: `python -m benchmarks.workers sizes|fanout|single|scaling`.

`sizes`: one worker, bodies of 1, 10 and 100 KB. `fanout`: one worker, events that 1, 10 and 100 subscriptions match.
`single`: one event alone that 10,000 subscriptions match. `scaling`: 1, 2 and 4 workers on one topic.

Kafka, nginx and workers are real, and share what cores there are. In `sizes`, `fanout` and `single` the worker has
a core for itself; in `scaling` nothing is pinned, so that as many cores are used as the machine has. Deliveries are
counted at the audit log, CPU time is that of the processes. Beside each row is what the yardstick cost meanwhile, and
which share of all cores was busy for others: rows that differ in these do not compare.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.gauge import cheapest_us, core_busy_seconds, cpu_seconds, peak_mib
from benchmarks.load import Growth
from benchmarks.rig import Rig, cores, rig_on, say
from benchmarks.stage import PREFIX
from benchmarks.yardstick import Yardstick

_LOOK = 0.02
_PATIENCE = 120.0
"""Seconds without a delivery after which a run counts as failed."""
_SIZES = {1_024: 30_000, 10_240: 8_000, 102_400: 1_000}
"""How many events there are with a body of so many bytes."""
_FANOUTS = (1, 10, 100)
_DELIVERIES = 30_000
_SINGLE = 10_000
_AGAIN = 3
_WORKERS = (1, 2, 4)
_EVENTS = 40_000
_WIDTH = 120
"""Columns of a terminal that the table needs."""


@dataclass(slots=True, frozen=True)
class Look:
    """What was delivered and used, at one moment."""

    deliveries: int
    at: float
    workers: float
    broker: float
    busy: float
    """Seconds in which cores were not idle, over all cores."""
    own: float
    """CPU seconds of this process and of the sink."""


@dataclass(slots=True, frozen=True)
class Row:
    """One catch-up."""

    name: str
    deliveries: int
    per_second: int
    cpu_us: float
    """CPU time of all workers a delivery."""
    cheapest_us: float
    broker_us: float
    others: float
    """Share of all cores that went to processes which are none of ours."""
    peak_mib: float
    """Of the largest worker."""
    yardstick_us: float
    seconds: float
    """From the first delivery that was seen to the last."""


class Crew:
    """The workers of one row, and what they do."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.pids: list[int] = []
        self._audited: Growth | None = None

    def subscribe(self, many: int) -> None:
        """Return when so many subscriptions get every event, each at a URL of its own."""
        stage, url = self.rig.stage, self.rig.sink.url
        urls = {f"sub-{number:05}": f"{url}/{number}" for number in range(many)}
        folder = stage.declare_endpoints(urls)
        if self._audited is None:
            stage.installation.prepare(folder)
            self._audited = Growth(stage.servers, f"{PREFIX}.attempts")
        else:
            stage.installation.apply(folder)

    def start(self, workers: int, core: int | None) -> None:
        """Start so many workers."""
        self._begin()
        self.pids = [self.rig.stage.start_worker(core) for _ in range(workers)]

    def stop(self) -> None:
        """Stop them."""
        self.rig.stage.stop_worker()

    def catch_up(self, name: str, n: int, core: int) -> Row:
        """Wait until `n` deliveries are made since the workers were started; return what they cost."""
        with Yardstick(core) as yardstick:
            looks = self._looks(n, [])
        return self._row(name, n, looks, yardstick.median_us)

    def deliver(self, name: str, events: int, n: int, core: int) -> Row:
        """Write events while workers wait for them, which make `n` deliveries; return what those cost."""
        self._begin()
        with Yardstick(core) as yardstick:
            begin = self._look(0)
            self.rig.load.preload(events)
            looks = self._looks(n, [begin])
        return self._row(name, n, looks, yardstick.median_us)

    def _row(self, name: str, n: int, looks: Sequence[Look], yardstick_us: float) -> Row:
        first, last = looks[0], looks[-1]
        counted = max(1, last.deliveries - first.deliveries)
        seconds = max(last.at - first.at, _LOOK)
        used, broker = last.workers - first.workers, last.broker - first.broker
        others = (last.busy - first.busy) - used - broker - (last.own - first.own)
        return Row(
            name,
            n,
            round(counted / seconds),
            round(used / counted * 1e6, 1),
            cheapest_us([(look.deliveries, look.workers) for look in looks]),
            round(broker / counted * 1e6, 1),
            round(max(0.0, others) / seconds / _cores(), 2),
            round(max(map(peak_mib, self.pids)), 1),
            yardstick_us,
            round(seconds, 2),
        )

    def _looks(self, n: int, looks: list[Look]) -> list[Look]:
        progress, got = time.monotonic(), 0
        while got < n:
            self.rig.stage.check_worker()
            now = self._deliveries()
            if now > got:
                progress, got = time.monotonic(), now
                looks.append(self._look(got))
            elif time.monotonic() - progress > _PATIENCE:
                raise SystemExit(
                    f"{got} of {n} deliveries, and none for {_PATIENCE:.0f} s; a worker's log"
                    f" ends:\n{self.rig.stage.last_words()}"
                )
            time.sleep(_LOOK)
        return looks

    def _look(self, deliveries: int) -> Look:
        return Look(
            deliveries,
            time.monotonic(),
            sum(map(cpu_seconds, self.pids)),
            cpu_seconds(self.rig.broker_pid),
            sum(map(core_busy_seconds, range(_cores()))),
            cpu_seconds(os.getpid()) + self.rig.sink.cpu_seconds,
        )

    def _begin(self) -> None:
        if self._audited is None:
            raise SystemExit("workers of the benchmark are started without subscriptions")
        self._audited.restart()

    def _deliveries(self) -> int:
        """Return how many deliveries the audit log has since the workers were started."""
        return 0 if self._audited is None else self._audited.records

    def close(self) -> None:
        """Close what counts deliveries."""
        if self._audited is not None:
            self._audited.close()


def _cores() -> int:
    return os.cpu_count() or 1


@contextmanager
def crew_on(core: int | None) -> Iterator[Crew]:
    """Start broker and sink on a core, or on all, with the event topic and hookstream's own."""
    with rig_on(core) as rig:
        rig.load.create_topic()
        crew = Crew(rig)
        try:
            yield crew
        finally:
            crew.close()


def measure_sizes(share: float) -> tuple[list[Row], Table]:
    """Return the table of large bodies."""
    own, other = cores()
    rows: list[Row] = []
    with crew_on(other) as crew:
        crew.subscribe(1)
        for size, most in _SIZES.items():
            events = _part(most, share)
            say(f"{events} bodies of {size // 1024} KB")
            crew.rig.load.size(size)
            crew.rig.load.preload(events)
            crew.start(1, own)
            rows.append(crew.catch_up(f"{size // 1024} KB", events, own))
            crew.stop()
    return rows, table_of("body", rows)


def measure_fanout(share: float) -> tuple[list[Row], Table]:
    """Return the table of events that several subscriptions match."""
    own, other = cores()
    rows: list[Row] = []
    with crew_on(other) as crew:
        for many in _FANOUTS:
            say(f"{many} subscriptions match")
            crew.subscribe(many)
            events = _part(_DELIVERIES // many, share)
            crew.rig.load.preload(events)
            crew.start(1, own)
            rows.append(crew.catch_up(f"{many}", events * many, own))
            crew.stop()
    return rows, table_of("subscriptions", rows)


def measure_single(share: float) -> tuple[list[Row], Table]:
    """Return the table of one event alone for many subscriptions: the first one, and others after it."""
    own, other = cores()
    rows: list[Row] = []
    many = _part(_SINGLE, share)
    with crew_on(other) as crew:
        say(f"{many:,} subscriptions are applied")
        crew.subscribe(many)
        crew.start(1, own)
        crew.rig.stage.await_ready()
        for number in range(1 + _AGAIN):
            name = "the first event" if number == 0 else f"event {number + 1}"
            say(name)
            rows.append(crew.deliver(name, 1, many, own))
        crew.stop()
    return rows, table_of("one event", rows)


def measure_scaling(share: float) -> tuple[list[Row], Table]:
    """Return the table of several workers on one topic."""
    rows: list[Row] = []
    own, _ = cores()
    with crew_on(None) as crew:
        crew.subscribe(1)
        for workers in _WORKERS:
            say(f"workers: {workers}")
            events = _part(_EVENTS, share)
            crew.rig.load.preload(events)
            crew.start(workers, None)
            rows.append(crew.catch_up(f"{workers}", events, own))
            crew.stop()
    return rows, table_of("workers", rows)


def _part(most: int, share: float) -> int:
    return max(1, int(most * share))


def table_of(what: str, rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    table = Table(
        what,
        "deliveries a second",
        "seconds",
        "CPU a delivery",
        "cheapest stretch",
        "broker",
        "memory",
        "yardstick",
        "others",
    )
    for row in rows:
        table.add_row(
            row.name,
            f"{row.per_second:,}",
            f"{row.seconds}",
            f"{row.cpu_us:.0f} µs",
            f"{row.cheapest_us:.0f} µs",
            f"{row.broker_us:.0f} µs",
            f"{row.peak_mib:.0f} MiB",
            f"{row.yardstick_us} µs",
            f"{row.others:.0%}",
        )
    return table


_TABLES: dict[str, Callable[[float], tuple[list[Row], Table]]] = {
    "sizes": measure_sizes,
    "fanout": measure_fanout,
    "single": measure_single,
    "scaling": measure_scaling,
}


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("table", choices=tuple(_TABLES))
    parser.add_argument(
        "--share", type=float, default=1.0, help="of each row's events: fewer are less exact"
    )
    parser.add_argument("--json", type=Path, help="also write all values to this file")
    given = parser.parse_args()
    rows, table = _TABLES[given.table](given.share)
    for column in table.columns[1:]:
        column.justify = "right"
    Console(width=_WIDTH).print(table)
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
