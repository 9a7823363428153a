"""A search in a refused batch ends every member once, within its bound, whatever members are at fault."""

import math

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.delivery.identity import batch_id
from hookstream.core.lanes.halving import Halving

SIZES = st.integers(2, 1000)


class Played:
    """A search whose requests are refused if they contain a member at fault."""

    def __init__(self, size: int, at_fault: set[int]) -> None:
        self.requests = 1
        self.accepted: list[int] = []
        self.refused_alone: list[int] = []
        self.refused_together: list[int] = []
        halving = Halving(range(size))
        while probe := halving.probe():
            assert halving.members()[: len(probe)] == probe
            self.requests += 1
            accepted = at_fault.isdisjoint(probe)
            found = halving.answered(accepted=accepted)
            self.refused_together += found
            if accepted:
                self.accepted += probe
            elif len(probe) == 1:
                self.refused_alone += probe
        self.members = halving.members()
        self.in_vain = not halving.accepted


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, set[int]]:
    size = draw(SIZES)
    return size, draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=min(size, 20)))


@given(batches())
def test_every_member_ends_once_within_the_bound_on_requests(batch: tuple[int, set[int]]) -> None:
    size, at_fault = batch
    played = Played(size, at_fault)

    assert played.requests <= math.ceil(math.log2(size)) + 2
    ended = played.accepted + played.refused_alone + played.refused_together
    assert sorted(ended) == list(range(size))
    assert played.members == []
    assert at_fault.isdisjoint(played.accepted)
    assert set(played.refused_alone) <= at_fault


@given(SIZES, st.data())
def test_where_one_member_is_at_fault_all_others_are_accepted(
    size: int, data: st.DataObject
) -> None:
    one = data.draw(st.integers(0, size - 1))
    played = Played(size, {one})

    assert sorted(played.accepted) == [member for member in range(size) if member != one]
    assert played.refused_alone + played.refused_together == [one]


@given(SIZES)
def test_a_search_is_in_vain_where_everything_is_refused(size: int) -> None:
    assert Played(size, set(range(size))).in_vain
    assert not Played(size, {0}).in_vain


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz234567_", min_size=1), min_size=1, max_size=5))
def test_a_batch_id_depends_on_its_members_and_their_order_alone(ids: list[str]) -> None:
    named = batch_id(ids)

    assert named == batch_id(tuple(ids))
    assert named.startswith("msgb_")
    assert len(named) == len("msgb_") + 26
    assert named != batch_id([*ids, "msg_another"])
    assert (batch_id(ids[::-1]) == named) is (ids[::-1] == ids)
