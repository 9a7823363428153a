"""Which of its offsets a member commits, and when."""

from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.assigned_member import HERE, THERE, Member

from hookstream.core.offsets.commit_metadata import CommitPosition


def test_the_loop_hands_offsets_over_and_the_thread_commits_the_last_of_each() -> None:
    """The client makes a commit wait for a poll of another thread: up to 0.2 s for the loop."""
    member = Member()

    member.assignment.commits.settled({HERE: CommitPosition(11), THERE: CommitPosition(21)})
    member.assignment.commits.settled({HERE: CommitPosition(12)})
    assert member.consumer.commits == []
    member.assignment.commit_settled()
    member.assignment.commits.answered({HERE: 12, THERE: 21})
    member.assignment.commit_settled()

    assert member.consumer.commits == [{HERE: 12, THERE: 21}]


def test_a_commit_waits_for_the_answer_to_the_one_before() -> None:
    """A commit that the client retries could overwrite a newer one, and set offsets back."""
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(11), THERE: CommitPosition(21)})
    member.assignment.commit_settled()

    member.assignment.commits.settled({HERE: CommitPosition(12)})
    member.assignment.commit_settled()
    member.assignment.commits.settled({HERE: CommitPosition(13), THERE: CommitPosition(22)})
    member.assignment.commits.answered({HERE: 7})
    member.assignment.commit_settled()
    assert member.consumer.commits == [{HERE: 11, THERE: 21}]
    member.assignment.commits.answered({HERE: 11, THERE: 21})
    member.assignment.commit_settled()

    assert member.consumer.commits == [{HERE: 11, THERE: 21}, {HERE: 13, THERE: 22}]


def test_a_commit_that_is_never_answered_does_not_delay_others_for_ever() -> None:
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(11)})
    member.assignment.commit_settled()
    member.assignment.commits.settled({HERE: CommitPosition(12)})

    member.clock.forward(29_999)
    member.assignment.commit_settled()
    assert len(member.consumer.commits) == 1
    member.clock.forward(1)
    member.assignment.commit_settled()

    assert member.consumer.commits == [{HERE: 11}, {HERE: 12}]


def test_a_revocation_commits_what_is_settled_whatever_is_in_flight() -> None:
    """The group waits for it, and what it does not commit is delivered again by another member."""
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(11), THERE: CommitPosition(21)})
    member.assignment.commit_settled()
    member.assignment.commits.settled({HERE: CommitPosition(12), THERE: CommitPosition(22)})
    member.loop.settled = {HERE: CommitPosition(13)}

    member.assignment.on_revoke(member.client, [KafkaPartition(*HERE)])
    member.assignment.commits.answered({HERE: 11, THERE: 21})
    member.assignment.commit_settled()

    assert member.consumer.commits == [{HERE: 11, THERE: 21}, {HERE: 13}, {THERE: 22}]


def test_a_revocation_commits_what_was_handed_over_and_not_sent_yet() -> None:
    """A source that is closed right after a commit was requested still makes it."""
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(12), THERE: CommitPosition(22)})
    member.loop.settled = {THERE: CommitPosition(23)}

    member.assignment.on_revoke(member.client, [KafkaPartition(*HERE), KafkaPartition(*THERE)])

    assert member.consumer.commits == [{HERE: 12, THERE: 23}]


def test_a_revocation_that_the_loop_cancels_ends_without_a_commit_and_is_logged() -> None:
    member = Member()
    member.loop.ending = True

    member.assignment.on_revoke(member.client, [KafkaPartition(*HERE)])

    assert (member.consumer.commits, member.consumer.offsets) == ([], {THERE: 20})
    assert [event for _, event, _ in member.logger.lines] == ["revocation.not_committed"]


def test_a_revocation_that_the_loop_does_not_answer_commits_what_was_handed_over() -> None:
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(12)})
    member.loop.busy = True

    member.assignment.on_revoke(member.client, [KafkaPartition(*HERE)])

    assert (member.consumer.commits, member.consumer.offsets) == ([{HERE: 12}], {THERE: 20})
    assert [event for _, event, _ in member.logger.lines] == ["revocation.not_committed"]


def test_what_the_group_does_while_the_client_closes_commits_nothing_and_asks_for_nothing() -> (
    None
):
    """A commit that meets the answer to the client's leave ends the process: the client asserts."""
    member = Member()
    member.loop.settled = {HERE: CommitPosition(13)}

    member.assignment.release_all()
    member.assignment.on_assign(member.client, [KafkaPartition("u", 0)])
    member.assignment.on_revoke(member.client, [KafkaPartition(*HERE), KafkaPartition(*THERE)])

    assert member.consumer.commits == [{HERE: 13}]
    assert (member.consumer.asked, member.loop.posted, member.assignment.read) == (0, [], {})


def test_nothing_is_committed_for_a_partition_that_was_revoked_since() -> None:
    """Another member may have committed more of it by now."""
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(12), THERE: CommitPosition(21)})

    member.assignment.on_lost(member.client, [KafkaPartition(*HERE)])
    member.assignment.seek({HERE: 30})
    member.assignment.commit_settled()

    assert member.consumer.commits == [{THERE: 21}]


def test_what_is_not_trusted_any_more_is_not_committed() -> None:
    member = Member()
    member.assignment.commits.settled({HERE: CommitPosition(12)})
    member.assignment.commits.forget()
    member.assignment.commit_settled()
    assert member.consumer.commits == []


def test_a_commit_that_the_client_rejects_is_reported() -> None:
    member = Member()
    member.consumer.broken = True
    member.assignment.commits.settled({HERE: CommitPosition(12)})
    member.assignment.commit_settled()
    assert member.loop.posted == [(member.posted.on_commit_failed, [HERE])]
