"""Figures as tables."""

import json
import pstats
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

_SHARES = (50, 90, 99)
_MOST_OF_FLOOR = "≤ 1.5"


@dataclass(slots=True, frozen=True)
class Figures:
    """One catch-up with a backlog."""

    deliveries: int
    distinct: int
    """Webhook-ids: fewer than deliveries means that some came twice."""
    refused: int
    """Answers other than 204."""
    body_bytes: int
    seconds: float
    per_second: int
    worker_cpu_us: float
    """CPU time of the worker a delivery, from the first receipt to the last."""
    cheapest_us: float
    """The same of the cheapest stretch."""
    broker_cpu_us: float
    others: float
    """Share of the worker's core that other processes took, for which it had to wait."""
    peak_mib: float


@dataclass(slots=True, frozen=True)
class CatchUp:
    """One catch-up with a backlog, counted at the audit log."""

    batch: int
    """The most events in a request."""
    deliveries: int
    requests: int
    per_second: int
    worker_cpu_us: float
    cheapest_us: float
    tier_writes: int


@dataclass(slots=True, frozen=True)
class Paced:
    """One run at an even rate."""

    rate: int
    deliveries: int
    cpu_us: float
    others: float
    cpu_us_by_thread: dict[str, float]
    sent_late_ms: dict[str, float]
    """How late the load generator was."""
    append_ms: dict[str, float]
    """How long an event took from the producer's hand into the log."""
    latency_ms: dict[str, float]
    """From the log to the sink."""
    p50_ms_by_second: list[float]
    """The medians of those that were appended in each second: shows disturbances."""


@dataclass(slots=True, frozen=True)
class Floor:
    """The same events by the libraries' calls alone, on the same core right afterwards."""

    deliveries: int
    cpu_us: float
    cheapest_us: float
    """The same of the cheapest stretch."""
    per_second: int


@dataclass(slots=True, frozen=True)
class Pair:
    """A worker and the floor, one right after the other."""

    figures: Figures
    floor: Floor
    yardstick_us: float

    @property
    def ratio(self) -> float:
        """How many times the floor's cheapest stretch the worker's costs."""
        return self.figures.cheapest_us / self.floor.cheapest_us


def median_ratio(pairs: Sequence[Pair]) -> float:
    """Return the median of the pairs' ratios."""
    return round(median(pair.ratio for pair in pairs), 2)


def medians_by_second(taken: list[tuple[float, float]]) -> list[float]:
    """Return the median latency of each second, from pairs of append time and latency."""
    seconds: dict[int, list[float]] = {}
    for at, latency in taken:
        seconds.setdefault(int(at), []).append(latency)
    return [round(median(found), 1) for _, found in sorted(seconds.items())]


def percentiles(taken: list[float]) -> dict[str, float]:
    """Return p50, p90, p99 and the largest, in the unit given, to a tenth."""
    ordered = sorted(taken)
    found = {f"p{share}": ordered[len(ordered) * share // 100] for share in _SHARES}
    return {name: round(value, 1) for name, value in {**found, "max": ordered[-1]}.items()}


def show(
    figures: Figures,
    paced: Paced,
    floor: Floor,
    writes: dict[str, int],
    code: int | None,
    yardstick: float,
) -> None:
    """Print the result of a measurement."""
    rows = (
        ("deliveries a second, one core", f"{figures.per_second:,}", ""),
        ("CPU a delivery, worker", f"{figures.worker_cpu_us} µs", ""),
        ("— the libraries' calls alone", f"{floor.cpu_us} µs", ""),
        ("— in the cheapest stretch", f"{figures.cheapest_us} µs", ""),
        ("— the libraries' cheapest", f"{floor.cheapest_us} µs", ""),
        (
            "— the cheapest of both",
            f"{figures.cheapest_us / floor.cheapest_us:.2f} times",
            _MOST_OF_FLOOR,
        ),
        ("CPU a delivery, broker", f"{figures.broker_cpu_us} µs", ""),
        ("others' share of the core", f"{figures.others:.0%}", "0 %"),
        ("yardstick: one HMAC of 1 KB", f"{yardstick} µs", "2 µs on a quiet machine"),
        ("largest resident set", f"{figures.peak_mib} MiB", "≤ 150 MB"),
        ("rendered body", f"{figures.body_bytes} B", "about 1 KB"),
        ("deliveries", f"{figures.deliveries:,}", ""),
        ("of them distinct", f"{figures.distinct:,}", "all"),
        ("not answered 204", f"{figures.refused}", "0"),
    )
    _print(rows + _half_load(paced) + _written(writes, code))


def show_pairs(
    pairs: Sequence[Pair], paced: Paced, writes: dict[str, int], code: int | None
) -> None:
    """Print floor and worker of each pair, the median of their ratios, and what else is wanted."""
    table = Table(
        "pair", "worker", "floor", "ratio", "means", "deliveries/s", "others", "yardstick"
    )
    for number, pair in enumerate(pairs, start=1):
        figures, floor = pair.figures, pair.floor
        table.add_row(
            f"{number}",
            f"{figures.cheapest_us} µs",
            f"{floor.cheapest_us} µs",
            f"{pair.ratio:.2f}",
            f"{figures.worker_cpu_us} / {floor.cpu_us} µs",
            f"{figures.per_second:,}",
            f"{figures.others:.0%}",
            f"{pair.yardstick_us} µs",
        )
    table.caption = (
        "CPU a delivery of the cheapest stretch; others: their share of the worker's core"
    )
    Console(width=110).print(table)
    ratios = [pair.ratio for pair in pairs]
    rows = (
        ("worker / floor, the median of pairs", f"{median_ratio(pairs)}", _MOST_OF_FLOOR),
        ("— least and most", f"{min(ratios):.2f} and {max(ratios):.2f}", ""),
        (
            "largest resident set",
            f"{max(pair.figures.peak_mib for pair in pairs)} MiB",
            "≤ 150 MB",
        ),
        ("deliveries", f"{sum(pair.figures.deliveries for pair in pairs):,}", ""),
        ("of them distinct", f"{sum(pair.figures.distinct for pair in pairs):,}", "all"),
        ("not answered 204", f"{sum(pair.figures.refused for pair in pairs)}", "0"),
    )
    _print(rows + _half_load(paced) + _written(writes, code))


def _half_load(paced: Paced) -> tuple[tuple[str, str, str], ...]:
    latency = paced.latency_ms
    return (
        ("half load: events a second", f"{paced.rate:,}", ""),
        ("half load: CPU a delivery", f"{paced.cpu_us} µs", ""),
        ("half load: others' share", f"{paced.others:.0%}", "0 %"),
        ("half load: sent too late, p99", f"{paced.sent_late_ms['p99']} ms", "< 5 ms"),
        ("half load: into the log, p99", f"{paced.append_ms['p99']} ms", ""),
        ("half load: p50", f"{latency['p50']} ms", "≤ 10 ms"),
        ("half load: p90", f"{latency['p90']} ms", ""),
        ("half load: p99", f"{latency['p99']} ms", "≤ 50 ms"),
        ("half load: longest", f"{latency['max']} ms", ""),
    )


def _written(writes: dict[str, int], code: int | None) -> tuple[tuple[str, str, str], ...]:
    return (
        ("tier writes", f"{writes['tiers']}", "0"),
        ("dead letters", f"{writes['dead_letters']}", "0"),
        ("undecodable", f"{writes['undecodable']}", "0"),
        ("audit records of all runs", f"{writes['attempts']:,}", ""),
        ("exit code of the worker", f"{code}", "0"),
    )


def _print(rows: Sequence[tuple[str, str, str]]) -> None:
    table = Table("figure", "measured", "wanted")
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def show_threads(threads: dict[str, float]) -> None:
    """Print the CPU time of the worker's threads."""
    table = Table("thread", "CPU s")
    for name, seconds in threads.items():
        table.add_row(name, f"{seconds:.2f}")
    Console().print(table)


def show_profile(how: str, file: Path, events: int, top: int) -> None:
    """Print what a profile found."""
    if how == "calls":
        _show_calls(file, events, top)
    else:
        _show_samples(file, top)


def _show_calls(file: Path, events: int, top: int) -> None:
    table = Table("function", "calls a delivery", "own µs a delivery", "with callees")
    stats = pstats.Stats(str(file)).get_stats_profile().func_profiles
    by_own = sorted(stats.items(), key=lambda item: item[1].tottime, reverse=True)
    for name, found in by_own[:top]:
        calls = int(str(found.ncalls).partition("/")[0])
        where = f"{'/'.join(Path(found.file_name).parts[-2:])}:{found.line_number}"
        table.add_row(
            f"{name} ({where})",
            f"{calls / events:.2f}",
            f"{found.tottime / events * 1e6:.1f}",
            f"{found.cumtime / events * 1e6:.1f}",
        )
    Console(width=160).print(table)


def _show_samples(file: Path, top: int) -> None:
    counted = json.loads(file.read_text())
    samples = counted["samples"] or 1
    for kind, title in (("functions", "function, with what it calls"), ("lines", "line itself")):
        table = Table(title, "share")
        ranked = sorted(counted[kind].items(), key=lambda item: item[1], reverse=True)
        for name, count in ranked[:top]:
            table.add_row(name, f"{count / samples:.1%}")
        Console(width=160).print(table)
    Console().print(f"{samples} samples")


def show_batches(single: CatchUp, batches: CatchUp) -> None:
    """Print what a delivery costs alone and in a batch."""
    table = Table("", "one in each request", f"batches of {batches.batch}")
    both = (single, batches)
    table.add_row("deliveries", *(f"{each.deliveries:,}" for each in both))
    table.add_row("requests", *(f"{each.requests:,}" for each in both))
    table.add_row("deliveries a second", *(f"{each.per_second:,}" for each in both))
    table.add_row("CPU a delivery, worker", *(f"{each.worker_cpu_us} µs" for each in both))
    table.add_row("— in the cheapest stretch", *(f"{each.cheapest_us} µs" for each in both))
    table.add_row("writes to tiers", *(f"{each.tier_writes:,}" for each in both))
    Console().print(table)
    print(
        f"in a batch, {batches.cheapest_us / single.cheapest_us:.2f} times the CPU of one alone"
        f" (cheapest stretches; means: {batches.worker_cpu_us / single.worker_cpu_us:.2f})"
    )
