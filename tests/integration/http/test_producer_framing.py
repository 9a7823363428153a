"""The producer's kit writes Confluent's prefix with the registry's id, or with one that it is given."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from tests.doubles.registry_server import RegistryServer
from tests.doubles.schemas import event_fields, event_schema, field

from hookstream.adapters.avro.published import PublishedSchema, published
from hookstream.adapters.schema_registry.record_framing import RecordFraming
from hookstream.core.model.framing import prefixed
from hookstream.core.model.json import JsonObject
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused
from hookstream.producer import EventProducer, SchemaRegistry

pytestmark = pytest.mark.real_time

TREE: JsonObject = event_schema(field("a", "int"))
TOPIC = "printprice.thing.done"
IDS: Mapping[tuple[str, int], int] = {("thing.done", 1): 7}


def schema() -> PublishedSchema:
    return published(TREE, 1)


def encoded() -> tuple[bytes, bytes]:
    """An event in single-object encoding, and its body."""
    value = schema().encode(event_fields({"a": 5}))
    return value, value[10:]


def registry(server: RegistryServer, **more: Any) -> SchemaRegistry:  # noqa: ANN401
    return SchemaRegistry([server.url], **more)


async def test_a_known_id_is_written_before_the_body() -> None:
    value, body = encoded()
    async with RecordFraming("confluent", None, IDS, follows=False) as framing:
        assert await framing.framed(schema(), value, TOPIC) == prefixed(7) + body


async def test_single_object_encoding_is_left_as_it_is() -> None:
    value, _ = encoded()
    async with RecordFraming("single-object", None, None, follows=True) as framing:
        assert await framing.framed(schema(), value, TOPIC) == value


@pytest.mark.parametrize(
    ("subject", "asked"),
    [("{topic}-value", f"{TOPIC}-value"), ("{name}", "tests.ThingDone"), ("{type}/{version}", "thing.done/1")],
)  # fmt: skip
async def test_an_id_is_looked_up_once_under_its_subject(subject: str, asked: str) -> None:
    value, body = encoded()
    async with RegistryServer() as server:
        server.put("41", TREE)
        server.registered[asked] = ["41"]
        at = registry(server, subject=subject)
        async with (
            RecordFraming("confluent", at, None, follows=True) as framing,
            asyncio.TaskGroup() as several,
        ):
            tasks = [
                several.create_task(framing.framed(schema(), value, TOPIC)) for _ in range(20)
            ]
        assert {task.result() for task in tasks} == {prefixed(41) + body}
        assert server.asked == {f"/subjects/{asked}": 1}


async def test_a_schema_that_is_not_registered_is_refused_and_asked_for_again() -> None:
    value, body = encoded()
    async with (
        RegistryServer() as server,
        RecordFraming("confluent", registry(server), None, follows=True) as framing,
    ):
        with pytest.raises(
            InputRefused, match=r"thing\.done v1 is not registered under the subject"
        ):
            await framing.framed(schema(), value, TOPIC)
        server.put("41", TREE)
        server.registered["tests.ThingDone"] = ["41"]
        assert await framing.framed(schema(), value, TOPIC) == prefixed(41) + body


async def test_a_registry_that_gives_no_answer_is_unavailable_and_never_shows_the_secret() -> None:
    value, _ = encoded()
    async with RegistryServer() as server:
        server.authorization = "Bearer right"
        at = registry(server, secret="wr0ng-token")
        async with RecordFraming("confluent", at, None, follows=True) as framing:
            with pytest.raises(DependencyUnavailable, match="answered 401: Unauthorized"):
                await framing.framed(schema(), value, TOPIC)
        server.authorization = None
        server.answer = web.Response(status=200, text='{"id": -1}')
        async with RecordFraming("confluent", at, None, follows=True) as framing:
            with pytest.raises(DependencyUnavailable, match="answered 200"):
                await framing.framed(schema(), value, TOPIC)
    assert "wr0ng-token" not in repr(at)
    async with RecordFraming("confluent", at, None, follows=True) as framing:
        with pytest.raises(DependencyUnavailable, match="cannot be reached"):
            await framing.framed(schema(), value, TOPIC)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"framing": "json"}, "framing: 'json' is neither single-object nor confluent"),
        ({"framing": "confluent"}, "framing confluent needs registry, or else schema_ids"),
        ({"schema_ids": IDS}, "registry and schema_ids are for framing confluent"),
        ({"framing": "confluent", "schema_ids": IDS}, "schema_ids are of the schemas that are given"),
        ({"framing": "confluent", "schemas": [TREE], "schema_ids": {("thing.done", 1): -1}}, "-1 of thing.done v1 is not an id"),
    ],
)  # fmt: skip
def test_a_framing_without_what_it_needs_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        EventProducer("127.0.0.1:9", **options)


async def test_an_id_that_is_not_given_is_refused() -> None:
    value, _ = encoded()
    async with RecordFraming("confluent", None, {}, follows=False) as framing:
        with pytest.raises(InputRefused, match=r"schema_ids has no id of thing\.done v1"):
            await framing.framed(schema(), value, TOPIC)
