"""Records of confluent-kafka's own serializers, over a real registry, are delivered like any other."""

import asyncio
import copy
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import fastavro
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from examples.demo.stage import CommandFailed
from tests.doubles.registry_server import RegistryServer
from tests.e2e.link import Link
from tests.e2e.registries.producing import TREE, Confluent, lines, serve, until_arrived
from tests.e2e.world import EVENT_TYPE, World, until
from tests.real_registry import RealRegistry

pytestmark = pytest.mark.timeout(300)
_PARSED = fastavro.parse_schema(copy.deepcopy(TREE))


MOST_OTHERS = 500

ClientOf = Callable[[str], SchemaRegistryClient]


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    """Makes Confluent's clients by address, and closes them at the end."""
    with ExitStack() as opened:

        def make(url: str) -> SchemaRegistryClient:
            mock = url.startswith("mock:")
            made = SchemaRegistryClient.new_client if mock else SchemaRegistryClient
            client: SchemaRegistryClient = opened.enter_context(made({"url": url}))
            return client

        yield make


@asynccontextmanager
async def a_link(url: str) -> AsyncIterator[str]:
    """Yield another address of a registry that others use too, where nothing listens after the block."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        pytest.skip(f"a link leads to a registry by HTTP alone, not to {url}")
    async with Link(parts.port or 80, parts.hostname) as link:
        yield f"http://127.0.0.1:{link.port}{parts.path}"


class Service:
    """An upstream service with Confluent's serializer, as its documentation has it."""

    def __init__(
        self,
        world: World,
        client: SchemaRegistryClient,
        schema: Schema | None = None,
        conf: Mapping[str, object] | None = None,
    ) -> None:
        self._world = world
        self._confluent = Confluent(world)
        settings: dict[str, object] = {
            "auto.register.schemas": True,
            "subject.name.strategy.type": "TOPIC",
        }
        settings.update(conf or {})
        self._serializer = AvroSerializer(
            client, schema or Schema(json.dumps(TREE), "AVRO"), conf=settings
        )
        servers = world.stage.servers
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})

    async def send(self, count: int = 1) -> list[str]:
        """Send so many events, and return their ids."""
        return await asyncio.to_thread(lambda: [self._send() for _ in range(count)])

    def _send(self) -> str:
        event_id, body = self._confluent.body()
        value = fastavro.schemaless_reader(io.BytesIO(body), _PARSED, None)
        headers: list[tuple[str, str | bytes | None]] = []
        context = SerializationContext(self._world.topic, MessageField.VALUE, headers)
        serialized = self._serializer(value, context)
        self._producer.produce(self._world.topic, serialized, headers=headers)
        assert self._producer.flush(30) == 0
        return event_id


def with_reference(service: SchemaRegistryClient, world: World) -> Schema:
    """The schema of the event with the record of its data in a subject of its own."""
    tree: Any = copy.deepcopy(TREE)
    data = next(field for field in tree["fields"] if field["name"] == "data")
    inner: dict[str, Any] = {"namespace": tree["namespace"], **data["type"]}
    name = f"{inner['namespace']}.{inner['name']}"
    data["type"] = name
    subject = f"{world.prefix}-data"
    service.register_schema(subject, Schema(json.dumps(inner), "AVRO"))
    reference = SchemaReference(name, subject, 1)
    return Schema(json.dumps(tree), "AVRO", [reference])


async def test_events_of_a_service_with_confluents_serializer_are_filtered_retried_and_redriven(
    world: World, registry_url: str, client_of: ClientOf
) -> None:
    crm = await world.subscribe("crm", schedule="[1s, 1s]")
    await world.subscribe("none", more='pattern: {"entity_id": ["nobody"]}\n')
    up = False

    async def first_down(_: object, __: int) -> int:
        return 204 if up else 500

    crm.answer(first_down)
    async with a_link(registry_url) as linked:
        serve(world, linked)
        await world.stage.start_worker()
        service = Service(world, client_of(registry_url))
        sent = await service.send(2)
        await until(lambda: len(crm.statuses) == 6, 90, lambda: crm.statuses)
        await world.until_settled(60)

    # What follows needs no registry, and there is none: neither a redrive, nor a restart, nor commands.
    assert await world.stage.stop_worker() == 0
    await world.stage.start_worker()
    up = True
    listed = await world.ask("dlq", "list")
    assert listed["open"] == 2
    await world.stage.hookstream("dlq", "redrive", "--subscription", "crm", "--yes")
    await until_arrived(crm, sent)
    assert {body["type"] for body in crm.bodies.values()} == {"pricing.completed"}
    assert {body["version"] for body in crm.bodies.values()} == {1}
    assert world.partners["none"].statuses == []
    assert lines(world, "registry.unreachable") == []


async def test_a_schema_with_references_is_read_whole(
    world: World, registry_url: str, client_of: ClientOf
) -> None:
    serve(world, registry_url)
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    client = client_of(registry_url)
    schema = await asyncio.to_thread(with_reference, client, world)
    service = Service(world, client, schema)
    await until_arrived(crm, await service.send(3))


async def test_the_header_of_confluents_serializer_is_read(
    world: World, client_of: ClientOf
) -> None:
    """Its own registry in memory gives GUIDs, which Apicurio lacks."""
    client = client_of(f"mock://{world.prefix}")
    service = Service(
        world,
        client,
        conf={"schema.id.serializer": header_schema_id_serializer},
    )
    registered = await asyncio.to_thread(
        client.register_schema_full_response,
        f"{world.topic}-value",
        Schema(json.dumps(TREE), "AVRO"),
    )
    async with RegistryServer() as server:
        server.put(str(registered.guid), TREE)
        serve(world, server.url)
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        await until_arrived(crm, await service.send(2))
        assert [*server.asked] == [f"/schemas/guids/{registered.guid}"]


async def test_the_registrys_own_words_for_a_missing_id_are_not_found_and_its_others_are_not(
    world: World, registry_url: str
) -> None:
    """An id that comes later is waited for; a wrong path is no answer about an id."""
    serve(world, registry_url)
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    confluent = Confluent(world)
    missing = 4_000_000_000
    await confluent.prefix(missing)
    await until_arrived(crm, [each.event_id for each in await world.publish(2)])

    [found, *_] = await world.until_read("retry.0s", "retry.1s")
    assert found.headers["hs-deferred-reason"] == "schema_unknown"
    assert lines(world, "registry.unreachable") == []


async def test_a_registry_that_was_restored_with_other_ids_is_raised(
    world: World,
    registry_url: str,
    start_registry: Callable[[], RealRegistry],
    client_of: ClientOf,
) -> None:
    client = client_of(registry_url)
    crm = await world.subscribe("crm")
    async with a_link(registry_url) as linked:
        serve(world, linked)
        await world.stage.start_worker()
        await until_arrived(crm, await Service(world, client).send())
    assert await world.stage.stop_worker() == 0
    latest = await asyncio.to_thread(client.get_latest_version, f"{world.topic}-value")

    # Empty again, and other services are the first to register.
    again = await asyncio.to_thread(start_registry)
    serve(world, again.url)
    client = client_of(again.url)
    await asyncio.to_thread(register_others, client, latest.schema_id)
    await world.stage.start_worker()
    await until_arrived(crm, await Service(world, client).send())
    await until(lambda: bool(lines(world, "registry.differs")), 60, world.stage.log.read_text)
    [raised, *_] = lines(world, "registry.differs")
    assert (raised["registry"], raised["schema"]) == ("main", str(latest.schema_id))


def register_others(client: SchemaRegistryClient, last: int | None) -> None:
    """Register schemas of others in an empty registry, until an id is taken."""
    if last is None or last > MOST_OTHERS:
        pytest.skip(f"the registry that is given has too many schemas: the last is {last}")
    given = 0
    while given < last:
        other: Mapping[str, object] = {
            "type": "record",
            "name": f"Other{given}",
            "fields": [{"name": "f", "type": "int"}],
        }
        schema = Schema(json.dumps(other), "AVRO")
        given = client.register_schema(f"other{given}-value", schema)
    assert given == last


async def test_published_schemas_are_registered_under_the_registrys_rules(
    world: World, registry_url: str, client_of: ClientOf
) -> None:
    serve(world, registry_url)
    subject = f"{world.prefix}.events.{{type}}-value"
    register = ("schemas", "register", "--registry", "main", "--subject", subject, "--yes")
    first = await world.stage.hookstream(*register, EVENT_TYPE)
    again = await world.stage.hookstream(*register, EVENT_TYPE)
    client = client_of(registry_url)
    name = f"{world.topic}-value"
    latest = await asyncio.to_thread(client.get_latest_version, name)
    assert f"{EVENT_TYPE} v1: {name} has it as {latest.schema_id}" in first
    assert f"= {EVENT_TYPE} v1: {name} has it as {latest.schema_id}" in again
    assert "Nothing to register." in again

    # A service that registers nothing itself uses what is there.
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    conf = {"auto.register.schemas": False, "use.schema.id": latest.schema_id}
    service = Service(world, client, conf=conf)
    await until_arrived(crm, await service.send(2))
    listed = await world.stage.hookstream("schemas", "types", "--json")
    [known] = [
        found
        for found in map(json.loads, listed.splitlines())
        if (found["event_type"], found["version"]) == (EVENT_TYPE, 1)
    ]
    assert known["from"] == "published"
    assert known["registered"] == [{"registry": "main", "id": str(latest.schema_id)}]


async def test_a_schema_that_the_registrys_rule_refuses_is_not_registered(
    world: World, registry_url: str, client_of: ClientOf
) -> None:
    serve(world, registry_url)
    subject = f"{world.prefix}-taken"
    other = {"type": "record", "name": "Other", "fields": [{"name": "f", "type": "int"}]}
    client = client_of(registry_url)
    await asyncio.to_thread(client.register_schema, subject, Schema(json.dumps(other), "AVRO"))
    await asyncio.to_thread(client.set_compatibility, subject, "BACKWARD")
    command = ("schemas", "register", EVENT_TYPE, "--registry", "main", "--subject", subject)
    with pytest.raises(CommandFailed, match=f"not compatible with what {subject} has"):
        await world.stage.hookstream(*command, "--yes")
    versions = await asyncio.to_thread(client.get_versions, subject)
    assert versions == [1]
