"""A redrive's selector survives in its row, and nothing more is redriven than was selected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import MAX_OFFSET, OffsetRange, Position, RedriveSource
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000
WORDS = st.none() | st.frozensets(st.text(min_size=1, max_size=5), min_size=1, max_size=3)
INSTANTS = st.none() | st.integers(0, NOW)
POSITIONS = st.none() | st.frozensets(
    st.builds(Position, st.integers(0, 999_999_999), st.integers(0, MAX_OFFSET)),
    min_size=1,
    max_size=3,
)


SELECTORS = {
    RedriveSource.DEAD_LETTERS: st.builds(
        Selector,
        subscriptions=WORDS,
        event_types=WORDS,
        reasons=WORDS,
        statuses=WORDS,
        partners=WORDS,
        since=INSTANTS,
        until=INSTANTS,
        positions=POSITIONS,
    ),
    RedriveSource.UNDECODABLE: st.builds(
        Selector,
        topics=WORDS,
        reasons=WORDS,
        since=INSTANTS,
        until=INSTANTS,
        positions=POSITIONS,
    ),
}


@given(SELECTORS[RedriveSource.DEAD_LETTERS])
def test_a_selector_of_dead_letters_reads_back(selector: Selector) -> None:
    assert read_selector(selector.row(), RedriveSource.DEAD_LETTERS) == selector


@given(SELECTORS[RedriveSource.UNDECODABLE])
def test_a_selector_of_undecodable_records_reads_back(selector: Selector) -> None:
    assert read_selector(selector.row(), RedriveSource.UNDECODABLE) == selector


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"moon": ["full"]}, "conditions moon, which need a newer release"),
        ({"reasons": "expired"}, "reasons is not a list of words"),
        ({"reasons": []}, "reasons is not a list of words"),
        ({"positions": []}, "positions is not a list of 1 to 1,000 positions"),
        ({"positions": ["3"]}, "positions is not a list of positions such as 3@1042"),
        ({"positions": ["1@9223372036854775808"]}, "such as 3@1042"),
        ({"positions": ["3@1", "3@01"]}, "each once"),
        ({"since": "noon"}, "since: 'noon' is not an RFC 3339 time"),
    ],
)
def test_an_unknown_condition_is_refused(row: JsonObject, why: str) -> None:
    """Ignoring it would redrive more than was selected."""
    for source in RedriveSource:
        with pytest.raises(InputRefused, match=why):
            read_selector(row, source)


def test_a_condition_of_the_other_topic_is_refused() -> None:
    for source, row in (
        (RedriveSource.UNDECODABLE, Selector(partners=frozenset({"acme"})).row()),
        (RedriveSource.DEAD_LETTERS, Selector(topics=frozenset({"orders"})).row()),
    ):
        with pytest.raises(InputRefused, match="a newer release"):
            read_selector(row, source)


def test_single_positions_are_selected_and_nothing_else_is_read() -> None:
    asked = Selector(positions=frozenset({Position(3, 17), Position(3, 12), Position(4, 20)}))
    places = [Position(3, 17), Position(3, 13), Position(4, 17), Position(4, 20)]
    assert [asked.selects((), NOW, place) for place in places] == [True, False, False, True]
    assert asked.bounds() == {3: OffsetRange(12, 17), 4: OffsetRange(20, 20)}
    assert asked.row() == {"positions": ["3@12", "3@17", "4@20"]}
    assert Selector().bounds() is None


def undecodable(topic: bytes, reason: bytes, timestamp: int = NOW) -> Record:
    headers = [("hs-origin-topic", topic), ("hs-reason", reason)]
    return Record("hookstream.undecodable", 0, 0, timestamp, None, b"", headers)


def test_an_undecodable_record_is_selected_if_it_meets_every_condition() -> None:
    asked = Selector(
        topics=frozenset({"printprice.order"}),
        reasons=frozenset({"malformed"}),
        since=NOW,
        until=NOW + 10,
    )
    meant = [
        asked.selects(record.headers, record.timestamp)
        for record in (
            undecodable(b"printprice.order", b"malformed"),
            undecodable(b"printprice.price", b"malformed"),
            undecodable(b"printprice.order", b"tombstone"),
            undecodable(b"printprice.order", b"malformed", NOW - 1),
            undecodable(b"printprice.order", b"malformed", NOW + 10),
        )
    ]
    assert meant == [True, False, False, False, False]
    anything = undecodable(b"", b"")
    assert Selector().selects(anything.headers, anything.timestamp)
