"""Schemas are registered alike from the cluster and from a console: the registry is asked from this machine."""

import asyncio

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.registry_server import RegistryServer

LINES = (
    "schemas register --registry main pricing.completed --yes",
    "schemas register --registry main --yes",
    "schemas register --registry main --yes --subject {topic}",
    "schemas register --registry none --yes",
    "schemas register --registry main pricing.complete --yes",
)


@pytest.fixture
def faces() -> tuple[MemoryBackend, ApiFace]:
    # Made outside of the event loop: worlds read files.
    return MemoryBackend(ApiWorld()), ApiFace(ApiWorld())


async def test_schemas_are_registered_alike_by_both(faces: tuple[MemoryBackend, ApiFace]) -> None:
    said: list[list[Said]] = []
    kept: list[object] = []
    for face in faces:
        async with RegistryServer() as server:
            environ = {
                "HOOKSTREAM_REGISTRY__MAIN__URLS": f'["{server.url}"]',
                "HOOKSTREAM_REGISTRY__MAIN__TOPICS": '["printprice.*"]',
            }
            said.append([])
            for line in LINES:
                found = asyncio.to_thread(run, face, *line.split(), environ=environ)
                said[-1].append(await found)
            kept.append((server.schemas, server.registered))
    assert said[0] == said[1]
    assert kept[0] == kept[1]
    first, rest, *refused = said[0]
    assert (first.code, "pricing.completed v1: " in first.out) == (0, True), first
    assert "has it as 1" in rest.out
    assert [each.code for each in refused] == [2, 2, 2], refused
