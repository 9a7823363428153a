"""The index counts what the log has, whatever the order, the copies, the crashes and the rebuilds."""

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import NoReturn

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    IndexLog,
    SilentLog,
    counted_naively,
    entry_for,
    indexed,
    pending,
    waiting_for,
)

from hookstream.adapters.index.answers import AttemptFilter, Cursor, DeliveryFilter, Whose
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import RunState, RunStates
from hookstream.core.failures.groups import Errors, SeenErrors
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.statistics.counts import Counts
from hookstream.core.statistics.errors import fingerprint_of

NOW = START + 4 * HOUR
SUBSCRIPTIONS = {"shop": "acme", "crm": "acme", "erp": "globex"}


class Died(Exception):
    """The process ended here."""


class DyingPositions(dict[TopicPartition, int]):
    """Positions that are never written: the process dies after other hours' states were committed."""

    def items(self) -> NoReturn:
        raise Died


@st.composite
def logs(draw: st.DrawFn) -> IndexLog:
    """Lives of deliveries over four hours: retries, dead letters, redrives, holds, replays, tests, copies."""
    runs: list[tuple[Millis, AuditEntry, DeferReason | None]] = []
    for event in range(draw(st.integers(1, 7))):
        subscription = draw(st.sampled_from(sorted(SUBSCRIPTIONS)))
        origin_at = START + draw(st.integers(0, 3 * HOUR))
        job = draw(st.sampled_from([None, None, None, "replay-1", "test-1"]))
        at = origin_at
        for attempt in range(1, draw(st.integers(1, 4)) + 1):
            at += draw(st.sampled_from([5, 1_500, 40_000, 50 * MINUTE]))
            wait = draw(st.sampled_from([None, None, DeferReason.HELD, DeferReason.LANE_FULL]))
            end = draw(st.sampled_from(["complete", "retry", "retry", "dead_letter", "cancel"]))
            entry = entry_for(
                event,
                at=at,
                subscription=subscription,
                partner=SUBSCRIPTIONS[subscription],
                attempt=attempt,
                outcome={"complete": "delivered", "cancel": None}.get(end, "failed"),
                disposition=end,
                status=200 if end == "complete" else 503,
                error=None if end == "complete" else f"answered 503 from 10.0.0.{event}",
                job=job,
                trigger="test" if job == "test-1" else "initial",
                origin_at=origin_at,
            )
            runs += [(at, entry, wait)] * draw(st.sampled_from([1, 1, 1, 2]))
    log = IndexLog()
    late = draw(st.sampled_from([0, 3, 61_000]))
    for at, entry, wait in sorted(runs, key=lambda each: each[0]):
        if wait is not None:
            log.append(at + late, waiting_for(entry, due_at=at, reason=wait))
        log.append(at + late, entry, partition=len(log.records) % log.partitions)
    return log


def read_in(log: IndexLog, folder: Path, chance: random.Random) -> None:
    """Read a log into an index, its hours in any order and pieces, with deaths in between."""
    writer = IndexWriter(folder, most_bytes=1 << 30, log=SilentLog())
    # As the follower does it: the hours are begun and completed by whoever reads them.
    hours = log.hours()
    chance.shuffle(hours)
    while hours:
        hour = hours[-1]
        known = writer.begin(Family.ATTEMPTS, hour)
        records = log.of_hour(hour)
        left = [each for each in records if each.offset >= known.get(each.where, 0)]
        if not left:
            writer.complete(Family.ATTEMPTS, hour)
            hours.pop()
            continue
        # Again what is in it already, sometimes.
        some = records if chance.random() < 0.2 else left[: chance.randint(1, len(left))]
        positions = {each.where: each.offset + 1 for each in some}
        given_positions = DyingPositions(positions) if chance.random() < 0.3 else positions
        try:
            writer.attempts(
                hour,
                [indexed(each) for each in some if isinstance(each.what, AuditEntry)],
                [pending(each) for each in some if not isinstance(each.what, AuditEntry)],
                given_positions,
                ATTEMPTS,
            )
        except Died:
            writer.close()
            writer = IndexWriter(folder, most_bytes=1 << 30, log=SilentLog())
        if chance.random() < 0.5:
            # Hours that are closed by now are summed up, and change afterwards.
            writer.maintain()
    for hour in log.hours():
        writer.begin(Family.ATTEMPTS, hour)
    writer.read_up_to({"read_to": NOW, "beat": NOW})
    for _ in range(2 * len(log.hours())):
        writer.maintain()
    writer.close()


def audited(log: IndexLog) -> list[AuditEntry]:
    return [each.what for each in log.records if isinstance(each.what, AuditEntry)]


def plain(counts: Counts) -> dict[str, int]:
    return {name: value for name in Counts.__slots__ if (value := getattr(counts, name))}


@given(logs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=40)
def test_the_index_counts_as_if_the_whole_log_were_counted_at_once(
    log: IndexLog, chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)
        partners = [(Whose(partner_id=each), ("partner", each)) for each in ("acme", "globex")]
        subscriptions = [
            (Whose(subscriptions=frozenset({each})), ("subscription", each))
            for each in SUBSCRIPTIONS
        ]
        for whose, naive in [(Whose(), None), *partners, *subscriptions]:
            since = log.hours()[0]
            found = reader.statistics(whose, since, NOW, MINUTE, now=NOW)
            expected = counted_naively(log.records, NOW, naive)
            in_window = {at: each for at, each in expected.items() if at >= since}
            assert {at: plain(counts) for at, counts in found.steps} == {
                at: plain(each) for at, each in in_window.items()
            }
            for step in (20 * MINUTE, HOUR, 3 * HOUR):
                together: dict[Millis, Counts] = {}
                for at, each in in_window.items():
                    together.setdefault(at - (at - since) % step, Counts()).include(each)
                found = reader.statistics(whose, since, NOW, step, now=NOW)
                assert {at: plain(counts) for at, counts in found.steps} == {
                    at: plain(each) for at, each in together.items()
                }
        reader.close()


@given(logs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=25)
def test_a_listed_run_has_the_state_that_all_its_entries_give(
    log: IndexLog, chance: random.Random
) -> None:
    states = RunStates(1_000)
    for each in audited(log):
        states.entry(each)
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)
        for partner in (None, "acme", "globex"):
            for among in (None, *(frozenset({each}) for each in DeliveryState)):
                expected = {
                    each.run: each
                    for each in states.selected(lambda _: True).states
                    if partner in (None, each.partner_id)
                    and (among is None or each.state in among)
                }
                found = listed(reader, DeliveryFilter(partner, states=among))
                assert {each.run: each for each in found} == expected
                assert len(found) == len(expected)
        reader.close()


def listed(reader: IndexReader, wanted: DeliveryFilter) -> list[RunState]:
    """Return the runs of all pages of a list."""
    found: list[RunState] = []
    after: Cursor | None = None
    while True:
        page = reader.deliveries(wanted, after, limit=3)
        found += [each.state for each in page.items]
        after = page.after
        if after is None:
            return found


@given(logs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=25)
def test_errors_and_successes_are_those_of_the_whole_log(
    log: IndexLog, chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)
        for whose in (Whose(), Whose("acme"), Whose(subscriptions=frozenset({"erp"}))):
            of = [
                each
                for each in audited(log)
                if whose.partner_id in (None, each.partner_id)
                and (whose.subscriptions is None or each.subscription_id in whose.subscriptions)
            ]
            found = reader.failures(whose, log.hours()[0])
            failed: dict[Errors, list[AuditEntry]] = {}
            for each in of:
                fingerprint = fingerprint_of(each)
                if fingerprint is not None:
                    failed.setdefault(Errors(each.partner_id, fingerprint), []).append(each)
            assert {key: counted(seen) for key, seen in found.errors.items()} == {
                key: (
                    len(entries),
                    min(each.started_at for each in entries),
                    max(each.started_at for each in entries),
                    len({each.delivery_id for each in entries}),
                )
                for key, entries in failed.items()
            }
            succeeded: dict[str, Millis] = {}
            for each in of:
                if each.disposition == "complete" and each.trigger != "test":
                    before = succeeded.get(each.subscription_id, 0)
                    succeeded[each.subscription_id] = max(each.started_at, before)
            assert found.successes == succeeded
        reader.close()


def counted(seen: SeenErrors) -> tuple[int, Millis, Millis, int]:
    return seen.count, seen.first_at, seen.last_at, seen.deliveries.count


@given(logs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=25)
def test_the_index_has_every_attempt_once_under_each_of_its_ids(
    log: IndexLog, chance: random.Random
) -> None:
    entries = [each for each in log.records if isinstance(each.what, AuditEntry)]
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)

        def places(wanted: AttemptFilter) -> list[tuple[int, int, int]]:
            """Return the places of all pages."""
            found, after = [], None
            while True:
                page = reader.attempts(wanted, after, limit=3)
                found += [(each.at, each.partition, each.offset) for each in page.items]
                after = page.after
                if after is None:
                    return found

        def expected(**named: object) -> list[tuple[int, int, int]]:
            chosen = [
                (each.at, each.partition, each.offset)
                for each in entries
                if all(getattr(each.what, name) == value for name, value in named.items())
            ]
            return sorted(chosen, reverse=True)

        assert places(AttemptFilter()) == expected()
        for partner in ("acme", "globex", "nobody"):
            assert places(AttemptFilter(partner_id=partner)) == expected(partner_id=partner)
        one = audited(log)[0]
        for name in ("delivery_id", "event_id", "entity_id"):
            value = getattr(one, name)
            assert places(AttemptFilter(**{name: value})) == expected(**{name: value})
        for each in reader.attempts(AttemptFilter(), limit=100).items:
            [same] = [
                logged.what
                for logged in entries
                if (logged.partition, logged.offset) == (each.partition, each.offset)
            ]
            assert each.entry == same
        fingerprints = [fingerprint_of(each) for each in audited(log)]
        errors = Counter(each for each in fingerprints if each is not None)
        found = reader.statistics(Whose(), log.hours()[0], NOW, HOUR, now=NOW)
        assert {each.fingerprint: each.count for each in found.errors} == errors
        reader.close()
