"""The results name each record with another result than guaranteed."""

from collections import Counter

import pytest
from tests.fuzz.drawing import Drawing, Drawn, Expected
from tests.fuzz.results import Results, Written, failures
from tests.fuzz.tools import is_control
from tests.raw_kafka import RawRecord

HERE = ("events", 1, 7)
ELSEWHERE = ("events", 1, 8)


def written(expected: Expected) -> list[Written]:
    return [Written(HERE, Drawn("events", RawRecord(b"v"), expected, "e1"))]


def results(*, aside: bool = False, ended: bool = False) -> Results:
    found = Results("", "p")
    found.aside.add(HERE if aside else ELSEWHERE)
    found.ended.add(HERE if ended else ELSEWHERE)
    return found


@pytest.mark.parametrize(
    ("expected", "seen", "accepted", "why"),
    [
        (Expected.DELIVERED, results(), 1, None),
        (Expected.DELIVERED, results(aside=True), 0, "its event e1 was not delivered"),
        (Expected.REPORTED, results(aside=True), 0, None),
        (Expected.REPORTED, results(ended=True), 0, None),
        (Expected.REPORTED, results(), 0, "no record reports it"),
        (Expected.UNDECODABLE, results(aside=True), 0, None),
        (Expected.UNDECODABLE, results(ended=True), 0, "it is not undecodable"),
        (Expected.UNMATCHED, results(), 0, None),
        (Expected.UNMATCHED, results(), 2, "its event e1 was sent 2 times"),
        (Expected.SETTLED, results(), 0, None),
    ],
)
def test_a_record_that_became_something_else_is_named(
    expected: Expected, seen: Results, accepted: int, why: str | None
) -> None:
    counted = Counter({"e1": accepted})
    found = failures(written(expected), seen, counted, counted)
    assert found == ([] if why is None else [f"events/1@7 ({expected.value}): {why}"])


def test_the_same_seed_draws_the_same_records_of_every_kind() -> None:
    first, second = Drawing(3, 1_795_000_000_000), Drawing(3, 1_795_000_000_000)
    drawn = [first.record() for _ in range(3_000)]
    assert drawn == [second.record() for _ in range(3_000)]
    assert {each.expected for each in drawn} == set(Expected)
    assert any(name == b"\xff" for each in drawn for name, _ in each.record.headers)


def test_what_a_terminal_interprets_is_detected() -> None:
    assert [char for char in "a\n\t\x1b\x7f\u202eé" if is_control(char)] == [
        "\x1b",
        "\x7f",
        "\u202e",
    ]
