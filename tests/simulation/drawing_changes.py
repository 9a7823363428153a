"""What a seed draws of changes in the tables: those that take a while, and ids that are used again."""

import random

from tests.simulation.drawing_past import fates
from tests.simulation.story import LATE, NEVER, PLAIN, Act, Wish

COLOURS = ("red", "blue")
TOOK = (0.0, 0.3, 0.5, 0.6, 2.0, 4.0, 6.0)
"""Seconds from the beginning of a change until its rows are appended: of its first attempt half a second may pass."""
ATTEMPTS = 4
"""After so many a change is given up."""


def slow_changes(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw changes that are written slowly, some not at all, and events from before, between and after."""
    born = [wish.born for wish in wishes if wish.born > 0]
    if born and chance.random() < 0.6:
        at = max(0.0, chance.choice(born) - 0.01)
        changes: list[Act] = []
    else:
        at = max(0.0, chance.choice(times) - chance.uniform(0, 3))
        changes = _changes(chance, wishes, at)
    last = max((act.at for act in changes), default=at)
    open_for = chance.choice((0.0, 0.0, 0.0, 0.3, 1.0, 3.0))
    took = [chance.choice(TOOK) for _ in range(ATTEMPTS)]
    slow = Act(round(at, 3), "write_slowly", "", round(last - at, 3) + 0.5, (open_for, *took))
    events = []
    for number in range(chance.choice((2, 4, 8))):
        after = chance.choice((at, last)) + chance.choice((0.0, 1.9))
        published = round(after + chance.uniform(0, 5), 3)
        more = (PLAIN, chance.choice(COLOURS), chance.randrange(3))
        events.append(Act(published, "publish", f"meanwhile {number}", more=more))
    return [slow, *changes, *events]


def _changes(chance: random.Random, wishes: tuple[Wish, ...], at: float) -> list[Act]:
    who, until = chance.choice(wishes).id, round(at + chance.uniform(0.3, 5), 3)
    at = round(at + 0.01, 3)
    match chance.choice(("pause", "pause", "grant", "enable", "delete")):
        case "pause":
            fills = chance.choice((0.0, 1.0))
            return [Act(at, "pause", who), Act(until, "resume", who, fills)]
        case "grant":
            taken = Act(at, "grant", more=chance.choice(((), (LATE, NEVER))))
            return [taken, Act(until, "grant", more=(PLAIN, LATE, NEVER))]
        case "enable":
            return [Act(until, "enable", who, chance.choice((0.0, 1.0)))]
        case _:
            return [Act(until, "delete", who)]


def lives(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw ids that are deleted and created again, with another endpoint, and events around both."""
    who = chance.choice(wishes).id
    at = round(max(0.5, chance.choice(times) + chance.uniform(0, 4)), 3)
    acts: list[Act] = []
    for life in range(chance.choice((1, 1, 2))):
        again = round(at + chance.choice((0.01, 0.3, 2.0, 6.0)) * chance.random() + 0.001, 3)
        acts += [Act(at, "delete", who), Act(again, "again", who)]
        if chance.random() < 0.4:
            asked = round(max(0.0, at - chance.uniform(0, 3)), 3)
            since, until = chance.choice((1_000, 20_000)), chance.choice((0, 3_000))
            acts.append(Act(asked, "replay", who, more=(since, until, *fates(chance))))
        for number in range(chance.choice((2, 4, 8))):
            published = chance.choice((at - 1, at - 0.2, again, again + 1.8)) + chance.random()
            more = (PLAIN, chance.choice(COLOURS), chance.randrange(3))
            named = f"life {life} {number}"
            acts.append(Act(round(max(0.0, published), 3), "publish", named, more=more))
        acts += _afterwards(chance, who, again)
        at = round(again + chance.uniform(0, 7), 3)
    return acts


def _afterwards(chance: random.Random, who: str, again: float) -> list[Act]:
    """Draw what is done with a subscription whose id was used before."""
    at, until = (round(again + chance.uniform(0, most), 3) for most in (2, 6))
    match chance.choice(("", "", "", "pause", "enable", "redrive", "resend", "test")):
        case "pause":
            until = round(at + chance.uniform(0.3, 6), 3)
            return [Act(at, "pause", who), Act(until, "resume", who, 1.0, fates(chance))]
        case "enable":
            return [Act(until, "enable", who, 1.0, fates(chance))]
        case "redrive":
            return [Act(until, "redrive", who, more=(0, *fates(chance)))]
        case "resend":
            return [Act(until, "resend", who)]
        case "test":
            return [Act(at, "test", who, more=(PLAIN,))]
        case _:
            return []
