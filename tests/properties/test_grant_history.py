"""A record falls under the grant of its time and under today's, on any timeline of grants."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.tables.rows import read_partner, write_partner
from hookstream.core.matching.directory import Directory, Match, NotReplayed, Question
from hookstream.core.matching.granted import GrantTimeline
from hookstream.core.matching.pattern import parse
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    HeldGrant,
    Partner,
    Subscription,
    covers,
)
from hookstream.core.planning.grants import (
    MOST_EARLIER_CHARACTERS,
    MOST_GRANTS,
    first_granted,
    regranted,
)

LEAD = 2_000
TYPES = ("order.generated", "order.priced", "pricing.completed")
ENVIRONMENTS = ("live", "staging")
BODIES: tuple[JsonObject, ...] = ({"a": 1}, {"a": 2}, {"b": 1})
EVERYTHING = Grant(("*",), ("*",))

Atom: TypeAlias = tuple[str, str, int]
"""What a grant is asked for: a type, an environment, and the number of a body."""
ATOMS = [(each, where, body) for each in TYPES for where in ENVIRONMENTS for body in range(3)]

grants = st.builds(
    Grant,
    st.lists(st.sampled_from(["*", "order.*", *TYPES]), min_size=1, max_size=2).map(tuple),
    st.sampled_from([("*",), ("live",), ("staging",), ENVIRONMENTS]),
    st.sampled_from([None, {"a": [1]}, {"a": [1, 2]}, {"b": [1]}]),
)
steps = st.lists(st.tuples(st.integers(LEAD, 20_000), grants), min_size=1, max_size=8)
"""How far the broker's clock moved since the last change, and the grant that is then written."""
crowded = st.lists(st.tuples(st.integers(-5_000, 5_000), grants), min_size=1, max_size=8)
"""The same, with a clock that goes back and changes that are not in effect before the next."""


@cache
def body_matches(pattern: str, body: int) -> bool:
    return parse(json.loads(pattern)).matches(BODIES[body])


def covered(grant: Grant, atom: Atom) -> bool:
    event_type, environment, body = atom
    return (
        covers(grant.event_types, event_type)
        and covers(grant.environments, environment)
        and (grant.pattern is None or body_matches(json.dumps(grant.pattern), body))
    )


@dataclass
class Switches:
    """The naive model: each atom is switched on and off by itself."""

    turned: dict[Atom, list[tuple[int, bool]]]

    def change(self, grant: Grant, now: int) -> None:
        """Switch off at once what is taken away, and on after the lead what is added."""
        for atom, turns in self.turned.items():
            is_on = covered(grant, atom)
            if turns[-1][1] is not is_on:
                turns.append((now + LEAD if is_on else now, is_on))

    def granted(self, atom: Atom, timestamp: int) -> bool:
        """Return whether it was on at the time of a record, and is on today."""
        turns = self.turned[atom]
        then = [is_on for instant, is_on in turns if instant < timestamp]
        return bool(then) and then[-1] and turns[-1][1]


@dataclass
class Written:
    """A partner as its row has it, with the model of the same changes."""

    partner: Partner
    switches: Switches
    instants: list[int]


def written(first: Grant, changes: list[tuple[int, Grant]]) -> Written:
    now = 100_000
    partner = first_granted(Partner("acme", "Acme", first), now)
    switches = Switches({atom: [(now, covered(first, atom))] for atom in ATOMS})
    instants = [now]
    for moved, grant in changes:
        now += moved
        partner = regranted(partner, grant, now, now + LEAD)
        partner = read_partner("acme", write_partner(partner))
        switches.change(grant, now)
        instants += [now, now + LEAD]
    return Written(partner, switches, instants)


def directory(partner: Partner, active_from: int = 0) -> Directory:
    found = Directory()
    found.put_partner(partner)
    found.put_subscription(
        Subscription("s1", "acme", Endpoint("https://acme.example", ()), ("*",), active_from)
    )
    return found


def question(atom: Atom, timestamp: int) -> Question:
    event_type, environment, body = atom
    return Question(event_type, environment, timestamp, lambda _: BODIES[body], 1)


def may_see(
    found: Directory, atom: Atom, timestamp: int, *, past: bool = True, today: bool = False
) -> bool:
    event_type, environment, body = atom
    verdict = found.granted(
        found.partners["acme"],
        event_type,
        environment,
        timestamp,
        lambda: BODIES[body],
        as_granted_today=today,
        past=past,
    )
    assert isinstance(verdict, bool)
    return verdict


@given(grants, steps, st.data())
def test_a_record_is_granted_where_then_and_today_both_cover_it(
    first: Grant, changes: list[tuple[int, Grant]], data: st.DataObject
) -> None:
    """By one rule: before attempts, while matching live, and for replays."""
    made = written(first, changes)
    found = directory(made.partner)
    near = st.sampled_from(made.instants).flatmap(lambda at: st.integers(at - 2, at + 2))
    for timestamp in data.draw(st.lists(near, min_size=1, max_size=4)):
        for atom in ATOMS:
            expected = made.switches.granted(atom, timestamp)
            assert may_see(found, atom, timestamp) == expected
            assert may_see(found, atom, timestamp, past=False) == expected
            assert any(found.match(question(atom, timestamp))) == expected
            replayed = found.judge_past("s1", question(atom, timestamp))()
            assert (replayed is not NotReplayed.NOT_GRANTED) == expected
            assert isinstance(replayed, Match) == expected


@given(grants, steps, st.integers(0, 300_000))
def test_as_granted_today_asks_for_the_grant_of_today_alone(
    first: Grant, changes: list[tuple[int, Grant]], timestamp: int
) -> None:
    made = written(first, changes)
    found = directory(made.partner)
    for atom in ATOMS:
        expected = covered(made.partner.grant, atom)
        assert may_see(found, atom, timestamp, today=True) == expected
        judged = found.judge_past("s1", question(atom, timestamp), as_granted_today=True)()
        assert isinstance(judged, Match) == expected


@given(grants, steps | crowded)
def test_workers_of_the_release_before_read_what_they_expect(
    first: Grant, changes: list[tuple[int, Grant]]
) -> None:
    """They know two grants: after the latest widening they agree, and never exceed today's grant."""
    partner = written(first, changes).partner
    as_before = replace(partner, history=())
    new, old = directory(partner), directory(as_before)
    for atom in ATOMS:
        assert may_see(old, atom, partner.grant_from + 1, past=False) == covered(
            partner.grant, atom
        )
        assert partner.previous_grant is None or (
            covered(partner.grant, atom) or not covered(partner.previous_grant, atom)
        )
        for after in (LEAD + 1, 10**9):
            timestamp = partner.grants[-1].since or 0
            assert may_see(new, atom, timestamp + after) == may_see(old, atom, timestamp + after)


@given(grants, steps | crowded)
def test_a_history_is_in_the_order_of_time_and_ends_with_the_grant_of_today(
    first: Grant, changes: list[tuple[int, Grant]]
) -> None:
    partner = written(first, changes).partner
    instants = [held.since or 0 for held in partner.history]
    assert instants == sorted(set(instants))
    assert partner.history[-1].grant == partner.grant
    pairs = zip(partner.history, partner.history[1:], strict=False)
    assert all(one.grant != other.grant for one, other in pairs)


@given(grants, crowded, st.integers(-5_000, 5_000), grants)
def test_what_held_up_to_the_latest_change_stays_as_it_was(
    first: Grant, changes: list[tuple[int, Grant]], moved: int, grant: Grant
) -> None:
    """Also where the broker's clock went back: no record is judged by a grant that came after it."""
    made = written(first, changes)
    now = made.instants[-2] + moved
    before, after = made.partner, regranted(made.partner, grant, now, now + LEAD)
    latest = before.grants[-1].since or 0
    for timestamp in (latest - LEAD, latest - 1, latest):
        then, still = (GrantTimeline(each).at(timestamp) for each in (before, after))
        assert (then and then.grant) == (still and still.grant)


def test_the_fifty_first_grant_drops_the_oldest() -> None:
    """Of a time whose grant was dropped nothing is shown, since it is not known any more."""
    partner = first_granted(Partner("acme", "Acme", Grant(("order.a0",), ("live",))), 0)
    for number in range(1, MOST_GRANTS + 1):
        wider = Grant(tuple(f"order.a{n}" for n in range(number + 1)), ("live",))
        partner = regranted(partner, wider, number * 10, number * 10)
    assert [held.since for held in partner.grants] == [10 * n for n in range(1, MOST_GRANTS + 1)]
    found = directory(partner)
    assert [
        found.granted(partner, "order.a0", "live", timestamp, dict, past=True)
        for timestamp in (10, 11)
    ] == [False, True]


def test_a_history_of_large_grants_is_bounded_by_its_text() -> None:
    """A row that the broker refuses could not be written at all."""
    partner = first_granted(Partner("acme", "Acme", EVERYTHING), 0)
    for number in range(1, 20):
        pattern: JsonObject = {"a": [f"{number}-{n:0>100}" for n in range(400)]}
        partner = regranted(partner, replace(EVERYTHING, pattern=pattern), number, number)
    assert len(write_partner(partner)) < MOST_EARLIER_CHARACTERS * 3
    assert 2 < len(partner.grants) < 10
    assert partner.grants[-1] == HeldGrant(partner.grant, 19)


def test_grants_that_alternate_are_written_once_each() -> None:
    small, large = (
        Grant(("order.*",), ("live",)),
        replace(EVERYTHING, pattern={"a": ["x" * 5_000]}),
    )
    partner = first_granted(Partner("acme", "Acme", small), 0)
    for number in range(1, 41):
        partner = regranted(partner, large if number % 2 else small, number * 10, number * 10)
    assert len(write_partner(partner)) < 20_000
    assert read_partner("acme", write_partner(partner)) == partner


# Rows of earlier releases.

FIRST, SECOND = Grant(("order.*",), ("*",)), EVERYTHING
OLD_ROW = Partner("acme", "Acme", SECOND, grant_from=5_000, previous_grant=FIRST)
ORDER, PRICING = ("order.generated", "live", 0), ("pricing.completed", "live", 0)


def test_a_row_of_the_release_before_reads_as_a_history_of_two() -> None:
    assert OLD_ROW.grants == (HeldGrant(FIRST), HeldGrant(SECOND, 5_000))
    assert b"history" not in write_partner(OLD_ROW)
    found = directory(OLD_ROW, active_from=1_000)
    assert [may_see(found, PRICING, at) for at in (5_000, 5_001)] == [False, True]
    assert [may_see(found, ORDER, at) for at in (5_000, 5_001)] == [True, True]


def test_of_a_row_without_its_beginning_live_matching_stays_as_it_was() -> None:
    """A partner of an earlier release: since when it held its grant was never written."""
    partner = Partner("acme", "Acme", EVERYTHING)
    found = directory(partner, active_from=1_000)
    assert may_see(found, ORDER, 1, past=False)
    assert [any(found.match(question(ORDER, at))) for at in (1_000, 1_001)] == [False, True]


def test_of_a_row_without_its_beginning_the_past_begins_with_the_first_subscription() -> None:
    """That the partner was granted something is known from then on, and not before."""
    found = directory(Partner("acme", "Acme", EVERYTHING), active_from=1_000)
    later = Subscription("s2", "acme", Endpoint("https://acme.example", ()), ("*",), 3_000)
    found.put_subscription(later)
    assert [may_see(found, ORDER, at) for at in (1_000, 1_001)] == [False, True]
    found.drop_subscription("s1")
    assert [may_see(found, ORDER, at) for at in (3_000, 3_001)] == [False, True]
    assert may_see(found, ORDER, 1, today=True)
    found.drop_subscription("s2")
    assert not may_see(found, ORDER, 10_000)


def test_an_old_row_keeps_what_is_known_when_its_grant_changes() -> None:
    narrow = Grant(("pricing.*",), ("*",))
    changed = regranted(OLD_ROW, narrow, 7_000, 9_000)
    assert changed.grants == (*OLD_ROW.grants, HeldGrant(narrow, 7_000))
