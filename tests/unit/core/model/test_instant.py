import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import (
    DAY,
    HOUR,
    Millis,
    format_duration,
    from_rfc3339,
    parse_duration,
    to_rfc3339,
    to_the_second,
    within_years,
)

FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999."""


@given(st.integers(FIRST, LAST))
def test_an_instant_is_read_back_as_it_was_written(instant: Millis) -> None:
    assert from_rfc3339(to_rfc3339(instant)) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_rfc_3339_with_milliseconds(instant: Millis, text: str) -> None:
    assert to_rfc3339(instant) == text


@pytest.mark.parametrize("instant", [FIRST - 1, LAST + 1, 10**30, -(2**63)])
def test_an_instant_outside_the_years_is_shown_as_its_milliseconds(instant: Millis) -> None:
    assert to_rfc3339(instant) == to_the_second(instant) == f"{instant} ms"
    assert within_years(instant) == (FIRST if instant < 0 else LAST)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.0019Z", 1),
    ],
)
def test_an_offset_is_taken_into_account_and_finer_digits_are_cut(
    text: str, instant: Millis
) -> None:
    assert from_rfc3339(text) == instant


@pytest.mark.parametrize("text", ["", "soon", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z"])
def test_an_invalid_time_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|UTC offset"):
        from_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("5s", 5_000),
        ("24h", DAY),
        ("2d", 2 * DAY),
        ("90m", 90 * 60_000),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: Millis) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 s", "1.5h", "5s\n", "1h30m", "1" * 10 + "s"]
)
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_read_back_as_it_was_written(duration: Millis) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (24 * HOUR, "24h"), (48 * HOUR, "2d"), (90_000, "90s"), (1, "1ms")],
)
def test_a_duration_is_written_in_its_largest_exact_unit(duration: Millis, text: str) -> None:
    """Tiers are called by it: 24h, never 1d."""
    assert format_duration(duration) == text
