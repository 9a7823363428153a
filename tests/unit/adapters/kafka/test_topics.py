"""New topics are waited for until every partition has a leader, and not for ever."""

from types import SimpleNamespace

import pytest
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka import topics as kafka_topics
from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.errors import DependencyUnavailable


class Electing(AdminClient):
    """A client whose cluster elects leaders after so many queries."""

    def __init__(self, looks: int) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.looks = looks

    def list_topics(self, *_: object, **__: object) -> SimpleNamespace:  # type: ignore[override]
        self.looks -= 1
        leader = 1 if self.looks < 0 else -1
        partitions = {0: SimpleNamespace(leader=1), 1: SimpleNamespace(leader=leader)}
        return SimpleNamespace(topics={"t": SimpleNamespace(partitions=partitions)})


def cluster(looks: int) -> KafkaTopics:
    made = KafkaTopics({"bootstrap.servers": "127.0.0.1:1"})
    made._admin = Electing(looks)  # noqa: SLF001
    return made


def test_leaders_are_waited_for_and_that_is_logged_once() -> None:
    said: list[str] = []
    cluster(2)._await_leaders(["t"], said.append)  # noqa: SLF001
    assert said == ["Waiting for leaders of the new partitions: t"]


def test_leaders_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_topics, "_SECONDS", 0.2)
    said: list[str] = []
    with pytest.raises(DependencyUnavailable, match="partitions of t have no leader"):
        cluster(1_000)._await_leaders(["t"], said.append)  # noqa: SLF001
