"""What a seed draws of the past: replays, gaps, grants, and what operators do with dead letters."""

import random

from tests.simulation.story import LATE, NEVER, PLAIN, Act, Wish

COLOURS = ("red", "blue")
EXECUTORS = 2
"""How many executors of each job have a fate."""


def fates(chance: random.Random) -> tuple[int | float, ...]:
    """Draw what happens to the executors of a job: at which point of its life, and for how long."""
    fates: list[int | float] = []
    for _ in range(EXECUTORS):
        point = chance.choice((0, 0, chance.randint(1, 26), chance.randint(8, 50)))
        fates += [point, chance.choice((0.0, 2.0, 9.0))]
    return tuple(fates)


def replay(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw replays of the last seconds, some over a pause; some of them are cancelled."""
    acts: list[Act] = []
    for _ in range(chance.choice((1, 1, 2))):
        who = chance.choice(wishes).id
        at = round(chance.choice(times) + chance.uniform(0, 6), 3)
        if chance.random() < 0.3:
            began = max(0.0, round(at - chance.uniform(2, 6), 3))
            acts += [Act(began, "pause", who), Act(round(at - 0.1, 3), "resume", who)]
        since, until = (
            chance.choice((1_000, 4_000, 20_000)),
            chance.choice((-500, 0, 1_000, 3_000)),
        )
        acts.append(Act(at, "replay", who, more=(since, until, *fates(chance))))
        if chance.random() < 0.15:
            acts.append(Act(round(at + chance.uniform(0.1, 4), 3), "cancel"))
    return acts


def odd_past(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw what is hard to read again: open transactions, clocks behind, a topic that appears; and a replay of it."""
    at = chance.choice(times)
    acts: list[Act] = []
    kinds = chance.choice((("publish_open",), ("publish_stepped",), ("publish_late",)))
    for number in range(chance.choice((1, 2, 4))):
        at = round(at + chance.uniform(0, 1.5), 3)
        does, kind, colour = (
            chance.choice(kinds),
            chance.choice((PLAIN, PLAIN, LATE)),
            COLOURS[number % 2],
        )
        amount = 0.0
        more: tuple[str | int, ...] = (kind, colour)
        if does == "publish_open":
            amount = chance.choice((0.2, 2.0, 5.0))
            more = (kind, colour, chance.randrange(3), int(chance.random() < 0.3))
        elif does == "publish_stepped":
            amount, more = (
                chance.choice((200.0, 1_000.0, 3_000.0)),
                (kind, colour, chance.randrange(3)),
            )
        acts.append(Act(at, does, f"odd {number}", amount, more))
    replayed = chance.choice((replay, fill))(chance, wishes, [each.at for each in acts])
    return acts + replayed


def grant(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw grants that narrow, and widen again, and a replay of the events from before, between and after."""
    at = round(max(0.0, chance.choice(times) + chance.uniform(-2.5, 1)), 3)
    acts = [Act(at, "grant", more=chance.choice(((PLAIN,), (LATE, NEVER), ())))]
    if chance.random() < 0.8:
        at = round(at + chance.uniform(0.5, 5), 3)
        acts.append(Act(at, "grant", more=(PLAIN, LATE, NEVER)))
    if chance.random() < 0.6:
        acts.append(
            Act(
                round(at + chance.uniform(0, 4), 3),
                "replay",
                chance.choice(wishes).id,
                more=(20_000, 0, *fates(chance)),
            )
        )
    return acts


def fill(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw a pause whose gap a replay fills; an endpoint that is disabled meanwhile may be enabled so."""
    who = chance.choice(wishes).id
    at = round(max(0.0, chance.choice(times) - chance.uniform(1.5, 3)), 3)
    until = round(at + chance.uniform(0.5, 6), 3)
    acts = [Act(at, "pause", who), Act(until, "resume", who, 1.0, fates(chance))]
    if chance.random() < 0.4:
        after = round(until + chance.uniform(0, 4), 3)
        acts.append(Act(after, "enable", who, 1.0, fates(chance)))
    return acts


def purge(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw a purge where dead letters are likely, some beside a redrive."""
    at = round(max(times) + chance.uniform(0.5, 6), 3)
    who = chance.choice(("", chance.choice(wishes).id))
    acts = [Act(at, "purge", who, more=fates(chance))]
    if chance.random() < 0.5:
        beside = round(at + chance.uniform(-0.5, 3), 3)
        acts.append(Act(beside, "redrive", "", more=(chance.choice((0, 1)), *fates(chance))))
    return acts


def rivals(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw redrives and purges that are asked for at once, or while another one works, over the same letters."""
    at = max(times) + chance.uniform(0.5, 6)
    acts: list[Act] = []
    for _ in range(chance.choice((2, 2, 3))):
        at = round(at + chance.choice((0.0, 0.0, 0.05, 1.0)), 3)
        who = chance.choice(("", "", chance.choice(wishes).id))
        rate = chance.choice((0, 1, 2))
        if chance.random() < 0.25:
            acts.append(Act(at, "purge", who, more=fates(chance)))
        else:
            acts.append(Act(at, "redrive", who, 1.0, (rate, *fates(chance))))
    if chance.random() < 0.3:
        acts.append(Act(round(at + chance.uniform(0, 8), 3), "cancel"))
    return acts


def resend(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw resends where dead letters are likely, some at once with a redrive of the same."""
    at = round(max(times) + chance.uniform(0.5, 6), 3)
    acts = [
        Act(at, "resend", wish.id) for wish in wishes if wish.for_ever or not wish.schedule[1:]
    ]
    if chance.random() < 0.4:
        acts.append(Act(at, "redrive", "", more=(0, *fates(chance))))
    return acts


def grant_today(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw a grant that is wider than the one before, and replays and resends by that grant alone."""
    at = round(max(0.0, chance.choice(times) + chance.uniform(-3, 0.5)), 3)
    taken = chance.choice(((), (LATE, NEVER)))
    granted = round(at + chance.uniform(0.5, 4), 3)
    acts = [Act(at, "grant", more=taken), Act(granted, "grant", more=(PLAIN, LATE, NEVER))]
    if chance.random() < 0.3:
        again = round(granted + chance.uniform(1, 6), 3)
        acts.append(Act(again, "grant", more=chance.choice(((PLAIN,), ()))))
    for _ in range(chance.choice((1, 1, 2))):
        who = chance.choice(wishes).id
        asked = round(granted + chance.uniform(-1, 5), 3)
        more = (20_000, chance.choice((0, 1_000)), *fates(chance))
        acts.append(Act(asked, "replay", who, float(chance.random() < 0.8), more))
        if chance.random() < 0.3:
            acts.append(Act(round(asked + chance.uniform(0, 3), 3), "resend", who, 1.0))
    return acts


def grow(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw partitions that are added while events come, and replays from before, over and after that."""
    at = round(chance.choice(times) + chance.uniform(0, 2), 3)
    acts = [Act(at, "grow", amount=float(chance.choice((1, 2))))]
    for number in range(chance.choice((1, 2, 5))):
        kind = chance.choice((PLAIN, PLAIN, LATE))
        published = round(at + chance.choice((0.01, 1.0, 3.0)) * chance.random(), 3)
        named = kind, COLOURS[number % 2]
        acts.append(Act(published, "publish_newest", f"new {number}", more=named))
    if chance.random() < 0.7:
        asked = round(max(0.0, at + chance.uniform(-2, 3)), 3)
        more = (20_000, chance.choice((0, 1_000, 4_000)), *fates(chance))
        acts.append(Act(asked, "replay", chance.choice(wishes).id, more=more))
    return acts


def appear(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw a topic that appears while a replay waits for the end of its interval, and the events of it."""
    at = round(max(0.0, chance.choice(times) + chance.uniform(-1, 2)), 3)
    until = chance.choice((1_000, 3_000, 5_000))
    more = (chance.choice((1_000, 20_000)), until, *fates(chance))
    acts = [Act(at, "replay", chance.choice(wishes).id, more=more)]
    for number in range(chance.choice((1, 2, 5))):
        at = round(at + chance.uniform(0.05, until / 1_500), 3)
        kind = chance.choice((PLAIN, PLAIN, LATE))
        named = kind, COLOURS[number % 2]
        acts.append(Act(at, "publish_late", f"appeared {number}", more=named))
    return acts


def tests(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw tests of endpoints, before, between and after what comes to them, some of them many at once."""
    acts: list[Act] = []
    for _ in range(chance.choice((1, 1, 2))):
        at = round(max(0.0, chance.choice(times) + chance.uniform(-1, 6)), 3)
        wish = chance.choice(wishes)
        for _ in range(chance.choice((1, 1, 2, 6))):
            acts.append(Act(at, "test", wish.id, more=(chance.choice(wish.types),)))
            at = round(at + chance.choice((0.0, 0.0, 0.3, 2.0)), 3)
    return acts
