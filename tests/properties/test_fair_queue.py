"""Lanes that wait for permits get them in proportion to their weights, whichever join and leave."""

from itertools import combinations
from operator import sub

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.lanes.fair_queue import Claim, FairQueue

weights = st.lists(st.integers(1, 100), min_size=2, max_size=6)


class Waiting:
    """Lanes that always want another permit, each in the queue of its kind, and what they were given."""

    def __init__(self, weights: list[int], reserved: list[bool]) -> None:
        self.turns: FairQueue[int] = FairQueue()
        self.weights = weights
        self.reserved = reserved
        self.claims = [Claim() for _ in weights]
        self.given = [0] * len(weights)

    def join(self, *lanes: int) -> None:
        for lane in lanes:
            self.turns.join(self.claims[lane], lane, reserved=self.reserved[lane])

    def serve(self, *, common: bool = True, again: bool = True) -> int | None:
        lane = self.turns.next(common=common)
        if lane is not None:
            self.turns.took(self.claims[lane], self.weights[lane])
            self.given[lane] += 1
            if again:
                self.join(lane)
        return lane

    def longest_wait(self, many: int) -> list[int]:
        """Return how many turns in a row, of so many, each lane waited at most."""
        longest, since = [0] * len(self.weights), [0] * len(self.weights)
        for turn in range(1, many + 1):
            served = self.serve()
            if served is not None:
                longest[served] = max(longest[served], turn - since[served])
                since[served] = turn
        return [max(found, many - last) for found, last in zip(longest, since, strict=True)]

    def unfairness(self, many: int, lanes: list[int]) -> float:
        """Return by how many turns, at most, two lanes were apart in any range of so many permits."""
        worst = 0.0
        given = [[*self.given]]
        for _ in range(many):
            self.serve()
            given.append([*self.given])
        advances = [
            [permits / weight for permits in of_lane]
            for of_lane, weight in zip(zip(*given, strict=True), self.weights, strict=True)
        ]
        for one, other in combinations(lanes, 2):
            apart = list(map(sub, advances[one], advances[other]))
            turn_of_each = 1 / self.weights[one] + 1 / self.weights[other]
            worst = max(worst, (max(apart) - min(apart)) / turn_of_each)
        return worst


@given(weights, st.data())
def test_in_any_range_permits_are_given_by_weight_within_one_turn(
    weights: list[int], data: st.DataObject
) -> None:
    reserved = data.draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))
    waiting = Waiting(weights, reserved)
    waiting.join(*range(len(weights)))

    assert waiting.unfairness(400, list(range(len(weights)))) <= 1 + 1e-6


@given(weights, st.integers(0, 500), st.integers(0, 50), st.booleans())
def test_a_lane_that_was_idle_gets_no_credit_for_it(
    weights: list[int],
    idle_for: int,
    served_before: int,
    reserved: bool,  # noqa: FBT001
) -> None:
    everybody = list(range(len(weights)))
    waiting = Waiting(weights, [reserved] + [True] * (len(weights) - 1))
    waiting.join(*everybody)
    for _ in range(served_before):
        waiting.serve()
    while waiting.claims[0].lines:
        waiting.serve(again=False)
        waiting.join(*everybody[1:])
    for _ in range(idle_for):
        waiting.serve()
    waiting.join(0)

    assert waiting.unfairness(400, everybody) <= 1 + 1e-6


@given(weights, st.integers(0, 500))
def test_lanes_whose_kind_of_permit_was_used_up_share_by_weight_as_soon_as_one_is_free(
    weights: list[int], used_up_for: int
) -> None:
    """Waiting earns no extra permits."""
    everybody = list(range(len(weights)))
    waiting = Waiting(weights, [lane % 2 == 0 for lane in everybody])
    waiting.join(*everybody)
    for _ in range(used_up_for):
        assert waiting.reserved[waiting.serve(common=False) or 0]

    assert waiting.unfairness(400, everybody) <= 2 + 1e-6
    assert waiting.unfairness(400, everybody[0::2]) <= 1 + 1e-6
    assert waiting.unfairness(400, everybody[1::2]) <= 1 + 1e-6


@given(weights, st.integers(0, 300), st.booleans())
def test_no_lane_starves(weights: list[int], served_before: int, reserved: bool) -> None:  # noqa: FBT001
    waiting = Waiting(weights, [reserved] + [True] * (len(weights) - 1))
    waiting.join(*range(1, len(weights)))
    for _ in range(served_before):
        waiting.serve()
    waiting.join(0)

    waited = 1
    while waiting.serve() != 0:
        waited += 1

    # One that joins is next after those at the queue's present position.
    assert waited <= len(weights)
    for _ in range(sum(weights) // weights[0] + len(weights) + 1):
        waiting.serve()
    assert waiting.given[0] >= 2


@given(weights)
def test_a_lane_in_both_queues_gets_one_share_of_the_permits(weights: list[int]) -> None:
    waiting = Waiting(weights, [True] * len(weights))
    waiting.join(*range(len(weights)))
    for _ in range(20 * sum(weights)):
        waiting.turns.join(waiting.claims[0], 0, reserved=False)
        waiting.serve()
        waiting.join(0)

    assert waiting.given[0] <= 20 * weights[0] + 2


@given(weights, st.integers(1, 500), st.booleans(), st.data())
def test_no_lane_waits_for_long_after_one_queue_was_served_alone(
    weights: list[int],
    alone_for: int,
    stood_empty: bool,  # noqa: FBT001
    data: st.DataObject,
) -> None:
    """Those that then join the other queue: new lanes, and one that changes queues."""
    everybody = list(range(len(weights)))
    waiting = Waiting(weights, [True] + [False] * (len(weights) - 1))
    if not stood_empty:
        waiting.join(1)
    waiting.join(0)
    for _ in range(alone_for):
        waiting.serve(common=stood_empty)
    if data.draw(st.booleans()):
        waiting.serve(common=False, again=False)
        waiting.reserved[0] = False
    waiting.join(*everybody)

    waited = waiting.longest_wait(5 * sum(weights))

    for lane in everybody:
        # Its own part, and one turn of each for each line that is brought up to the other.
        assert waited[lane] <= 2 * (sum(weights) / weights[lane] + len(weights))


@given(
    weights,
    st.lists(st.tuples(st.sampled_from(["join", "change", "reserved", "any"]), st.integers(0, 5))),
)
def test_no_lane_waits_for_long_whatever_went_before(
    weights: list[int], before: list[tuple[str, int]]
) -> None:
    waiting = Waiting(weights, [True] * len(weights))
    for what, number in before:
        lane = number % len(weights)
        match what:
            case "join":
                waiting.join(lane)
            case "change":
                waiting.reserved[lane] = not waiting.reserved[lane]
            case _:
                for _ in range(10 * number):
                    waiting.serve(common=what == "any", again=number > 1)
    waiting.join(*range(len(weights)))

    waited = waiting.longest_wait(5 * sum(weights))

    for lane, weight in enumerate(weights):
        assert waited[lane] <= 2 * (sum(weights) / weight + len(weights))


def test_who_joins_twice_is_queued_once() -> None:
    waiting = Waiting([1, 1], [True, True])
    waiting.join(0, 0, 0)
    assert waiting.turns.waiting == 1
    assert waiting.serve(again=False) == 0
    assert waiting.serve() is None
    assert waiting.turns.waiting == 0


def test_a_lane_that_did_not_take_its_permit_is_not_charged_for_it() -> None:
    waiting = Waiting([1, 1], [True, True])
    waiting.join(0, 1)
    assert waiting.turns.next(common=True) == 0
    waiting.join(0)
    assert [waiting.serve(again=False) for _ in range(2)] == [1, 0]
