"""Times are written and read as operators do."""

import click
import pytest

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import DAY, HOUR, MINUTE, to_the_second
from hookstream.entry.cli.moments import ago, moment, took

NOW = 1_795_000_000_000


def test_an_age_is_counted_back_from_now() -> None:
    asked = moment("2h")
    assert abs(SystemClock().now() - 2 * HOUR - asked) < MINUTE


def test_a_time_needs_an_offset() -> None:
    assert moment("2026-11-18T12:06:40+01:00") == NOW
    with pytest.raises(click.BadParameter, match="neither a time such as"):
        moment("2026-11-18T12:06:40")


def test_ages_are_shown_in_their_largest_unit() -> None:
    ages = [ago(NOW, NOW - age) for age in (-5, 59_999, 60_000, 2 * HOUR + 1, 3 * DAY)]
    assert ages == ["0s", "59s", "1m", "2h", "3d"]


def test_instants_and_durations_are_short() -> None:
    shown = (to_the_second(NOW), took(999), took(12_345), took(15_000_000))
    assert shown == ("2026-11-18 11:06:40Z", "999us", "12ms", "15.0s")
