"""The positions of assigned partitions, and what happens to one that cannot be read."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.assigned_member import (
    HERE,
    THERE,
    Member,
)

from hookstream.core.model.record import TopicPartition


def test_a_stopped_partition_is_assigned_at_an_offset_that_the_client_never_looks_up() -> None:
    """A query for the log's end may be answered after reading started, and moves the position there."""
    member = Member()
    member.loop.busy = True

    member.assignment.on_assign(member.client, [KafkaPartition("u", 0), KafkaPartition("u", 1)])

    offsets = member.consumer.offsets
    assert [offsets["u", partition] > 1 << 60 for partition in (0, 1)] == [True, True]
    assert member.consumer.paused == {("u", 0), ("u", 1)}


def test_a_partition_is_assigned_again_without_leaving_the_assignment() -> None:
    """A partition that leaves it while a revocation is pending ends that revocation before its commit."""
    member = Member()

    member.assignment.seek({HERE: 12})

    assert member.consumer.offsets == {HERE: 12, THERE: 20}
    assert member.consumer.unassigned == []


def test_a_partition_whose_fetch_failed_for_its_offset_is_assigned_again() -> None:
    member = Member()
    member.consumer.stands = {HERE}

    member.assignment.seek({HERE: 12})

    assert member.consumer.offsets == {HERE: 12, THERE: 20}
    assert member.consumer.unassigned == [HERE]


def test_a_pause_from_before_a_partition_was_lost_ends_when_it_is_assigned_again() -> None:
    """It would never be undone, and the partition would silently stay unread."""
    member = Member()
    member.assignment.on_lost(member.client, [KafkaPartition(*HERE)])
    member.assignment.pause(HERE)

    member.assignment.on_assign(member.client, [KafkaPartition(*HERE)])

    assert member.consumer.offsets == {HERE: 50, THERE: 20}
    assert member.consumer.paused == set()


def test_what_started_behind_its_start_offset_is_read_again_from_that_offset() -> None:
    member = Member()
    assert not member.assignment.admits(HERE, 90)
    member.consumer.offsets[HERE] = 91

    member.assignment.recheck_starts()
    member.assignment.recheck_starts()

    assert member.consumer.offsets == {HERE: 10, THERE: 20}
    assert member.logger.lines == [
        (
            "warning",
            "partition.start_doubted",
            {"topic": "t", "partition": 0, "expected": 10, "offset": 90},
        )
    ]
    assert [member.assignment.admits(HERE, offset) for offset in (90, 91)] == [True, True]


def test_a_revoked_partition_is_not_read_again_from_its_start_offset() -> None:
    member = Member()
    assert not member.assignment.admits(HERE, 90)
    member.assignment.on_lost(member.client, [KafkaPartition(*HERE)])

    member.assignment.recheck_starts()

    assert member.consumer.offsets == {THERE: 20}
    assert member.logger.lines == []


def test_what_cannot_be_fetched_waits_and_is_fetched_again_from_the_same_record() -> None:
    """After a batch of an unknown format the client continues, and would skip its records."""
    member = Member()
    member.consumer.offsets[HERE] = 15

    member.assignment.fetch_failed(HERE, 10, "wrong checksum")
    member.assignment.resume(HERE)
    assert (member.consumer.offsets[HERE], member.consumer.paused) == (10, {HERE})
    member.assignment.try_again()

    assert (member.consumer.offsets[HERE], member.consumer.paused) == (10, set())
    assert member.loop.posted == []


def test_what_cannot_be_fetched_five_times_is_stopped_with_its_remedy() -> None:
    member = Member()

    member.fail(4)
    assert member.loop.posted == []
    member.fail(2)

    [(posted, at, remedy)] = member.loop.posted
    assert (posted, at) == (member.posted.on_stopped, HERE)
    assert "t/0 from offset 10 on cannot be fetched: no such codec" in str(remedy)
    assert "hookstream partition start t/0 --at latest|TIME" in str(remedy)
    # The listener logs that it stopped: one incident is one line.
    assert [event for _, event, _ in member.logger.lines] == ["consumer.error"]


def test_a_stopped_partition_whose_records_come_again_is_read_on() -> None:
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.assignment.fetch_errors.over([HERE, THERE])

    assert member.loop.posted == [(member.posted.on_resumed, HERE)]
    assert not member.assignment.fetch_errors


def test_a_stopped_partition_that_can_be_fetched_again_but_has_no_record_is_read_on() -> None:
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.clock.forward(29_999)
    member.assignment.try_again()
    assert member.loop.posted == []
    member.clock.forward(1)
    member.assignment.try_again()

    assert member.loop.posted == [(member.posted.on_resumed, HERE)]


def test_a_failure_whose_retry_is_late_is_retried_before_it_counts_as_over() -> None:
    """A thread that got no CPU for so long has fetched nothing, and the partition is still paused."""
    member = Member()
    member.fail(4)
    member.assignment.fetch_failed(HERE, 7, "no such codec")
    member.loop.posted.clear()

    member.clock.forward(31_000)
    member.assignment.try_again()

    assert (member.loop.posted, HERE in member.assignment.fetch_errors) == ([], True)
    assert member.consumer.paused == set()


def test_the_time_when_a_failed_partition_was_not_fetched_does_not_count() -> None:
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.assignment.pause(HERE)
    member.clock.forward(31_000)
    member.assignment.try_again()
    member.assignment.resume(HERE)
    member.clock.forward(29_000)
    member.assignment.try_again()
    member.assignment.set_idle(idle=True)
    member.clock.forward(31_000)
    member.assignment.try_again()
    member.assignment.set_idle(idle=False)
    member.clock.forward(29_000)
    member.assignment.try_again()

    assert (member.loop.posted, HERE in member.assignment.fetch_errors) == ([], True)


def test_an_operator_skips_what_cannot_be_fetched_and_it_is_counted_as_a_gap() -> None:
    """What was taken before it is still ours to settle: it is neither lost nor committed."""
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.assignment.start_at(HERE, 15)
    member.assignment.start_waiting()

    assert member.loop.posted == [
        (member.posted.on_gap, HERE, 10, 15),
        (member.posted.on_resumed, HERE),
    ]
    assert (member.consumer.offsets[HERE], member.consumer.commits) == (15, [])
    assert member.consumer.unassigned == []


def test_a_start_that_skips_nothing_is_answered_and_changes_nothing() -> None:
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.assignment.start_at(HERE, "earliest")
    member.assignment.start_waiting()

    assert (member.loop.posted, member.consumer.offsets[HERE]) == ([], 10)
    assert member.logger.lines[-1][1] == "partition.start_too_early"


def test_a_start_for_a_partition_that_is_read_normally_is_answered_and_changes_nothing() -> None:
    member = Member()

    member.assignment.start_at(HERE, 15)

    assert (member.loop.posted, member.consumer.offsets[HERE]) == ([], 10)
    assert member.logger.lines == [
        ("warning", "partition.start_ignored", {"topic": "t", "partition": 0})
    ]


def test_a_start_for_a_partition_that_recovered_meanwhile_skips_nothing() -> None:
    member = Member()
    member.fail(2)
    member.assignment.start_at(HERE, 15)

    member.assignment.fetch_errors.over([HERE])
    member.assignment.start_waiting()

    assert (member.loop.posted, member.consumer.offsets[HERE]) == ([], 10)
    assert member.logger.lines[-1] == (
        "warning",
        "partition.start_ignored",
        {"topic": "t", "partition": 0},
    )


def test_a_broker_that_hangs_is_queried_for_one_named_position_per_pass() -> None:
    """The member does not poll meanwhile, and with many positions the group would expel it."""
    member = Member()
    member.hinder_both()

    def hang(_: list[KafkaPartition]) -> None:
        member.clock.forward(5_000)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001

    member.consumer.ask_for = hang
    asked = []
    for _ in range(3):
        member.assignment.start_waiting()
        asked.append(member.consumer.asked)

    assert asked == [1, 2, 3]
    assert [event for _, event, _ in member.logger.lines] == [
        "consumer.error",
        "consumer.error",
        "positions.unknown",
    ]
    member.consumer.ask_for = lambda _: None
    member.assignment.start_waiting()
    assert member.consumer.offsets == {HERE: 15, THERE: 25}
    assert member.logger.lines[-1][1] == "positions.unknown_over"


def test_a_named_position_that_cannot_be_queried_does_not_delay_the_others() -> None:
    member = Member()
    member.hinder_both()

    def lead_there_only(asked: list[KafkaPartition]) -> None:
        if asked[0].partition == HERE.partition:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))

    member.consumer.ask_for = lead_there_only
    member.assignment.start_waiting()
    member.assignment.start_waiting()

    assert member.consumer.offsets == {HERE: 10, THERE: 25}


def test_a_slow_broker_is_queried_for_named_positions_for_five_seconds_per_pass() -> None:
    member = Member()
    member.hinder_both()
    member.consumer.ask_for = lambda _: member.clock.forward(5_000)

    member.assignment.start_waiting()
    assert member.consumer.offsets == {HERE: 15, THERE: 20}
    member.assignment.start_waiting()

    assert member.consumer.offsets == {HERE: 15, THERE: 25}


def test_nothing_is_retried_for_a_revoked_partition() -> None:
    member = Member()
    member.fail(5)
    member.assignment.on_lost(member.client, [KafkaPartition(*HERE)])
    member.loop.posted.clear()

    member.assignment.try_again()
    member.assignment.log_stopped()

    assert member.loop.posted == []
    assert [event for _, event, _ in member.logger.lines] == ["consumer.error"]


def test_what_is_fetched_and_not_read_to_its_end_is_unread() -> None:
    """A transaction marker at the end is not waited for, and neither is what is paused."""
    member = Member()

    assert member.assignment.unread({HERE: 15, THERE: 21}) == {THERE: (20, 21)}
    assert member.assignment.unread({HERE: 16, THERE: 20}) == {HERE: (15, 16)}
    member.assignment.pause(THERE)
    member.assignment.fetch_failed(HERE, 10, "no such codec")
    assert member.assignment.unread({HERE: 99, THERE: 99}) == {}
    member.assignment.try_again()
    assert member.assignment.unread({HERE: 99, THERE: 99}) == {}


def test_a_skip_of_a_record_that_cannot_be_fetched_skips_that_one_alone() -> None:
    member = Member()
    member.fail(5)
    member.loop.posted.clear()

    member.assignment.skip(HERE, 11)
    assert member.loop.posted == []
    member.assignment.skip(HERE, 10)

    assert member.loop.posted == [
        (member.posted.on_gap, HERE, 10, 11),
        (member.posted.on_resumed, HERE),
    ]
    assert member.consumer.offsets[HERE] == 11


def test_a_start_in_a_stopped_partition_reports_what_is_skipped() -> None:
    """Its records are in progress: what was read below the position is stopped, or being processed."""
    member = Member()

    member.assignment.start_at(HERE, 15, blocked=True)
    member.assignment.start_at(THERE, 12, blocked=True)
    member.assignment.start_waiting()

    assert member.loop.posted == [
        (member.posted.on_gap, HERE, 10, 15),
        (member.posted.on_started, HERE, 15),
        (member.posted.on_started, THERE, 12),
    ]
    assert (member.consumer.offsets[HERE], member.consumer.offsets[THERE]) == (15, 20)


LED, LEADERLESS = TopicPartition("u", 0), TopicPartition("u", 1)


def refuse_leaderless(asked: list[KafkaPartition]) -> None:
    """Answer nothing to a question that is about the partition without a leader, too."""
    if any((p.topic, p.partition) == LEADERLESS for p in asked):
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))


def test_a_partition_without_a_leader_keeps_no_other_from_being_started() -> None:
    member = Member()
    member.consumer.ask_for = refuse_leaderless

    member.assignment.on_assign(member.client, [KafkaPartition(*LED), KafkaPartition(*LEADERLESS)])
    for _ in range(10):
        member.clock.forward(1_000)
        member.assignment.start_waiting()

    assert member.assignment.read == {HERE: 10, THERE: 20, LED: 50}
    [(_, event, fields)] = member.logger.lines
    assert (event, str(fields["detail"]).partition(": ")[0]) == ("positions.unknown", "u/1")

    member.consumer.ask_for = lambda _: None
    member.assignment.start_waiting()

    assert member.assignment.read == {HERE: 10, THERE: 20, LED: 50, LEADERLESS: 50}
    assert [event for _, event, _ in member.logger.lines][1:] == ["positions.unknown_over"]


def test_a_broker_that_answers_nothing_takes_the_time_of_no_other_twice() -> None:
    """Each question that it leaves unanswered takes its five seconds, and nothing is asked after them."""
    member = Member()

    def hang(asked: list[KafkaPartition]) -> None:
        if any(p.topic == "u" and p.partition == 0 for p in asked):
            member.clock.forward(5_000)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001

    member.consumer.ask_for = hang
    member.assignment.on_assign(member.client, [KafkaPartition("u", n) for n in range(3)])
    member.assignment.start_waiting()

    assert member.assignment.read == {HERE: 10, THERE: 20, ("u", 1): 50, ("u", 2): 50}


def test_a_partition_without_a_leader_keeps_no_named_position_from_being_applied() -> None:
    member = Member()
    member.hinder_both()
    member.consumer.ask_for = refuse_leaderless

    member.assignment.on_assign(member.client, [KafkaPartition(*LEADERLESS)])

    assert member.consumer.offsets[HERE] == 15


def test_a_log_that_was_cut_while_it_was_read_is_read_from_the_cut_on() -> None:
    """Its new leader has appended beyond the committed 50: what it wrote from 45 on was not read."""
    member = Member()

    member.assignment.vanished(HERE, 0, cut=45)

    assert member.assignment.read == {HERE: 45, THERE: 20}
    assert member.consumer.starts == [{HERE: 45}]


def test_where_a_log_was_cut_is_kept_until_brokers_answer_and_not_for_the_next_owner() -> None:
    member = Member()
    member.loop.busy = True
    member.assignment.vanished(HERE, 0, cut=45)
    member.loop.busy = False

    member.assignment.start_waiting()
    assert member.assignment.read[HERE] == 45
    member.assignment.on_lost(member.client, [KafkaPartition(*HERE)])
    member.assignment.on_assign(member.client, [KafkaPartition(*HERE)])

    assert member.assignment.read[HERE] == 50
