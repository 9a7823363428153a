"""Turns are few at once, go round the partners, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.pull.turns import Turns

acts = st.lists(
    st.tuples(st.sampled_from(["join", "next", "end", "give up"]), st.sampled_from("abc")),
    max_size=80,
)


@given(acts)
def test_turns_never_exceed_their_bounds_and_every_ticket_is_served_once(
    drawn: list[tuple[str, str]],
) -> None:
    turns: Turns[int] = Turns(at_once=3, most_waiting=6, most_of_partner=3)
    waiting: dict[str, list[int]] = {each: [] for each in "abc"}
    running: list[str] = []
    for number, (act, partner) in enumerate(drawn):
        if act == "join":
            room = sum(map(len, waiting.values())) < 6 and len(waiting[partner]) < 3
            assert turns.join(partner, number) == room
            if room:
                waiting[partner].append(number)
        elif act == "next":
            ticket = turns.next()
            assert (ticket is None) == (len(running) == 3 or not any(waiting.values()))
            if ticket is not None:
                [owner] = [each for each, line in waiting.items() if ticket in line]
                # Its partner's oldest, and no partner that waits has fewer turns.
                assert waiting[owner].pop(0) == ticket
                assert all(
                    running.count(owner) <= running.count(each)
                    for each, line in waiting.items()
                    if line
                )
                running.append(owner)
        elif act == "end" and partner in running:
            running.remove(partner)
            turns.end(partner)
        elif act == "give up" and waiting[partner]:
            assert turns.give_up(partner, waiting[partner].pop())
        assert (turns.running, turns.waiting) == (len(running), sum(map(len, waiting.values())))


def test_a_partner_with_many_readers_does_not_keep_another_one_waiting() -> None:
    turns: Turns[str] = Turns(at_once=1, most_waiting=10, most_of_partner=5)
    for ticket in ("a1", "a2", "a3"):
        turns.join("a", ticket)
    turns.join("b", "b1")
    served = []
    for _ in range(4):
        given = turns.next()
        assert given is not None
        served.append(given)
        turns.end(given[0])
    assert served == ["a1", "b1", "a2", "a3"]
    assert not turns.give_up("a", "a1")
