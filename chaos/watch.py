"""Watches who holds each partition, so that a move is known with what was unsettled when it came.

A worker that comes or goes moves partitions of others, too. What waits in a queue then is let go of,
and an attempt that takes longer than a revocation may wait ends without settling: those events come
again, as after a crash. The broker is asked about twice a second; a move lies between two looks, so
what was unsettled is taken from the commits of the look before it.
"""

import threading
import time
from dataclasses import dataclass
from typing import Self

from examples.demo.log import Place

from chaos.topics import NO_ANSWER, Positions, Topics

_PAUSE = 0.4


@dataclass(slots=True, frozen=True)
class Move:
    """Partitions that left the member that held them, between two looks."""

    at: float
    """Seconds since 1970, of the later look."""
    before: Positions
    """Of these partitions alone."""


class Watch:
    """Looks from a thread of its own while a `with` block runs."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics.for_another_thread()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch")
        self.moves: list[Move] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        topics = self._topics
        read = (topics.events, topics.tiers())
        wanted = [*read[0], *read[1]]
        held: dict[Place, str] = {}
        committed: dict[Place, int] = {}
        while not self._stop.wait(_PAUSE):
            try:
                with topics.family.asking:
                    now_committed = topics.look_committed(read)
                    now_held = topics.look_owners()
                    ends = topics.look_ends(wanted)
            except NO_ANSWER:
                continue  # the broker is away: the next look compares with the last that was whole
            moved = {place for place, owner in held.items() if now_held.get(place) != owner}
            if moved:
                before = Positions(
                    {place: committed.get(place, 0) for place in moved},
                    {place: ends.get(place, 0) for place in moved},
                )
                self.moves.append(Move(time.time(), before))
            held, committed = now_held, now_committed
