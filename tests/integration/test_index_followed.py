"""The index follows the topics, answers while it reads the past, and is the same again when its folder is lost."""

import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world
from tests.integration.index_world import FAILED, eventually, following, settings_of

from hookstream.adapters.index.answers import (
    AttemptFilter,
    DeadLetterFilter,
    DeliveryFilter,
    DueFilter,
    PendingFilter,
    UndecodableFilter,
    Whose,
)
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.topic_ids import topic_ids_of
from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    RetryAt,
)
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import MarkBook, Position, RedriveSource
from hookstream.core.statistics.due import due_intervals
from hookstream.entry.admin import index
from hookstream.entry.admin.dead_letters import topic_of
from hookstream.entry.admin.index_process import IndexProcess


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def fresh(number: int, now: int, **changes: object) -> Delivery:
    """A delivery of an event that was appended just now."""
    made = delivery(number)
    origin = made.origin._replace(offset=number, timestamp=now - 500)
    return replace(made, origin=origin, attempt=1, trigger=Trigger.INITIAL, **changes)  # type: ignore[arg-type]


def filled(world: World) -> int:
    """Append lives of five deliveries; return the present."""
    now = int(time.time() * 1000)
    tier = world.names.tier(0)
    world.attempt(fresh(1, now), Delivered(200), Complete(), now)
    world.attempt(fresh(2, now), FAILED, RetryAt(now + 60_000), now)
    waiting = fresh(2, now, due_at=now + 60_000)
    world.append(tier, world.event(), tier_headers(waiting, (), written_at=now))
    held = fresh(3, now, deferred_reason=DeferReason.HELD, due_at=now + 5_000)
    world.append(tier, world.event(), tier_headers(held, (), written_at=now))
    for number in (4, 5):
        dead = DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, "attempt 9 was the last")
        world.attempt(fresh(number, now), FAILED, dead, now)
        world.die(fresh(number, now))
    return now


def seen(reader: IndexReader, now: int) -> object:
    """All that the index answers of these deliveries."""
    found = reader.statistics(Whose(), now - HOUR, now + MINUTE, MINUTE, now=now)
    states = reader.deliveries(DeliveryFilter(), limit=100).items
    answer = reader.delivery(delivery(4).delivery_id, partner_id="acme")
    return (
        found.counts,
        found.errors,
        found.last_attempt,
        [(each.state.run.delivery_id, each.state.state, each.state.reason) for each in states],
        reader.attempts(AttemptFilter(), limit=100).items,
        reader.pending(PendingFilter(), limit=100).items,
        reader.dead_letters(DeadLetterFilter(), limit=100).items,
        answer and (answer.history, answer.pending, answer.subscription_id),
    )


def redrive_the_first(world: World, reader: IndexReader) -> None:
    """Redrive the first dead letter: it is resolved for whoever asks."""
    book = MarkBook("redrive-1", RedriveSource.DEAD_LETTERS)
    [mark] = book.resolve([Position(0, 0)])
    world.write(world.names.jobs, (mark.key, mark.encode()))
    open_ones = eventually(
        lambda: reader.dead_letters(DeadLetterFilter(open=True)).items,
        lambda items: len(items) == 1,
    )
    assert open_ones[0].summary.delivery_id == delivery(5).delivery_id
    answer = reader.delivery(delivery(4).delivery_id)
    assert answer is not None
    assert answer.history.deaths[0].redriven_by == "redrive-1"
    assert reader.delivery(delivery(4).delivery_id, partner_id="globex") is None


def settle_all(world: World, reader: IndexReader, now: int) -> None:
    """Settle the tier records as workers do: first one above the committed offset, then both."""
    world.settle(0, (1, 2))
    left = eventually(lambda: reader.pending(PendingFilter()).items, lambda items: len(items) == 1)
    assert left[0].delivery.delivery_id == delivery(2).delivery_id
    world.attempt(replace(fresh(2, now), attempt=2), Delivered(200), Complete(), now + 900)
    world.settle(2)
    eventually(lambda: reader.pending(PendingFilter()).items, lambda items: not items)
    eventually(
        lambda: (
            reader.deliveries(DeliveryFilter(states=frozenset({DeliveryState.COMPLETED}))).items
        ),
        lambda items: len(items) == 2,
    )


def test_the_index_follows_the_topics_and_is_the_same_again_when_its_folder_is_lost(
    world: World, tmp_path: Path
) -> None:
    now = filled(world)
    folder = tmp_path / "index"
    with following(world, folder):
        reader = IndexReader(folder)
        window = eventually(reader.window, lambda found: (found.until or 0) > now + 500)
        assert window.since is not None
        assert window.since <= now - 500
        counts = reader.statistics(Whose(), now - HOUR, now + MINUTE, MINUTE, now=now).counts
        assert (counts.delivered, counts.dead_lettered, counts.open, counts.held) == (1, 2, 1, 1)
        waiting = reader.pending(PendingFilter(partner_id="acme")).items
        assert [each.delivery.delivery_id for each in waiting] == [
            delivery(3).delivery_id,
            delivery(2).delivery_id,
        ]
        assert not reader.pending(PendingFilter(partner_id="globex")).items
        summary = reader.pending_summary(DueFilter(), due_intervals(1, now))
        assert [each.reasons for each in summary.subscriptions] == [{"held": 1, "initial": 1}]

        redrive_the_first(world, reader)
        settle_all(world, reader, now)
        before = seen(reader, now)
        reader.close()
    shutil.rmtree(folder)
    process = IndexProcess(settings_of(world), folder, 1 << 30)
    assert not process.ensure_running()
    try:
        reader = IndexReader(folder)
        eventually(lambda: seen(reader, now), lambda found: found == before)
        reader.close()
    finally:
        process.stop()
    damage(folder)
    with following(world, folder):
        reader = IndexReader(folder)
        eventually(lambda: seen(reader, now), lambda found: found == before)
        reader.close()


def test_what_waits_since_an_hour_ago_is_listed_though_nothing_else_happens(
    world: World, tmp_path: Path
) -> None:
    """It was read at once, and written with the first record of the present hour."""
    world.wait(delivery(1))
    now = int(time.time() * 1000) + HOUR
    with following(world, tmp_path, now=lambda: now), closing(IndexReader(tmp_path)) as reader:
        found = eventually(lambda: reader.pending(PendingFilter()).items, bool)
    assert [each.delivery.delivery_id for each in found] == [delivery(1).delivery_id]


def damage(folder: Path) -> None:
    """Overwrite the pages of the hours' files, and make the days' those of another format."""
    files = IndexFolder(folder)
    for file in files.files(Family.ATTEMPTS):
        size = file.path.stat().st_size
        file.path.write_bytes(file.path.read_bytes()[:100] + b"\xff" * (size - 100))
    for file in files.files(Family.ASIDE):
        file.path.write_bytes(b"no database at all" * 1_000)


def mark_redriven(
    world: World,
    job_id: str,
    position: Position,
    source: RedriveSource = RedriveSource.DEAD_LETTERS,
) -> None:
    """Mark a record of a topic as it is now."""
    topic = topic_of(source, world.names)
    topic_id = topic_ids_of(AdminClient(world.client), [topic])[topic] or b""
    book = MarkBook(job_id, source, topic_id=topic_id.hex())
    [mark] = book.resolve([position])
    world.write(world.names.jobs, (mark.key, mark.encode()))


def test_marks_of_a_topic_that_was_deleted_resolve_nothing_in_its_successor(
    world: World, tmp_path: Path
) -> None:
    topic, folder = world.names.dead_letters, tmp_path / "index"
    world.die(delivery(1))
    mark_redriven(world, "redrive-1", Position(0, 0))
    world.remove(topic)
    world.create(topic)
    world.die(delivery(4))
    world.die(delivery(5))
    # Marks are read in their order: when this one is known, the first one was read.
    mark_redriven(world, "redrive-2", Position(0, 1))
    with following(world, folder), closing(IndexReader(folder)) as reader:
        [redriven] = eventually(
            lambda: reader.dead_letters(DeadLetterFilter(open=False)).items, bool
        )
        [left] = reader.dead_letters(DeadLetterFilter(open=True)).items
    assert redriven.summary.delivery_id == delivery(5).delivery_id
    assert left.summary.delivery_id == delivery(4).delivery_id


def test_marks_that_were_read_while_there_was_no_topic_resolve_nothing_in_the_next_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_LIST_SECONDS", 0.5)
    topic, folder = world.names.dead_letters, tmp_path / "index"
    world.die(delivery(1))
    mark_redriven(world, "redrive-1", Position(0, 0))
    world.remove(topic)
    world.set_aside(
        Record("things", 0, 1, NOW, None, None, ()), Undecodable(UndecodableReason.TOMBSTONE, "-")
    )
    mark_redriven(world, "redrive-2", Position(0, 0), RedriveSource.UNDECODABLE)
    with following(world, folder), closing(IndexReader(folder)) as reader:
        # Marks are read in their order: when this one is known, the first one was read.
        eventually(lambda: reader.undecodable(UndecodableFilter(open=False)).items, bool)
        world.create(topic)
        world.die(delivery(4))
        [found] = eventually(lambda: reader.dead_letters(DeadLetterFilter()).items, bool)
    assert (found.summary.delivery_id, found.resolved_by) == (delivery(4).delivery_id, None)
