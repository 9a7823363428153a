"""Measures one worker on one core: `python -m benchmarks`, or `python -m benchmarks profile`.

`python -m benchmarks --batch N` compares batches with one event in each request instead, and `--pairs N`
repeats steps 2 and 5 in turns: the median of the ratios is what compares.

1. A broker and nginx on the second core; topics, schemas and 1,000 subscriptions, one of them matching.
2. N events are written, then a worker starts on the first core; throughput and CPU while it catches up.
3. Events at half of that rate, for the time from append to receipt.
4. What the topics contain: nothing may have gone through a tier.
5. The same events once more by the libraries' calls alone, on the worker's core: the floor.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gauge import (
    STRETCH,
    cheapest_us,
    core_busy_seconds,
    cpu_by_thread,
    cpu_seconds,
    peak_mib,
)
from benchmarks.load import EVENT_TYPE, ends, topic_names
from benchmarks.report import (
    CatchUp,
    Figures,
    Floor,
    Paced,
    Pair,
    median_ratio,
    medians_by_second,
    percentiles,
    show,
    show_batches,
    show_pairs,
    show_profile,
    show_threads,
)
from benchmarks.rig import Rig, cores, rig_on, say
from benchmarks.sink import Receipt
from benchmarks.stage import MATCHING, PREFIX
from benchmarks.yardstick import Yardstick
from hookstream.core.delivery.identity import delivery_id

_LOOK = 0.01
_PATIENCE = 60.0
"""Seconds without a delivery after which a run counts as failed."""
_WARM_UP = 1.0
"""Seconds of the paced run that are left out of its latencies."""
_BEFORE_PACED = 2_000
"""Events that a new worker gets before a paced run, so that connections are open."""
_EVENTS = 100_000
_EVENTS_OF_A_PAIR = 40_000


@dataclass(slots=True, frozen=True)
class Look:
    """What the sink had and what processes had used, at one moment."""

    receipts: int
    at: float
    worker: float
    broker: float
    core: float
    """Seconds in which the worker's core was not idle."""


class Bench:
    """One run."""

    def __init__(self, rig: Rig, core: int) -> None:
        self.stage = rig.stage
        self.sink = rig.sink
        self.load = rig.load
        self.broker_pid = rig.broker_pid
        self.core = core
        self.worker_pid = 0

    def prepare(self, events: int, subscriptions: int) -> None:
        """Make everything active, then write the events."""
        say(f"topics, schemas and {subscriptions} subscriptions")
        self.load.create_topic()
        self.stage.prepare(self.sink.url, subscriptions)
        say(f"{events} events of {self.load.record_bytes} bytes")
        self.load.preload(events)

    def receive(self, n: int) -> tuple[list[Receipt], list[Look]]:
        """Wait for `n` deliveries; return them with looks at what was used, first to last."""
        got = self._next()
        looks = [self._look(len(got))]
        progress = time.monotonic()
        while len(got) < n:
            new = self.sink.take()
            got += new
            if new:
                progress = time.monotonic()
            self._check(progress, len(got), n)
            if len(got) - looks[-1].receipts >= STRETCH:
                looks.append(self._look(len(got)))
            time.sleep(_LOOK)
        return got, [*looks, self._look(len(got))]

    def _next(self) -> list[Receipt]:
        began = time.monotonic()
        while not (got := self.sink.take()):
            self._check(began, 0, 1)
            time.sleep(_LOOK)
        return got

    def _check(self, since: float, got: int, wanted: int) -> None:
        self.stage.check_worker()
        if time.monotonic() - since > _PATIENCE:
            raise SystemExit(
                f"{got} of {wanted} deliveries, and none for {_PATIENCE:.0f} s; the worker's log"
                f" ends:\n{self.stage.last_words()}"
            )

    def _look(self, receipts: int) -> Look:
        return Look(
            receipts,
            time.monotonic(),
            cpu_seconds(self.worker_pid),
            cpu_seconds(self.broker_pid),
            core_busy_seconds(self.core),
        )

    def caught_up(self, n: int) -> Figures:
        """Start a worker, and return what `n` deliveries cost it."""
        self.worker_pid = self.stage.start_worker(self.core)
        return throughput(*self.receive(n), self)

    def audited(self, n: int, batch: int) -> CatchUp:
        """Wait until the audit log has `n` more deliveries; return what they cost the worker.

        Their requests are counted at the sink; how many events each of them has is not seen there.
        """
        attempts = [f"{PREFIX}.attempts"]
        before = sum(ends(self.stage.servers, attempts).values())
        looks: list[Look] = []
        progress, got = time.monotonic(), 0
        while got < n:
            now = sum(ends(self.stage.servers, attempts).values()) - before
            progress, got = time.monotonic() if now > got else progress, now
            self._check(progress, got, n)
            if got and (not looks or got - looks[-1].receipts >= STRETCH):
                looks.append(self._look(got))
            time.sleep(_LOOK)
        first, last = looks[0], looks[-1]
        counted = last.receipts - first.receipts
        return CatchUp(
            batch=batch,
            deliveries=got,
            requests=len(self.sink.take()),
            per_second=round(counted / (last.at - first.at)),
            worker_cpu_us=round((last.worker - first.worker) / counted * 1e6, 1),
            cheapest_us=cheapest_us([(look.receipts, look.worker) for look in looks]),
            tier_writes=self.writes()["tiers"],
        )

    def paced(self, rate: float, seconds: float) -> Paced:
        """Write events at a rate, and return how long each took from the log to the sink."""
        since = self.load.ends()
        before, threads = self._look(0), cpu_by_thread(self.worker_pid)
        sent = self.load.paced(rate, seconds)
        n = len(sent)
        got, looks = self.receive(n)
        after = looks[-1]
        used = {
            name: round((seconds - threads.get(name, 0.0)) / n * 1e6, 1)
            for name, seconds in cpu_by_thread(self.worker_pid).items()
        }
        logged = self.load.appended(since)
        late = [(handed - due) * 1000 for due, handed in sent.values()]
        waited = [(at - sent[event_id][1]) * 1000 for event_id, at in logged.items()]
        appended = {
            delivery_id(EVENT_TYPE, event_id, MATCHING): at for event_id, at in logged.items()
        }
        begun = min(appended.values()) + _WARM_UP
        arrived: dict[str, float] = {}
        for receipt in got:
            arrived.setdefault(receipt.webhook_id, receipt.at)
        taken = [
            (at - begun, (arrived[name] - at) * 1000)
            for name, at in appended.items()
            if at >= begun and name in arrived
        ]
        return Paced(
            rate=round(n / seconds),
            deliveries=len(arrived),
            cpu_us=round((after.worker - before.worker) / n * 1e6, 1),
            others=_others(before, after),
            cpu_us_by_thread=used,
            sent_late_ms=percentiles(late),
            append_ms=percentiles(waited),
            latency_ms=percentiles([latency for _, latency in taken]),
            p50_ms_by_second=medians_by_second(taken),
        )

    def writes(self, floor: int = 0) -> dict[str, int]:
        """Return how many records hookstream's own delivery topics contain, without those of the floor."""
        prefix = f"{PREFIX}.retry."
        tiers = [name for name in topic_names(self.stage.servers) if name.startswith(prefix)]
        kinds = {
            "tiers": tiers,
            "dead_letters": [f"{PREFIX}.dead-letters"],
            "undecodable": [f"{PREFIX}.undecodable"],
            "attempts": [f"{PREFIX}.attempts"],
        }
        found = {
            kind: sum(ends(self.stage.servers, topics).values()) for kind, topics in kinds.items()
        }
        return {**found, "attempts": found["attempts"] - floor}


def throughput(got: list[Receipt], looks: list[Look], bench: Bench) -> Figures:
    """Return the figures of the catch-up."""
    first, last = looks[0], looks[-1]
    took = got[-1].at - got[0].at
    counted = last.receipts - first.receipts
    return Figures(
        deliveries=len(got),
        distinct=len({receipt.webhook_id for receipt in got}),
        refused=sum(receipt.status != 204 for receipt in got),
        body_bytes=round(sum(receipt.body_bytes for receipt in got) / len(got)),
        seconds=round(took, 3),
        per_second=round((len(got) - 1) / took),
        worker_cpu_us=round((last.worker - first.worker) / counted * 1e6, 1),
        cheapest_us=cheapest_us([(look.receipts, look.worker) for look in looks]),
        broker_cpu_us=round((last.broker - first.broker) / counted * 1e6, 1),
        others=_others(first, last),
        peak_mib=round(peak_mib(bench.worker_pid), 1),
    )


def _others(first: Look, last: Look) -> float:
    """Return the share of the worker's core that went to anybody else."""
    busy = (last.core - first.core) - (last.worker - first.worker)
    return round(max(0.0, busy / (last.at - first.at)), 2)


@contextmanager
def bench_on(core: int, worker_core: int) -> Iterator[Bench]:
    """Start broker and sink on a core, with a stage in a folder that goes again."""
    with rig_on(core) as rig:
        yield Bench(rig, worker_core)


def measure(given: argparse.Namespace) -> None:
    """Measure, print the table, and write the JSON where it is wanted."""
    own, other = cores()
    with bench_on(other, own) as bench:
        bench.prepare(given.events, given.subscriptions)
        say("a worker catches up")
        with Yardstick(own) as yardstick:
            figures = bench.caught_up(given.events)
        rate = given.rate or figures.per_second / 2
        say(f"{given.seconds} s at {rate:.0f} events a second")
        paced = bench.paced(rate, given.seconds)
        code = bench.stage.stop_worker()
        writes = bench.writes()
        say("the bare library calls")
        floor = bench.stage.floor(bench.sink.url, given.events, own)
    result = {
        "events": given.events,
        "subscriptions": given.subscriptions,
        "yardstick_us": yardstick.median_us,
        "catch_up": asdict(figures),
        "half_load": asdict(paced),
        "floor": asdict(floor),
        "writes": writes,
        "exit_code": code,
    }
    show(figures, paced, floor, writes, code, yardstick.median_us)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def pair_on(bench: Bench, events: int, *, floor_first: bool) -> Pair:
    """Measure a worker and the floor, one right after the other."""

    def floor() -> Floor:
        found = bench.stage.floor(bench.sink.url, events, bench.core)
        bench.sink.take()
        return found

    with Yardstick(bench.core) as yardstick:
        before = floor() if floor_first else None
        figures = bench.caught_up(events)
        bench.stage.stop_worker()
        after = before or floor()
    return Pair(figures, after, yardstick.median_us)


def measure_pairs(given: argparse.Namespace) -> None:
    """Measure floor and worker in turns, then half load with the last worker, and print both."""
    own, other = cores()
    pairs: list[Pair] = []
    with bench_on(other, own) as bench:
        bench.prepare(given.events, given.subscriptions)
        for number in range(given.pairs):
            say(f"pair {number + 1} of {given.pairs}")
            if number > 0:
                bench.load.preload(given.events)
            # Whatever changes over time is for the one in half of the pairs, for the other in the rest.
            pairs.append(pair_on(bench, given.events, floor_first=number % 2 == 0))
        rate = given.rate or pairs[-1].figures.per_second / 2
        say(f"{given.seconds} s at {rate:.0f} events a second")
        bench.worker_pid = bench.stage.start_worker(own)
        bench.load.preload(_BEFORE_PACED)
        bench.receive(_BEFORE_PACED)
        paced = bench.paced(rate, given.seconds)
        code = bench.stage.stop_worker()
        writes = bench.writes(floor=given.pairs * given.events)
    result = {
        "events": given.events,
        "subscriptions": given.subscriptions,
        "pairs": [asdict(pair) for pair in pairs],
        "median_ratio": median_ratio(pairs),
        "half_load": asdict(paced),
        "writes": writes,
        "exit_code": code,
    }
    show_pairs(pairs, paced, writes, code)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def measure_batches(given: argparse.Namespace) -> None:
    """Catch up with one event in each request, then with batches, and print both."""
    own, other = cores()
    found = []
    with bench_on(other, own) as bench:
        bench.prepare(given.events, given.subscriptions)
        for batch in (1, given.batch):
            if batch > 1:
                bench.stage.batch(bench.sink.url, batch)
                bench.load.preload(given.events)
            say(f"a worker catches up, {batch} to a request")
            bench.worker_pid = bench.stage.start_worker(own)
            found.append(bench.audited(given.events, batch))
            bench.stage.stop_worker()
    show_batches(*found)


def profile(given: argparse.Namespace) -> None:
    """Catch up under a profiler and print where the time goes."""
    own, other = cores()
    with bench_on(other, own) as bench:
        bench.prepare(given.events, given.subscriptions)
        found = bench.stage.folder / "profile"
        say(f"a worker catches up under a profiler ({given.how})")
        bench.worker_pid = bench.stage.start_worker(own, (given.how, found))
        figures = throughput(*bench.receive(given.events), bench)
        threads = cpu_by_thread(bench.worker_pid)
        bench.stage.stop_worker()
        print(f"{figures.per_second}/s, {figures.worker_cpu_us} µs CPU a delivery while profiled")
        show_threads(threads)
        show_profile(given.how, found, given.events, given.top)


def main() -> None:
    """Read the command line and run what it requests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure a worker.")
    parser.add_argument("what", nargs="?", choices=("measure", "profile"), default="measure")
    parser.add_argument(
        "--events",
        type=int,
        help=f"events to catch up with (default: {_EVENTS}, of each pair {_EVENTS_OF_A_PAIR})",
    )
    parser.add_argument("--subscriptions", type=int, default=1000, help="one of them matches")
    parser.add_argument("--seconds", type=float, default=15, help="length of the paced run")
    parser.add_argument("--rate", type=float, help="of the paced run; else half of the catch-up's")
    parser.add_argument("--batch", type=int, help="compare batches of so many events instead")
    parser.add_argument(
        "--pairs", type=int, help="measure floor and worker so many times in turns"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--how", choices=("samples", "calls"), default="samples", help="profile by"
    )
    parser.add_argument("--top", type=int, default=15, help="functions of the profile to print")
    given = parser.parse_args()
    if given.events is None:
        given.events = _EVENTS if given.pairs is None else _EVENTS_OF_A_PAIR
    if given.what == "profile":
        profile(given)
    elif given.batch is not None:
        measure_batches(given)
    elif given.pairs is not None:
        measure_pairs(given)
    else:
        measure(given)


if __name__ == "__main__":
    main()
