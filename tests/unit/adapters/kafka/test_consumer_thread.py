"""What a member returns if the client cannot read everything, and what it does if nothing arrives."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import (
    OFFSET_INVALID,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
)
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.clock import HandClock
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.consumer_thread import ConsumerThread, cut_of, raise_fatal
from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.errors import ConfigurationError, DependencyUnavailable, InvariantBroken

HERE, THERE = TopicPartition("t", 0), TopicPartition("t", 1)


class ScriptedConsumer:
    """A client that returns one batch and remembers its seeks. Its logs end at `end`."""

    def __init__(self, batch: list[Message], end: int) -> None:
        self.batch = batch
        self.end = end
        self.sought: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.commits: list[dict[TopicPartition, int]] = []
        self.closed = False
        self.mistake: Exception | None = None
        """What a callback raises while it closes."""
        self.headless: set[int] = set()
        """Partitions without a leader."""
        self.looks = 0
        self.arrive: Callable[[], None] = lambda: None
        """Called when it is asked for a record."""
        self.gathered_for: list[float] = []
        """How long it was asked to wait for more of them each time, in seconds."""
        self.away: Callable[[int], bool] = lambda _: False
        """Whether the broker gives no answer to the query of this number."""

    def list_topics(self, timeout: float) -> object:
        assert timeout > 0
        return SimpleNamespace(topics={})

    def get_watermark_offsets(
        self, _: KafkaPartition, *, timeout: float, cached: bool
    ) -> tuple[int, int]:
        assert cached
        assert timeout == 0
        return 0, self.end

    def offsets_for_times(
        self, asked: list[KafkaPartition], timeout: float
    ) -> list[KafkaPartition]:
        assert timeout > 0
        self.looks += 1
        if self.away(self.looks):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
        return [cast("KafkaPartition", self.end_of(at)) for at in asked]

    def end_of(self, at: KafkaPartition) -> object:
        """Report a partition's end as the client does, whose own class cannot be given an error."""
        error = (
            KafkaError(KafkaError.LEADER_NOT_AVAILABLE) if at.partition in self.headless else None
        )
        return SimpleNamespace(
            topic=at.topic, partition=at.partition, offset=self.end, error=error
        )

    def position(self, asked: list[KafkaPartition]) -> list[KafkaPartition]:
        return [KafkaPartition(at.topic, at.partition, OFFSET_INVALID) for at in asked]

    def poll(self, _: float) -> Message | None:
        self.arrive()
        return self.batch.pop(0) if self.batch else None

    def consume(self, most: int, seconds: float) -> list[Message]:
        self.gathered_for.append(seconds)
        taken, self.batch = self.batch[:most], self.batch[most:]
        return taken

    def seek(self, at: KafkaPartition) -> None:
        self.sought[TopicPartition(at.topic, at.partition)] = at.offset

    def pause(self, partitions: list[KafkaPartition]) -> None:
        self.paused.update(TopicPartition(at.topic, at.partition) for at in partitions)

    def resume(self, partitions: list[KafkaPartition]) -> None:
        self.paused.difference_update(TopicPartition(at.topic, at.partition) for at in partitions)

    def commit(self, *, offsets: list[KafkaPartition], asynchronous: bool) -> None:
        assert asynchronous
        assert not self.closed
        self.commits.append({TopicPartition(p.topic, p.partition): p.offset for p in offsets})

    def close(self) -> None:
        self.closed = True
        if self.mistake is not None:
            raise self.mistake


class Asker:
    """The loop of a member: requests records a number of times, ten seconds apart, and then ends it."""

    def __init__(self, times: int, most: int) -> None:
        self.records: list[Record] = []
        self.errors: list[Exception] = []
        self.settled: dict[TopicPartition, CommitPosition] = {}
        """What a revocation finds settled."""
        self.mistake: Exception | None = None
        """What a revocation raises."""
        self.between: dict[int, Callable[[], None]] = {}
        """What it does when so many requests are left."""
        self.member: ConsumerThread | None = None
        self.clock = HandClock()
        self.logger = BookkeepingLogger()
        self._times = times
        self._most = most

    def post(self, callback: Callable[..., None], *arguments: object) -> None:
        callback(*arguments)

    def run(self, answer: dict[TopicPartition, CommitPosition], _: float) -> object:
        return answer

    def on_revoked(self, _: list[TopicPartition]) -> dict[TopicPartition, CommitPosition]:
        if self.mistake is not None:
            raise self.mistake
        return self.settled

    def on_records(self, records: list[Record]) -> None:
        self.records += records
        self.clock.forward(10_000)
        self._times -= 1
        self.between.get(self._times, lambda: None)()
        self.ask()

    def ask(self) -> None:
        assert self.member is not None
        if self._times:
            self.member.request(self._most)
        else:
            self.member.end()

    def on_stopped(self) -> None: ...

    def on_resumed(self) -> None: ...

    def on_failed(self, error: Exception) -> None:
        self.errors.append(error)


def nothing(_: Iterable[str]) -> list[str]:
    return []


def came(at: TopicPartition, offset: int) -> Message:
    return Message(
        topic=at.topic,
        partition=at.partition,
        offset=offset,
        value=b"",
        timestamp=(TIMESTAMP_LOG_APPEND_TIME, 0),
    )


def failed(at: TopicPartition, offset: int, code: int) -> Message:
    return Message(
        topic=at.topic, partition=at.partition, offset=offset, error=KafkaError(code, "bad")
    )


def run(
    batch: list[Message], *, end: int, times: int = 1, most: int = 100
) -> tuple[ScriptedConsumer, Asker]:
    """Let a member whose two partitions are read from offset 10 take so many times."""
    consumer, asker, member = ready(batch, end=end, times=times, most=most)
    member.run()
    assert asker.errors == []
    return consumer, asker


def ready(
    batch: list[Message], *, end: int, times: int = 1, most: int = 100
) -> tuple[ScriptedConsumer, Asker, ConsumerThread]:
    """Return a member that is ready to run, with its client and its loop."""
    consumer, asker = ScriptedConsumer(batch, end), Asker(times, most)
    member = asker.member = ConsumerThread(
        cast("Consumer", consumer),
        nothing,
        cast("ConsumerListener", asker),
        cast("LoopBridge", asker),
        asker.logger,
        asker.clock,
        group="g",
    )
    member.assignment.seek({HERE: 10, THERE: 10})
    consumer.sought.clear()
    asker.ask()
    return consumer, asker, member


def taken(batch: list[Message]) -> tuple[ScriptedConsumer, list[tuple[TopicPartition, int]]]:
    """Let it take one batch."""
    consumer, asker = run(batch, end=20)
    return consumer, [(record.where, record.offset) for record in asker.records]


def test_nothing_after_a_batch_of_an_unknown_format_is_returned() -> None:
    """The client continues after it: what it contains would count as settled, and be lost."""
    bad = failed(HERE, 11, KafkaError._NOT_IMPLEMENTED)  # noqa: SLF001

    consumer, records = taken(
        [came(HERE, 10), bad, came(HERE, 15), came(THERE, 10), came(HERE, 16)]
    )

    assert records == [(HERE, 10), (THERE, 10)]
    assert consumer.sought == {HERE: 11}
    assert consumer.paused == {HERE}


def test_a_topic_that_is_missing_for_a_moment_loses_no_record() -> None:
    gone = failed(HERE, -1, KafkaError.UNKNOWN_TOPIC_OR_PART)

    consumer, records = taken([came(HERE, 10), gone, came(HERE, 11)])

    assert records == [(HERE, 10), (HERE, 11)]
    assert consumer.sought == {}


def test_a_partition_with_records_that_returns_none_is_assigned_again_once() -> None:
    consumer, asker = run([came(HERE, 10)], end=11, times=8)

    assert consumer.sought == {THERE: 10}
    assert [event for _, event, _ in asker.logger.lines] == ["partition.unread"]


def test_a_partition_without_a_leader_does_not_hide_the_stall_of_another() -> None:
    consumer, asker, member = ready([came(HERE, 10)], end=11, times=8)
    consumer.headless = {HERE.partition}

    member.run()

    assert consumer.sought == {THERE: 10}
    assert [event for _, event, _ in asker.logger.lines] == ["partition.unread"]


def test_the_time_of_an_unreachable_broker_is_not_a_stall() -> None:
    consumer, asker, member = ready([came(HERE, 10)], end=11, times=8)
    consumer.away = lambda look: look % 4 == 0

    member.run()

    assert (consumer.sought, asker.logger.lines) == ({}, [])


def test_a_stall_continues_while_its_partition_is_paused() -> None:
    _, asker, member = ready([came(HERE, 10)], end=11, times=10)
    asker.between[3] = lambda: member.assignment.pause(THERE)

    member.run()

    assert set(member.stalls.stalled) == {THERE}
    assert [event for _, event, _ in asker.logger.lines] == ["partition.unread"]


def test_a_partition_is_not_stalled_while_more_is_ready_than_is_requested() -> None:
    """Its records may well come after the others."""
    consumer, asker = run([came(HERE, 10 + n) for n in range(9)], end=19, times=8, most=1)

    assert len(asker.records) == 8
    assert (consumer.sought, asker.logger.lines) == ({}, [])


def test_a_pause_or_resume_that_is_requested_during_a_poll_is_made_after_it() -> None:
    """The client serves one thread at a time: the loop would wait, and for ever if the poll waits for the loop."""
    consumer, _, member = ready([], end=10, times=3)
    requests, seen = iter((member.pause, member.resume, member.pause)), []

    def request_meanwhile() -> None:
        next(requests)(HERE)
        seen.append(set(consumer.paused))

    consumer.arrive = request_meanwhile
    member.run()

    assert seen == [set(), {HERE}, set()]


def test_a_member_that_is_stopped_makes_one_last_commit_before_its_client_closes() -> None:
    """Of two commits in flight the older could overwrite the newer, and set offsets back."""
    consumer, asker, member = ready([], end=10)
    member.end()
    member.assignment.commits.settled({HERE: CommitPosition(11), THERE: CommitPosition(11)})
    asker.settled = {THERE: CommitPosition(12)}

    member.run()

    assert (consumer.closed, consumer.commits) == (True, [{HERE: 11, THERE: 12}])


def test_a_member_that_fails_commits_what_is_settled_before_its_client_closes() -> None:
    forbidden = failed(HERE, -1, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    consumer, asker, member = ready([forbidden], end=10)
    member.order(lambda: member.assignment.commits.settled({HERE: CommitPosition(11)}))

    member.run()

    assert [type(error) for error in asker.errors] == [ConfigurationError]
    assert (consumer.closed, consumer.commits) == (True, [{HERE: 11}])


def test_what_the_last_commit_raises_is_logged_and_the_client_closes() -> None:
    consumer, asker, member = ready([], end=10)
    member.assignment.commits.settled({HERE: CommitPosition(11)})
    asker.mistake = ValueError("no such partition")

    member.run()

    assert asker.logger.lines == [
        ("error", "consumer.close_failed", {"detail": "ValueError('no such partition')"})
    ]
    assert (consumer.closed, consumer.commits[-1]) == (True, {HERE: 11})


def test_what_a_callback_raises_while_the_client_closes_is_logged() -> None:
    consumer, asker, member = ready([], end=10)
    consumer.mistake = ValueError("no such partition")

    member.run()

    assert asker.logger.lines == [
        ("error", "consumer.close_failed", {"detail": "ValueError('no such partition')"})
    ]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (
            KafkaError(
                KafkaError._FATAL,  # noqa: SLF001
                "ConsumerGroupHeartbeat fatal error: Broker: The group id does not exist",
                fatal=True,
            ),
            DependencyUnavailable,
        ),
        (
            KafkaError(
                KafkaError._FATAL,  # noqa: SLF001
                "ConsumerGroupHeartbeat fatal error: Local: Required feature not supported",
                fatal=True,
            ),
            ConfigurationError,
        ),
        (KafkaError(KafkaError._FATAL, "fenced", fatal=True), InvariantBroken),  # noqa: SLF001
    ],
)
def test_a_fatal_client_error_states_the_remedy(
    error: KafkaError, raised: type[Exception]
) -> None:
    """If a broker lost a group, the worker must restart; without KIP-848 it needs another setting."""
    with pytest.raises(raised):
        raise_fatal(error)


class RaisingRecord:
    """A message that raises when it is read."""

    def __init__(self, at: TopicPartition, offset: int, error: type[Exception]) -> None:
        self._at, self._offset, self._error = at, offset, error

    def topic(self) -> str:
        return self._at.topic

    def partition(self) -> int:
        return self._at.partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        raise self._error("a poisonous record")


def raising(at: TopicPartition, offset: int, error: type[Exception] = TypeError) -> Message:
    return cast("Message", RaisingRecord(at, offset, error))


def test_a_record_that_makes_the_reader_raise_stops_its_partition_and_no_other() -> None:
    consumer, asker, member = ready(
        [came(HERE, 10), raising(HERE, 11), came(HERE, 12), came(THERE, 10)], end=20
    )
    member.run()

    taken_ = [(record.where, record.offset) for record in asker.records]
    assert (taken_, asker.errors) == ([(HERE, 10), (THERE, 10)], [])
    assert (consumer.sought, consumer.paused) == ({HERE: 11}, {HERE})
    [defect] = [fields for _, event, fields in asker.logger.lines if event == "defect.found"]
    assert "a poisonous record" in str(defect["stack"])


def test_a_partition_stopped_by_the_reader_is_fetched_again_by_itself() -> None:
    consumer, asker, member = ready([came(HERE, 10), raising(HERE, 11)], end=20, times=4)
    paused: list[set[TopicPartition]] = []
    for turn in (3, 2, 1):
        asker.between[turn] = lambda: paused.append(set(consumer.paused))
    member.run()

    assert HERE in paused[0]
    assert HERE not in paused[-1]


def test_a_record_that_makes_the_reader_raise_is_skipped_on_request_and_reported_as_a_gap() -> (
    None
):
    gaps: list[tuple[object, ...]] = []
    consumer, asker, member = ready([raising(HERE, 10)], end=20, times=3)
    asker.on_gap = lambda *gap: gaps.append(gap)  # type: ignore[attr-defined]
    asker.between[1] = lambda: member.order(lambda: member.assignment.skip(HERE, 10))
    member.run()

    assert gaps == [(HERE, 10, 11)]
    assert (consumer.sought, consumer.paused) == ({HERE: 11}, set())


def test_three_partitions_that_one_line_of_the_reader_stops_end_the_member() -> None:
    places = [TopicPartition("t", number) for number in range(3)]
    _, asker, member = ready([raising(at, 10) for at in places], end=20)
    member.assignment.seek(dict.fromkeys(places, 10))
    member.run()

    [error] = asker.errors
    assert isinstance(error, InvariantBroken)
    assert "stopped 3 partitions within a minute" in str(error)


def test_a_shortage_of_memory_is_not_the_records_fault() -> None:
    consumer, asker, member = ready([raising(HERE, 10, MemoryError)], end=20)
    member.run()

    assert (len(asker.errors), consumer.paused) == (1, set())


def test_what_comes_soon_after_a_hand_over_is_handed_over_together_and_nothing_else_waits() -> (
    None
):
    """Each hand-over wakes two threads; a record that comes after a pause must not wait for others."""
    consumer, asker, member = ready(
        [came(HERE, 10 + n) for n in range(8)], end=18, times=4, most=2
    )
    pauses = iter((1, 10, 2, 0))
    consumer.arrive = lambda: asker.clock.forward(next(pauses))

    member.run()

    assert consumer.gathered_for == pytest.approx([0.001, 0, 0, 0.002], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (
            "Partition log truncation detected at offset 30 (leader epoch 0): broker end offset is 10",
            10,
        ),
        ("broker end offset is -1 (…): Local: Partition log truncation detected (broker 2)", -1),
        ("Local: Partition log truncation detected", -1),
        ("fetch failed due to requested offset not available on the broker", None),
    ],
)
def test_only_the_text_says_where_a_log_was_cut(text: str, cut: int | None) -> None:
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, text)  # noqa: SLF001
    assert cut_of(error) == cut
