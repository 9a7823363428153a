"""Draws charts as SVG text, without scripts, style attributes or names from outside.

Classes determine the style: `series-1` to `series-6` give a series its colour and its pattern. A chart has a title
and a description, and is one image to a screen reader; a chart whose bars are links is a group of links instead,
since the parts of an image cannot be reached. The page also has every number in a table. Times are UTC. A value that
is not a number is a gap, a negative one is 0.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from hookstream.core.model.instant import DAY, HOUR, Millis, to_rfc3339
from hookstream.entry.pages.chart_axes import (
    LARGEST,
    Unit,
    known,
    round_ticks,
    time_label,
    time_ticks,
    value_text,
)
from hookstream.entry.pages.svg import clean, coordinate, cut, element, link, words

MOST_POINTS: Final = 200
"""The most points of a series; of more, neighbours are merged into their mean."""
MOST_SERIES: Final = 6
MOST_BINS: Final = 80
"""The most bars of a histogram; later ones are left out."""
MOST_BARS: Final = 20
"""The most horizontal bars; later ones are left out."""
LARGEST_CHART: Final = 60 * 1024
"""The most bytes of a chart."""

WIDE: Final = 1040.0
"""The width of a chart that has a page's whole width."""
_HEIGHT = 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 10.0, 10.0, 24.0
_BAR_HEIGHT, _BAR_LABEL, _BAR_VALUE = 24.0, 160.0, 64.0
_SPARK_WIDTH, _SPARK_HEIGHT = 120.0, 24.0
_LONGEST_TITLE = 200
_MOST_TEXT = 20_000
"""The most bytes of the texts of points; beyond, points have none, since the page's table has the numbers."""
_MOST_AXES = 4_096
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Look(StrEnum):
    """How the series of a chart are drawn."""

    LINES = "lines"
    AREAS = "areas"
    """Lines with filled areas below them."""
    BARS = "bars"
    """Stacked on one another."""


class Series(NamedTuple):
    """Values at the points of a chart."""

    label: str
    values: Sequence[float | None]
    """One for each point; None: not known."""


class Bar(NamedTuple):
    """One horizontal bar."""

    label: str
    value: float | None
    href: str = ""
    """Where it leads; empty: nowhere."""


class Bin(NamedTuple):
    """One bar of a histogram."""

    at: Millis
    until: Millis
    parts: Sequence[float | None]
    """Its value of each series."""
    href: str = ""


@dataclass(slots=True, frozen=True)
class ChartText:
    """The texts of a chart, and the unit of its numbers."""

    name: str
    """Distinct on its page, of small letters, digits and dashes."""
    title: str
    description: str = ""
    unit: Unit = Unit.NUMBER
    width: float = 540.0
    """In units that are about a pixel; at most `WIDE`, at least 400."""


def time_chart(
    text: ChartText,
    starts: Sequence[Millis],
    until: Millis,
    series: Sequence[Series],
    look: Look = Look.LINES,
) -> Markup:
    """Return a chart of values over time.

    Args:
        text: Its texts.
        starts: The start of each interval, ascending.
        until: The end of the last one.
        series: Their values, at most `MOST_SERIES`; surplus values are left out.
        look: How they are drawn.
    """
    starts, series = _thinned(starts, series[:MOST_SERIES])
    if not starts or not series:
        return _empty(text)
    until = max(until, starts[-1] + 1)
    stacked = look is Look.BARS
    points = [_column(series, at) for at in range(len(starts))]
    most = max((_top(each, stacked=stacked) for each in points), default=0.0)
    plot = _Plot(text, starts[0], until, most)
    edges = [*starts, until]
    drawn: list[Markup] = []
    for number in range(len(series)):
        kind = f"series-{number + 1}"
        if stacked:
            drawn.append(
                element("path", kind=f"bar {kind}", d=_stack(plot, edges, points, number))
            )
            continue
        places = [
            None if value is None else (plot.x((begin + end) / 2), plot.y(value))
            for value, (begin, end) in zip(
                (each[number] for each in points), pairwise(edges), strict=True
            )
        ]
        if look is Look.AREAS:
            drawn.append(element("path", kind=f"area {kind}", d=_area(places, plot.bottom)))
        drawn += _drawn(places, kind)
    hints = _hints(plot, edges, points, [each.label for each in series], text.unit)
    return _chart(text, text.width, _HEIGHT, [*plot.axes(), *drawn, hints])


def histogram(text: ChartText, bins: Sequence[Bin], labels: Sequence[str]) -> Markup:
    """Return bars over time, each a stack of its parts; bars with an address are links.

    Args:
        text: Its texts.
        bins: At most `MOST_POINTS`, the first ones, ascending and adjacent.
        labels: The names of the parts, at most `MOST_SERIES`; further parts are left out.
    """
    bins, labels = bins[:MOST_BINS], labels[:MOST_SERIES]
    if not bins:
        return _empty(text)
    points = [[known(part) or 0.0 for part in each.parts[: len(labels)]] for each in bins]
    until = max(bins[-1].until, bins[0].at + 1)
    plot = _Plot(text, bins[0].at, until, max(map(sum, points), default=0.0))
    names = [cut(label) for label in labels]
    bars = [_bar(plot, each, parts) for each, parts in zip(bins, points, strict=True)]
    # Links are dropped if the picture would be too large: the list next to it has all of them.
    left = LARGEST_CHART - _MOST_AXES - sum(len(bar.encode()) for bar in bars)
    drawn: list[Markup] = []
    for each, parts, bar in zip(bins, points, bars, strict=True):
        linked = bar
        if each.href and bar:
            said = _said(each.at, each.until, parts, names, text.unit)
            linked = link(each.href, said, [_hit(plot, each.at, each.until), bar])
            left -= len(linked.encode()) - len(bar.encode())
        drawn.append(linked if left >= 0 else bar)
    return _chart(
        text,
        text.width,
        _HEIGHT,
        [*plot.axes(), *drawn],
        is_image=not any(each.href for each in bins),
    )


def horizontal_bars(text: ChartText, bars: Sequence[Bar]) -> Markup:
    """Return bars next to their labels, the first on top; at most `MOST_BARS`."""
    bars = bars[:MOST_BARS]
    if not bars:
        return _empty(text)
    most = max((known(each.value) or 0.0 for each in bars), default=0.0) or 1.0
    room = text.width - _BAR_LABEL - _BAR_VALUE
    drawn: list[Markup] = []
    for number, each in enumerate(bars):
        y, value = number * _BAR_HEIGHT, known(each.value)
        length = room * (value or 0.0) / most
        said = "not known" if value is None else value_text(value, text.unit)
        middle = y + _BAR_HEIGHT / 2 + 4
        label = words(each.label, _BAR_LABEL - 8, middle, kind="label", anchor="end")
        pieces = [
            label,
            element(
                "rect",
                kind="bar series-1",
                x=_BAR_LABEL,
                y=y + 4,
                width=length,
                height=_BAR_HEIGHT - 8,
            ),
            words(said, _BAR_LABEL + length + 6, middle, kind="value"),
        ]
        drawn.append(
            link(each.href, f"{cut(each.label)}: {said}", pieces)
            if each.href
            else Markup().join(pieces)
        )
    height = len(bars) * _BAR_HEIGHT
    return _chart(text, text.width, height, drawn, is_image=not any(each.href for each in bars))


def sparkline(text: ChartText, values: Sequence[float | None]) -> Markup:
    """Return a line without axes, for the cell of a table."""
    points = _merged([known(each) for each in values])
    most = max((each for each in points if each is not None), default=0.0) or 1.0
    width = _SPARK_WIDTH - 4
    places = [
        None
        if value is None
        else (
            2 + (width * at / (len(points) - 1) if len(points) > 1 else width / 2),
            _SPARK_HEIGHT - 2 - (_SPARK_HEIGHT - 4) * value / most,
        )
        for at, value in enumerate(points)
    ]
    drawn = _drawn(places, "series-1")
    return _chart(text, _SPARK_WIDTH, _SPARK_HEIGHT, drawn, kind="sparkline")


class _Plot:
    """The coordinates of instants and values in a chart, and its axes."""

    def __init__(self, text: ChartText, since: Millis, until: Millis, most: float) -> None:
        self._since, self._until = since, until
        self._unit = text.unit
        self._right = text.width - _RIGHT
        self._ticks = round_ticks(most, text.unit)
        self._most = max(self._ticks[-1], most) or 1.0
        self.top, self.bottom = _TOP, _HEIGHT - _BOTTOM
        self.height = self.bottom - self.top

    def x(self, instant: float) -> float:
        """Return the x coordinate of an instant."""
        share = (instant - self._since) / max(1, self._until - self._since)
        return _LEFT + (self._right - _LEFT) * min(1.0, max(0.0, share))

    def y(self, value: float) -> float:
        """Return the y coordinate of a value."""
        return self.bottom - self.height * min(1.0, max(0.0, value / self._most))

    def axes(self) -> list[Markup]:
        """Return lines at round values, and round times below."""
        drawn: list[Markup] = []
        right = self._right
        for tick in self._ticks:
            y = self.y(tick)
            drawn.append(element("line", kind="grid", x1=_LEFT, y1=y, x2=right, y2=y))
            label = value_text(tick, self._unit)
            drawn.append(words(label, _LEFT - 6, y + 4, kind="tick", anchor="end"))
        for instant in time_ticks(self._since, self._until):
            x = self.x(instant)
            drawn.append(
                element("line", kind="grid", x1=x, y1=self.bottom, x2=x, y2=self.bottom + 4)
            )
            # A label at an edge stays within the picture.
            anchor = "start" if x < _LEFT + 20 else "end" if x > right - 20 else "middle"
            label = time_label(instant, self._until - self._since)
            drawn.append(words(label, x, _HEIGHT - 6, kind="tick", anchor=anchor))
        return drawn


_Place = tuple[float, float]


def _chart(
    text: ChartText,
    width: float,
    height: float,
    drawn: Iterable[Markup],
    *,
    kind: str = "chart",
    is_image: bool = True,
) -> Markup:
    if not _NAME.fullmatch(text.name):
        raise ValueError(f"{text.name!r} is no name of a chart")
    title, described = f"{text.name}-title", f"{text.name}-desc"
    said = [element("title", clean(text.title, _LONGEST_TITLE), id=title)]
    names = title
    if text.description:
        said.append(element("desc", clean(text.description, _LONGEST_TITLE), id=described))
        names += f" {described}"
    return element(
        "svg",
        *said,
        *drawn,
        kind=f"{kind} wide" if width > WIDE / 2 + _LEFT else kind,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        role="img" if is_image else "group",
        aria_labelledby=names,
    )


def _empty(text: ChartText) -> Markup:
    middle = words(
        "Nothing in this time", text.width / 2, _HEIGHT / 2, kind="label", anchor="middle"
    )
    return _chart(text, text.width, _HEIGHT, [middle])


def _hints(
    plot: _Plot,
    edges: Sequence[Millis],
    points: Sequence[Sequence[float | None]],
    labels: Sequence[str],
    unit: Unit,
) -> Markup:
    """Return invisible boxes, one for each point, that show its values on hover; none if they are too long."""
    # As text, not element by element: these are most of a chart.
    names = [cut(label) for label in labels]
    rest = f'y="{coordinate(plot.top)}" height="{coordinate(plot.height)}"'
    found: list[str] = []
    for values, (begin, end) in zip(points, pairwise(edges), strict=True):
        x, said = plot.x(begin), _said(begin, end, values, names, unit)
        place = f'x="{coordinate(x)}" width="{coordinate(plot.x(end) - x)}" {rest}'
        found.append(f'<rect class="hit" {place}><title>{escape(said)}</title></rect>')
    text = "".join(found)
    return Markup(text if len(text.encode()) <= _MOST_TEXT else "")  # noqa: S704  escaped above


def _hit(plot: _Plot, begin: Millis, end: Millis) -> Markup:
    """Return an invisible box as high as the chart, for the mouse."""
    x = plot.x(begin)
    box = {"x": x, "y": plot.top, "width": plot.x(end) - x, "height": plot.height}
    return element("rect", kind="hit", **box)


def _bar(plot: _Plot, each: Bin, parts: Sequence[float]) -> Markup:
    """Return a bar of a histogram, a stack of its parts."""
    return Markup("").join(
        element(
            "path",
            kind=f"bar series-{number + 1}",
            d=_stack(plot, [each.at, each.until], [parts], number),
        )
        for number, part in enumerate(parts)
        if part
    )


def _said(
    begin: Millis,
    end: Millis,
    values: Sequence[float | None],
    labels: Sequence[str],
    unit: Unit,
) -> str:
    """Return the values of a point in words; the labels are already cut."""
    parts = [
        f"{label} {'not known' if value is None else value_text(value, unit)}"
        for label, value in zip(labels, values, strict=False)
    ]
    return f"{_times(begin, end)}: {', '.join(parts)}"


@lru_cache(2_048)  # the charts of a page are of the same times
def _times(begin: Millis, end: Millis) -> str:
    day = f"{to_rfc3339(begin)[:10]} " if end - begin >= HOUR else ""
    until = time_label(end, HOUR) if end - begin < DAY else to_rfc3339(end)[:10]
    return f"{day}{time_label(begin, HOUR)}\N{EN DASH}{until}"


def _column(series: Sequence[Series], at: int) -> list[float | None]:
    return [known(each.values[at]) if at < len(each.values) else None for each in series]


def _top(values: Sequence[float | None], *, stacked: bool) -> float:
    found = [each for each in values if each is not None]
    return min(LARGEST, sum(found)) if stacked else max(found, default=0.0)


def _thinned(
    starts: Sequence[Millis], series: Sequence[Series]
) -> tuple[Sequence[Millis], list[Series]]:
    """Return at most `MOST_POINTS` points: neighbours are merged into the mean of their known values."""
    if len(starts) <= MOST_POINTS:
        return starts, [*series]
    group = -(-len(starts) // MOST_POINTS)
    thinned = [
        Series(each.label, _merged([known(value) for value in each.values[: len(starts)]], group))
        for each in series
    ]
    return starts[::group], thinned


def _merged(values: Sequence[float | None], group: int = 0) -> list[float | None]:
    """Return the means of groups of neighbours; `group` 0: the size that gives few enough points."""
    group = group or -(-len(values) // MOST_POINTS) or 1
    merged: list[float | None] = []
    for at in range(0, len(values), group):
        some = [each for each in values[at : at + group] if each is not None]
        merged.append(sum(some) / len(some) if some else None)
    return merged


def _stack(
    plot: _Plot, edges: Sequence[Millis], points: Sequence[Sequence[float | None]], number: int
) -> str:
    """Return the bars of one series above those of the series before it."""
    found: list[str] = []
    for values, (begin, end) in zip(points, pairwise(edges), strict=True):
        value = values[number]
        if value:
            below = sum(each or 0.0 for each in values[:number])
            low, high = plot.y(below), plot.y(below + value)
            x, width = plot.x(begin), plot.x(end) - plot.x(begin)
            gap = min(1.0, width / 5)
            begins = f"M{coordinate(x)} {coordinate(low)}"
            found.append(
                f"{begins}V{coordinate(high)}H{coordinate(x + width - gap)}V{coordinate(low)}z"
            )
    return "".join(found)


def _runs(places: Sequence[_Place | None]) -> list[list[_Place]]:
    """Return the runs of adjacent places, between gaps."""
    runs: list[list[_Place]] = [[]]
    for place in places:
        if place is not None:
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _drawn(places: Sequence[_Place | None], kind: str) -> list[Markup]:
    """Return lines between places, and a dot at each place between two gaps: a line would be too short to be seen."""
    runs = _runs(places)
    lines = "".join(
        "M" + "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in run)
        for run in runs
        if len(run) > 1
    )
    # A line of no length is only its two caps, as wide as the stroke.
    dots = "".join(
        f"M{coordinate(x)} {coordinate(y)}h0" for run in runs if len(run) == 1 for x, y in run
    )
    drawn = [element("path", kind=f"line {kind}", d=lines)]
    return [*drawn, element("path", kind=f"dot {kind}", d=dots)] if dots else drawn


def _area(places: Sequence[_Place | None], bottom: float) -> str:
    low = coordinate(bottom)
    return "".join(
        f"M{coordinate(run[0][0])} {low}L"
        + "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in run)
        + f"V{low}z"
        for run in _runs(places)
    )
