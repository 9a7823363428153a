"""A registry's schema is written once, whoever resolves it at the same time, and all know the same one."""

import asyncio
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.doubles.schemas import event_schema, field
from tests.doubles.seeing import RememberingLogger

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import RegisteredId, RegisteredSchema, Unreachable
from hookstream.core.model.topics import Topics
from hookstream.entry.worker.registered_rows import RegisteredRows

SCHEMA = RegisteredId("main", "7")
TREE = event_schema(field("a", "long"))
OTHER = event_schema(field("b", "long"))


@pytest.fixture
def topics(broker: Broker, prefix: str) -> Topics:
    names = Topics(prefix)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    made = admin.create_topics([NewTopic(names.schemas, 1, 1, config=config)])
    made[names.schemas].result(30)
    return names


class Process:
    """One worker's rows."""

    def __init__(self, broker: Broker, topics: Topics, fraction: float = 0.5) -> None:
        self.book = SchemaBook()
        self.logger = RememberingLogger()
        self.client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": broker.bootstrap_servers
        }
        self.rows = RegisteredRows(self.client, topics, self.book, self.logger, lambda: fraction)

    async def add(self, tree: JsonObject, schema: RegisteredId = SCHEMA) -> JsonObject:
        answer = await self.rows.add(schema, RegisteredSchema(tree))
        assert isinstance(answer, RegisteredSchema), answer
        return answer.tree


def written(broker: Broker, topics: Topics) -> dict[str, int]:
    """The offset of each row."""
    client = {"bootstrap.servers": broker.bootstrap_servers}
    found = read_tables(client, [topics.schemas])[topics.schemas]
    return {key: row.offset for key, row in found.items()}


async def test_a_schema_becomes_a_row_that_the_codec_knows_at_once(
    broker: Broker, topics: Topics
) -> None:
    process = Process(broker, topics)
    assert await process.add(TREE) == TREE
    assert process.book.registered.tree(SCHEMA) == TREE
    assert await asyncio.to_thread(written, broker, topics) == {"registry/main/7": 0}


async def test_a_row_that_another_worker_wrote_stays_and_a_differing_answer_is_raised(
    broker: Broker, topics: Topics
) -> None:
    """A registry that was restored gives its ids to other schemas."""
    first, second = Process(broker, topics), Process(broker, topics)
    await first.add(TREE)

    assert await second.add(OTHER) == TREE

    assert second.book.registered.tree(SCHEMA) == TREE
    assert second.logger.events("error") == ["registry.differs"]
    assert first.logger.events("error") == []
    assert await asyncio.to_thread(written, broker, topics) == {"registry/main/7": 0}


async def test_workers_that_resolve_at_the_same_time_agree_and_write_each_row_once(
    broker: Broker, topics: Topics
) -> None:
    processes = [Process(broker, topics, number / 5) for number in range(5)]
    trees = [TREE, OTHER]

    async def add(number: int, process: Process) -> JsonObject:
        while True:
            answer = await process.rows.add(SCHEMA, RegisteredSchema(trees[number % 2]))
            if isinstance(answer, RegisteredSchema):
                return answer.tree
            assert isinstance(answer, Unreachable)

    async with asyncio.TaskGroup() as tasks:
        adds = [
            tasks.create_task(add(number, process)) for number, process in enumerate(processes)
        ]

    known = [task.result() for task in adds]
    assert all(tree == known[0] for tree in known)
    assert all(each.book.registered.tree(SCHEMA) == known[0] for each in processes)
    assert (await asyncio.to_thread(written, broker, topics)).keys() == {"registry/main/7"}


async def test_schemas_that_are_resolved_together_are_written_together(
    broker: Broker, topics: Topics
) -> None:
    process = Process(broker, topics)
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(process.add(TREE, RegisteredId("main", str(number))))
    offsets = await asyncio.to_thread(written, broker, topics)
    assert len(offsets) == 30
    # A marker follows each transaction.
    assert max(offsets.values()) <= 29 + 2


async def test_a_topic_that_cannot_be_written_is_a_reason_to_wait(
    broker: Broker, topics: Topics
) -> None:
    process = Process(broker, topics)
    missing = Topics(f"{topics.prefix}-missing")
    rows = RegisteredRows(process.client, missing, process.book, process.logger, lambda: 0.5)
    answer = await rows.add(SCHEMA, RegisteredSchema(TREE))
    assert isinstance(answer, Unreachable)
    assert missing.schemas in answer.detail
    assert process.book.registered.tree(SCHEMA) is None
    again = replace(RegisteredSchema(TREE))
    assert await process.rows.add(SCHEMA, again) == again
