"""An operator's request reaches the part that it concerns: where a partition starts, what is held."""

from tests.doubles.clock import NOON
from tests.doubles.seeing import RememberingLogger

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.tables.holds_and_skips import (
    SkipAsked,
    StartAsked,
    hold_key,
    skip_key,
    start_key,
    write_hold,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.rows import failing_row
from hookstream.adapters.tables.sealed import SealedSecrets
from hookstream.core.jobs.job import Job
from hookstream.core.jobs.lease import held
from hookstream.core.matching.directory import Directory
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.subscription import Failing
from hookstream.core.model.topics import Topics
from hookstream.core.outcome.health import ClearFailing, HealthBook
from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource
from hookstream.entry.worker.feed import TableConsumer

HERE = TopicPartition("printprice.pricing.completed", 3)
TOPICS = Topics("hookstream")


def fed(*rows: TableRecord) -> tuple[TableConsumer, list[tuple[TopicPartition, str | Millis]]]:
    feed = TableConsumer(TOPICS, SchemaBook(), Directory(), SealedSecrets(), RememberingLogger())
    feed.take(rows)
    started: list[tuple[TopicPartition, str | Millis]] = []
    feed.connect(lambda where, at: started.append((where, at)), lambda _where, _offset: None, NOON)
    return feed, started


def asked(at: Millis) -> TableRecord:
    row = write_start(StartAsked(*HERE, at="earliest", asked_at=at))
    return TableRecord(TOPICS.subscriptions, start_key(*HERE), row, 0, at)


def test_a_start_request_that_arrives_while_the_worker_runs_is_forwarded_at_once() -> None:
    feed, started = fed()

    feed.take([asked(NOON)])

    assert started == [(HERE, "earliest")]


def test_a_partition_that_stops_after_the_start_request_resumes_by_it() -> None:
    """The worker was restarted after the operator's request."""
    feed, started = fed(asked(NOON))

    feed.start_stopped(HERE, NOON + HOUR)

    assert started == [(HERE, "earliest")]


def test_an_old_start_request_does_not_answer_a_new_loss_of_offsets() -> None:
    feed, started = fed(asked(NOON))

    feed.start_stopped(HERE, NOON + HOUR + 1)

    assert started == []


def test_a_skip_reaches_every_listener() -> None:
    row = write_skip(SkipAsked(*HERE, offset=7, asked_at=NOON))
    feed, _ = fed(TableRecord(TOPICS.subscriptions, skip_key(*HERE, 7), row, 0, NOON))

    def covers(offset: int, timestamp: Millis) -> bool:
        return feed.skips.covers(Record(*HERE, offset, timestamp, None, b"", ()))

    assert covers(7, NOON)
    assert not covers(8, NOON)
    assert not covers(7, NOON + 1), "the topic was created again: this is another record"


def test_the_skips_of_the_last_hour_are_repeated_to_later_sources() -> None:
    def skip(offset: int, at: Millis) -> TableRecord:
        row = write_skip(SkipAsked(*HERE, offset=offset, asked_at=at))
        return TableRecord(TOPICS.subscriptions, skip_key(*HERE, offset), row, 0, at)

    feed, started = fed(skip(7, NOON), skip(8, NOON + 1))
    skipped: list[tuple[TopicPartition, int]] = []
    feed.connect(
        lambda where, at: started.append((where, at)),
        lambda where, offset: skipped.append((where, offset)),
        NOON + HOUR + 1,
    )
    feed.take([skip(9, NOON + HOUR)])

    assert skipped == [(HERE, 8), (HERE, 9)]


def test_an_unreadable_skip_skips_nothing() -> None:
    feed, _ = fed(TableRecord(TOPICS.subscriptions, skip_key(*HERE, 7), b"{}", 0, NOON))

    assert not feed.skips.covers(Record(*HERE, 7, NOON, None, b"", ()))


def test_rows_that_were_removed_make_no_table_look_filled() -> None:
    """A writer's probe leaves a record without a value, in a table that is still empty."""
    feed, _ = fed(TableRecord(TOPICS.subscriptions, "writer", None, 0, NOON))

    assert feed.rows[TOPICS.subscriptions] == 0


HOLD = Hold(HoldKind.PARTNER, "acme", NOON, "their proxy loops", "kim@desk")


def hold_record(value: bytes | None, key: str = hold_key(HOLD.kind, HOLD.name)) -> TableRecord:
    return TableRecord(TOPICS.subscriptions, key, value, 0, NOON)


def test_a_hold_is_in_force_from_its_row_to_its_removal_and_both_are_logged() -> None:
    directory, logger = Directory(), RememberingLogger()
    feed = TableConsumer(TOPICS, SchemaBook(), directory, SealedSecrets(), logger)

    feed.take([hold_record(write_hold(HOLD))])
    assert (len(directory.holds), directory.holds.any) == (1, True)
    feed.take([hold_record(None)])

    assert (len(directory.holds), directory.holds.any, dict(directory.blind)) == (0, False, {})
    assert [(level, event) for level, event, _ in logger.lines] == [
        ("warning", "hold.set"),
        ("info", "hold.cleared"),
    ]


def test_a_hold_of_a_kind_that_is_not_known_here_stops_matching_until_it_is_gone() -> None:
    """It may be on anything: continuing would deliver what an operator stopped."""
    directory = Directory()
    feed = TableConsumer(TOPICS, SchemaBook(), directory, SealedSecrets(), RememberingLogger())
    key = "hold/planet/mars"

    feed.take([hold_record(write_hold(HOLD), key)])
    stopped = list(directory.blind)
    feed.take([hold_record(None, key)])

    assert (stopped, list(directory.blind)) == ([f"subscriptions/{key}"], [])


def test_a_failing_mark_is_followed_to_its_end_and_an_unreadable_one_is_ignored() -> None:
    book = HealthBook()
    feed = TableConsumer(
        TOPICS, SchemaBook(), Directory(), SealedSecrets(), RememberingLogger(), book
    )
    key, value = failing_row(Failing("crm", NOON))

    known = []
    for row in (value, None, value, b"{}", value):
        feed.take([TableRecord(TOPICS.health, key, row, 0, NOON)])
        known.append("crm" in book.failing)

    assert known == [True, False, True, False, True]
    assert book.succeeded("crm") == ClearFailing(NOON)


def test_a_worker_knows_which_jobs_are_stalled_and_keeps_no_marks() -> None:
    """The process that works on jobs may be what is missing."""
    feed = TableConsumer(TOPICS, SchemaBook(), Directory(), SealedSecrets(), RememberingLogger())
    job = held(Job("replay-1", "replay", {}, NOON), "dead:1:ab", NOON)
    mark = Mark("redrive-1", RedriveSource.DEAD_LETTERS, 0, (OffsetRange(1, 1),))
    feed.take(
        [
            TableRecord(TOPICS.jobs, job.id, job.encode(), 0, NOON),
            TableRecord(TOPICS.jobs, mark.key, mark.encode(), 1, NOON),
            TableRecord(TOPICS.jobs, "broken", b"{", 2, NOON),
            TableRecord(TOPICS.jobs, "clock", None, 3, NOON),
        ]
    )
    assert feed.jobs.gauges(NOON + HOUR) == {
        "hookstream_jobs_running": 1,
        "hookstream_jobs_stalled": 2,
    }
    assert (set(feed.jobs.running), set(feed.jobs.unreadable)) == ({"replay-1"}, {"broken"})
