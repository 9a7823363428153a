"""A partition without a leader keeps the index from none of the others, and is read once it has one."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import make_world
from tests.integration.index_world import (
    AttemptsTopic,
    all_attempts,
    eventually,
    following,
    places,
)

from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.lookups import LogPosition
from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import HOUR
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin import index


class PartlyLedGroups(KafkaGroups):
    """Groups of a cluster in which nobody leads some partitions, as far as a test says so."""

    unled: ClassVar[set[int]] = set()
    topic: ClassVar[str] = ""

    def led_offsets_at(
        self, partitions: Sequence[TopicPartition], where: LogPosition
    ) -> dict[TopicPartition, int]:
        led = [at for at in partitions if at.topic != self.topic or at.partition not in self.unled]
        return super().led_offsets_at(led, where)


def test_what_has_a_leader_is_indexed_and_the_rest_once_it_has_one(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = AttemptsTopic(make_world(broker, prefix, capsys))
    topic.create()
    monkeypatch.setattr(index, "_LIST_SECONDS", 0.5)
    monkeypatch.setattr(index, "KafkaGroups", PartlyLedGroups)
    monkeypatch.setattr(PartlyLedGroups, "topic", topic.name)
    monkeypatch.setattr(PartlyLedGroups, "unled", {1})
    now = SystemClock().now()
    hour = now - HOUR
    for partition in (0, 1):
        topic.append([now - 2 * HOUR, now], partition)
    with following(topic.world, tmp_path), closing(IndexReader(tmp_path)) as reader:
        # An hour of which a partition was not read is not complete, and hides the older ones.
        led = [place for place in _logged(topic) if place[0] > hour and place[1] == 0]
        eventually(lambda: places(all_attempts(reader)), lambda found: found == led)
        PartlyLedGroups.unled.clear()
        eventually(lambda: places(all_attempts(reader)), lambda found: found == _logged(topic))


def _logged(topic: AttemptsTopic) -> list[tuple[int, int, int]]:
    return sorted((each.at, each.partition, each.offset) for each in topic.logged)
