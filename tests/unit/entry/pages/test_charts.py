"""What charts show: round axes, numbers for people, gaps where nothing is known, and links to what a bar has."""

import re

import pytest
from markupsafe import Markup

from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis
from hookstream.entry.pages.chart_axes import (
    Unit,
    round_ticks,
    time_label,
    time_ticks,
    value_text,
)
from hookstream.entry.pages.charts import (
    LARGEST_CHART,
    MOST_BARS,
    MOST_BINS,
    Bar,
    Bin,
    ChartText,
    Look,
    Series,
    histogram,
    horizontal_bars,
    sparkline,
    time_chart,
)

NOON: Millis = 1_795_867_200_000
TEXT = ChartText("rates", "Deliveries per minute", "By the time of their events")
LONGEST = "&" * 60
"""A name that is as long as may be, and five times as long when it is escaped."""


def paths(chart: Markup, kind: str) -> list[str]:
    """Return the paths of a class."""
    return re.findall(rf'<path class="{kind}" d="([^"]*)"', chart)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, Unit.NUMBER, "0"),
        (0.25, Unit.NUMBER, "0.25"),
        (7, Unit.NUMBER, "7"),
        (999, Unit.NUMBER, "999"),
        (999.7, Unit.NUMBER, "1k"),
        (1_240, Unit.NUMBER, "1.2k"),
        (12_400, Unit.NUMBER, "12k"),
        (3_400_000, Unit.NUMBER, "3.4M"),
        (10**300, Unit.NUMBER, "1000T"),
        (-4, Unit.NUMBER, "0"),
        (250, Unit.MILLISECONDS, "250 ms"),
        (3_400, Unit.MILLISECONDS, "3.4 s"),
        (90_000, Unit.MILLISECONDS, "1.5 min"),
        (7_200_000, Unit.MILLISECONDS, "2 h"),
        (0.9995, Unit.SHARE, "99.95 %"),
        (1, Unit.SHARE, "100 %"),
    ],
)
def test_numbers_are_written_for_people(value: float, unit: Unit, text: str) -> None:
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("most", "unit", "ticks"),
    [
        (0, Unit.NUMBER, [0, 1]),
        (1, Unit.NUMBER, [0, 1]),
        (3, Unit.NUMBER, [0, 1, 2, 3]),
        (7, Unit.NUMBER, [0, 2, 4, 6, 8]),
        (1_300, Unit.NUMBER, [0, 500, 1_000, 1_500]),
        (0.997, Unit.SHARE, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_an_axis_has_few_round_values_and_counts_are_whole(
    most: float, unit: Unit, ticks: list[float]
) -> None:
    assert round_ticks(most, unit) == ticks


def test_times_below_a_chart_are_round_and_in_utc() -> None:
    hour = time_ticks(NOON + 7 * MINUTE, NOON + 67 * MINUTE)
    assert [time_label(each, HOUR) for each in hour] == [
        *("12:10", "12:20", "12:30", "12:40", "12:50", "13:00"),
    ]
    week = time_ticks(NOON, NOON + 7 * DAY)
    assert {time_label(each, 7 * DAY) for each in week} >= {"11-29", "11-30"}


def test_a_line_has_a_gap_where_nothing_is_known_and_a_dot_between_two_gaps() -> None:
    starts = [NOON + number * MINUTE for number in range(6)]
    nan = float("nan")
    series = [Series("delivered", [1, 2, None, 3, nan, 0])]
    chart = time_chart(TEXT, starts, NOON + 6 * MINUTE, series)
    [line], [dots] = paths(chart, "line series-1"), paths(chart, "dot series-1")
    assert [part.count("L") for part in line.split("M")[1:]] == [1]
    assert (dots.count("M"), dots.count("h0")) == (2, 2)
    whole = time_chart(TEXT, starts, NOON + 6 * MINUTE, [Series("delivered", [1] * 6)])
    assert paths(whole, "dot series-1") == []


def test_bars_stand_on_one_another_and_a_negative_value_is_nothing() -> None:
    series = [Series("a", [4, -1]), Series("b", [6, 10])]
    chart = time_chart(TEXT, [NOON, NOON + MINUTE], NOON + 2 * MINUTE, series, Look.BARS)
    [lower], [upper] = paths(chart, "bar series-1"), paths(chart, "bar series-2")
    assert lower.count("M") == 1
    heights = [re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", path) for path in (lower, upper)]
    assert heights[0][0][1] == heights[1][0][0]
    assert [each[1] for each in heights[1]] == [heights[1][0][1]] * 2


def test_what_a_mouse_meets_says_the_values_of_its_point() -> None:
    chart = time_chart(
        TEXT, [NOON], NOON + MINUTE, [Series("sent", [1_200]), Series("lost", [None])]
    )
    assert "<title>12:00\N{EN DASH}12:01: sent 1.2k, lost not known</title>" in chart


def test_a_chart_of_nothing_says_so() -> None:
    for chart in (
        time_chart(TEXT, [], NOON, [Series("a", [])]),
        time_chart(TEXT, [NOON], NOON + 1, []),
        histogram(TEXT, [], ["a"]),
        horizontal_bars(TEXT, []),
    ):
        assert "Nothing in this time" in chart
        assert 'role="img"' in chart


def test_a_bar_leads_to_what_it_has_and_its_chart_is_then_no_image() -> None:
    bins = [
        Bin(NOON, NOON + HOUR, [2, 1], "/ui/pending?due_from=a&due_to=b"),
        Bin(NOON + HOUR, NOON + 2 * HOUR, [0, 0], "/ui/pending?due_from=b&due_to=c"),
    ]
    chart = histogram(TEXT, bins, ["5s", "1h"])
    # Nothing to be seen leads nowhere.
    assert chart.count("<a ") == 1
    assert 'href="/ui/pending?due_from=a&amp;due_to=b"' in chart
    assert 'aria-label="2026-11-28 12:00\N{EN DASH}13:00: 5s 2, 1h 1"' in chart
    assert 'role="group"' in chart
    assert 'role="img"' in histogram(TEXT, [bins[0]._replace(href="")], ["5s"])


@pytest.mark.parametrize(
    "href", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
def test_no_bar_leads_to_another_site(href: str) -> None:
    with pytest.raises(ValueError, match="own site"):
        horizontal_bars(TEXT, [Bar("shop", 1, href)])


@pytest.mark.parametrize("name", ["", "Rates", 'a"b', "9", "a" * 60])
def test_a_chart_has_a_name_that_is_fit_for_ids(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        sparkline(ChartText(name, "Rate"), [1])


def test_names_are_cut_and_what_they_would_do_is_written_out() -> None:
    chart = horizontal_bars(TEXT, [Bar("\u202e<b>" + "x" * 80, 1)])
    assert "\\u202e&lt;b&gt;xxx" in chart
    assert "x\N{HORIZONTAL ELLIPSIS}</text>" in chart
    assert "x" * 40 not in chart


def test_the_largest_charts_are_within_their_bound() -> None:
    text = ChartText("most", "&" * 300, "&" * 300)
    starts = [NOON + number * MINUTE for number in range(10_000)]
    for look in Look:
        for every in (1, 2):
            values = [None if at % every else 123.4 + at for at in range(10_000)]
            series = [Series(LONGEST, values)] * 9
            chart = time_chart(text, starts, NOON + 10_000 * MINUTE, series, look)
            assert 10_000 < len(chart.encode()) <= LARGEST_CHART
    href = "/" + "&" * 399
    bins = [Bin(at, at + MINUTE, [123.4] * 9, href) for at in starts]
    full = histogram(text, bins, [LONGEST] * 9)
    assert len(full.encode()) <= LARGEST_CHART
    # Bars stay, where there is no room for their links.
    assert full.count('class="bar series-6"') == MOST_BINS > full.count("<a ") > 0
    bars = horizontal_bars(text, [Bar(LONGEST, 1, href)] * 99)
    assert bars.count("<a ") == MOST_BARS
    assert len(bars.encode()) <= LARGEST_CHART
