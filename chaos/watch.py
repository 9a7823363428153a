"""Watches who owns each partition, so that each move is known with what was unsettled then.

A worker that joins or leaves moves partitions of others, too. What waits in a queue then is dropped,
and an attempt that takes longer than a revocation may wait ends without settling: those events come
again, as after a crash. The broker is queried about twice a second; a move lies between two queries, so
what was unsettled is taken from the commits of the query before it. A partition that went twice
between two queries, or went and came back, is known from the logs of the workers that gave it up.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from examples.demo.log import Place

from chaos.topics import NO_ANSWER, Positions, Topics

_PAUSE = 0.4


@dataclass(slots=True, frozen=True)
class Move:
    """Partitions that left their owner, between two queries."""

    at: float
    """Seconds since 1970, of the later query."""
    before: Positions
    """Of these partitions alone."""


class WorkersLog:
    """The log of one worker, read from where the last read ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""

    def given_up(self) -> Iterator[Place]:
        """Yield each partition that the worker was notified of losing, since the last call.

        Raises:
            ValueError: A line does not name all of them: a copy of the others would look unexplained.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = self._rest + file.read()
            self._read = file.tell()
        *lines, self._rest = new.split(b"\n")
        for line in lines:
            if b'"partitions.revoked"' not in line and b'"partitions.lost"' not in line:
                continue
            fields = json.loads(line)
            places = list(_named(fields["names"]))
            if len(places) != fields["count"]:
                raise ValueError(f"a line names {len(places)} of its partitions: {line.decode()}")
            yield from places


def _named(names: str) -> Iterator[Place]:
    """Yield the partitions of `orders/0-2, orders/5`."""
    for name in names.split(", "):
        topic, _, numbers = name.rpartition("/")
        if topic:
            first, _, last = numbers.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield topic, number


def moves_between(
    held: Mapping[Place, str],
    now_held: Mapping[Place, str],
    given_up: Mapping[Place, int],
    before: Positions,
    at: float,
) -> list["Move"]:
    """Return the moves between two queries; a partition that moved more than once is in more than one.

    Args:
        held: Who owned each partition at the query before.
        now_held: Who owns it now.
        given_up: How often workers logged that they gave it up since.
        before: The commits of the query before, and the ends of this one.
        at: Seconds since 1970, of this query.
    """
    times = Counter(given_up)
    for place, owner in held.items():
        if now_held.get(place) != owner:
            times[place] = max(times[place], 1)
    found = []
    for turn in range(max(times.values(), default=0)):
        places = [place for place, many in times.items() if many > turn]
        committed = {place: before.committed.get(place, 0) for place in places}
        ends = {place: before.ends.get(place, 0) for place in places}
        found.append(Move(at, Positions(committed, ends)))
    return found


class Watch:
    """Watches from its own thread while a `with` block runs."""

    def __init__(self, topics: Topics, logs: Sequence[Path]) -> None:
        """Watch the partitions of `topics`, and the workers that write `logs`."""
        self._topics = topics.for_another_thread()
        self._logs = [WorkersLog(path) for path in logs]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch")
        self._failed: BaseException | None = None
        self.moves: list[Move] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and raise what ended the thread before."""
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _watch(self) -> None:
        try:
            self._watch_until_stopped()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the main thread
            self._failed = failure

    def _watch_until_stopped(self) -> None:
        topics = self._topics
        read = (topics.events, topics.tiers())
        wanted = [*read[0], *read[1]]
        held: dict[Place, str] = {}
        committed: dict[Place, int] = {}
        given_up: Counter[Place] = Counter()
        while not self._stop.wait(_PAUSE):
            for log in self._logs:
                given_up.update(log.given_up())
            try:
                with topics.family.asking:
                    now_committed = topics.look_committed(read)
                    now_held = topics.look_owners()
                    ends = topics.look_ends(wanted)
            except NO_ANSWER:
                continue  # the broker is down: the next query compares with the last complete one
            before = Positions(committed, ends)
            self.moves += moves_between(held, now_held, given_up, before, time.time())
            held, committed = now_held, now_committed
            given_up.clear()
