"""What is read over the API is counted by the minute, and nothing of it is dropped."""

import pytest

from hookstream.core.access import uses
from hookstream.core.access.uses import ApiUse, ApiUses
from hookstream.core.model.instant import MINUTE


def test_the_same_act_of_a_minute_is_one_use() -> None:
    counted = ApiUses()
    for now in (0, 10, MINUTE - 1, MINUTE):
        counted.note("payload.read", "tok-1", "msg_1", "acme", now)
    assert counted.take(MINUTE) == [
        ApiUse("payload.read", "tok-1", "msg_1", "acme", 3, 0, MINUTE - 1)
    ]
    assert counted.take(MINUTE) == []
    assert [each.count for each in counted.take(None)] == [1]


def test_a_use_that_could_not_be_written_is_taken_again() -> None:
    counted = ApiUses()
    counted.note("payload.read", "tok-1", "msg_1", None, 0)
    taken = counted.take(None)
    counted.put_back(taken)
    assert counted.take(None) == taken


def test_beyond_a_bound_subjects_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MOST_KEPT", 2)
    counted = ApiUses()
    for number in range(5):
        counted.note("payload.read", "tok-1", f"msg_{number}", None, 0)
    assert {each.subject: each.count for each in counted.take(None)} == {
        "msg_0": 1,
        "msg_1": 1,
        "": 3,
    }
