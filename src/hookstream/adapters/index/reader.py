"""Reads the index for the API and the console's pages, read-only and with bounded work."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from hookstream.adapters.index.answers import (
    AsideCounts,
    AsideRecord,
    AttemptFilter,
    Cursor,
    DeadLetterFilter,
    DeliveryAnswer,
    DeliveryFilter,
    DueFilter,
    IndexedAttempt,
    IndexedDelivery,
    OperationsEvent,
    OperationsFilter,
    Page,
    PendingFilter,
    PendingSummary,
    ReasonCount,
    ReasonCounts,
    TierCount,
    UndecodableFilter,
    Whose,
    Window,
)
from hookstream.adapters.index.aside_reader import AsideReader, aside_filter
from hookstream.adapters.index.counts_of_each import counts_of_each
from hookstream.adapters.index.delivery_views import LifeOrder, Runs, history_from
from hookstream.adapters.index.failures_seen import looked_in
from hookstream.adapters.index.folder import Family, IndexFile, IndexFolder
from hookstream.adapters.index.hour_reader import FoundLife, HourReader, Place
from hookstream.adapters.index.id_filter import IdFilter
from hookstream.adapters.index.interval_statistics import statistics_of
from hookstream.adapters.index.likely_runs import likely_runs
from hookstream.adapters.index.now_reader import NowReader
from hookstream.adapters.index.opened_files import OpenedFiles, OpenLimit, reading, using
from hookstream.adapters.index.overviews import overview_of
from hookstream.adapters.index.packing import Packed, packed_delivery
from hookstream.adapters.index.postings import Of, hash_of
from hookstream.adapters.index.selecting import (
    checked_cursor,
    has_ids,
    id_asked,
    key_of,
    lives_before,
    met,
    place_of,
    selects,
    selects_run,
)
from hookstream.adapters.system import SystemClock
from hookstream.core.audit.copies import merged
from hookstream.core.audit.run_states import PendingRecord, waiting
from hookstream.core.failures.book import Looked
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.statistics.counts import Counts, Statistics
from hookstream.core.statistics.due import DueIntervals, due_intervals
from hookstream.core.statistics.life import Ending, key_of_waiting
from hookstream.core.statistics.overview import (
    Overview,
    OverviewWindow,
    Steps,
    is_whole,
    steps_for,
)
from hookstream.core.statistics.reading import StatisticsBuilder
from hookstream.errors import DependencyUnavailable, InputRefused

MOST_LOOKED = 20_000
"""The most attempts that a page examines."""

_MOST_RUNS, _MOST_MET = 200, 4_000
"""The most runs whose states a page determines, and the most that it examines."""

_MOST_STEPS = 2_000
_MOST_FILTERS = 1_000
"""Filters take no descriptor while they are open."""
_LIVES_AT_FIRST, _LIVES_AT_ONCE = 100, 500


class IndexReader:
    """Answers from the index's folder. Blocks; for one thread at a time.

    Every method may raise DependencyUnavailable: the folder has no index yet, or a file was replaced
    while it was read (try again). Lists refuse the cursor of another list with InputRefused. `limit` is
    1 to `MOST_LISTED`.

    Args:
        folder: The index's folder, which a writer fills.
        clock: The machine's clock, to check that the writer is alive.
        limit: The limit of open files of all readers of the process; None: only this one's bound.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], Millis] | None = None,
        limit: OpenLimit | None = None,
    ) -> None:
        self._folder = IndexFolder(folder)
        self._clock = clock or SystemClock().now
        self._hours: OpenedFiles[HourReader] = OpenedFiles(together=limit)
        self._days: OpenedFiles[AsideReader] = OpenedFiles(together=limit)
        self._nows: OpenedFiles[NowReader] = OpenedFiles(1)
        self._filters: OpenedFiles[IdFilter] = OpenedFiles(_MOST_FILTERS)

    def close(self) -> None:
        """Close all files."""
        for files in (self._hours, self._days, self._nows, self._filters):
            files.close()

    def window(self) -> Window:
        """Return the time for which the index answers."""
        with self._reading_now() as now:
            return now.window(self._clock())

    def attempts(
        self, wanted: AttemptFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedAttempt]:
        """Return attempts, the newest first by append time. Copies are not merged here."""
        window, before = self.window(), place_of(after, limit)
        found: list[IndexedAttempt] = []
        looked = 0
        last: Place | None = None
        asked = id_asked(wanted)
        for hour in self._of_window(window, wanted.since, wanted.until, before):
            if asked is not None and not self._may_have(hour, *asked):
                continue
            with self._hour(hour) as reader:
                if reader is None:
                    continue
                for each in met(reader, wanted, before):
                    looked, last = looked + 1, each.place
                    if selects(wanted, reader.shape(each.shape), each.place):
                        attempt = reader.attempt(each.row)
                        if has_ids(wanted, attempt):
                            found.append(attempt)
                    if len(found) >= limit or looked >= MOST_LOOKED:
                        return Page(tuple(found), last, window)
        return Page(tuple(found), None, window)

    def deliveries(
        self, wanted: DeliveryFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedDelivery]:
        """Return runs of deliveries, the one with the newest event first."""
        if wanted.event_id is not None or wanted.entity_id is not None:
            return self._deliveries_of_ids(wanted, after, limit)
        window, before = self.window(), key_of(after, limit)
        found: list[IndexedDelivery] = []
        looked = 0
        runs = self._runs(window)
        for hour in self._of_window(window, wanted.since, wanted.until, before and before[:3]):
            for key, life, is_likely in self._lives(hour, wanted, before, runs):
                looked += MOST_LOOKED // _MOST_MET
                if is_likely:
                    each = runs.of_life(life)
                    if each is not None and selects_run(wanted, each):
                        found.append(each)
                    looked += MOST_LOOKED // _MOST_RUNS
                if len(found) >= limit or looked >= MOST_LOOKED:
                    return Page(tuple(found), key, window)
        return Page(tuple(found), None, window)

    def delivery(
        self, delivery_id: str, *, partner_id: str | None = None
    ) -> DeliveryAnswer | None:
        """Return everything about one delivery; None: the window has nothing of it, or it is another partner's."""
        window = self.window()
        runs = self._runs(window)
        entries = [each.entry for each in runs.attempts_of(packed_delivery(delivery_id))]
        pending = runs.pending_of(delivery_id)
        aside = runs.dead_of(delivery_id)
        owners = {
            *((each.subscription_id, each.partner_id) for each in entries),
            *((each.delivery.subscription_id, each.delivery.partner_id) for each in pending),
            *((each.summary.subscription_id, each.summary.partner_id) for each in aside),
        }
        # All records with one id are of one subscription; another partner's are not shown.
        if not owners or any(partner_id not in (None, owner) for _, owner in owners):
            return None
        subscription_id, owner = next(iter(owners))
        attempts = merged(entries)
        return DeliveryAnswer(
            history_from(delivery_id, [each.entry for each in attempts], aside, self._asked_at),
            tuple(waiting(pending, entries)),
            subscription_id,
            owner,
            window,
            tuple(entries) if len(attempts) < len(entries) else (),
        )

    def pending(
        self, wanted: PendingFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[PendingRecord]:
        """Return the waiting tier records, in the order of their due times."""
        checked_cursor(after, limit, (int, str, int, int))
        window = self.window()
        with self._reading_now() as now:
            records, following = now.pending(wanted, after, limit, MOST_LOOKED)
            newest = [each for each in records if not now.has_newer(each)]
        open_ones = [each for each in newest if not self._has_ended(each)]
        return Page(tuple(open_ones), following, window)

    def only_counted(self, whose: Whose) -> int:
        """Return the number of waiting records that are in no list; see `PendingSummary.only_counted`."""
        with self._reading_now() as now:
            return now.only_counted(whose)

    def pending_summary(self, wanted: DueFilter, due: DueIntervals) -> PendingSummary:
        """Count the waiting runs by tier, subscription and due time."""
        with self._reading_now() as now:
            return now.summary(wanted, due, now.window(self._clock()))

    def waiting_tiers(self, wanted: DueFilter, now: Millis) -> tuple[TierCount, ...]:
        """Count the waiting runs by tier; `now` is the present, which makes them overdue."""
        with self._reading_now() as reader:
            return reader.tiers(wanted, due_intervals(1, now))

    def dead_letters(
        self, wanted: DeadLetterFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        """Return dead letters, the newest first."""
        return self._aside(RedriveSource.DEAD_LETTERS, wanted, after, limit)

    def undecodable(
        self, wanted: UndecodableFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        """Return undecodable records, the newest first: for operators only."""
        return self._aside(RedriveSource.UNDECODABLE, wanted, after, limit)

    def dead_letter_counts(self, whose: Whose) -> AsideCounts:
        """Count the open dead letters by subscription and reason."""
        return self._counts(RedriveSource.DEAD_LETTERS, whose)

    def undecodable_counts(self) -> AsideCounts:
        """Count the open undecodable records by origin topic and reason: for operators only."""
        return self._counts(RedriveSource.UNDECODABLE, Whose())

    def reasons(
        self, source: RedriveSource, whose: Whose, since: Millis, until: Millis
    ) -> ReasonCounts:
        """Count the dead letters or undecodable records of an interval, by reason; the latter for operators."""
        window = self.window()
        counts: dict[str, ReasonCount] = {}
        for day in self._of_days(window, since, until, None):
            with self._day(day) as reader:
                for each in () if reader is None else reader.reasons(source, whose, since, until):
                    known = counts.get(each.reason, ReasonCount(each.reason, 0, 0))
                    counts[each.reason] = known.plus(each)
        order = sorted(counts.values(), key=lambda each: (-each.records, each.reason))
        return ReasonCounts(tuple(order), window)

    def operations(
        self, wanted: OperationsFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[OperationsEvent]:
        """Return operations events, the newest first."""
        window, before = self.window(), place_of(after, limit)
        found: list[OperationsEvent] = []
        looked = 0
        for day in self._of_days(window, wanted.since, wanted.until, before):
            with self._day(day) as reader:
                for each in () if reader is None else reader.operations(wanted, before):
                    looked += 1
                    if wanted.types is None or each.type in wanted.types:
                        found.append(each)
                    if len(found) >= limit or looked >= MOST_LOOKED:
                        place = each.at, each.partition, each.offset
                        return Page(tuple(found), place, window)
        return Page(tuple(found), None, window)

    def statistics(
        self,
        whose: Whose,
        since: Millis,
        until: Millis,
        step: Millis,
        *,
        now: Millis,
    ) -> Statistics:
        """Return the statistics of subscriptions, one partner, or everything.

        Errors and the last attempt are of the hours of append time that the interval overlaps. Of each hour
        the `MOST_PATTERNS_LOOKED` most frequent error patterns are read.

        Args:
            whose: A partner, subscriptions of it, or neither.
            since: The start of the interval of events; it is moved to the start of what is known.
            until: Its end.
            step: The length of each of its steps, a whole number of minutes, at most 2,000 steps.
            now: The present by the brokers' clock.

        Raises:
            InputRefused: The interval or its step is out of bounds.
        """
        if (
            step < MINUTE
            or step % MINUTE
            or until <= since
            or (until - since) // step > _MOST_STEPS
        ):
            raise InputRefused(
                f"an interval has 1 to {_MOST_STEPS:,} steps of whole minutes, its end after its start"
            )
        window = self.window()
        known_since, known_until = window.since, window.until
        if known_since is None or known_until is None:
            raise DependencyUnavailable("the index has read nothing yet: try again in a moment")
        start = max(since, known_since)
        start -= start % MINUTE
        builder = StatisticsBuilder(start, until, step, now=now, whole=since >= known_since)
        hours = [*self._of_window(window, start, until + HOUR, None)]
        return statistics_of(hours, self._hour, whose, builder)

    def overview(self, whose: Whose, wanted: OverviewWindow, *, now: Millis) -> Overview:
        """Return the numbers of subscriptions, one partner, or everything, over a window up to now.

        Of each hour the `MOST_FAILING` endpoints with the most failed requests are read.

        Args:
            whose: A partner, subscriptions of it, or neither.
            wanted: The window.
            now: The present by the brokers' clock.
        """
        steps, hours, known = self._steps(wanted, now)
        whole = is_whole(wanted, now, known)
        return overview_of(hours, self._hour, whose, steps, known, whole=whole)

    def counts_of_each(
        self, subscriptions: Collection[str], wanted: OverviewWindow, *, now: Millis
    ) -> tuple[Millis, dict[str, Counts]]:
        """Return the counts of each subscription up to now, and the time from which they count."""
        steps, hours, known = self._steps(wanted, now)
        return max(steps.since, known), counts_of_each(hours, self._hour, subscriptions, steps)

    def _steps(self, wanted: OverviewWindow, now: Millis) -> tuple[Steps, list[IndexFile], Millis]:
        """Return the steps of a window, its hours, and the start of what is known."""
        window = self.window()
        known = window.since
        if known is None or window.until is None:
            raise DependencyUnavailable("the index has read nothing yet: try again in a moment")
        steps = steps_for(wanted, now, known)
        return steps, [*self._of_window(window, steps.since, steps.until + HOUR, None)], known

    def failures(
        self, whose: Whose, since: Millis, *, deliveries: bool = True, most: int | None = None
    ) -> Looked:
        """Return the errors and last successes of hours from `since` on; `looked_in` describes the bounds."""
        window = self.window()
        files = self._of_window(window, since, None, None)
        hours = ((file.start, self._hour(file)) for file in files)
        return looked_in(hours, whose, window, since, deliveries=deliveries, most=most)

    # Runs of deliveries.

    def _lives(
        self, hour: IndexFile, wanted: DeliveryFilter, before: LifeOrder | None, runs: Runs
    ) -> Iterator[tuple[LifeOrder, FoundLife, bool]]:
        """Yield the runs of an hour before a key, and whether each is likely; no file stays open meanwhile."""
        most = _LIVES_AT_FIRST
        while True:
            with self._hour(hour) as reader:
                met = () if reader is None else lives_before(reader, wanted, before)
                some = [*islice(met, most)]
            likely = likely_runs(runs, wanted, [life for _, life in some])
            yield from ((*each, is_likely) for each, is_likely in zip(some, likely, strict=True))
            if len(some) < most:
                return
            before, most = some[-1][0], min(2 * most, _LIVES_AT_ONCE)

    def _runs(self, window: Window) -> Runs:
        return Runs(
            hours=[*self._of_window(window, None, None, None)],
            days=[*self._of_days(window, None, None, None)],
            hour=self._hour,
            day=self._day,
            now=self._reading_now,
            may_have=self._may_have,
        )

    def _deliveries_of_ids(
        self, wanted: DeliveryFilter, after: Cursor | None, limit: int
    ) -> Page[IndexedDelivery]:
        """Return the runs of an event or entity, found by their attempts."""
        window, before = self.window(), key_of(after, limit)
        runs = self._runs(window)
        lives = (each for each in runs.of_ids(wanted) if before is None or each[0] < before)
        found: list[IndexedDelivery] = []
        for looked, (key, life) in enumerate(lives, 1):
            each = runs.of_event(life)
            if each is not None and selects_run(wanted, each):
                found.append(each)
            if len(found) >= limit or looked >= _MOST_RUNS:
                return Page(tuple(found), key, window)
        return Page(tuple(found), None, window)

    def _has_ended(self, pending: PendingRecord) -> bool:
        """Return whether a tier record's run has ended, but its commit was not read yet."""
        delivery = pending.delivery
        start = Family.ATTEMPTS.start_of(delivery.origin.timestamp)
        with self._hour(self._folder.file(Family.ATTEMPTS, start)) as reader:
            known = None if reader is None else reader.life(key_of_waiting(delivery))
        return known is not None and known.state.ending >= Ending.CANCELLED

    def _asked_at(self, job_id: str) -> Millis | None:
        with self._reading_now() as now:
            return now.asked_at(job_id)

    # Records that were set aside.

    def _aside(
        self,
        source: RedriveSource,
        wanted: DeadLetterFilter | UndecodableFilter,
        after: Cursor | None,
        limit: int,
    ) -> Page[AsideRecord]:
        window, before = self.window(), place_of(after, limit)
        asked = aside_filter(source, wanted)
        found: list[AsideRecord] = []
        looked = 0
        for day in self._of_days(window, wanted.since, wanted.until, before):
            with self._day(day) as reader:
                for place, record in () if reader is None else reader.aside(asked, before):
                    looked += 1
                    if record is not None:
                        found.append(record)
                    if len(found) >= limit or looked >= MOST_LOOKED:
                        return Page(tuple(found), place, window)
        return Page(tuple(found), None, window)

    def _counts(self, source: RedriveSource, whose: Whose) -> AsideCounts:
        window = self.window()
        counted = None
        for day in self._of_days(window, None, None, None):
            with self._day(day) as reader:
                if reader is not None:
                    counted = reader.counts(source, whose, counted)
        return AsideCounts(() if counted is None else counted.largest_first(), window)

    # Files.

    def _of_window(
        self, window: Window, since: Millis | None, until: Millis | None, before: Place | None
    ) -> Iterator[IndexFile]:
        """Yield the hours of the window that an interval overlaps, the newest first."""
        return self._folder.touched(Family.ATTEMPTS, window.since, since, until, before)

    def _of_days(
        self, window: Window, since: Millis | None, until: Millis | None, before: Place | None
    ) -> Iterator[IndexFile]:
        return self._folder.touched(Family.ASIDE, window.aside_since, since, until, before)

    def _hour(self, file: IndexFile) -> AbstractContextManager[HourReader | None]:
        return using(file, self._hours, HourReader)

    def _day(self, file: IndexFile) -> AbstractContextManager[AsideReader | None]:
        return using(file, self._days, AsideReader)

    def _may_have(self, file: IndexFile, kind: Of, packed: Packed) -> bool:
        """Return whether an hour may have an id, without opening its file; False: it does not."""
        path = file.filter
        try:
            found = self._filters.get(path) or self._filters.put(path, IdFilter(path))
        except (OSError, ValueError):
            return True  # It is not closed yet, or its filter cannot be read.
        return found.may_have(kind, hash_of(packed))

    @contextmanager
    def _reading_now(self) -> Iterator[NowReader]:
        path = self._folder.now
        with reading(path):
            if not path.exists():
                raise DependencyUnavailable(f"there is no index in {path.parent} yet")
            yield self._nows.get(path) or self._nows.put(path, NowReader(path))
