"""Records of Java producers, with a registry's own serializer or by hand, are delivered like any other."""

import asyncio
import copy
import io
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from tests.conftest import ROOT
from tests.e2e.registries.producing import TREE, Confluent, serve, until_arrived
from tests.e2e.world import EVENT_TYPE, Partner, World, until
from tests.real_registry import API, NoRegistry, fetch_serializer

from hookstream.core.model.framing import prefixed

pytestmark = pytest.mark.timeout(600)
HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "for-producers.md").read_text(encoding="utf-8")

_SHORT_LIVED = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

JavaRun = Callable[..., None]
"""Runs a file of Java with arguments, and with text as its input."""


@pytest.fixture(scope="session")
def java() -> JavaRun:
    """Java with the classes of a producer; what cannot be had here skips the test."""
    found = shutil.which("java")
    if found is None or not _compiles(found):
        pytest.skip("no Java producer: no JDK of version 17 or newer is on the PATH")
    try:
        jars = fetch_serializer(ROOT / ".cache" / "registry")
    except NoRegistry as why:
        pytest.skip(f"no Java producer: {why}")

    def run(file: Path, *arguments: str, given: str = "") -> None:
        ran = subprocess.run(  # noqa: S603  a path that was found
            [found, *_SHORT_LIVED, "-cp", f"{jars}/*", str(file), *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr

    return run


def _compiles(java: str) -> bool:
    """Whether it runs a file of the Java of today, which a runtime without compiler cannot."""
    asked = [java, "--list-modules"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603
    compiler = re.search(r"^jdk\.compiler@(\d+)", said, re.MULTILINE)
    return compiler is not None and int(compiler[1]) >= 17


def first_refused(partner: Partner) -> None:
    """Answer 500 to the first attempt of each event, and 204 from then on."""
    seen: set[str] = set()

    async def answer(body: dict[str, Any], _: int) -> int:
        status = 204 if body["id"] in seen else 500
        seen.add(body["id"])
        return status

    partner.answer(answer)


def as_java_reads(body: bytes) -> str:
    """The body of an event as Avro's JSON."""
    parsed = fastavro.parse_schema(copy.deepcopy(TREE))
    text = io.StringIO()
    fastavro.json_writer(
        text, parsed, [fastavro.schemaless_reader(io.BytesIO(body), parsed, None)]
    )
    return text.getvalue()


def example(language: str) -> str:
    """The first block of a language in the documentation of Confluent's framing."""
    section = PAGE.split("## Confluent's framing")[1]
    return section.split(f"```{language}\n")[1].split("```")[0]


async def test_events_of_apicurios_serializer_for_java_are_delivered_and_retried(
    world: World, registry_url: str, java: JavaRun
) -> None:
    if not registry_url.endswith(API):
        pytest.skip("no Java producer: the serializer is Apicurio's, and the registry is not")
    serve(world, registry_url)
    crm = await world.subscribe("crm", "[1s]")
    first_refused(crm)
    await world.stage.start_worker()
    said = await world.stage.hookstream(
        "schemas", "register", "--registry", "main", EVENT_TYPE, "--yes"
    )
    found = re.search(r"has it as (\d+)", said)
    assert found is not None
    settings = world.stage.folder / "service.properties"
    own = registry_url.removesuffix(API)
    settings.write_text(example("properties").replace("http://127.0.0.1:8081", own))
    events = Confluent(world)
    sent = dict(events.body() for _ in range(2))
    await asyncio.to_thread(
        java,
        HERE / "Service.java",
        world.stage.servers,
        world.topic,
        str(ROOT / "schemas" / EVENT_TYPE / "v1.avsc"),
        str(settings),
        given="\n".join(map(as_java_reads, sent.values())),
    )
    await until_arrived(crm, sent)
    await world.until_settled(60)
    assert await world.stage.stop_worker() == 0
    values = {entry.value for entry in world.log.read(world.topic)}
    assert values == {prefixed(int(found[1])) + body for body in sent.values()}
    assert Counter(crm.statuses) == {500: 2, 204: 2}
    delivered = {each: (body["type"], body["data"]) for each, body in crm.bodies.items()}
    assert delivered == {each: (EVENT_TYPE, data) for each, data in events.data.items()}


async def test_the_java_program_on_the_page_for_producers_writes_events_that_are_mapped(
    world: World, registry_url: str, java: JavaRun
) -> None:
    topic = f"{world.prefix}.events.shop.orders"
    await asyncio.to_thread(world.log.create, [topic], 1)
    folder = world.stage.folder / "foreign" / "mappings"
    folder.mkdir(parents=True)
    schema, program = folder / "order_shipped.avsc", folder / "OrderShipped.java"
    schema.write_text(example("json"))
    (folder / "orders.yaml").write_text(example("yaml").replace("shop.orders", topic))
    program.write_text(example("java").replace("shop.orders", topic))
    await world.stage.hookstream("schemas", "apply", str(folder.parent), "--yes")
    serve(world, registry_url)
    crm = await world.subscribe("crm", "[1s]", types="[order.shipped]")
    first_refused(crm)
    await world.stage.start_worker()
    await asyncio.to_thread(java, program, world.stage.servers, registry_url, str(schema))
    await until(lambda: crm.statuses == [500, 204], 60, lambda: crm.statuses)
    assert await world.stage.stop_worker() == 0
    [(event_id, body)] = crm.bodies.items()
    data = body["data"]
    assert (body["type"], data["messageId"]) == ("order.shipped", event_id)
    assert body["entity_id"] == data["orderNumber"] == "order-1042"
    assert body["timestamp"].startswith(data["shippedAt"].removesuffix("Z"))
    assert data["carrier"] == "DHL"
