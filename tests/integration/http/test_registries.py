"""A registry's answer is a schema, its own "not found", or a reason to wait that names what it said."""

import base64
import json
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.doubles.certificates import certificate
from tests.doubles.registry_server import Kept, RegistryServer

from hookstream.adapters.http.tls_contexts import machine_context
from hookstream.adapters.schema_registry.registries import HttpRegistries
from hookstream.adapters.schema_registry.replicas import Access, RegistrySecret, trusted
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
    Unusable,
)
from hookstream.errors import ConfigurationError

SCHEMA = RegisteredId("main", "7")
GUID = RegisteredId("main", "00112233-4455-6677-8899-aabbccddeeff")
SECONDS_30 = 30_000


def record(name: str, type_: Json = "int") -> JsonObject:
    """A record of one field."""
    fields: list[Json] = [{"name": "f", "type": type_}]
    return {"type": "record", "name": name, "namespace": "shop", "fields": fields}


TREE = record("A")
PASSWORD = "hush-hush"


def to(*servers: RegistryServer, path: str = "") -> Access:
    return Access([server.url + path for server in servers], SECONDS_30)


async def asked(access: Access, schema: RegisteredId = SCHEMA) -> RegistryAnswer:
    async with HttpRegistries({"main": access}) as registries:
        return await registries.fetch(schema)


async def test_a_schema_is_fetched_by_its_id() -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        assert await asked(to(server)) == RegisteredSchema(TREE)


async def test_a_schema_is_fetched_by_its_guid() -> None:
    async with RegistryServer() as server:
        server.put(GUID.id, TREE)
        assert await asked(to(server), GUID) == RegisteredSchema(TREE)


async def test_references_are_fetched_and_written_out() -> None:
    async with RegistryServer() as server:
        leaf: JsonObject = {"type": "enum", "name": "C", "namespace": "shop", "symbols": ["X"]}
        inner = server.refer("shop.C", 1, leaf)
        middle = record("B", "shop.C")
        outer = server.refer("a/b c", 3, middle, inner)
        server.put("7", record("A", "shop.B"), outer, inner)
        found = await asked(to(server))
        assert found == RegisteredSchema(record("A", record("B", leaf)))


async def test_only_the_registrys_own_answer_means_that_it_does_not_have_the_id() -> None:
    async with RegistryServer() as server:
        found = await asked(to(server))
        assert found == NotFound("it answered 404 (40403): Schema 7 not found")
        other = await asked(to(server, path="/wrong"))
        assert other == Unreachable("it answered 404")


async def test_a_registry_without_guids_is_not_reached_and_that_is_said() -> None:
    async with RegistryServer() as server:
        found = await asked(to(server), GUID)
        assert found == Unreachable("it answered 404 (not every registry has GUIDs)")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=500), "it answered 500"),
        (web.Response(status=503, text="busy"), "it answered 503"),
        (web.Response(status=429), "it answered 429"),
        (web.Response(status=302, headers={"Location": "http://elsewhere"}), "it answered 302"),
        (web.Response(status=404, text="<html>"), "it answered 404"),
        (web.Response(status=404, text='{"error_code": 40401}'), "it answered 404 (40401)"),
        (web.Response(status=200, text="<html>"), "the body is no schema"),
        (web.Response(status=200, text="[]"), "the body is no schema"),
        (web.Response(status=200, text='{"schema": 7}'), "the body is no schema"),
        (web.Response(status=200, text='{"schema": "no"}'), "its schema is not JSON"),
        (
            web.Response(status=200, text='{"schema": "{}", "references": 7}'),
            "references of the schema are malformed",
        ),
        (web.Response(status=200, text="x" * 3_000_000), "answered with more than"),
        (
            web.Response(status=500, text='{"error_code": 50001, "message": "no\\nstore"}'),
            "it answered 500 (50001): no store",
        ),
    ],
)
async def test_anything_else_is_not_reached_and_says_what_was_answered(
    answer: web.Response, why: str
) -> None:
    async with RegistryServer() as server:
        server.answer = answer
        found = await asked(to(server))
        assert isinstance(found, Unreachable)
        assert why in found.detail


async def test_an_answer_that_is_too_slow_is_not_reached() -> None:
    async with RegistryServer() as server:
        server.takes = 30.0
        found = await asked(replace(to(server), timeout=200))
        assert found == Unreachable(f"{server.url} did not answer within 0.2 s")


async def test_nobody_who_listens_is_not_reached() -> None:
    async with RegistryServer() as server:
        access = to(server)
    found = await asked(access)
    assert isinstance(found, Unreachable)
    assert access.urls[0] in found.detail


async def test_a_reference_that_the_registry_does_not_have_is_the_registrys_fault() -> None:
    async with RegistryServer() as server:
        server.put("7", TREE, {"name": "x", "subject": "gone", "version": 4})
        found = await asked(to(server))
        assert isinstance(found, Unreachable)
        assert found.detail.startswith("the reference gone version 4: it answered 404 (40401)")


async def test_references_in_a_circle_end() -> None:
    async with RegistryServer() as server:
        back: JsonObject = {"name": "b", "subject": "b", "version": 1}
        there = server.refer("a", 1, {**TREE, "name": "B"}, back)
        server.refer("b", 1, {**TREE, "name": "C"}, there)
        server.put("7", TREE, there)
        assert await asked(to(server)) == RegisteredSchema(TREE)
        assert server.asked.total() == 3


async def test_references_without_end_are_bounded() -> None:
    async with RegistryServer() as server:
        for number in range(300):
            follows: JsonObject = {"name": "r", "subject": f"s{number + 1}", "version": 1}
            server.refer(f"s{number}", 1, {**TREE, "name": f"R{number}"}, follows)
        server.put("7", TREE, {"name": "r", "subject": "s0", "version": 1})
        found = await asked(to(server))
        assert isinstance(found, Unusable)
        assert "more than 100 references" in found.problem.detail
        assert server.asked.total() <= 103


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ("string", "it is not a record"),
        (["null", "int"], "it is not a record"),
        (record("A", "A"), "contains itself"),
        (record("A", {"type": "array", "items": "null"}), "take no bytes"),
        (record("A", "shop.Gone"), "is defined nowhere"),
    ],
)
async def test_a_schema_that_must_not_be_used_is_refused_before_its_first_use(
    tree: object, why: str
) -> None:
    async with RegistryServer() as server:
        server.put("7", tree)
        found = await asked(to(server))
        assert isinstance(found, Unusable)
        assert found.problem.reason == "hostile_schema"
        assert why in found.problem.detail


async def test_a_schema_of_another_kind_is_unusable() -> None:
    async with RegistryServer() as server:
        server.schemas["7"] = Kept("syntax", kind="PROTOBUF")
        found = await asked(to(server))
        assert isinstance(found, Unusable)
        assert "PROTOBUF" in found.problem.detail


async def test_another_replica_answers_where_one_does_not() -> None:
    async with RegistryServer() as first, RegistryServer() as second:
        second.put("7", TREE)
        first.answer = web.Response(status=503)
        async with HttpRegistries({"main": to(first, second)}) as registries:
            assert await registries.fetch(SCHEMA) == RegisteredSchema(TREE)
            assert await registries.fetch(SCHEMA) == RegisteredSchema(TREE)
        assert first.asked.total() == 1


async def test_no_replica_that_answers_is_not_reached() -> None:
    async with RegistryServer() as first, RegistryServer() as second:
        first.answer = second.answer = web.Response(status=500)
        assert isinstance(await asked(to(first, second)), Unreachable)
        assert (first.asked.total(), second.asked.total()) == (1, 1)


async def test_basic_and_bearer_authentication_are_sent() -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        server.authorization = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        basic = replace(to(server), username="me", secret=RegistrySecret(PASSWORD))
        assert await asked(basic) == RegisteredSchema(TREE)
        server.authorization = f"Bearer {PASSWORD}"
        assert await asked(
            replace(to(server), secret=RegistrySecret(PASSWORD))
        ) == RegisteredSchema(TREE)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_is_not_reached_and_never_shown(status: int) -> None:
    async with RegistryServer() as server:
        basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        words = f"no entry for {PASSWORD} nor {basic}"
        server.answer = web.Response(status=status, text=json.dumps({"message": words}))
        access = replace(to(server), username="me", secret=RegistrySecret(PASSWORD))
        found = await asked(access)
        assert isinstance(found, Unreachable)
        assert f"it answered {status}: no entry for *** nor ***" in found.detail
        assert "username and password" in found.detail
        assert PASSWORD not in repr(access)


async def test_a_secret_that_was_renewed_in_its_file_is_used_without_a_restart(
    tmp_path: Path,
) -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        file = tmp_path / "token"
        file.write_text("old\n")
        server.authorization = "Bearer new"
        access = replace(to(server), secret=RegistrySecret(file=file))
        async with HttpRegistries({"main": access}) as registries:
            assert isinstance(await registries.fetch(SCHEMA), Unreachable)
            file.write_text("new\n")
            assert await registries.fetch(SCHEMA) == RegisteredSchema(TREE)


@pytest.mark.parametrize("content", [b"", b"a\nb", b"\xff", None])
async def test_a_secrets_file_that_has_none_is_refused_at_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"registry\.main"):
        await asked(Access(["http://r"], 1, secret=RegistrySecret(file=file)))


async def test_a_file_of_authorities_that_has_none_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("none")
    with pytest.raises(ConfigurationError, match=r"registry\.main\.ca"):
        await asked(Access(["https://r"], 1, ca=file))


def test_authorities_are_read_for_replicas_by_https_alone(tmp_path: Path) -> None:
    _, ca = certificate(tmp_path, "127.0.0.1", days=36_500)
    assert trusted("main", Access(["http://r", "http://s"], 1)) is True
    for access in (
        Access(["http://r", "HTTPS://s"], 1),
        Access(["http://r"], 1, ca=ca),
    ):
        made = trusted("main", access)
        assert isinstance(made, ssl.SSLContext)
        # As whatever else is reached by TLS.
        assert made.verify_flags == machine_context().verify_flags


async def test_a_registry_with_a_private_authority_is_trusted_by_its_file_only(
    tmp_path: Path,
) -> None:
    tls, ca = certificate(tmp_path, "127.0.0.1", days=36_500)
    async with RegistryServer(tls) as server:
        server.put("7", TREE)
        assert await asked(replace(to(server), ca=ca)) == RegisteredSchema(TREE)
        found = await asked(to(server))
        assert isinstance(found, Unreachable)
        assert "certificate" in found.detail.lower()
