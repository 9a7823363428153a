"""Plays the stories of many seeds, or of one: `python -m tests.simulation --help`."""

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.simulation.drawing import draw
from tests.simulation.playing import ALL_PARTS, Result, play
from tests.simulation.shrinking import shrink
from tests.simulation.story import Broken, Story
from tests.simulation.world import Parts

BATCH = 50
PROGRESS_EVERY = 500
SHOWN = 3
"""Seeds that fail after which no further one is shrunk and shown."""


@dataclass
class Sum:
    """The sum of all stories."""

    seeds: int = 0
    events: int = 0
    attempts: int = 0
    tier_writes: int = 0
    crashes: int = 0
    seconds: float = 0.0
    broken: int = 0

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.events += result.events
        self.attempts += result.attempts
        self.tier_writes += result.tier_writes
        self.crashes += result.crashes
        self.seconds += result.seconds
        self.broken += result.broken is not None

    def __str__(self) -> str:
        return (
            f"{self.seeds:,} seeds: {self.events:,} events, {self.attempts:,} attempts, "
            f"{self.tier_writes:,} tier records, {self.crashes:,} crashes, "
            f"{self.seconds / 3600:,.1f} virtual hours; {self.broken:,} broken"
        )


def main(arguments: Sequence[str], parts: Parts = ALL_PARTS) -> int:
    """Return 0 if no invariant was violated, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, help="play only this one, line by line")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _one(asked.seed, parts)
    return _many(range(asked.first, asked.first + asked.seeds), asked.jobs, parts)


def _one(seed: int, parts: Parts) -> int:
    story = draw(seed)
    lines: list[str] = []
    result = play(story, parts, lines)
    print(f"Seed {seed}", *story.lines(), "What happened:", *lines, sep="\n")
    if result.broken is None:
        print("Every invariant held.")
        return 0
    print(f"Broken: {result.broken}")
    _show_short(story, result.broken, parts)
    return 1


def _many(seeds: Sequence[int], jobs: int, parts: Parts) -> int:
    total = Sum()
    failed: list[tuple[int, Broken]] = []
    for seed, result in _all(seeds, jobs, parts):
        total.add(result)
        if result.broken is not None:
            failed.append((seed, result.broken))
            print(f"seed {seed}: {result.broken}", flush=True)
        if total.seeds % PROGRESS_EVERY == 0:
            print(total, flush=True)
    print(f"Done. {total}")
    if failed:
        print(f"Broken seeds: {' '.join(str(seed) for seed, _ in failed)}")
    for seed, broken in failed[:SHOWN]:
        print(f"\nSeed {seed}: {broken}")
        print(f"Replay it: make simulate SEED={seed}")
        _show_short(draw(seed), broken, parts)
    return 1 if failed else 0


def _all(seeds: Sequence[int], jobs: int, parts: Parts) -> Iterator[tuple[int, Result]]:
    batches = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    if jobs == 1:
        for batch in batches:
            yield from _batch(batch, parts)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for result in pool.map(_batch, batches):
            yield from result


def _batch(seeds: Sequence[int], parts: Parts = ALL_PARTS) -> list[tuple[int, Result]]:
    return [(seed, play(draw(seed), parts)) for seed in seeds]


def _show_short(story: Story, broken: Broken, parts: Parts) -> None:
    short = shrink(story, broken, lambda cut: play(cut, parts).broken)
    lines: list[str] = []
    result = play(short, parts, lines)
    print("A short story that breaks the same:", *short.lines(), sep="\n")
    print("What happened:", *lines, f"Broken: {result.broken}", sep="\n")


if __name__ == "__main__":
    # What is imported stays: the collector's rounds leave it out, as in pytest (tests/conftest.py).
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50, 10)
    sys.exit(main(sys.argv[1:]))
