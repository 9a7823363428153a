"""What a redrive was asked for survives in its row, and nothing more is redriven than was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.selector_row import (
    UndecodableSelector,
    read_selector,
    read_undecodable_selector,
    selector_row,
    undecodable_row,
)
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000
WORDS = st.none() | st.frozensets(st.text(min_size=1, max_size=5), min_size=1, max_size=3)
INSTANTS = st.none() | st.integers(0, NOW)


@given(st.builds(Selector, WORDS, WORDS, WORDS, INSTANTS, INSTANTS, WORDS))
def test_a_selector_of_dead_letters_reads_back(selector: Selector) -> None:
    assert read_selector(selector_row(selector)) == selector


@given(st.builds(UndecodableSelector, WORDS, WORDS, INSTANTS, INSTANTS))
def test_a_selector_of_undecodable_records_reads_back(selector: UndecodableSelector) -> None:
    assert read_undecodable_selector(undecodable_row(selector)) == selector


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"moon": ["full"]}, "conditions moon, which need a newer release"),
        ({"reasons": "expired"}, "reasons is not a list of words"),
        ({"reasons": []}, "reasons is not a list of words"),
        ({"since": "noon"}, "since: 'noon' is not an RFC 3339 time"),
    ],
)
def test_a_condition_that_is_not_understood_is_refused(row: JsonObject, why: str) -> None:
    """Passing over it would redrive more than was asked."""
    for read in (read_selector, read_undecodable_selector):
        with pytest.raises(InputRefused, match=why):
            read(row)


def undecodable(topic: bytes, reason: bytes, timestamp: int = NOW) -> Record:
    headers = [("hs-origin-topic", topic), ("hs-reason", reason)]
    return Record("hookstream.undecodable", 0, 0, timestamp, None, b"", headers)


def test_an_undecodable_record_is_meant_where_every_condition_holds() -> None:
    asked = UndecodableSelector(
        frozenset({"printprice.order"}), frozenset({"malformed"}), since=NOW, until=NOW + 10
    )
    meant = [
        asked.selects(record)
        for record in (
            undecodable(b"printprice.order", b"malformed"),
            undecodable(b"printprice.price", b"malformed"),
            undecodable(b"printprice.order", b"tombstone"),
            undecodable(b"printprice.order", b"malformed", NOW - 1),
            undecodable(b"printprice.order", b"malformed", NOW + 10),
        )
    ]
    assert meant == [True, False, False, False, False]
    assert UndecodableSelector().selects(undecodable(b"", b""))
