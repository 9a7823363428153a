"""Reads the positions of a consumer group from the brokers, without joining it."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import (
    ClientSettings,
    Properties,
    admin_client,
    bounded,
    kafka_error,
)
from hookstream.adapters.kafka.lookups import LogPosition, ask_offsets, translating
from hookstream.adapters.kafka.offsets import commit_positions, place_of
from hookstream.adapters.kafka.scan import LogReader
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.group_position import GroupMember, GroupPosition

T = TypeVar("T")

_CLIENT_SECONDS = 10.0
"""How old a client is at least that another one takes the place of, while a partition has no leader."""

_ALL_RECORDS: Properties = {
    "isolation.level": "read_uncommitted",
    # Old records may be deleted meanwhile.
    "auto.offset.reset": "earliest",
}


class KafkaGroups:
    """Consumer groups, as the brokers describe them. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        timeout: Seconds to wait at most for each answer.
    """

    def __init__(self, client: ClientSettings, *, timeout: float = 30.0) -> None:
        self._client = client
        self._admin: AdminClient = admin_client(client)
        self._timeout = timeout
        self._made_at = time.monotonic()
        self._unled: set[TopicPartition] = set()
        """Partitions that no broker that answers led when they were asked last."""

    def topics(self) -> dict[str, int]:
        """Return every topic that is not Kafka's own, with how many partitions it has.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        with translating("cannot list the cluster's topics", self._timeout):
            found = self._admin.list_topics(timeout=self._timeout).topics
        return {
            name: len(topic.partitions)
            for name, topic in found.items()
            if not name.startswith("__")
        }

    def positions(
        self, group: str, partitions: Sequence[TopicPartition], *, oldest: bool = True
    ) -> list[GroupPosition]:
        """Return the position of a group in each of these partitions, in their order.

        The commits are read before the ends, so offsets that are committed meanwhile appear as unsettled,
        never the other way round.

        Of a partition that no broker that answers leads, `has_leader` says so.

        Args:
            group: The group; one that never had a member has no partition and no commit.
            partitions: Partitions that exist.
            oldest: Whether the first record that may be unsettled is read for its time. A record that
                stops its partition may be unreadable.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer.
        """
        if not partitions:
            return []
        with translating(f"cannot read the positions of group {group}", self._timeout):
            members, committed = self._members(group), self._committed(group)
            what = f"the offsets of what the group {group} reads"
            starts = self._led(partitions, "earliest", what)
            ends = self._led([*starts], "latest", what)
            unknown = {at: each.offset for at, each in committed.items()}
            found = [
                GroupPosition(
                    group,
                    at,
                    members.get(at),
                    committed.get(at),
                    starts[at] if at in ends else unknown.get(at, 0),
                    ends.get(at, unknown.get(at, 0)),
                    oldest=None,
                    looked=oldest,
                    has_leader=at in ends,
                )
                for at in partitions
            ]
            behind = {each.at: each for each in found if oldest and each.unread_from < each.end}
            times = self._oldest(behind)
        return [replace(each, oldest=times.get(each.at)) for each in found]

    def offsets_at(
        self, partitions: Sequence[TopicPartition], where: LogPosition
    ) -> dict[TopicPartition, int]:
        """Return the offset of a position in each of these partitions.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer.
        """
        if not partitions:
            return {}
        what = f"offsets of {len(partitions)} partitions"
        with translating(f"cannot read {what}", self._timeout):
            return ask_offsets(self._admin, partitions, where, self._timeout, what)

    def led_offsets_at(
        self, partitions: Sequence[TopicPartition], where: LogPosition
    ) -> dict[TopicPartition, int]:
        """Return the offset of a position in those of these partitions that a broker leads that answers.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer.
        """
        what = f"offsets of {len(partitions)} partitions"
        with translating(f"asking for {what}", self._timeout):
            return self._led(partitions, where, what)

    def _led(
        self, partitions: Sequence[TopicPartition], where: LogPosition, what: str
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        if self._unled and time.monotonic() - self._made_at >= _CLIENT_SECONDS:
            # One that was there when a broker was frozen may know no leader for long.
            self._admin, self._made_at = admin_client(self._client), time.monotonic()
        return ask_offsets(self._admin, partitions, where, self._timeout, what, unled=self._unled)

    def offset_at(self, at: TopicPartition, where: LogPosition) -> int:
        """Return the offset of a position in a partition.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer.
        """
        what = f"the offsets of {at.topic}/{at.partition}"
        with translating(f"cannot read {what}", self._timeout):
            return ask_offsets(self._admin, [at], where, self._timeout, what)[at]

    def _members(self, group: str) -> dict[TopicPartition, GroupMember]:
        answers = self._admin.describe_consumer_groups([group], request_timeout=self._timeout)
        described = self._known(answers[group])
        return {
            place_of(assigned): GroupMember(
                member.member_id, member.client_id, member.host, member.group_instance_id or None
            )
            for member in (described.members if described is not None else ())
            if member.assignment is not None
            for assigned in member.assignment.topic_partitions
        }

    def _committed(self, group: str) -> dict[TopicPartition, CommitPosition]:
        answers = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=self._timeout
        )
        offsets = self._known(answers[group])
        return {} if offsets is None else commit_positions(offsets.topic_partitions)

    def _known(self, answer: Future[T]) -> T | None:
        """Return a broker's answer about a group; None: it knows no such group."""
        try:
            return answer.result(self._timeout)
        except KafkaException as error:
            if kafka_error(error).code() == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            raise

    def _oldest(
        self, positions: Mapping[TopicPartition, GroupPosition]
    ) -> dict[TopicPartition, Millis]:
        """Return when the first unsettled record of each was appended, if there is one.

        Records of open and aborted transactions count, since they are not settled.

        Raises:
            DependencyUnavailable: A record exists but did not come.
        """
        found: dict[TopicPartition, Millis] = {}
        if not positions:
            return found
        starts = {at: each.unread_from for at, each in positions.items()}
        ends = {at: each.end for at, each in positions.items()}
        with LogReader(bounded(self._client), starts, properties=_ALL_RECORDS) as log:
            for record in chain.from_iterable(log.batches(ends, self._timeout)):
                at = record.where
                if at not in found and not positions[at].settles(record.offset):
                    found[at] = record.timestamp
                    log.drop(at)
        return found
