"""Reads one hour's file: attempts and runs, the newest first, and counts. Callers bound the work."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from hookstream.adapters.index.answers import IndexedAttempt
from hookstream.adapters.index.attempt_minutes import attempts_in, attempts_of_hour, failing_in
from hookstream.adapters.index.attempt_rows import (
    COLUMNS,
    EVERYTHING,
    PARTNER,
    SUBSCRIPTION,
    AttemptShape,
    StoredAttempt,
    entry_of,
    read_shape,
)
from hookstream.adapters.index.database import open_for_reading
from hookstream.adapters.index.error_rows import (
    GatheredPatterns,
    PatternRow,
    SeenRow,
    errors_seen,
    patterns_like,
    patterns_of,
    successes_seen,
)
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_sums import NOBODY, WHOLE, summed_up_to
from hookstream.adapters.index.lives import NewestEntry, read_newest, read_state
from hookstream.adapters.index.newest_first import kind_of_attempts, kind_of_runs, newest_first
from hookstream.adapters.index.packing import Packed, delivery_of
from hookstream.adapters.index.postings import Of, rows_of
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.record import Origin
from hookstream.core.statistics.attempts import CountedAttempts
from hookstream.core.statistics.counts import OVERDUE, CountedRuns, LastAttempt
from hookstream.core.statistics.errors import ErrorPattern, Fingerprint
from hookstream.core.statistics.life import Ending, LifeKey, LifeState, RunKind
from hookstream.core.statistics.overview import FailingEndpoint, Steps

Place: TypeAlias = tuple[Millis, int, int]
"""Append time, partition and offset: the order of attempts."""

MOST_MATCHES = 50_000
"""The most attempts of one id in one hour that are read, the newest."""

_MOST_SHAPES = _MOST_NAMES = 50_000
_NOBODY = -1

_OF_LIFE = "state, attempts, delivery, newest_after, newest_took, newest_partition, newest_offset"
_COLUMN = {Of.DELIVERY: "delivery", Of.EVENT: "event", Of.ENTITY: "entity", Of.BATCH: "batch"}


class FoundLife(NamedTuple):
    """A run's row in its event's hour."""

    key: LifeKey
    delivery_id: str
    state: LifeState
    test: bool
    newest: NewestEntry | None
    """The place of its newest audit entry; None: there is none."""


class MetAttempt(NamedTuple):
    """An attempt in the order of a list: its place and shape; other columns are read if it is selected."""

    place: Place
    shape: int
    row: int


class HourReader:
    """Reads one hour's file. For one thread at a time.

    Args:
        file: The file.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It does not exist, or is damaged.
    """

    def __init__(self, file: IndexFile) -> None:
        self.start = file.start
        self._db = open_for_reading(file.path)
        self._shapes: dict[int, AttemptShape] = {}
        self._names: dict[int, str] = {}

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def shape(self, number: int) -> AttemptShape:
        """Return a shape."""
        found = self._shapes.get(number)
        if found is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            body = self._db.execute("SELECT body FROM shapes WHERE id = ?", (number,)).fetchone()[
                0
            ]
            found = self._shapes[number] = read_shape(body)
        return found

    def subscriptions(
        self, partner_id: str | None, names: Collection[str] | None
    ) -> list[int] | None:
        """Return the numbers of a partner's subscriptions, of those that are named; None: of all.

        A subscription of another partner is left out.
        """
        if names is None and partner_id is None:
            return None
        if names is None:
            partner = self._number(PARTNER, partner_id or "")
            found = self._db.execute("SELECT sub FROM owners WHERE partner = ?", (partner,))
            return [sub for (sub,) in found]
        # One statement, however many are named.
        owned = "" if partner_id is None else " JOIN owners o ON o.partner = ?3 AND o.sub = n.id"
        values: list[object] = [json.dumps(sorted(names)), SUBSCRIPTION]
        if partner_id is not None:
            values.append(self._number(PARTNER, partner_id))
        found = self._db.execute(
            "SELECT n.id FROM json_each(?1) j CROSS JOIN names n ON n.kind = ?2 AND n.name = j.value"
            + owned,
            values,
        )
        return [sub for (sub,) in found]

    def attempts(
        self, subs: Sequence[int] | None, before: Place | None, *, failures: bool
    ) -> Iterator[MetAttempt]:
        """Yield the attempts of subscriptions before a place, the newest first.

        Args:
            subs: Their numbers; None: all.
            before: Only what comes before this place.
            failures: Only those that failed.
        """
        kind, start = kind_of_attempts(failures=failures), self.start
        found = newest_first(self._db, kind, subs, self._relative(before), including=False)
        for at, partition, offset, shape, row in found:
            yield MetAttempt((at + start, partition, offset), shape, row)

    def matching(self, kind: Of, packed: Packed, before: Place | None) -> list[MetAttempt]:
        """Return the attempts of an id before a place, the newest first: the newest `MOST_MATCHES`."""
        found: list[MetAttempt] = []
        start = self.start
        self._db.execute("BEGIN")
        try:
            for row in rows_of(self._db, kind, packed, MOST_MATCHES):
                read = self._db.execute(
                    f"SELECT at, partition, offset, shape FROM attempts WHERE row = ?"
                    f" AND {_COLUMN[kind]} = ?",
                    (row, packed),
                ).fetchone()
                if read is not None:
                    place = read[0] + start, read[1], read[2]
                    if before is None or place < before:
                        found.append(MetAttempt(place, read[3], row))
        finally:
            self._db.execute("COMMIT")
        found.sort(reverse=True)
        return found

    def attempt(self, row: int) -> IndexedAttempt:
        """Return an attempt."""
        read = self._db.execute(
            f"SELECT {COLUMNS} FROM attempts WHERE row = ?",
            (row,),
        ).fetchone()
        stored = StoredAttempt(*read)
        entry = entry_of(stored, self.shape(stored.shape), self.start)
        return IndexedAttempt(entry, stored.at + self.start, stored.partition, stored.offset)

    def attempt_at(self, subscription_id: str, place: Place) -> IndexedAttempt | None:
        """Return a subscription's attempt at a place; None: there is none."""
        at, partition, offset = place
        found = self._db.execute(
            "SELECT row FROM attempts INDEXED BY of_subscription"
            " WHERE sub = ? AND at = ? AND partition = ? AND offset = ?",
            (
                self._number(SUBSCRIPTION, subscription_id),
                at - self.start,
                partition,
                offset,
            ),
        ).fetchone()
        return None if found is None else self.attempt(found[0])

    def newest_shapes(self, lives: Iterable[FoundLife]) -> Iterator[tuple[LifeKey, AttemptShape]]:
        """Yield the runs whose newest entry is in this hour, each with what recurs of that entry.

        A run is left out if another one's entry, or none, is at the place that is known for its own.
        """
        numbers: dict[str, int | None] = {}
        for key, delivery_id, _, _, newest in lives:
            if newest is None:
                continue
            name, job = key.subscription_id, key.job
            if name not in numbers:
                numbers[name] = self._number(SUBSCRIPTION, name)
            found = self._db.execute(
                "SELECT shape, opart, ooffset, job, delivery FROM attempts INDEXED BY of_subscription"
                " WHERE sub = ? AND at = ? AND partition = ? AND offset = ?",
                (numbers[name], newest.at - self.start, newest.partition, newest.offset),
            ).fetchone()
            if found is None:
                continue
            shape, origin = self.shape(found[0]), key.origin
            place = shape.origin_topic, *found[1:4]
            if place == (origin.topic, origin.partition, origin.offset, job) and (
                delivery_of(found[4]) == delivery_id
            ):
                yield key, shape

    def lives(
        self, subs: Sequence[int] | None, before: Place | None, endings: frozenset[Ending]
    ) -> Iterator[tuple[Place, FoundLife]]:
        """Yield the runs of subscriptions up to a place, the one with the newest event first.

        Args:
            subs: The numbers of subscriptions; None: all.
            before: Only what is at this place of the event or before it.
            endings: Only those that have ended so.
        """
        kind = kind_of_runs(endings)
        found = newest_first(self._db, kind, subs, self._relative(before), including=True)
        for at, partition, offset, sub, topic, job, *rest in found:
            origin = Origin(self._name(topic), partition, offset, at + self.start)
            key = LifeKey(origin, self._name(sub), self._name(job) if job else None)
            yield (at + self.start, partition, offset), _found(key, rest)

    def life(self, key: LifeKey) -> FoundLife | None:
        """Return the row of a run whose event is of this hour; None: there is none."""
        sub = self._number(SUBSCRIPTION, key.subscription_id)
        topic = self._number("t", key.origin.topic)
        job = 0 if key.job is None else self._number("j", key.job)
        found = self._db.execute(
            f"SELECT {_OF_LIFE} FROM lives WHERE sub = ? AND at = ? AND partition = ?"
            " AND offset = ? AND topic = ? AND job = ?",
            (
                sub,
                key.origin.timestamp - self.start,
                key.origin.partition,
                key.origin.offset,
                topic,
                job,
            ),
        ).fetchone()
        return None if found is None else _found(key, found)

    def counts_of_steps(
        self, whose: Sequence[int], steps: Steps, now: Millis
    ) -> Iterator[CountedRuns]:
        """Yield the counts of each step, with those that are overdue at present separate from others."""
        minutes = self._minutes(steps)
        overdue_before = (now - OVERDUE - self.start) // MINUTE
        summed = self._summed(steps)
        for who in whose:
            if who <= summed and overdue_before >= HOUR // MINUTE:
                found = self._db.execute(
                    "SELECT ?, kind, ending, runs, retries FROM minutes"
                    " WHERE who = ? AND minute = ? AND runs > 0",
                    (HOUR // MINUTE - 1, who, WHOLE),
                )
            else:
                found = self._db.execute(
                    "SELECT max(minute), kind, ending, sum(runs), sum(retries) FROM minutes"
                    " WHERE who = ? AND minute >= ? AND minute < ? AND runs > 0"
                    " GROUP BY (minute + ?) / ?, kind, ending, minute < ?",
                    (who, minutes.start, minutes.stop, *self._step(steps), overdue_before),
                )
            for minute, kind, ending, runs, retries in found:
                at = self.start + minute * MINUTE
                yield CountedRuns(at, RunKind(kind), Ending(ending), runs, retries)

    def attempts_of_steps(self, whose: Sequence[int], steps: Steps) -> Iterator[CountedAttempts]:
        """Yield the requests of each step that were recorded within it."""
        summed = self._summed(steps)
        for who in whose:
            if who <= summed:
                for each in attempts_of_hour(self._db, who):
                    yield each._replace(at=self.start)
                continue
            for minute, counted in attempts_in(
                self._db, who, self._minutes(steps), *self._step(steps)
            ):
                yield counted._replace(at=self.start + minute * MINUTE)

    def failing(self, subs: Sequence[int] | None, steps: Steps) -> list[FailingEndpoint]:
        """Return the endpoints with the most failed requests of an interval, at most `MOST_FAILING`."""
        minutes = self._minutes(steps)
        whole = minutes == range(HOUR // MINUTE)
        return failing_in(self._db, subs, None if whole else minutes)

    def most_frequent_error(self, name: str) -> ErrorPattern | None:
        """Return the most frequent error of a subscription; None: it has none."""
        sub = self._number(SUBSCRIPTION, name)
        errors = GatheredPatterns()
        errors.add(() if sub is None else self.errors([sub], None, 1))
        return next(iter(errors.most_frequent(1)), None)

    def _minutes(self, steps: Steps) -> range:
        """Return the minutes of the hour that an interval overlaps."""
        first = (steps.since - self.start) // MINUTE
        last = -(-(steps.until - self.start) // MINUTE)
        return range(max(0, first), min(HOUR // MINUTE, last))

    def _summed(self, steps: Steps) -> int:
        """Return the name up to which sums over the hour suffice, since the hour lies within one step."""
        end = self.start + HOUR
        if self.start < steps.since or end > steps.until:
            return NOBODY
        first, last = ((at - steps.since) // steps.step for at in (self.start, end - 1))
        return summed_up_to(self._db) if first == last else NOBODY

    def _step(self, steps: Steps) -> tuple[int, int]:
        """Return the minutes from an interval's start to the hour's, and those of a step."""
        return (self.start - steps.since) // MINUTE, steps.step // MINUTE

    def whose(self, partner_id: str | None, names: Collection[str] | None) -> list[int]:
        """Return the numbers under which counts are kept: of subscriptions, a partner, or everything."""
        if names is not None:
            return self.subscriptions(partner_id, names) or []
        if partner_id is None:
            return [EVERYTHING]
        partner = self._number(PARTNER, partner_id)
        return [] if partner is None else [partner]

    def errors(
        self, subs: Sequence[int] | None, partner_id: str | None, most: int
    ) -> list[PatternRow]:
        """Return the most frequent patterns of errors of subscriptions; None: of all. With a partner, only its own."""
        return patterns_of(self._db, subs, self._partner(partner_id), most)

    def errors_like(
        self, named: Iterable[Fingerprint], partner_id: str | None
    ) -> Iterator[PatternRow]:
        """Yield the errors of some patterns. With a partner, only its own."""
        return patterns_like(self._db, named, self._partner(partner_id))

    def seen_errors(
        self, subs: Sequence[int] | None, partner_id: str | None, *, deliveries: bool
    ) -> Iterator[SeenRow]:
        """Yield errors as `errors_seen` does; otherwise as `errors`."""
        partner = self._partner(partner_id)
        yield from errors_seen(self._db, subs, partner, deliveries=deliveries)

    def successes(self, subs: Sequence[int] | None) -> Iterator[tuple[str, Millis]]:
        """Yield the last success of subscriptions; None: of all."""
        yield from successes_seen(self._db, subs)

    def _partner(self, partner_id: str | None) -> int | None:
        """Return a partner's number, an unused one if the hour has nothing of it; None: no partner is given."""
        if partner_id is None:
            return None
        return self._number(PARTNER, partner_id) or _NOBODY

    def last(self, whose: Sequence[int]) -> LastAttempt | None:
        """Return the newest attempt."""
        found = [
            LastAttempt(*row)
            for who in whose
            for row in self._db.execute(
                "SELECT started, outcome, status, delivery FROM lasts WHERE who = ?", (who,)
            )
        ]
        return max(found, key=lambda each: (each.at, each.delivery_id), default=None)

    def _relative(self, place: Place | None) -> Place | None:
        """Return a place with its time relative to the hour's start, as in rows."""
        return None if place is None else (place[0] - self.start, *place[1:])

    def _number(self, kind: str, name: str) -> int | None:
        found = self._db.execute(
            "SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return None if found is None else int(found[0])

    def _name(self, number: int) -> str:
        found = self._names.get(number)
        if found is None:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            row = self._db.execute("SELECT name FROM names WHERE id = ?", (number,)).fetchone()
            found = self._names[number] = str(row[0])
        return found


def _found(key: LifeKey, columns: Sequence[Any]) -> FoundLife:
    """Return a run from the columns `_OF_LIFE` of its row."""
    stored, attempts, delivery, *newest = columns
    state, test = read_state(stored, attempts)
    entry = read_newest(newest, key.origin.timestamp, state)
    return FoundLife(key, delivery_of(delivery), state, test, entry)
