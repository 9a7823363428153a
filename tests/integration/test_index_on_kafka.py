"""The index keeps its promises on a real broker: killed writers, ends of hours, retention, topics made again."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import delivery, make_world
from tests.integration.index_world import (
    FAILED,
    PATIENCE,
    AttemptsTopic,
    eventually,
    following,
    places,
    settings_of,
)

from hookstream.adapters.index.answers import AttemptFilter, DeliveryFilter, Whose
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.tables.holds_and_skips import SkipAsked, skip_key, write_skip
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.outcome import Complete, Delivered, RetryAt
from hookstream.core.model.record import Origin, Record, TopicPartition
from hookstream.entry.admin.index_past import StretchReading
from hookstream.entry.admin.index_process import IndexProcess
from hookstream.entry.admin.statistics import StatisticsReader, StatisticsWanted
from hookstream.errors import DependencyUnavailable

NONE: frozenset[int] = frozenset()


@pytest.fixture
def topic(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> AttemptsTopic:
    made = AttemptsTopic(make_world(broker, prefix, capsys))
    made.create()
    return made


def this_hour() -> Millis:
    now = int(time.time() * 1000)
    return now - now % HOUR


def spread(start: Millis, count: int, length: Millis = HOUR - 10 * SECOND) -> list[Millis]:
    """So many instants of an hour, in order; the first is ten seconds after its start."""
    return [
        start + 10 * SECOND + number * (length - 10 * SECOND) // count for number in range(count)
    ]


@contextmanager
def reading(folder: Path) -> Iterator[IndexReader]:
    reader = IndexReader(folder)
    try:
        yield reader
    finally:
        reader.close()


def hours_of(folder: Path) -> list[Millis]:
    return [each.start for each in IndexFolder(folder).files(Family.ATTEMPTS)]


@pytest.mark.timeout(900)
def test_a_follower_that_is_killed_in_the_middle_counts_nothing_twice_and_misses_nothing(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    present = this_hour()
    for back in (4, 3, 2, 1):
        topic.append(spread(present - back * HOUR, 300))
    process = IndexProcess(settings_of(topic.world), tmp_path, 1 << 30)
    chance = random.Random(3)
    try:
        process.ensure_running()
        for files in (1, 3):
            end = time.monotonic() + PATIENCE
            while len(hours_of(tmp_path)) < files:
                assert time.monotonic() < end, "the index's process made no file"
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            assert not known_from(tmp_path, present - 4 * HOUR), "it was not in the middle"
            topic.append(spread(present, 100, MINUTE))
            # It starts again once it is seen to have ended.
            while process.ensure_running():
                time.sleep(0.01)
        now = int(time.time() * 1000)
        with reading(tmp_path) as reader:
            eventually(lambda: topic.is_indexed(reader, now, missing=NONE), bool)
            window = eventually(reader.window, lambda found: not found.building)
            assert window.since is not None
            assert window.since <= present - 4 * HOUR
    finally:
        process.stop()


def known_from(folder: Path, instant: Millis) -> bool:
    """Return whether an index says that it knows everything from an instant on."""
    with reading(folder) as reader:
        try:
            since = reader.window().since
        except DependencyUnavailable:
            return False
        return since is not None and since <= instant


@dataclass
class Watched:
    """What a folder has before each piece of the follower's work; called on its thread.

    It makes each piece take longer, so that also a quick machine writes and looks in between.
    """

    folder: Path
    orders: list[Millis] = field(default_factory=list)
    """The hours, in the order in which their files appeared."""
    windows: list[tuple[Millis, bool]] = field(default_factory=list)
    """The windows that were stated: since when, and whether it is still building."""
    newest: list[int] = field(default_factory=list)
    """With each of them, how many attempts a list's first page had."""

    def __call__(self) -> None:
        time.sleep(0.2)
        for start in hours_of(self.folder):
            if start not in self.orders:
                self.orders.append(start)
        with reading(self.folder) as reader:
            try:
                window = reader.window()
                found = len(reader.attempts(AttemptFilter()).items)
            except DependencyUnavailable:
                return
        if window.since is not None:
            self.windows.append((window.since, window.building))
            self.newest.append(found)


@pytest.mark.timeout(900)
def test_a_lost_index_is_rebuilt_newest_hour_first_and_answers_meanwhile_as_the_other_console(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    present = this_hour()
    hours = [present - back * HOUR for back in (4, 3, 2, 1)]
    for hour in hours:
        topic.append(spread(hour, 1_500))
    topic.append(spread(present, 60, MINUTE))
    now = int(time.time() * 1000)
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    with following(topic.world, kept), reading(kept) as mine:
        with following(topic.world, lost), reading(lost) as other:
            eventually(lambda: topic.is_indexed(other, now, missing=NONE), bool)
        shutil.rmtree(lost)
        watched = Watched(lost)
        with following(topic.world, lost, each=watched), reading(lost) as rebuilt:
            eventually(lambda: topic.is_indexed(rebuilt, now, missing=NONE), bool)
            eventually(rebuilt.window, lambda found: not found.building)
            eventually(lambda: topic.is_indexed(mine, now, missing=NONE), bool)
            eventually(mine.window, lambda found: not found.building)
            assert same_pages(mine, rebuilt)
            answers = [
                one.statistics(Whose(), present - 4 * HOUR, now, MINUTE, now=now)
                for one in (mine, rebuilt)
            ]
            assert answers[0] == answers[1]
            some = topic.logged[0].what.delivery_id
            found = [one.delivery(some) for one in (mine, rebuilt)]
            assert found[0]
            assert found[1]
            assert found[0].history == found[1].history
    assert watched.orders == [present, *reversed(hours)]
    sinces = [since for since, _ in watched.windows]
    assert sinces == sorted(sinces, reverse=True)
    # Its first answers are of the present alone, and say so.
    assert watched.windows[0][0] >= present - HOUR
    assert watched.windows[0][1]
    windows = zip(watched.windows, watched.newest, strict=True)
    assert any(building and found for (_, building), found in windows)


def same_pages(one: IndexReader, other: IndexReader) -> bool:
    """Compare lists page by page; each index goes on from the other's cursor."""
    attempts = one.attempts(AttemptFilter(), limit=40), other.attempts(AttemptFilter(), limit=40)
    pages = 0
    while attempts[0].items == attempts[1].items and attempts[0].after == attempts[1].after:
        pages += 1
        if attempts[0].after is None:
            break
        attempts = (
            one.attempts(AttemptFilter(), attempts[1].after, limit=40),
            other.attempts(AttemptFilter(), attempts[0].after, limit=40),
        )
    else:
        return False
    runs = one.deliveries(DeliveryFilter(), limit=70), other.deliveries(DeliveryFilter(), limit=70)
    while runs[0].items == runs[1].items and runs[0].after == runs[1].after:
        pages += 1
        if runs[0].after is None:
            return pages > 20
        runs = (
            one.deliveries(DeliveryFilter(), runs[1].after, limit=70),
            other.deliveries(DeliveryFilter(), runs[0].after, limit=70),
        )
    return False


@dataclass
class SetClock:
    """A clock that stands where the test sets it."""

    at: Millis

    def __call__(self) -> Millis:
        return self.at


@pytest.mark.timeout(900)
def test_hours_end_partitions_are_added_and_retention_takes_what_was_read_and_what_was_not(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    hour = this_hour() - 3 * HOUR
    clock = SetClock(hour + 59 * MINUTE)
    files = IndexFolder(tmp_path)
    later = hour + 2 * HOUR
    missing: set[int] = set()
    with following(topic.world, tmp_path, now=clock), reading(tmp_path) as reader:
        topic.append(spread(hour, 60, 50 * MINUTE))
        eventually(lambda: topic.is_indexed(reader, later, missing=missing), bool)
        # The hour ends: a partition has left it by a record of the next one, the other by its silence.
        clock.at = hour + HOUR + 2 * MINUTE
        topic.append([hour + HOUR + 100 + number for number in range(10)], partition=0)
        ids = files.file(Family.ATTEMPTS, hour).filter
        eventually(ids.exists, bool)
        assert hours_of(tmp_path) == [hour + HOUR, hour]
        # What comes late is found by its id, though its hour was closed and had a filter.
        [late] = topic.append([hour + 59 * MINUTE], partition=1)
        eventually(lambda: topic.is_indexed(reader, later, missing=missing), bool)
        found = eventually(
            lambda: reader.attempts(AttemptFilter(delivery_id=late.what.delivery_id)).items, bool
        )
        assert places([*found]) == [(late.at, late.partition, late.offset)]
        topic.grow(3)
        topic.append([hour + HOUR + MINUTE + number for number in range(10)], partition=2)
        eventually(lambda: topic.is_indexed(reader, later, missing=missing), bool)
        # Retention takes what was read: it stays in the index.
        topic.delete_below(0, 25)
        topic.append([hour + HOUR + 90 * SECOND], partition=0)
        eventually(lambda: topic.is_indexed(reader, later, missing=missing), bool)
    # And what was not read while nobody followed: it is missing, and nothing else is.
    unread = topic.append(
        [hour + HOUR + 100 * SECOND + number for number in range(20)], partition=0
    )
    topic.delete_below(0, unread[15].offset)
    missing |= {topic.logged.index(each) for each in unread[:15]}
    clock.at = hour + HOUR + 5 * MINUTE
    with following(topic.world, tmp_path, now=clock), reading(tmp_path) as reader:
        eventually(lambda: topic.is_indexed(reader, later, missing=missing), bool)


@pytest.mark.parametrize("low", [10, 25, 28])
def test_what_retention_leaves_of_an_hour_while_it_is_read_is_read(
    topic: AttemptsTopic, low: int
) -> None:
    """It takes the oldest records after the reader looked up where the hour begins."""
    topic.append(spread(this_hour() - HOUR, 60))
    taken, whole = (TopicPartition(topic.name, number) for number in (0, 1))
    topic.delete_below(taken.partition, low)
    client, ends = topic.world.client, {taken: 25, whole: 30}

    found = read_whole(StretchReading(client, dict.fromkeys(ends, 0), ends, KafkaGroups(client)))

    assert sorted((each.where, each.offset) for each in found) == [
        *((taken, offset) for offset in range(low, 25)),
        *((whole, offset) for offset in range(30)),
    ]


def test_what_brokers_lost_of_an_hour_ends_its_reading_and_is_not_looked_for_below(
    topic: AttemptsTopic,
) -> None:
    topic.append(spread(this_hour() - HOUR, 20))
    cut, whole = (TopicPartition(topic.name, number) for number in (0, 1))
    client, ends = topic.world.client, {cut: 25, whole: 10}

    found = read_whole(StretchReading(client, {cut: 15, whole: 5}, ends, KafkaGroups(client)))

    assert sorted((each.where, each.offset) for each in found) == [
        (whole, offset) for offset in range(5, 10)
    ]


def read_whole(reading: StretchReading) -> list[Record]:
    """Read to the end, in a minute at most."""
    found: list[Record] = []
    end = time.monotonic() + 60
    try:
        while not reading.is_over:
            assert time.monotonic() < end, reading.positions
            found += reading.piece()
    finally:
        reading.close()
    return found


class Lines:
    """Keeps the writer's log lines."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **fields: str | float | None) -> None:
        self.events.append(f"{event} {fields.get('why', '')}".strip())

    def info(self, event: str, **fields: str | float | None) -> None:
        self.warning(event, **fields)


@pytest.mark.timeout(900)
def test_an_index_of_a_topic_that_was_deleted_and_made_again_has_the_new_ones_records_alone(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    present, log = this_hour(), Lines()
    now = present + HOUR
    with following(topic.world, tmp_path, log=log), reading(tmp_path) as reader:
        topic.append(spread(present, 40, MINUTE))
        eventually(lambda: topic.is_indexed(reader, now, missing=NONE), bool)
        topic.create()
        # More than before: a reader that went on at its old offsets would find records there.
        topic.append(spread(present, 90, MINUTE))
        eventually(lambda: topic.is_indexed(reader, now, missing=NONE), bool)
        deleted = f"index.deleted {topic.name} was deleted and created again"
        assert log.events.count(deleted) == 1


@pytest.mark.timeout(900)
def test_beyond_its_bytes_an_index_drops_its_oldest_hours_and_states_the_window(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    present = this_hour()
    hours = [present - back * HOUR for back in (4, 3, 2, 1)]
    for hour in hours:
        topic.append(spread(hour, 500))
    topic.append(spread(present, 60, MINUTE))
    now = int(time.time() * 1000)
    whole, bounded = tmp_path / "whole", tmp_path / "bounded"
    with following(topic.world, whole), reading(whole) as reader:
        eventually(lambda: topic.is_indexed(reader, now, missing=NONE), bool)
        taken = IndexFolder(whole).bytes()
    log, most = Lines(), taken * 6 // 10

    def newest_alone(reader: IndexReader) -> bool:
        """Whether there are the newest hours alone, within the bound, and every answer says since when."""
        window = reader.window()
        since = window.since
        if since is None or window.building or IndexFolder(bounded).bytes() > most:
            return False
        kept = [each for each in topic.logged if each.at >= since]
        expected = sorted((each.at, each.partition, each.offset) for each in kept)
        page = reader.attempts(AttemptFilter(), limit=200)
        statistics = reader.statistics(Whose(), hours[0], now, MINUTE, now=now)
        return (
            hours[0] < since <= present
            and min(hours_of(bounded)) == page.window.since == statistics.since == since
            and places([*page.items]) == expected[-200:]
            and not statistics.whole
        )

    with following(topic.world, bounded, most_bytes=most, log=log), reading(bounded) as reader:
        eventually(lambda: newest_alone(reader), bool)
    assert "index.oldest_deleted" in log.events


@pytest.mark.timeout(900)
def test_what_an_operator_skipped_counts_as_cancelled_with_a_console_without_one_and_rebuilt(
    topic: AttemptsTopic, tmp_path: Path
) -> None:
    world, now = topic.world, int(time.time() * 1000)
    tier, events = world.names.tier(0), f"{world.names.prefix}.ev"
    world.append(events, world.event())
    [event] = LogScan(world.client, events).read()

    def failed(number: int, origin: Origin, *, waits: bool) -> Delivery:
        made = replace(
            delivery(number, f"crm-{number}"), origin=origin, attempt=1, trigger=Trigger.INITIAL
        )
        world.attempt(made, FAILED, RetryAt(now + 60_000), now)
        if waits:
            waiting = replace(made, due_at=now + 60_000)
            world.append(tier, world.event(), tier_headers(waiting, (), written_at=now))
        return made

    def skip(where: str, offset: int) -> None:
        asked = SkipAsked(where, 0, offset, int(time.time() * 1000), "it stops the partition")
        world.write(world.names.subscriptions, (skip_key(where, 0, offset), write_skip(asked)))

    # Of one event: what is written nowhere, and what goes on in a tier.
    failed(1, event.origin, waits=False)
    failed(2, event.origin, waits=True)
    # Of tier records: one that was skipped, and one whose skip was not needed.
    failed(3, event.origin._replace(offset=7), waits=True)
    needless = failed(4, event.origin._replace(offset=8), waits=True)
    time.sleep(0.01)
    skip(events, 0)
    skip(tier, 1)
    skip(tier, 2)
    world.attempt(replace(needless, attempt=2), Delivered(200), Complete(), now + 30_000)

    def counted(reader: IndexReader) -> tuple[int, int, int]:
        found = reader.statistics(Whose(), now - HOUR, now + HOUR, MINUTE, now=now).counts
        return found.delivered, found.cancelled, found.open

    expected = 1, 2, 1
    for _ in ("as it is skipped", "from nothing"):
        with following(world, tmp_path / "index"), reading(tmp_path / "index") as reader:
            eventually(lambda: counted(reader), lambda found: found == expected)
        shutil.rmtree(tmp_path / "index")
    asked = StatisticsWanted(now - HOUR, now + HOUR, MINUTE)
    counts = StatisticsReader(settings_of(world), 10_000).read(asked, now).counts
    assert (counts.delivered, counts.cancelled, counts.open) == expected
