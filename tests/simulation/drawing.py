"""A seed decides a story: everything that is random is drawn here, before anything happens."""

import random
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.drawing_changes import lives, slow_changes
from tests.simulation.drawing_past import (
    COLOURS,
    appear,
    fates,
    fill,
    grant,
    grant_today,
    grow,
    odd_past,
    purge,
    replay,
    resend,
    rivals,
    tests,
)
from tests.simulation.flaws import FLAWS
from tests.simulation.story import (
    HOSTS,
    LATE,
    NEVER,
    PLAIN,
    Act,
    Bounds,
    Mood,
    Story,
    Wish,
)

from hookstream.core.model.hold import ALL
from hookstream.core.model.instant import DAY
from hookstream.core.model.subscription import Batch

FAULTS_END = 14.0
"""Seconds into the story after which there are no more faults."""

SCHEDULES = ((), (1_000,), (1_000, 3_000), (2_000, 2_000, 7_000), (500, 4_000))
AT_WORK = (HOSTS[0], HOSTS[0], HOSTS[1])
"""The first host has a worker from the beginning, the second in most stories."""
NO_TIMES = (-1, 0, 1_795_854_458, -(2**63))
"""Invalid record times: unknown, zero, seconds as milliseconds, the least number."""
ODD_TIMES = (1_795_854_458_871_000, 253_402_300_800_000, 2**63 - 1)
"""Microseconds as milliseconds, the year 10000, the largest number."""
WORDS = (
    ("disabling", 204.0),
    ("disabling", 500.0),
    ("disabling", 503.0),
    ("aborting", 400.0),
    ("aborting", 204.0),
    ("exhausted", 2.0),
    ("exhausted", 7.0),
    ("exhausted_and_failing", 4.0),
)
"""How endpoints behave that say something in the heads of their answers."""
LEAVING = (
    ("failing", 500.0),
    ("failing", 503.0),
    ("down", 0.0),
    ("hanging", 0.0),
    ("slow", 3.0),
    ("leaving", 1.5),
    ("leaving", 4.0),
)
"""How endpoints behave before their subscription is deleted and its id used again."""
SEAMS = ("take", "write", "acknowledgement", "attempt", "answer", "commit")


def draw(seed: int) -> Story:
    """Return the story of a seed."""
    chance = random.Random(seed)
    quiet = chance.random() < 0.1
    partitions = chance.choice((1, 1, 2, 3))
    wishes = tuple(_wish(chance, number, quiet=quiet) for number in range(chance.randint(1, 4)))
    wishes = _with_starts(seed, _with_words(seed, wishes))
    if quiet:
        wishes = (*wishes, Wish("well", max_in_flight=8))
    acts = _events(chance, partitions)
    wishes, burst = _with_batches(seed, wishes, acts)
    if not quiet:
        if chance.random() < 0.6:
            acts.append(Act(round(chance.uniform(0, 6), 2), "start", HOSTS[1]))
        times = [act.at for act in acts if act.does == "publish"]
        for _ in range(chance.choice((0, 1, 1, 2))):
            acts.append(_crash(chance, times))
        for _ in range(chance.randint(1, 6)):
            acts += chance.choice(FAULTS)(chance, wishes)
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
            acts += chance.choice(OWNERS)(chance, wishes)
        acts += _operations(seed, wishes, times)
    acts += burst
    wishes = _with_lives(seed, wishes, acts)
    if any(act.does == "publish" and LATE in act.more for act in acts):
        acts.append(Act(round(chance.uniform(0, 5), 2), "publish_schema"))
    return Story(
        seed=seed,
        partitions=partitions,
        bounds=_bodies(
            seed,
            Bounds(max_in_flight=chance.choice((8, 16, 64))) if quiet else _bounds(chance),
        ),
        wishes=wishes,
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        quiet=quiet,
    )


def _operations(seed: int, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw what is rare from a separate generator: the rest of a story stays the same without it."""
    chance = random.Random(f"the operations of {seed}")
    drawn = [seldom(chance, wishes, times) for share, seldom in SELDOM if chance.random() < share]
    return [act for acts in drawn for act in acts]


def _with_words(seed: int, wishes: tuple[Wish, ...]) -> tuple[Wish, ...]:
    """Draw, from a generator of its own, endpoints that answer with words in their heads."""
    chance = random.Random(f"the words of {seed}")
    drawn = []
    for wish in wishes:
        moods = wish.moods
        if chance.random() < 0.15:
            manner, amount = chance.choice(WORDS)
            after = moods[-1].until if moods else 0.0
            until = round(after + chance.uniform(0.5, 6), 2)
            moods = (*moods, Mood(until, manner, amount))
        drawn.append(replace(wish, moods=moods))
    return tuple(drawn)


def _with_starts(seed: int, wishes: tuple[Wish, ...]) -> tuple[Wish, ...]:
    """Draw, from a generator of its own, new subscriptions that start in the past."""
    chance = random.Random(f"the starts of {seed}")
    return tuple(
        replace(wish, starts=chance.choice((-5.0, 0.0, round(wish.born / 2, 3))))
        if wish.born > 0 and chance.random() < 0.6
        else wish
        for wish in wishes
    )


def _with_batches(
    seed: int, wishes: tuple[Wish, ...], acts: list[Act]
) -> tuple[tuple[Wish, ...], list[Act]]:
    """Draw, from a generator of its own, formats, batches, and endpoints that refuse certain events.

    Where there are batches, there may be a burst of events that fills some.
    """
    chance = random.Random(f"the batches of {seed}")
    drawn: list[Wish] = []
    for wish in wishes:
        batch, types = None, wish.types
        cloudevents = chance.random() < 0.2
        if chance.random() < 0.4:
            batch = Batch(chance.choice((2, 3, 5, 8, 20)), chance.choice((0, 50, 200, 500)))
            types = chance.choice((types, (PLAIN, LATE)))
        drawn.append(replace(wish, batch=batch, types=types, cloudevents=cloudevents))
    burst: list[Act] = []
    if any(wish.batch for wish in drawn) and chance.random() < 0.5:
        burst = _burst(chance, acts)
    events = [each.who for each in (*acts, *burst) if PLAIN in each.more]
    return tuple(_choosy(chance, wish, events) for wish in drawn), burst


def _with_lives(seed: int, wishes: tuple[Wish, ...], acts: list[Act]) -> tuple[Wish, ...]:
    """Draw, from a generator of its own, what ids are used for again, and endpoints that fail before that."""
    reused = {act.who: act.at for act in reversed(acts) if act.does == "again"}
    if not reused:
        return wishes
    chance = random.Random(f"the lives of {seed}")
    drawn = []
    for number, wish in enumerate(wishes):
        if wish.id in reused:
            before, at = wish, reused[wish.id]
            if chance.random() < 0.7:
                manner = chance.choice(LEAVING)
                until = round(at + chance.uniform(-1, 2), 2)
                before = replace(wish, moods=(Mood(until, *manner),), timeout=5_000)
                before = replace(before, schedule=chance.choice(SCHEDULES))
            other = _wish(chance, number, quiet=False)
            kept = replace(wish, moods=other.moods, for_ever=other.for_ever, again=None)
            kept = replace(kept, types=other.types, colour=other.colour, schedule=other.schedule)
            again = replace(kept, timeout=other.timeout, cloudevents=chance.random() < 0.2)
            if chance.random() < 0.3:
                again = replace(again, starts=round(max(0.0, at - chance.uniform(0, 5)), 3))
            drawn.append(replace(before, again=again))
        else:
            drawn.append(wish)
    return tuple(drawn)


def _burst(chance: random.Random, acts: list[Act]) -> list[Act]:
    """Draw events enough to fill batches, all at once, over the partitions of those that there are."""
    there = [act for act in acts if act.does == "publish"]
    at, first = chance.choice(there).at, len(there)
    return [
        replace(chance.choice(there), at=at, who=f"e{first + number}")
        for number in range(chance.choice((10, 20, 40)))
    ]


def _choosy(chance: random.Random, wish: Wish, events: list[str]) -> Wish:
    """Draw what an endpoint with batches refuses, or that it fails at random."""
    kind = chance.random()
    if wish.batch is None or wish.id == "well" or not events or kind < 0.4:
        return wish
    if kind < 0.5:
        until = round(chance.uniform(2, 12), 2)
        return replace(wish, moods=(*wish.moods, Mood(until, "moody", chance.choice((0.2, 0.7)))))
    if kind < 0.6:
        mood = Mood(round(chance.uniform(2, 12), 2), "failing", chance.choice((400.0, 413.0)))
        return replace(wish, moods=(*wish.moods, mood))
    return replace(
        wish,
        refuses=tuple(sorted({chance.choice(events) for _ in range(chance.choice((1, 1, 2, 4)))})),
        refuses_with=chance.choice((400, 413, 422)),
        refuses_until=chance.choice((float("inf"), round(chance.uniform(2, 12), 2))),
    )


def _bodies(seed: int, bounds: Bounds) -> Bounds:
    """Draw how large a body may be: some are so small that few deliveries fit."""
    chance = random.Random(f"the bodies of {seed}")
    return replace(bounds, body_bytes=700) if chance.random() < 0.15 else bounds


def _bounds(chance: random.Random) -> Bounds:
    return Bounds(
        max_in_flight=chance.choice((2, 8, 64)),
        max_deliveries=chance.choice((4, 20, 200)),
        max_bytes=chance.choice((2_000, 1 << 20)),
        room_bytes=chance.choice((3_000, 1 << 20)),
        room_floor=chance.choice((600, 4_000)),
        paused_for=chance.choice((4_000, 600_000)),
        disable_after=chance.choice((4_000, 5 * DAY, 5 * DAY, 5 * DAY)),
    )


def _wish(chance: random.Random, number: int, *, quiet: bool) -> Wish:
    moods: list[Mood] = []
    at = 0.0
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = round(at + chance.uniform(0.5, 6), 2)
        moods.append(_mood(chance, at))
    for_ever = None
    if chance.random() < 0.2:
        manner, amount = chance.choice(
            (("failing", 500.0), ("down", 0.0), ("failing", 410.0), ("failing", 422.0))
        )
        for_ever = Mood(0.0, manner, amount)
    return Wish(
        id=f"s{number}",
        types=chance.choice(((PLAIN,), (PLAIN,), (PLAIN, LATE))),
        colour=chance.choice((None, None, "red")),
        schedule=chance.choice(SCHEDULES),
        max_in_flight=chance.choice((1, 2, 8)),
        rate=chance.choice((None, None, None, 2.0, 5.0)),
        timeout=chance.choice((700, 2_000, 5_000)),
        final_statuses=chance.choice((frozenset(), frozenset({422}))),
        born=round(chance.uniform(0.1, 6), 2) if chance.random() < 0.15 and not quiet else -10.0,
        moods=tuple(moods),
        for_ever=for_ever,
    )


def _mood(chance: random.Random, until: float) -> Mood:
    manner, amount = chance.choice(
        (
            ("slow", round(chance.uniform(0.1, 3), 2)),
            ("down", 0.0),
            ("hanging", 0.0),
            ("failing", float(chance.choice((500, 400, 302, 503, 422)))),
            ("throttling", float(chance.choice((0, 1, 4, 9)))),
            ("throttling_by_date", float(chance.choice((2, 8)))),
            ("confused", 0.0),
            ("broken", 0.0),
            ("cutting", round(chance.uniform(0.05, 1), 2)),
            ("flapping", round(chance.uniform(0.2, 2), 2)),
        )
    )
    return Mood(until, manner, amount)


def _events(chance: random.Random, partitions: int) -> list[Act]:
    """Draw a few bursts of events, some of which are invalid."""
    acts: list[Act] = []
    number = 0
    rare = chance.random()
    for _ in range(chance.randint(1, 3)):
        at = chance.uniform(0, 8)
        apart = chance.choice((0.0, 0.01, 0.3))
        for _ in range(chance.randint(1, 10)):
            kind = chance.choice((PLAIN, PLAIN, PLAIN, PLAIN, LATE))
            if rare < 0.1 and chance.random() < 0.2:
                kind = NEVER
            if rare > 0.9 and chance.random() < 0.2:
                kind = ""
            more = (kind, chance.choice(COLOURS), chance.randrange(partitions))
            acts.append(Act(round(at, 3), "publish", f"e{number}", more=more))
            number += 1
            at += apart
            if chance.random() < 0.08:
                acts.append(Act(round(at, 3), "mark", amount=more[2]))
    return acts


Draw = Callable[[random.Random, tuple[Wish, ...]], list[Act]]


def _when(chance: random.Random, latest: float = FAULTS_END) -> float:
    return round(chance.uniform(0, latest), 2)


def _crash(chance: random.Random, times: list[float]) -> Act:
    """Draw a death in the middle of what follows from an event, or from a retry of it."""
    more = (
        chance.choice(SEAMS),
        chance.choice((1, 1, 1, 2, 3, 6)),
        chance.choice((0, 0, 1, 2, 3, 5)),
        chance.randrange(2),
        chance.choice((0.0, 0.2, 2.0)),
        chance.choice((0.0, 0.1, 3.0)),
    )
    at = max(0.0, chance.choice(times) + chance.choice((-0.01, 0.5, 2.0, 5.0)) * chance.random())
    return Act(round(at, 3), "crash", chance.choice(AT_WORK), more=more)


def _stop(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    return [Act(_when(chance), "stop", chance.choice(HOSTS), chance.choice((0.1, 2.0)))]


def _move(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    at = _when(chance)
    return [Act(round(at + n, 2), "move") for n in range(chance.choice((1, 1, 3)))]


def _expel(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    return [Act(_when(chance), "expel", chance.choice(HOSTS), chance.choice((0.0, 0.3, 2.0)))]


def _clock(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    jump = float(chance.choice((-9_000, -3_000, -700, 700, 3_000, 9_000)))
    return [Act(_when(chance), "clock", chance.choice(HOSTS), jump)]


def _outage(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    return [Act(_when(chance, 10), "outage", amount=chance.choice((0.3, 1.5, 4.0)))]


def _long_outage(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    at = round(chance.choice(times) + chance.uniform(0, 0.5), 3)
    return [Act(at, "outage", amount=float(chance.choice((40, 90))))]


def _cut(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    at = round(max(0.0, chance.choice(times) + chance.uniform(-0.3, 4)), 3)
    kind = chance.choice(("events", "events", "tier"))
    more = (chance.randrange(3), chance.choice((0.0, 0.0, 0.5, 3.0)))
    return [Act(at, "cut", kind, round(chance.uniform(0.1, 1), 2), more)]


def _lose_offsets(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    at = round(max(0.1, chance.choice(times) + chance.uniform(-0.3, 4)), 3)
    kind = chance.choice(("events", "events", "tier"))
    more = (
        chance.randrange(3),
        chance.choice((DAY, 200, 2_000)),
        chance.choice((0.1, 1.0, 5.0)),
        chance.choice(("earliest", "latest", 1_000, 5_000)),
    )
    return [Act(at, "lose_offsets", kind, chance.choice((0.1, 1.0, 4.0)), more)]


def _redrive(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw redrives where dead letters are likely, some after their subscription changed."""
    dying = [wish.id for wish in wishes if wish.for_ever or (wish.moods and not wish.schedule[1:])]
    if not dying:
        return []
    acts: list[Act] = []
    at = max(times)
    for _ in range(chance.choice((1, 1, 2))):
        at = round(at + chance.uniform(0.5, 5), 3)
        who = chance.choice(dying)
        if chance.random() < 0.5:
            changed = chance.choice(("delete", "pause", "resume", "enable"))
            acts.append(Act(round(at - chance.uniform(0, 0.5), 3), changed, who))
        more = (chance.choice((0, 1, 2)), *fates(chance))
        acts.append(Act(at, "redrive", chance.choice(("", who)), more=more))
    return acts


def _reuse(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw events that carry the id of another one: what a producer does by mistake."""
    at = chance.choice(times)
    acts: list[Act] = []
    for number in range(chance.choice((1, 1, 2, 4))):
        at = round(at + chance.choice((0.0, 0.01, 0.5, 3.0)), 3)
        more = (PLAIN, chance.choice(COLOURS), chance.randrange(3), "e0")
        acts.append(Act(at, "publish", f"e0 again {number}", more=more))
    return acts


def _flaw(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw a defect of ours. A third partition that one line stops would end the worker, as designed."""
    acts: list[Act] = []
    for number in range(chance.choice((1, 2, 2))):
        at = round(max(0.0, chance.choice(times) + chance.uniform(-0.1, 3)), 3) + number
        acts.append(Act(at, "flaw", chance.choice(FLAWS), 1))
    return acts


def _stamp(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw records with arbitrary producer timestamps; events with an old one are expected by no subscription."""
    acts: list[Act] = []
    for number in range(chance.choice((1, 2, 4))):
        at = round(chance.choice(times) + chance.uniform(0, 3), 3)
        kind, stamps = chance.choice(((PLAIN, NO_TIMES), ("", (*NO_TIMES, *ODD_TIMES))))
        more = (kind, chance.choice(COLOURS), chance.randrange(3), chance.choice(stamps))
        acts.append(Act(at, "publish_stamped", f"stamped {number}", more=more))
    return acts


def _late(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    host = chance.choice(HOSTS)
    delays = (chance.choice((0.0, 0.1, 1.5)), (chance.choice((0.0, 0.1, 1.5)),))
    at = _when(chance, 10)
    return [
        Act(at, "late", host, delays[0], delays[1]),
        Act(round(at + chance.uniform(0.5, 5), 2), "late", host, 0.0, (0.0,)),
    ]


def _refuse(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    kind = chance.choice(("tiers", "dead-letters", "attempts", "undecodable", "health"))
    too_large = kind in ("tiers", "dead-letters") and chance.random() < 0.5
    seconds = round(chance.uniform(0.3, 5), 2)
    return [Act(_when(chance, 10), "refuse", kind, seconds, (int(too_large),))]


def _lag(chance: random.Random, _: tuple[Wish, ...]) -> list[Act]:
    more = (round(chance.uniform(0.5, 5), 2),)
    lag = chance.choice((0.3, 0.9, 3.0))
    return [Act(_when(chance, 9), "lag", chance.choice(HOSTS), lag, more)]


def _pause(chance: random.Random, wishes: tuple[Wish, ...]) -> list[Act]:
    who, at = chance.choice(wishes).id, _when(chance, 8)
    acts = [Act(at, "pause", who)]
    if chance.random() < 0.7:
        acts.append(Act(round(at + chance.uniform(0.2, 6), 2), "resume", who))
    return acts


def _delete(chance: random.Random, wishes: tuple[Wish, ...]) -> list[Act]:
    return [Act(_when(chance, 10), "delete", chance.choice(wishes).id)]


def _enable(chance: random.Random, wishes: tuple[Wish, ...]) -> list[Act]:
    return [Act(_when(chance), "enable", chance.choice(wishes).id)]


def _forget(chance: random.Random, wishes: tuple[Wish, ...]) -> list[Act]:
    seconds = round(chance.uniform(0.5, 6), 2)
    return [Act(_when(chance, 10), "forget", chance.choice(wishes).id, seconds)]


def _hold(chance: random.Random, wishes: tuple[Wish, ...]) -> list[Act]:
    kind, who = chance.choice(
        (
            ("endpoint", chance.choice(wishes).id),
            ("partner", "acme"),
            ("event-type", PLAIN),
            ("everything", ALL),
        )
    )
    seconds = round(chance.uniform(0.3, 6), 2)
    return [Act(_when(chance, 9), "hold", who, seconds, (kind,))]


def _cut_link(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Disconnect hosts while something that they process is held or deleted."""
    acts: list[Act] = []
    for _ in range(chance.choice((1, 1, 2))):
        at = round(max(0.0, chance.choice(times) + chance.uniform(-0.3, 1)), 3)
        seconds = chance.choice((0.5, 2.0, 2.5, 6.0))
        acts.append(Act(at, "cut_link", chance.choice(AT_WORK), seconds))
        if chance.random() < 0.7:
            who = chance.choice(wishes).id
            kind = chance.choice(("delete", "hold", "hold"))
            more = ("endpoint",) if kind == "hold" else ()
            lasts = 8.0 if kind == "hold" else 0.0
            acts.append(Act(round(at + chance.uniform(0, 0.5), 3), kind, who, lasts, more))
    return acts


def _short(chance: random.Random, _: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Leave hosts without descriptors while there is something to send."""
    hosts = chance.choice((HOSTS[:1], HOSTS[1:], HOSTS))
    at = round(max(0.0, chance.choice(times) + chance.uniform(-0.5, 1)), 3)
    return [Act(at, "short", host, chance.choice((0.5, 2.0, 6.0))) for host in hosts]


def _wrong_clock(chance: random.Random, _: tuple[Wish, ...], __: list[float]) -> list[Act]:
    """Draw clocks that are wrong from the start, by seconds to months, and steps while they run."""
    amounts = (12_000, 60_000, 3_600_000, DAY, 40 * DAY, 100 * DAY)
    acts = [
        Act(0.0, "wrong_clock", host, float(chance.choice(amounts) * chance.choice((-1, 1))))
        for host in chance.choice((HOSTS[:1], HOSTS[1:], HOSTS))
    ]
    if chance.random() < 0.5:
        step = float(chance.choice(amounts) * chance.choice((-1, 1)))
        acts.append(Act(_when(chance), "clock", chance.choice(HOSTS), step))
    return acts


def _mix(chance: random.Random, _: tuple[Wish, ...], __: list[float]) -> list[Act]:
    """Draw events of two types that may wait for one batch, and a hold of one type meanwhile."""
    at = round(chance.uniform(5, 9), 3)
    kinds = chance.choice(((LATE, PLAIN), (LATE, PLAIN, PLAIN), (PLAIN, LATE)))
    acts = [
        Act(at, "publish", f"mixed {number}", more=(kind, chance.choice(COLOURS), 0))
        for number, kind in enumerate(kinds)
    ]
    seconds = round(chance.uniform(0.3, 3), 2)
    held = round(at + chance.uniform(0, 0.4), 3)
    return [*acts, Act(held, "hold", kinds[-1], seconds, ("event-type",))]


def _rebatch(chance: random.Random, wishes: tuple[Wish, ...], times: list[float]) -> list[Act]:
    """Draw subscriptions that change to batches or from them, while something is queued."""
    acts: list[Act] = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = round(max(0.0, chance.choice(times) + chance.uniform(-0.1, 1)), 3)
        more = (chance.choice((0, 200, 500)),)
        acts.append(Act(at, "rebatch", chance.choice(wishes).id, chance.choice((2.0, 9.0)), more))
    return acts


FAULTS: tuple[Draw, ...] = (
    _stop,
    _move,
    _move,
    _expel,
    _clock,
    _outage,
    _late,
    _refuse,
    _lag,
)
OWNERS: tuple[Draw, ...] = (_pause, _pause, _delete, _enable, _forget, _hold)
Seldom = Callable[[random.Random, tuple[Wish, ...], list[float]], list[Act]]
"""Draws from the subscriptions and the times of events."""

SELDOM: tuple[tuple[float, Seldom], ...] = (
    (0.04, _long_outage),
    (0.12, _cut),
    (0.1, _lose_offsets),
    (0.25, _redrive),
    (0.2, _cut_link),
    (0.1, _wrong_clock),
    (0.1, _reuse),
    (0.2, _flaw),
    (0.1, _stamp),
    (0.15, _short),
    (0.1, _rebatch),
    (0.15, _mix),
    (0.2, replay),
    (0.2, fill),
    (0.12, odd_past),
    (0.1, grant),
    (0.1, purge),
    (0.1, resend),
    (0.08, grant_today),
    (0.12, grow),
    (0.2, tests),
    (0.06, appear),
    (0.1, rivals),
    (0.15, slow_changes),
    (0.2, lives),
)
"""The share of the stories that has each of them."""
