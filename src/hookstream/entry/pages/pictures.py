"""The charts of pages: draws the numbers of the API's answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.entry.pages.asking import query_text
from hookstream.entry.pages.chart_axes import Unit
from hookstream.entry.pages.charts import (
    MOST_SERIES,
    WIDE,
    Bar,
    Bin,
    ChartText,
    Look,
    Series,
    histogram,
    horizontal_bars,
    time_chart,
)
from hookstream.entry.pages.showing import instant_of

OTHERS = "others"
"""The name of the series of all that have none of their own."""


class Picture(NamedTuple):
    """A chart, its title and its legend."""

    title: str
    chart: Markup
    legend: Sequence[str] = ()
    """The names of its series, in their order."""
    is_of_lines: bool = False


def overview_pictures(found: Mapping[str, Any]) -> list[Picture]:
    """Return the charts over time of an overview."""
    steps, step = found["steps"], int(found["step_seconds"]) * SECOND
    counts = [each["counts"] for each in steps]
    attempts = [each["attempts"] for each in steps]
    minutes = step / MINUTE
    rates = [
        Series(label, [each[name] / minutes for each in counts])
        for label, name in (
            ("delivered", "delivered"),
            ("dead-lettered", "dead_lettered"),
            ("open", "open"),
            ("cancelled", "cancelled"),
        )
    ]
    made = [
        Series("not failed", [(each["attempts"] - each["failed"]) / minutes for each in attempts]),
        Series("failed", [each["failed"] / minutes for each in attempts]),
    ]
    shares = [
        Series("success rate", [each["success_rate"] for each in counts]),
        Series("within 2 s", [_within(each) for each in counts]),
    ]
    latency = [
        Series("median", [each["p50_ms"] for each in attempts]),
        Series("p95", [each["p95_ms"] for each in attempts]),
    ]
    starts = [instant_of(each["at"]) for each in steps]

    def drawn(text: ChartText, series: Sequence[Series], look: Look) -> Picture:
        known = [each for each in starts if each is not None]
        # The last step is as wide as the others, so the picture does not change while only time passes.
        until = known[-1] + step if known else 0
        chart = time_chart(text, known if len(known) == len(starts) else [], until, series, look)
        labels = [each.label for each in series]
        return Picture(text.title, chart, labels, is_of_lines=look is not Look.BARS)

    return [
        drawn(
            ChartText(
                "deliveries", "Deliveries per minute", "By the time their events were published."
            ),
            rates,
            Look.BARS,
        ),
        drawn(
            ChartText(
                "attempts", "Attempts per minute", "Requests, by the time they were recorded."
            ),
            made,
            Look.BARS,
        ),
        drawn(
            ChartText(
                "success",
                "Success rate",
                "Of deliveries that are decided, or open for longer than 5 minutes.",
                Unit.SHARE,
            ),
            shares,
            Look.LINES,
        ),
        drawn(
            ChartText(
                "latency",
                "Duration of attempts",
                "Of requests, by the time they were recorded.",
                Unit.MILLISECONDS,
            ),
            latency,
            Look.LINES,
        ),
    ]


def _within(counts: Mapping[str, Any]) -> float | None:
    decided = counts["delivered"] + counts["dead_lettered"] + counts["open_for_5m"]
    return counts["delivered_within_2s"] / decided if decided else None


def reasons_picture(reasons: Sequence[Mapping[str, Any]]) -> Picture:
    """Return the bars of dead letters, by reason."""
    title = "Dead letters, by reason"
    bars = [Bar(each["reason"], each["records"]) for each in reasons]
    return Picture(title, horizontal_bars(ChartText("reasons", title), bars))


def due_picture(found: Mapping[str, Any], path: str, filters: Mapping[str, str]) -> Picture:
    """Return the bars of deliveries that fall due, each a link to the list of its deliveries.

    Args:
        found: The counts of waiting deliveries.
        path: The list's.
        filters: The list's other filters.
    """
    names = [each["tier"] for each in _largest(found["tiers"])]
    some = names if len(found["tiers"]) == len(names) else [*names[: MOST_SERIES - 1], OTHERS]
    bins: list[Bin] = []
    for each in found["due"]:
        begin, end = instant_of(each["at"]), instant_of(each["until"])
        if begin is None or end is None:
            continue
        parts = dict.fromkeys(some, 0.0)
        for tier in each["tiers"]:
            name = tier["tier"] if tier["tier"] in parts else OTHERS
            parts[name] = parts.get(name, 0.0) + tier["runs"]
        query = {"due_from": each["at"], "due_to": each["until"], **filters}
        bins.append(Bin(begin, end, [*parts.values()], f"{path}?{query_text(query)}"))
    text = ChartText(
        "due",
        f"Deliveries that fall due within {found['hours']} h",
        "By tier. Each bar leads to the deliveries in it.",
        width=WIDE,
    )
    return Picture(text.title, histogram(text, bins, some), some)


def _largest(tiers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the tiers with the most waiting deliveries, at most one for each series, in their order."""
    largest = sorted(tiers, key=lambda each: -each["waiting"])[:MOST_SERIES]
    return [each for each in tiers if each in largest]
