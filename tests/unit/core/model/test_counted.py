"""A number has its noun in the singular or in the plural."""

import pytest

from hookstream.core.model.counted import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (1_200, "1,200 events")]
)
def test_one_is_singular_and_every_other_number_is_plural(count: int, text: str) -> None:
    assert counted(count, "event") == text


def test_a_plural_that_does_not_end_in_s_is_given() -> None:
    assert (counted(1, "delivery", "deliveries"), counted(2, "delivery", "deliveries")) == (
        "1 delivery",
        "2 deliveries",
    )
