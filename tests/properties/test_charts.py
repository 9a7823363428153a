"""Charts are well-formed, within their frame, escaped, and small, whatever the numbers and names are."""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, fromstring

from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from hookstream.core.model.instant import DAY, MINUTE, Millis
from hookstream.entry.pages.chart_axes import (
    LARGEST,
    MOST_TICKS,
    Unit,
    known,
    round_ticks,
    time_label,
    time_ticks,
    value_text,
)
from hookstream.entry.pages.charts import (
    LARGEST_CHART,
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

SVG = "{http://www.w3.org/2000/svg}"
NOW: Millis = 1_795_942_800_000
HOSTILE = [
    '</title><script>alert(1)</script>" onload="x" &amp; <b>',
    "\x1b[2Jgone\x00\u202eback\ufffe\ud800",
    "&" * 300,
]

values = st.one_of(
    st.none(),
    st.floats(0, 1e6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**40), 10**400),
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
units = st.sampled_from(Unit)
hrefs = st.sampled_from(["", "/ui/retries?tier=1h&due_from=x", "/" + "&" * 399])
steps = st.sampled_from([1, 60_000, 600_000, DAY, 40 * DAY])


@st.composite
def said(draw: st.DrawFn) -> ChartText:
    return ChartText("chart", draw(texts), draw(texts), draw(units))


def parsed(chart: Markup, series: Sequence[str] = ()) -> Element:
    """Check what holds for every chart, and return it."""
    assert isinstance(chart, Markup)
    assert len(chart.encode()) <= LARGEST_CHART
    root: Element = fromstring(chart)  # noqa: S314  our own picture
    assert root.tag == f"{SVG}svg"
    ids = {each.get("id"): each for each in root if each.get("id")}
    assert root.get("aria-labelledby", "").split() == list(ids)
    linked = root.findall(f".//{SVG}a")
    assert root.get("role") == "img" or (root.get("role") == "group" and series == ("linked",))
    assert not linked or root.get("role") == "group"
    width, height = map(float, root.get("viewBox", "").split()[2:])
    for each in root.iter():
        assert each.tag.removeprefix(SVG) in {
            *("svg", "title", "desc", "path", "line", "rect", "text", "a"),
        }
        assert not {"style", "onload", "fill", "id"} & {*each.attrib} or each.get("id") in ids
        for x, y in places(each):
            assert 0 <= x <= width, each.attrib
            assert 0 <= y <= height, each.attrib
    return root


def places(element: Element) -> list[tuple[float, float]]:
    """Return all places that an element names."""
    found = element.attrib
    if "d" in found:
        return path_places(found["d"])
    if "x1" in found:
        return [(float(found[f"x{end}"]), float(found[f"y{end}"])) for end in "12"]
    if "width" in found:
        x, y = float(found["x"]), float(found["y"])
        width, height = float(found["width"]), float(found["height"])
        assert width >= 0 <= height
        # Each number is rounded by itself.
        return [(x, y), (x + width - 0.1, y + height - 0.1)]
    return [(float(found["x"]), float(found["y"]))] if "x" in found else []


def path_places(path: str) -> list[tuple[float, float]]:
    assert re.fullmatch(r"(?:[MLVH](?:-?[\d.]+ ?)+|h0|z)*", path), path
    found: list[tuple[float, float]] = []
    for command, text in re.findall(r"([MLVHhz])([-\d. ]*)", path):
        numbers = [float(each) for each in text.split()]
        match command:
            case "M" | "L":
                found.append((numbers[0], numbers[1]))
            case "V":
                found.append((found[-1][0], numbers[0]))
            case "H":
                found.append((numbers[0], found[-1][1]))
            case _:
                pass
    return found


@given(
    said(),
    st.sampled_from(Look),
    steps,
    st.lists(st.tuples(texts, st.lists(values, max_size=12)), max_size=8),
    st.sampled_from([0, 1, 7, 200, 997]),
)
@settings(max_examples=150)
def test_a_chart_over_time_is_well_formed_within_its_frame_and_small(
    text: ChartText,
    look: Look,
    step: Millis,
    drawn: list[tuple[str, list[float | None]]],
    count: int,
) -> None:
    starts = [NOW + number * step for number in range(count)]
    series = [
        Series(label, [some[number % len(some)] for number in range(count)] if some else [])
        for label, some in drawn
    ]
    parsed(time_chart(text, starts, NOW + count * step, series, look))


@given(
    said(),
    steps,
    st.lists(texts, max_size=8),
    st.lists(st.tuples(st.lists(values, max_size=8), hrefs), max_size=12),
    st.sampled_from([1, 10]),
)
@settings(max_examples=150)
def test_a_histogram_is_well_formed_within_its_frame_and_small(
    text: ChartText,
    step: Millis,
    labels: list[str],
    bars: list[tuple[list[float | None], str]],
    times: int,
) -> None:
    bins = [
        Bin(NOW + number * step, NOW + (number + 1) * step, parts, href)
        for number, (parts, href) in enumerate(bars * times)
    ]
    parsed(histogram(text, bins, labels), ("linked",))


@given(said(), st.lists(st.builds(Bar, texts, values, hrefs), max_size=40))
def test_horizontal_bars_are_well_formed_within_their_frame_and_small(
    text: ChartText, bars: list[Bar]
) -> None:
    parsed(horizontal_bars(text, bars), ("linked",))


@given(said(), st.lists(values, max_size=500))
def test_a_sparkline_is_well_formed_within_its_frame_and_small(
    text: ChartText, some: list[float | None]
) -> None:
    parsed(sparkline(text, some))


@given(values, units)
def test_ticks_are_few_round_and_reach_the_largest_value(value: float | None, unit: Unit) -> None:
    most = known(value) or 0.0
    ticks = round_ticks(most, unit)
    assert 2 <= len(ticks) <= MOST_TICKS
    assert ticks[0] == 0
    assert ticks == sorted(set(ticks))
    assert ticks[-1] >= most * (1 - 1e-6)
    if unit is not Unit.SHARE and 1 <= most < LARGEST:
        assert ticks[-1] <= 4 * max(most, 1)
    assert len({value_text(tick, unit) for tick in ticks}) == len(ticks) or most < 0.01


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 3_000 * DAY))
def test_times_are_few_and_within_the_interval(since: Millis, span: Millis) -> None:
    ticks = time_ticks(since, since + span)
    assert len(ticks) <= 8
    assert all(since <= tick <= since + span and tick % MINUTE == 0 for tick in ticks)
    if span >= 20 * MINUTE:
        assert ticks or span > 364 * DAY
    assert all(len(time_label(tick, span)) <= 11 for tick in ticks)


@given(values, units)
def test_a_number_on_a_chart_has_at_most_20_characters(value: float | None, unit: Unit) -> None:
    assert len(value_text(known(value) or 0.0, unit)) <= 20
