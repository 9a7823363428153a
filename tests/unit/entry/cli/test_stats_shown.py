"""The text of `hookstream stats`."""

from io import StringIO

import pytest

from hookstream.core.statistics.counts import Counts, Statistics
from hookstream.entry.cli.stats import show
from hookstream.entry.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("delivered", "said"),
    [(0, "0 deliveries of events"), (1, "1 delivery of events"), (1200, "1,200 deliveries of")],
)
def test_a_number_has_the_noun_that_fits_it(delivered: int, said: str) -> None:
    out = StringIO()
    found = Statistics(0, 1, Counts(delivered=delivered), (), None, ())
    show(Terminal(file=out, width=200), found, 1)
    assert out.getvalue().startswith(said)
