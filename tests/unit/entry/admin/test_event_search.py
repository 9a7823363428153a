"""A search of the log ends within its budget, and says what it left out."""

from collections.abc import Iterator

from hookstream.core.model.event import Event, Revision
from hookstream.core.model.record import Origin, Record
from hookstream.entry.admin.event_search import (
    MOST_FOUND,
    FoundRecord,
    NewestFound,
    SearchBudget,
)
from hookstream.errors import ConfigurationError


def reading(budget: SearchBudget, *done: int) -> Iterator[int]:
    """Read so many records, step by step."""
    for each in done:
        yield each
        budget.progress(each, done[-1])


def test_what_was_read_to_its_end_counts_as_searched() -> None:
    budget = SearchBudget(100)
    assert list(budget.within("a", 0, lambda: reading(budget, 10, 20))) == [10, 20]
    assert list(budget.within("b", None, lambda: reading(budget, 5))) == [5]
    assert (budget.read, budget.left_out) == (25, [])
    assert budget.searched == ["a since 1970-01-01T00:00:00.000Z", "b"]


def test_a_search_ends_where_its_records_are_used_up_and_says_so() -> None:
    budget = SearchBudget(30)
    assert list(budget.within("a", 0, lambda: reading(budget, 20, 40, 60))) == [20, 40]
    assert list(budget.within("b", 0, lambda: reading(budget, 5))) == []
    assert budget.searched == []
    assert budget.left_out == [
        (
            "a since 1970-01-01T00:00:00.000Z, beyond its first 40 records: 30 records or 60 s"
            " were used up"
        ),
        "b: 30 records or 60 s were used up before",
    ]


def test_a_search_ends_where_its_time_is_used_up() -> None:
    times = iter([0.0, 1.0, 2.0, 70.0])
    budget = SearchBudget(clock=lambda: next(times))
    assert list(budget.within("a", None, lambda: reading(budget, 1, 2, 3))) == [1, 2]
    assert budget.left_out[0].startswith("a, beyond its first 2 records")


def test_a_topic_that_cannot_be_read_ends_no_search() -> None:
    budget = SearchBudget()

    def refused() -> list[int]:
        raise ConfigurationError("a cannot be read")

    assert list(budget.within("a", None, refused)) == []
    assert list(budget.within("b", None, lambda: reading(budget, 1))) == [1]
    assert (budget.searched, budget.left_out) == (["b"], ["a: a cannot be read"])


def test_a_budget_that_is_renewed_is_whole_again() -> None:
    budget = SearchBudget(30)
    assert list(budget.within("a", None, lambda: reading(budget, 40))) == [40]
    budget.renew()
    assert list(budget.within("b", None, lambda: reading(budget, 20))) == [20]
    assert budget.searched == ["b"]


def found(offset: int, *, decoded: bool = False, topic: str = "orders") -> FoundRecord:
    record = Record(topic, 0, offset, offset, None, b"", ())
    origin = Origin("orders", 0, offset, offset)
    event = Event(Revision("order.placed", 1, ""), "e-1", 0, "", "live", {}, record, origin)
    return FoundRecord(
        record, origin, event if decoded else None, None if decoded else "malformed"
    )


def offsets(newest: NewestFound, budget: SearchBudget | None = None) -> list[int]:
    return [each.origin.offset for each in newest.oldest_first(budget or SearchBudget())]


def test_of_many_records_that_contain_an_id_the_newest_few_are_kept() -> None:
    newest, budget = NewestFound(), SearchBudget()
    for offset in (3, 1, 9, 2, 8, 7, 6):
        newest.add(found(offset))
    assert offsets(newest, budget) == [3, 6, 7, 8, 9]
    assert len(budget.left_out) == 1


def test_the_event_itself_is_kept_however_many_newer_records_contain_its_id() -> None:
    newest = NewestFound()
    newest.add(found(1, decoded=True))
    for offset in range(2, 100):
        newest.add(found(offset))
    assert offsets(newest) == [1, 96, 97, 98, 99]


def test_copies_of_one_record_count_as_one() -> None:
    newest, budget = NewestFound(), SearchBudget()
    for topic in ("hookstream.undecodable", "hookstream.retry.5s", "hookstream.retry.30s"):
        for offset in range(MOST_FOUND):
            newest.add(found(offset, topic=topic))
    assert offsets(newest, budget) == list(range(MOST_FOUND))
    assert {each.record.topic for each in newest.oldest_first(budget)} == {
        "hookstream.undecodable"
    }
    assert budget.left_out == []
