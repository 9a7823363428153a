"""Attempts of an explained event come from the index, which says how far it reaches."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from tests.doubles.api_records import an_index
from tests.doubles.clock import NOON
from tests.doubles.index import WINDOW, MemoryIndex
from tests.doubles.lives import FIRST

from hookstream.adapters.index.answers import IndexedAttempt, Window
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.model.event import Event
from hookstream.core.model.instant import HOUR
from hookstream.entry.admin.event_search import SearchBudget
from hookstream.entry.admin.explain import SKEW
from hookstream.entry.admin.indexed_histories import IndexedHistories

SETTLED = NOON - 250
"""What was recorded by then is in an index that was read up to noon."""
EVENT = cast("Event", SimpleNamespace(event_id=FIRST.event_id))


class AnIndex(MemoryIndex):
    """An index that knows a window."""

    known: Window = WINDOW

    def window(self) -> Window:
        return self.known


def histories(
    partner_id: str | None = None, window: Window = WINDOW
) -> tuple[IndexedHistories, SearchBudget, AnIndex]:
    whole, budget = an_index(), SearchBudget()
    index = AnIndex(whole.found_attempts, answers=whole.answers)
    index.known = window
    return IndexedHistories(cast("IndexReader", index), budget, partner_id), budget, index


def test_deliveries_of_the_event_are_found_and_partners_find_their_own() -> None:
    mine, budget, _ = histories()
    assert mine.mentioned(EVENT, NOON - HOUR, SETTLED) == (
        frozenset({"msg_ours", "msg_theirs"}),
        True,
    )
    own, _, _ = histories("acme")
    assert own.mentioned(EVENT, NOON - HOUR, SETTLED).deliveries == {"msg_ours"}
    assert budget.left_out == []


@pytest.mark.parametrize(
    ("window", "why"),
    [
        (WINDOW, "begins at 2026-11-24T11:00:00.000Z"),
        (WINDOW._replace(since=None), "has nothing yet"),
        (WINDOW._replace(reading=False), "does not read what happens now"),
    ],
)
def test_what_the_index_does_not_reach_is_said_to_be_left_out(window: Window, why: str) -> None:
    looked, budget, _ = histories(window=window)
    found = looked.mentioned(EVENT, NOON - HOUR - (0 if window != WINDOW else 1), SETTLED)
    assert found == (frozenset({"msg_ours", "msg_theirs"}), False)
    assert budget.left_out == [f"attempts that are not in the console's index, which {why}"]


def test_an_index_that_is_behind_is_waited_for() -> None:
    """What a worker recorded, and settled, a moment ago may not be in it yet."""
    behind = WINDOW._replace(until=NOON - 1)
    looked, budget, index = histories(window=behind)
    found, index.found_attempts = index.found_attempts, []
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            index.known, index.found_attempts = WINDOW, found

    later = replace(looked, pause=pause)
    seen = later.mentioned(EVENT, NOON - HOUR, SETTLED)
    assert (seen, len(waited)) == ((frozenset({"msg_ours", "msg_theirs"}), True), 3)
    assert budget.left_out == []


def test_an_index_that_stays_behind_is_said_to_be_behind() -> None:
    passed = [0.0]
    _, _, index = histories(window=WINDOW._replace(until=NOON - 1))
    budget = SearchBudget(clock=lambda: passed[0])

    def pause(seconds: float) -> None:
        passed[0] += seconds

    looked = IndexedHistories(cast("IndexReader", index), budget, None, pause)
    assert not looked.mentioned(EVENT, NOON - HOUR, SETTLED).are_all
    [said] = budget.left_out
    assert said.endswith("which is behind: it was read up to 2026-11-24T11:59:59.999Z")
    assert 5 <= passed[0] < 6
    # Of another event of the same explanation, it is neither waited for nor said again.
    assert not looked.mentioned(EVENT, NOON - HOUR, SETTLED).are_all
    assert (len(budget.left_out), passed[0] < 6) == (1, True)


def test_a_flood_of_attempts_of_one_event_is_read_in_part_and_said() -> None:
    looked, budget, index = histories()
    index.found_attempts = [
        IndexedAttempt(replace(FIRST, delivery_id=f"msg_{at}"), NOON, 0, at)
        for at in range(10_001)
    ]
    found = looked.mentioned(EVENT, NOON - HOUR, SETTLED)
    assert (len(found.deliveries), found.are_all) == (10_000, False)
    assert budget.left_out == ["attempts of the event beyond 10,000"]


def test_a_history_has_what_happened_since_the_event() -> None:
    looked, _, _ = histories("acme")
    whole, later = looked.of("msg_ours", 0), looked.of("msg_ours", 2_000 + SKEW)
    assert whole is not None
    assert later is not None
    assert (len(whole.entries), len(whole.deaths)) == (1, 1)
    assert (len(later.entries), len(later.deaths)) == (0, 1)
    for name in ("msg_theirs", "msg_absent"):
        absent = looked.of(name, 0)
        assert absent is not None
        assert absent.moments() == []


def test_what_seems_to_have_begun_before_its_event_is_of_it() -> None:
    """Attempts have a worker's time and records a broker's: of what is quick, one may be ahead of the other."""
    looked, _, _ = histories("acme")
    found = looked.of("msg_ours", FIRST.started_at + 1)
    assert found is not None
    assert len(found.entries) == 1
    assert looked.mentioned(EVENT, NOON + 1, SETTLED).deliveries == {"msg_ours"}
