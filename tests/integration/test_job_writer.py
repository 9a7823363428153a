"""The steps of a job on a real broker: whole or not at all, and one process at a time."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import ProducerFenced

Client = dict[str, str | int | float | bool]
SMALL = 20_000
"""The size limit of `retry.0s` in these tests."""


@pytest.fixture
def client(broker: Broker, prefix: str) -> Client:
    client: Client = {"bootstrap.servers": broker.bootstrap_servers}
    jobs = NewTopic(f"{prefix}.jobs", 1, 1, config={"cleanup.policy": "compact"})
    door = NewTopic(f"{prefix}.retry.0s", 1, 1, config={"max.message.bytes": str(SMALL)})
    admin = AdminClient(client)  # its futures end with it
    for made in admin.create_topics([jobs, door]).values():
        made.result(30)
    return client


def row(prefix: str, key: str, value: bytes = b"{}") -> OutgoingRecord:
    return OutgoingRecord(f"{prefix}.jobs", key.encode(), value)


def door(prefix: str, value: bytes) -> OutgoingRecord:
    return OutgoingRecord(f"{prefix}.retry.0s", b"msg_a", value, [("hs-trigger", b"redrive")])


def keys(client: Client, prefix: str) -> list[str]:
    topic = f"{prefix}.jobs"
    return sorted(read_tables(client, [topic])[topic])


def test_a_step_is_written_as_a_whole(client: Client, prefix: str) -> None:
    with JobWriter(client, f"{prefix}.job.j") as writer:
        refused = writer.write([door(prefix, b"v"), row(prefix, "j"), row(prefix, "j/0/1")])
    assert (list(refused), keys(client, prefix)) == ([], ["j", "j/0/1"])


def test_a_record_that_its_topic_refuses_aborts_its_step_and_the_writer_continues(
    client: Client, prefix: str
) -> None:
    """The broker's bound is the topic's, so only the broker can check it."""
    huge = bytes(range(256)) * 100
    with JobWriter(client, f"{prefix}.job.j") as writer:
        refused = writer.write([row(prefix, "lost"), door(prefix, huge)])
        again = writer.write([row(prefix, "kept")])
    assert (list(refused), list(again), keys(client, prefix)) == ([1], [], ["kept"])


def test_a_record_that_the_client_refuses_is_named_too(client: Client, prefix: str) -> None:
    with JobWriter(client, f"{prefix}.job.j") as writer:
        refused = writer.write([door(prefix, bytes(17 * 1024 * 1024)), row(prefix, "lost")])
    assert (list(refused), keys(client, prefix)) == ([0], [])


def test_a_second_process_of_a_job_ends_what_the_first_left_open(
    client: Client, prefix: str
) -> None:
    """A killed process leaves its transaction open; `--resume` must not see half of a step."""
    first = Producer(client | {"transactional.id": f"{prefix}.job.j", "linger.ms": 0})
    first.init_transactions(10)
    first.begin_transaction()
    first.produce(f"{prefix}.jobs", key=b"half", value=b"{}")
    first.flush(10)
    with JobWriter(client, f"{prefix}.job.j") as second:
        rows = keys(client, prefix)
        second.write([row(prefix, "whole")])
    assert (rows, keys(client, prefix)) == ([], ["whole"])


def test_the_first_process_is_fenced(client: Client, prefix: str) -> None:
    with JobWriter(client, f"{prefix}.job.j") as hung, JobWriter(client, f"{prefix}.job.j"):
        with pytest.raises(ProducerFenced):
            hung.write([row(prefix, "late")])
        assert keys(client, prefix) == []
