"""The access rules of docs/security.md are enough for each role, and keep all others out."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are public
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from examples.demo.free_ports import free_port
from tests.conftest import ROOT
from tests.e2e.world import World, until_accepted
from tests.real_broker import a_broker

from hookstream.producer import EventProducer

pytestmark = pytest.mark.timeout(400)

ROLES = ("worker", "operator", "topics", "upstream", "stranger")
PAGE = ROOT / "docs" / "security.md"
OPERATIONS = {"Read": "READ", "Write": "WRITE", "Describe": "DESCRIBE", "Create": "CREATE"} | {
    "DescribeConfigs": "DESCRIBE_CONFIGS",
    "AlterConfigs": "ALTER_CONFIGS",
}
RESOURCES = {
    "--topic": ResourceType.TOPIC,
    "--group": ResourceType.GROUP,
    "--transactional-id": ResourceType.TRANSACTIONAL_ID,
}
EVERY_RULE = AclBindingFilter(
    ResourceType.ANY,
    None,  # type: ignore[arg-type]  # None: any
    ResourcePatternType.ANY,
    None,  # type: ignore[arg-type]
    None,  # type: ignore[arg-type]
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def documented() -> Iterator[AclBinding]:
    """Yield the rules that the page's commands add, upstream's topics under this test's prefix."""
    page = PAGE.read_text(encoding="utf-8")
    for command in re.findall(r"^kafka-acls\.sh --add (.*)$", page, re.MULTILINE):
        words = command.replace("printprice.", "hookstream.events.").split()
        pairs = [*zip(words, [*words[1:], ""], strict=True)]
        [principal] = [after for word, after in pairs if word == "--allow-principal"]
        operations = [OPERATIONS[after] for word, after in pairs if word == "--operation"]
        prefixed = ("--resource-pattern-type", "prefixed") in pairs
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        resources = [
            (RESOURCES[word], after, pattern) for word, after in pairs if word in RESOURCES
        ]
        if "--cluster" in words:
            literal = ResourcePatternType.LITERAL
            resources.append((ResourceType.BROKER, "kafka-cluster", literal))
        for kind, name, how in resources:
            for operation in operations:
                yield AclBinding(
                    kind,
                    name,
                    how,
                    principal,
                    "*",
                    AclOperation[operation],
                    AclPermissionType.ALLOW,
                )


def credentials(role: str) -> dict[str, str | int | float | bool]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": role,
        "sasl.password": f"{role}-password",
    }


@pytest.fixture(scope="module")
def authorizing() -> Iterator[tuple[str, str]]:
    """A broker with an authorizer: its address for administrators, and for those with a name."""
    port = free_port()
    users = " ".join(f'user_{role}="{role}-password"' for role in ROLES)
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    settings = {
        "listeners": "PLAINTEXT://127.0.0.1:{port},"
        f"SASL_PLAINTEXT://127.0.0.1:{port},"
        "CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},"
        f"SASL_PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} required {users};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with a_broker(settings) as broker:
        yield broker.bootstrap_servers, f"127.0.0.1:{port}"


@pytest.fixture
async def guarded(authorizing: tuple[str, str]) -> AsyncIterator[tuple[str, str]]:
    """That broker, without any rule."""
    yield authorizing
    administrators, _ = authorizing
    admin = AdminClient({"bootstrap.servers": administrators})
    await asyncio.to_thread(admin.delete_acls([EVERY_RULE])[EVERY_RULE].result, 10)
    await until_rules(admin, 0)


async def grant(administrators: str, rules: list[AclBinding]) -> None:
    """Add rules, and return when the broker applies them: it reads them a moment later."""
    admin = AdminClient({"bootstrap.servers": administrators})
    for added in admin.create_acls(rules).values():
        await asyncio.to_thread(added.result, 10)
    await until_rules(admin, len(set(rules)))


async def until_rules(admin: AdminClient, count: int) -> None:
    """Wait until the broker knows so many rules."""
    known: list[AclBinding] = []
    for _ in range(200):
        known = await asyncio.to_thread(admin.describe_acls(EVERY_RULE).result, 10)
        if len(known) == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the broker knows {len(known)} rules, not {count}")


def refusal(servers: str, role: str, topic: str) -> int | None:
    """Return the code with which a write is refused, or None where it is taken."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 0, **credentials(role)})
    answers: list[KafkaError | None] = []
    producer.produce(topic, b"x", on_delivery=lambda error, _: answers.append(error))
    assert producer.flush(10) == 0
    [error] = answers
    return None if error is None else error.code()


async def test_each_role_works_with_the_documented_rights_and_no_other_client_can_write(
    guarded: tuple[str, str], tmp_path: Path
) -> None:
    administrators, servers = guarded
    await grant(administrators, list(documented()))
    world = World(tmp_path, administrators, "hookstream")

    def act_as(role: str) -> None:
        world.stage.environ["HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"] = servers
        world.stage.environ["HOOKSTREAM_KAFKA__CLIENT"] = json.dumps(credentials(role))

    try:
        await asyncio.to_thread(world.log.create, [world.topic], 3)
        await world.stage.hookstream("dev", "keys", str(tmp_path / "keys.json"))
        act_as("topics")
        await world.stage.hookstream("topics", "apply", "--yes")
        planned = await world.stage.hookstream("topics", "plan")
        act_as("operator")
        await world.stage.hookstream("schemas", "apply", str(ROOT / "schemas"), "--yes")
        crm = await world.subscribe("crm")
        act_as("worker")
        await world.stage.start_worker()
        async with EventProducer(
            servers,
            client=credentials("upstream"),
            topic_prefix="hookstream.events.",
        ) as producer:
            event = world.next_event()
            sent = await producer.send(event.event_type, event.data, entity_id=event.entity_id)
        await until_accepted(crm, [sent], 60)
        act_as("operator")
        await world.ask("attempts", "list")
        await world.stage.hookstream("dlq", "list")
        [delivery] = (await world.ask("deliveries", "list"))["deliveries"]
        await world.stage.hookstream("deliveries", "show", delivery["delivery_id"])
        await world.stage.hookstream("deliveries", "resend", delivery["delivery_id"])
        await world.stage.hookstream("subscriptions", "test", "crm")
        assert await world.stage.stop_worker() == 0

        assert "anybody" not in planned
        denied = KafkaError.TOPIC_AUTHORIZATION_FAILED
        for role in ("upstream", "stranger", "topics"):
            for topic in (
                "hookstream.retry.1s",
                "hookstream.subscriptions",
                "hookstream.partners",
            ):
                assert refusal(servers, role, topic) == denied, (role, topic)
        assert refusal(servers, "worker", "hookstream.subscriptions") == denied
        assert refusal(servers, "worker", "hookstream.retry.1s") is None
    finally:
        await world.stage.kill_worker()
        for partner in world.partners.values():
            await partner.receiver.stop()


async def test_a_plan_of_topics_warns_of_topics_that_any_client_may_write(
    guarded: tuple[str, str], tmp_path: Path
) -> None:
    administrators, _ = guarded
    world = World(tmp_path, administrators, "hookstream")
    await world.stage.hookstream("topics", "apply", "--yes")
    opened = AclBinding(
        ResourceType.TOPIC,
        "hookstream.retry.",
        ResourcePatternType.PREFIXED,
        "User:*",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    await grant(administrators, [opened])

    planned = await world.stage.hookstream("topics", "plan")

    assert "anybody who reaches the brokers may write to hookstream.retry.0s" in planned
    assert "hookstream.partners" not in planned


async def test_a_plan_of_topics_warns_where_the_brokers_have_no_authorizer(world: World) -> None:
    planned = await world.stage.hookstream("topics", "plan")
    assert "no authorizer" in planned
