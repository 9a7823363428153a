"""The figures of a replay beside live deliveries, as tables and as JSON."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.report import percentiles

WINDOW = 2_000
"""Deliveries of a replay that are out at most, as documented."""
TARGET = 1.5
"""The healthy endpoints' p99 beside a replay, in multiples of that without."""
_DISTURBED = 0.1
"""Share of the worker's core that others may use before the output says that they disturbed the run."""
_LEAST_MS = 0.1
"""Less than this without a replay counts as this, so that a ratio can be made."""

PARTS = (
    ("healthy_ms", "healthy endpoints, append to receipt"),
    ("due_ms", "— from when the event was due to receipt"),
    ("append_ms", "— from its hand-over to the client to its append"),
    ("begun_ms", "— from its append to the attempt's begin"),
    ("answered_ms", "— from the attempt's begin to receipt"),
    ("own_ms", "the replayed subscription's own live deliveries"),
    ("sent_late_ms", "lateness of the load generator"),
)
"""Keys of the document, and what they are."""


class Measured(NamedTuple):
    """One live delivery to a healthy endpoint; all times in seconds since 1970."""

    delivery_id: str
    due: float
    """When its event was to be produced."""
    handed: float
    """When it was handed to the producer's client."""
    appended: float
    received: float


@dataclass(slots=True, frozen=True)
class Stretch:
    """One stretch."""

    replaying: bool
    healthy: list[Measured]
    own_ms: list[float]
    """From append to receipt, of the live deliveries to the replayed subscription."""
    late_ms: list[float]
    """How late the load generator was with each event."""
    worker: float
    """Share of its core that the worker used."""
    other_core: float
    """Share of the other core that was in use."""
    others: float
    """Share of the worker's core that processes used which are not the worker."""
    replayed: int
    """Replayed deliveries that arrived."""
    seconds: float

    @property
    def healthy_ms(self) -> list[float]:
        """From append to receipt, of each live delivery to a healthy endpoint."""
        return [(each.received - each.appended) * 1000 for each in self.healthy]


class Ratio(NamedTuple):
    """The healthy endpoints' latency beside a replay, in multiples of that without."""

    p50: float
    p99: float

    def __str__(self) -> str:
        """Return both as text."""
        return f"p50 {self.p50:.2f}, p99 {self.p99:.2f}"


@dataclass(slots=True, frozen=True)
class Tiers:
    """What the replay's deliveries did in the tiers."""

    written: int
    """Distinct deliveries in `retry.0s`."""
    records: int
    """Records of them in all tiers; more than `written`: deferrals."""
    most_out: int
    """Deliveries that were written and not received, at most."""


@dataclass(slots=True, frozen=True)
class Result:
    """What was measured."""

    stretches: list[Stretch]
    begun: Mapping[str, float]
    """When each live delivery's attempt began, seconds since 1970."""
    tiers: Tiers
    job: dict[str, object]
    given: argparse.Namespace
    refused: int
    repeated: int
    peak_mib: float
    code: int | None

    def document(self) -> dict[str, object]:
        """Return the figures as JSON."""
        given = self.given
        return {
            "events": given.events,
            "endpoints": given.endpoints,
            "rate": given.rate,
            "reached": self.reached,
            "p50_ratio": self.ratio.p50,
            "p99_ratio": self.ratio.p99,
            "ratios_by_stretch": [each._asdict() for each in self.by_stretch],
            "without": self._both(replaying=False),
            "beside": self._both(replaying=True),
            "stretches": [self._stretch(each) for each in self.stretches],
            "tiers": asdict(self.tiers),
            "job": self.job,
            "not_204": self.refused,
            "repeated": self.repeated,
            "peak_mib": round(self.peak_mib, 1),
            "exit_code": self.code,
        }

    @property
    def ratio(self) -> Ratio:
        """That of all stretches together."""
        return _ratio(
            [each for each in self.stretches if each.replaying],
            [each for each in self.stretches if not each.replaying],
        )

    @property
    def by_stretch(self) -> list[Ratio]:
        """That of each stretch beside the replay and the two around it: what lasts for longer is in both."""
        return [
            _ratio([each], self.stretches[place - 1 : place + 2 : 2])
            for place, each in enumerate(self.stretches)
            if each.replaying
        ]

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.ratio.p99 <= TARGET

    def _both(self, *, replaying: bool) -> dict[str, object]:
        kind = [each for each in self.stretches if each.replaying is replaying]
        own = [latency for each in kind for latency in each.own_ms]
        late = [latency for each in kind for latency in each.late_ms]
        seconds = sum(each.seconds for each in kind)
        replayed = sum(each.replayed for each in kind)
        healthy = [each for stretch in kind for each in stretch.healthy]
        begun = [self.begun[each.delivery_id] for each in healthy]
        return {
            "healthy_ms": percentiles(_healthy_ms(kind)),
            "due_ms": percentiles([(x.received - x.due) * 1000 for x in healthy]),
            "append_ms": percentiles([(x.appended - x.handed) * 1000 for x in healthy]),
            "begun_ms": percentiles(
                [(at - x.appended) * 1000 for x, at in zip(healthy, begun, strict=True)]
            ),
            "answered_ms": percentiles(
                [(x.received - at) * 1000 for x, at in zip(healthy, begun, strict=True)]
            ),
            "deliveries": len(healthy),
            "own_ms": percentiles(own),
            "sent_late_ms": percentiles(late),
            "worker_core": round(sum(each.worker for each in kind) / len(kind), 2),
            "other_core": round(sum(each.other_core for each in kind) / len(kind), 2),
            "others": round(sum(each.others for each in kind) / len(kind), 2),
            "replayed": replayed,
            "replayed_per_second": round(replayed / seconds),
        }

    def _stretch(self, stretch: Stretch) -> dict[str, object]:
        return {
            "replaying": stretch.replaying,
            "seconds": round(stretch.seconds, 1),
            "healthy_ms": percentiles(stretch.healthy_ms),
            "own_ms": percentiles(stretch.own_ms),
            "sent_late_ms": percentiles(stretch.late_ms),
            "worker_core": round(stretch.worker, 2),
            "other_core": round(stretch.other_core, 2),
            "others": round(stretch.others, 2),
            "replayed": stretch.replayed,
        }

    def show(self) -> None:
        """Print the tables."""
        console, given = Console(width=120), self.given
        table = Table(
            "stretch", "p50", "p90", "p99", "longest", "worker", "other core", "replayed/s"
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for each in self.stretches:
            taken = percentiles(each.healthy_ms)
            table.add_row(
                "beside the replay" if each.replaying else "without",
                *(f"{taken[name]} ms" for name in ("p50", "p90", "p99", "max")),
                f"{each.worker:.0%}",
                f"{each.other_core:.0%}",
                f"{each.replayed / each.seconds:,.0f}" if each.replaying else "",
            )
        console.print(table)
        without, beside = self._both(replaying=False), self._both(replaying=True)
        rows = Table("", "without", "beside the replay")
        for column in rows.columns[1:]:
            column.justify = "right"
        for group, title in PARTS:
            for name in ("p50", "p99"):
                rows.add_row(
                    f"{title}: {name}", *(f"{_of(x, group, name)} ms" for x in (without, beside))
                )
        rows.add_row(
            "live deliveries measured", *(f"{x['deliveries']:,}" for x in (without, beside))
        )
        rows.add_row("replayed deliveries that arrived", "", f"{beside['replayed']:,}")
        console.print(rows)
        live = given.rate * (given.endpoints + 1)
        seconds = sum(each.seconds for each in self.stretches if each.replaying)
        print(
            f"beside the replay / without: {self.ratio} (wanted: p99 at most {TARGET})\n"
            f"each stretch beside it / those around it: {'; '.join(map(str, self.by_stretch))};"
            f" medians: {_middle(self.by_stretch)}\n"
            f"live: {live:,.0f} deliveries a second; executor at nice {given.nice},"
            " on the core of broker, nginx and load\n"
            f"replay: {given.events:,} events of the past, measured for {seconds:.0f} s, then"
            f" cancelled at {self.job['done']:,} of them; {self.tiers.written:,} written,"
            f" {self.tiers.records - self.tiers.written:,} times deferred,"
            f" {self.tiers.most_out:,} out at most (window {WINDOW:,})\n"
            f"not answered 204: {self.refused}; received twice: {self.repeated};"
            f" peak memory of the worker: {self.peak_mib:.0f} MiB; its exit code: {self.code}"
        )
        others = max(each.others for each in self.stretches)
        if others > _DISTURBED:
            print(
                f"others used up to {others:.0%} of the worker's core, in a stretch: these latencies"
                " are theirs too"
            )


def _healthy_ms(stretches: Sequence[Stretch]) -> list[float]:
    return [latency for each in stretches for latency in each.healthy_ms]


def _ratio(beside: Sequence[Stretch], without: Sequence[Stretch]) -> Ratio:
    taken, usual = (percentiles(_healthy_ms(each)) for each in (beside, without))
    of_both = (round(taken[name] / max(usual[name], _LEAST_MS), 2) for name in ("p50", "p99"))
    return Ratio(*of_both)


def _middle(ratios: Sequence[Ratio]) -> Ratio:
    return Ratio(median(each.p50 for each in ratios), median(each.p99 for each in ratios))


def _of(kind: dict[str, object], group: str, name: str) -> object:
    values = kind[group]
    return values[name] if isinstance(values, dict) else values
