"""A story that breaks an invariant is cut down to a short one that breaks the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.story import PLAIN, Bounds, Broken, Story, Wish

MOST = 600
"""Stories played in search of a shorter one."""


def shrink(story: Story, broken: Broken, play: Callable[[Story], Broken | None]) -> Story:
    """Return the shortest story found in which the same invariant breaks.

    Each round removes what is not needed: acts in ever smaller runs, subscriptions, behaviours, then
    whatever is not as simple as it could be. It ends with a round that found nothing.
    """
    left = MOST
    shorter = True
    while shorter and left > 0:
        shorter = False
        for cut in _cuts(story):
            left -= 1
            found = play(cut)
            if found is not None and found.invariant == broken.invariant:
                story, shorter = cut, True
                break
            if left <= 0:
                break
    return story


def _cuts(story: Story) -> Iterator[Story]:
    """Yield simpler stories, the simplest first."""
    acts = story.acts
    size = (len(acts) + 1) // 2
    while size:
        for first in range(0, len(acts), size):
            yield replace(story, acts=acts[:first] + acts[first + size :])
        size //= 2
    for wishes in _fewer(story.wishes):
        yield replace(story, wishes=wishes)
    if story.partitions > 1:
        yield replace(story, partitions=1)
    if story.bounds != Bounds():
        yield replace(story, bounds=Bounds())


def _fewer(wishes: tuple[Wish, ...]) -> Iterator[tuple[Wish, ...]]:
    if len(wishes) > 1:
        for number in range(len(wishes)):
            yield wishes[:number] + wishes[number + 1 :]
    for number, wish in enumerate(wishes):
        for simpler in _simpler(wish):
            yield (*wishes[:number], simpler, *wishes[number + 1 :])


def _simpler(wish: Wish) -> Iterator[Wish]:
    for number in range(len(wish.moods)):
        yield replace(wish, moods=wish.moods[:number] + wish.moods[number + 1 :])
    if wish.for_ever is not None:
        yield replace(wish, for_ever=None)
    if wish.colour is not None:
        yield replace(wish, colour=None)
    if wish.types != (PLAIN,):
        yield replace(wish, types=(PLAIN,))
    if len(wish.schedule) > 1:
        yield replace(wish, schedule=wish.schedule[:1])
    if wish.final_statuses:
        yield replace(wish, final_statuses=frozenset())
    if wish.born > 0:
        yield replace(wish, born=-10.0)
    yield from _simpler_requests(wish)


def _simpler_requests(wish: Wish) -> Iterator[Wish]:
    if wish.batch is not None:
        yield replace(wish, batch=None)
    if wish.again is not None:
        yield replace(wish, again=None)
        yield from (replace(wish, again=simpler) for simpler in _simpler(wish.again))
    if wish.cloudevents:
        yield replace(wish, cloudevents=False)
    for number in range(len(wish.refuses)):
        yield replace(wish, refuses=wish.refuses[:number] + wish.refuses[number + 1 :])
