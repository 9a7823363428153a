"""Writes one hour's file: attempts by the hour of their append, runs by the hour of their event.

A batch is one transaction: the rows, the counts, and the next offset of each partition. A run's
state is kept in the file of its *event's* hour, whatever the hour of its attempts' append, so that it
is counted once and its counts change in one place. Joining a state again changes nothing: the states
of other hours are committed before the positions of the hour from which they were read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from hookstream.adapters.index.attempt_minutes import COUNTED, AttemptMinutes
from hookstream.adapters.index.attempt_minutes import SCHEMA as MINUTES_SCHEMA
from hookstream.adapters.index.attempt_rows import (
    EVERYTHING,
    INSERT_FULL,
    INSERT_PLAIN,
    JOB,
    PARTNER,
    SCHEMA,
    SUBSCRIPTION,
    TOPIC,
    AttemptShape,
    Indexed,
    Row,
    RowKind,
    is_plain,
    rest_of,
    row_of,
    shape_of,
    shape_text,
)
from hookstream.adapters.index.database import open_for_writing, transaction
from hookstream.adapters.index.error_rows import ErrorRows
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_sums import EVERYBODY, added_up, sum_next, summed_up_to
from hookstream.adapters.index.lives import (
    LIFE_COLUMNS,
    Life,
    LifePlace,
    life_row,
    newer_of,
    newest_columns,
    packed_state,
    read_newest,
    read_state,
)
from hookstream.adapters.index.packing import Packed, packed_id
from hookstream.adapters.index.postings import Of, PostingsWriter, entries_of, hashes
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import MINUTE
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.statistics.life import (
    Ending,
    LifeKey,
    LifeState,
    RunKind,
    kind_of,
)

_NEW_AT_ONCE = 500
"""The most rows of runs that are inserted at once, if all of them are new."""

_MOST_CACHED = 200_000
"""The most shapes or names that are cached in memory."""


class AttemptsFile:
    """Writes one hour's file. For one thread.

    Args:
        file: The file; it is created if it is missing.
        cache_kib: The most memory for its pages.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It is damaged, or cannot be opened.
    """

    def __init__(
        self, file: IndexFile, *, cache_kib: int = 16_384, log_pages: int = 4_000
    ) -> None:
        self.file = file
        self.start = file.start
        self._db = open_for_writing(
            file.path, SCHEMA + MINUTES_SCHEMA, cache_kib=cache_kib, log_pages=log_pages
        )
        self._names: dict[tuple[str, str], int] = {}
        self._shapes: dict[AttemptShape, tuple[int, int, int]] = {}
        self._minutes = AttemptMinutes(file.start)
        self._owners: dict[tuple[str, str], tuple[int, int]] = {}
        self._topics: dict[str, int] = {}
        self._deltas: defaultdict[tuple[int, int, int, RunKind, Ending], list[int]] = defaultdict(
            lambda: [0, 0]
        )
        self._postings = PostingsWriter(self._db)
        self._errors = ErrorRows(self._db, self._owner_of)
        self._next_row = self._row()
        self._summed = summed_up_to(self._db)
        self._db_positions = {
            TopicPartition(topic, partition): following
            for topic, partition, following in self._db.execute("SELECT * FROM positions")
        }

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition that was read for this hour, as committed."""
        return self._db_positions

    def close(self) -> None:
        """Close it, with all committed changes in the file itself."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the changes made within, all or none."""
        try:
            with transaction(self._db):
                yield
                self._flush()
        except BaseException:
            # Numbers assigned within it are rolled back.
            self._names.clear()
            self._shapes.clear()
            self._owners.clear()
            self._topics.clear()
            self._deltas.clear()
            self._minutes.forget()
            self._postings.forget()
            self._errors.forget()
            self._next_row = self._row()
            self._summed = summed_up_to(self._db)
            raise

    def sum_up(self) -> bool:
        """Compute a bounded part of the sums over the closed hour; return whether all are computed."""
        if self._summed < EVERYBODY:
            with self.transaction():
                self._summed = sum_next(self._db, self._summed, COUNTED)
        return self._summed == EVERYBODY

    def state(self, key: str) -> int | None:
        """Return a number stored about the file."""
        found = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def put_state(self, key: str, value: int) -> None:
        """Store a number about the file."""
        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def put_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Advance positions. They count once the transaction is committed."""
        self._db.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
            [(*at, following) for at, following in positions.items()],
        )

    def moved(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note that these positions are committed."""
        self._db_positions.update(positions)

    def add(self, attempts: Sequence[Indexed], deliveries: Sequence[Packed]) -> None:
        """Add attempts that are not in the file yet, whose deliveries' ids are given as they are stored."""
        first = self._next_row
        # Rows of one statement have consecutive numbers, so pages are filled only at the end.
        ordered = sorted(zip(attempts, deliveries, strict=True), key=_is_full)
        plain = len(ordered)
        rows: list[Row] = []
        kinds: list[RowKind] = []
        batches: list[tuple[Packed, int]] = []
        for number, (each, delivery) in enumerate(ordered, first):
            entry = each.entry
            shape = shape_of(entry)
            known = self._shapes.get(shape)
            if known is None:
                known = self._shape(shape)
            sub, shaped, partner = known
            self._minutes.add(sub, partner, each)
            event, entity = packed_id(entry.event_id), packed_id(entry.entity_id)
            kind = RowKind(sub, shaped, delivery, event, entity)
            kinds.append(kind)
            row = row_of(number, each, self.start, kind)
            if is_plain(entry):
                rows.append(row)
            else:
                plain = min(plain, len(rows))
                rows.append((*row, *rest_of(entry, self.start)))
            if entry.batch_id is not None:
                batches.append((packed_id(entry.batch_id), number))
        self._next_row += len(rows)
        numbers = range(first, self._next_row)
        self._postings.add(
            Of.DELIVERY, zip([each.delivery for each in kinds], numbers, strict=True)
        )
        self._postings.add(Of.EVENT, zip([each.event for each in kinds], numbers, strict=True))
        self._postings.add(Of.ENTITY, zip([each.entity for each in kinds], numbers, strict=True))
        self._postings.add(Of.BATCH, batches)
        self._db.executemany(INSERT_PLAIN, rows[:plain])
        self._db.executemany(INSERT_FULL, rows[plain:])
        self._errors.add(
            (each.entry, delivery) for each, delivery in zip(attempts, deliveries, strict=True)
        )
        self._add_lasts(
            zip([each.sub for each in kinds], [each.entry for each, _ in ordered], strict=True)
        )

    def join(self, lives: Iterable[Life]) -> None:
        """Join the information of records about runs whose events are of this hour."""
        known: dict[LifeKey, Life] = {}
        for each in lives:
            same = known.get(each.key)
            known[each.key] = each if same is None else same.joined(each)
        found = [(self._place_of(life), life) for life in known.values()]
        # Nearly every run occurs once: the rows of runs that begin here are all new.
        begun = [each for each in found if each[1].state.attempts <= 1]
        done = 0
        for start in range(0, len(begun), _NEW_AT_ONCE):
            some = begun[start : start + _NEW_AT_ONCE]
            if not self._insert_new(some):
                break
            done += len(some)
        for place, life in chain(
            begun[done:], (each for each in found if each[1].state.attempts > 1)
        ):
            self._join_one(place, life)

    def open_runs(self, origin: Origin) -> list[Life]:
        """Return the first lives of an event's deliveries that no record reports as ended."""
        found: list[Life] = []
        at = origin.timestamp - self.start
        sub = self._sub_after(0)
        while sub is not None:
            for row in self._db.execute(_OPEN_RUNS, (sub, at, *origin[:3])):
                subscription_id, partner_id, delivery, stored, attempts = row
                key = LifeKey(origin, subscription_id, None)
                found.append(Life(key, partner_id, delivery, *read_state(stored, attempts)))
            sub = self._sub_after(sub)
        return found

    def _sub_after(self, sub: int) -> int | None:
        """Return the next number of a subscription that has runs: a seek each, not a scan."""
        found = self._db.execute("SELECT min(sub) FROM lives WHERE sub > ?", (sub,)).fetchone()[0]
        return None if found is None else int(found)

    def _place_of(self, life: Life) -> LifePlace:
        origin, subscription_id, job = life.key
        owner = subscription_id, life.partner_id
        numbers = self._owner_of(*owner)
        topic = self._topics.get(origin.topic)
        if topic is None:
            topic = self._topics[origin.topic] = self.number(TOPIC, origin.topic)
        number = 0 if job is None else self.number(JOB, job)
        at = origin.timestamp - self.start
        return LifePlace(
            numbers[0], at, origin.partition, origin.offset, topic, number, numbers[1]
        )

    def _insert_new(self, lives: Sequence[tuple[LifePlace, Life]]) -> bool:
        """Insert the rows of runs and count them, unless there is a row of one of them already."""
        execute = self._db.execute
        execute("SAVEPOINT new_lives")
        before = self._db.total_changes
        self._db.executemany(_NEW_LIFE, [life_row(place, life) for place, life in lives])
        if self._db.total_changes - before != len(lives):
            execute("ROLLBACK TO new_lives")
            execute("RELEASE new_lives")
            return False
        execute("RELEASE new_lives")
        for place, life in lives:
            self._count(place, life.state, kind_of(life.state, life.key.job, test=life.test), 1)
        return True

    def _join_one(self, place: LifePlace, life: Life) -> None:
        execute = self._db.execute
        key = place[:LIFE_COLUMNS]
        state, test, job = life.state, life.test, life.key.job
        if not execute(_NEW_LIFE, life_row(place, life)).rowcount:
            origin_at = life.key.origin.timestamp
            stored, attempts, *columns = execute(_LIFE, key).fetchone()
            before, was_test = read_state(stored, attempts)
            known = read_newest(columns, origin_at, before)
            state, test = before.join(state), test or was_test
            newest = newer_of(known, life.newest)
            if (state, test, newest) == (before, was_test, known):
                return
            packed = packed_state(state, test=test)
            changed = packed, state.attempts, *newest_columns(newest, origin_at), *key
            execute(_CHANGED_LIFE, changed)
            if (state, test) == (before, was_test):
                return
            self._count(place, before, kind_of(before, job, test=was_test), -1)
        self._count(place, state, kind_of(state, job, test=test), 1)

    def number(self, kind: str, name: str) -> int:
        """Return the number of a name; a new name gets one."""
        number = self._names.get((kind, name))
        if number is not None:
            return number
        if len(self._names) >= _MOST_CACHED:
            self._names.clear()
        self._db.execute("INSERT OR IGNORE INTO names (kind, name) VALUES (?, ?)", (kind, name))
        found = self._db.execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name))
        number = self._names[kind, name] = int(found.fetchone()[0])
        return number

    def hashes(self) -> Iterator[tuple[Of, list[int]]]:
        """Yield the hashes of the ids by which attempts are looked up, in blocks of one kind."""
        for kind in Of:
            for block in hashes(self._db, kind):
                yield kind, block

    def count_of_ids(self) -> int:
        """Return an upper bound of their number."""
        return sum(entries_of(self._db, kind) for kind in Of)

    def _row(self) -> int:
        return int(
            self._db.execute("SELECT coalesce(max(row), -1) + 1 FROM attempts").fetchone()[0]
        )

    def _owner_of(self, subscription_id: str, partner_id: str) -> tuple[int, int]:
        """Return the numbers of a subscription and its partner."""
        return self._owners.get((subscription_id, partner_id)) or self._owner(
            subscription_id, partner_id
        )

    def _owner(self, subscription_id: str, partner_id: str) -> tuple[int, int]:
        """Return the numbers of a subscription and its partner, and store that it is the partner's."""
        if len(self._owners) >= _MOST_CACHED:
            self._owners.clear()
        sub, partner = self.number(SUBSCRIPTION, subscription_id), self.number(PARTNER, partner_id)
        self._db.execute("INSERT OR IGNORE INTO owners VALUES (?, ?)", (partner, sub))
        self._owners[subscription_id, partner_id] = sub, partner
        return sub, partner

    def _shape(self, shape: AttemptShape) -> tuple[int, int, int]:
        """Return the numbers of a shape's subscription, of the shape, and of its partner."""
        if len(self._shapes) >= _MOST_CACHED:
            self._shapes.clear()
        body = shape_text(shape)
        sub, partner = self._owner(shape.subscription_id, shape.partner_id)
        self._db.execute("INSERT OR IGNORE INTO shapes (body) VALUES (?)", (body,))
        found = self._db.execute("SELECT id FROM shapes WHERE body = ?", (body,)).fetchone()
        numbers = self._shapes[shape] = sub, int(found[0]), partner
        return numbers

    def _count(self, place: LifePlace, state: LifeState, kind: RunKind, runs: int) -> None:
        delta = self._deltas[place.sub, place.partner, place.at // MINUTE, kind, state.ending]
        delta[0] += runs
        delta[1] += runs * max(0, state.attempts - 1)

    def _flush(self) -> None:
        """Write the ids and the counts that changed."""
        self._postings.flush()
        self._minutes.flush(self._db, self._summed)
        totals: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        for (sub, partner, minute, kind, ending), (runs, retries) in self._deltas.items():
            for who in (sub, partner, EVERYTHING):
                total = totals[who, minute, int(kind), int(ending)]
                total[0] += runs
                total[1] += retries
        sums = added_up(totals.items(), self._summed)
        self._db.executemany(
            _COUNTS,
            [
                (*key, runs, retries)
                for key, (runs, retries) in chain(sorted(totals.items()), sums.items())
                if runs or retries
            ],
        )
        self._deltas.clear()

    def _add_lasts(self, entries: Iterable[tuple[int, AuditEntry]]) -> None:
        """Keep the newest of attempts, given with the numbers of their subscriptions."""
        lasts: dict[int, AuditEntry] = {}
        for sub, entry in entries:
            if entry.outcome is not None:
                last = lasts.get(sub)
                if last is None or _newer(entry, last):
                    lasts[sub] = entry
        newest = dict(lasts)
        for entry in lasts.values():
            for who in (self.number(PARTNER, entry.partner_id), EVERYTHING):
                if who not in newest or _newer(entry, newest[who]):
                    newest[who] = entry
        self._db.executemany(
            _LAST,
            [
                (who, each.started_at, each.outcome, each.status, each.delivery_id)
                for who, each in newest.items()
            ],
        )


def _newer(entry: AuditEntry, other: AuditEntry) -> bool:
    """Return whether an attempt is the later one, in the file's own order."""
    return (entry.started_at, entry.delivery_id) > (other.started_at, other.delivery_id)


def _is_full(each: tuple[Indexed, Packed]) -> bool:
    return not is_plain(each[0].entry)


_OPEN_RUNS = (
    "SELECT s.name, p.name, l.delivery, l.state, l.attempts FROM lives l JOIN names s ON s.id = l.sub"
    " JOIN owners o ON o.sub = l.sub JOIN names p ON p.id = o.partner JOIN names t ON t.id = l.topic"
    " WHERE l.sub = ? AND l.at = ? AND t.name = ? AND l.partition = ? AND l.offset = ? AND l.job = 0"
    f" AND (l.state & 7) = {int(Ending.OPEN)}"
)
_LIFE = (
    "SELECT state, attempts, newest_after, newest_took, newest_partition, newest_offset FROM lives WHERE sub = ? AND at = ? AND partition = ? AND offset = ?"
    " AND topic = ? AND job = ?"
)
_NEW_LIFE = "INSERT OR IGNORE INTO lives VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHANGED_LIFE = (
    "UPDATE lives SET state = ?, attempts = ?, newest_after = ?, newest_took = ?, newest_partition = ?,"
    " newest_offset = ? WHERE sub = ? AND at = ? AND partition = ?"
    " AND offset = ? AND topic = ? AND job = ?"
)
_COUNTS = (
    "INSERT INTO minutes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET runs = runs + excluded.runs, retries = retries + excluded.retries"
)
_LAST = (
    "INSERT INTO lasts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET started = excluded.started,"
    " outcome = excluded.outcome, status = excluded.status, delivery = excluded.delivery"
    " WHERE (excluded.started, excluded.delivery) > (started, delivery)"
)
