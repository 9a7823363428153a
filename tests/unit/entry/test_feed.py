"""An operator's word on where a stopped partition begins reaches the source, once it is needed."""

from tests.doubles.clock import NOON
from tests.doubles.seeing import RememberingJournal

from hookstream.adapters.avro_schemas import SchemaBook
from hookstream.adapters.table_values import SealedSecrets, StartAsked, start_key, write_start
from hookstream.adapters.tables import TableRecord
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.entry.feed import Feed

HERE = TopicPartition("printprice.pricing.completed", 3)
TOPICS = Topics("hookstream")


def fed(*rows: TableRecord) -> tuple[Feed, list[tuple[TopicPartition, str | Millis]]]:
    feed = Feed(TOPICS, SchemaBook(), Directory(), SealedSecrets(), RememberingJournal())
    feed.take(rows)
    started: list[tuple[TopicPartition, str | Millis]] = []
    feed.start_partition = lambda where, at: started.append((where, at))
    return feed, started


def asked(at: Millis) -> TableRecord:
    row = write_start(StartAsked(*HERE, at="earliest", asked_at=at))
    return TableRecord(TOPICS.subscriptions, start_key(*HERE), row, 0, at)


def test_a_word_that_comes_while_the_worker_runs_is_passed_on_at_once() -> None:
    feed, started = fed()

    feed.take([asked(NOON)])

    assert started == [(HERE, "earliest")]


def test_a_partition_that_stops_after_the_word_goes_on_by_it() -> None:
    """The worker was started anew after the operator had spoken."""
    feed, started = fed(asked(NOON))

    feed.start_stopped(HERE, NOON + HOUR)

    assert started == [(HERE, "earliest")]


def test_an_old_word_does_not_answer_a_new_loss_of_offsets() -> None:
    feed, started = fed(asked(NOON))

    feed.start_stopped(HERE, NOON + HOUR + 1)

    assert started == []


def test_rows_that_were_removed_make_no_table_look_filled() -> None:
    """A writer's probe leaves a record without a value behind, in a table that is still empty."""
    feed, _ = fed(TableRecord(TOPICS.subscriptions, "writer", None, 0, NOON))

    assert feed.rows[TOPICS.subscriptions] == 0
