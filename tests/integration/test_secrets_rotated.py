"""Signing secrets are rotated and shown on a real broker, without a change of files."""

from base64 import urlsafe_b64decode
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.conftest import Broker
from tests.integration.definitions_world import World, declare, make_folder, make_world

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.core.delivery.signing import parse_public_key, parse_secret
from hookstream.core.model.subscription import SigningScheme

DEFERRED = "Workers of earlier releases defer deliveries of orders until they are upgraded\n"


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return make_world(broker, prefix, capsys, monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def generate(world: World, folder: Path, source: str = "{generate: true}") -> None:
    declare(folder, kind="generate")
    file = folder / "subscriptions" / "orders.yaml"
    file.write_text(file.read_text().replace("{generate: true}", source))
    assert world.run("apply", str(folder), "--yes").code == 0


def shown(world: World) -> list[dict[str, str | None]]:
    document = orjson.loads(world.run("subscriptions", "show", "orders", "--json").out)
    secrets: list[dict[str, str | None]] = document["signing_secrets"]
    return secrets


def test_a_rotated_secret_is_shown_once_and_no_plan_has_anything_to_change(
    world: World, folder: Path
) -> None:
    generate(world, folder)
    (old,) = world.subscription("orders").endpoint.secrets

    ended = world.run("subscriptions", "rotate-secret", "orders", "--overlap", "1h", "--no-wait")

    assert ended.code == 0
    title, line = ended.out.splitlines()
    assert title == "Signing secrets, shown only once:"
    orders, name, secret = line.split()
    assert (orders, name) == ("orders", "generated-r2")
    assert secret.startswith("whsec_")
    assert secret not in ended.err
    assert ended.err.count(DEFERRED) == 1
    new, kept = world.subscription("orders").endpoint.secrets
    assert (new.id, new.key, kept.key) == ("generated-r2", parse_secret(secret), old.key)
    assert [each["id"] for each in shown(world)] == ["generated-r2", "generated"]
    assert world.run("plan", str(folder)).out == "Nothing to change.\n"


def test_when_the_overlap_is_over_the_old_secret_is_shown_no_more_and_the_next_write_drops_it(
    world: World, folder: Path
) -> None:
    generate(world, folder)
    world.run("subscriptions", "rotate-secret", "orders", "--overlap", "1ms")
    with world.writer() as writer:
        now = writer.broker_now()
    (_, old) = world.subscription("orders").endpoint.secrets
    assert old.expires_at is not None
    assert old.expires_at <= now
    assert [each["id"] for each in shown(world)] == ["generated-r2"]
    text = world.run("subscriptions", "show", "orders").out
    assert "signing_secrets.generated-r2" in text
    assert "signing_secrets.generated " not in text
    assert world.run("plan", str(folder)).out == "Nothing to change.\n"

    world.run("subscriptions", "pause", "orders", "--no-wait")

    assert [each.id for each in world.subscription("orders").endpoint.secrets] == ["generated-r2"]


def test_what_earlier_workers_defer_already_is_said_once(world: World, folder: Path) -> None:
    generate(world, folder)
    said = [
        world.run("subscriptions", *arguments, "orders", "--no-wait").err.count(DEFERRED)
        for arguments in (["rotate-secret"], ["rotate-secret"], ["pause"], ["resume"])
    ]
    assert said == [1, 0, 0, 0]


def test_without_an_overlap_the_row_has_the_new_secret_alone(world: World, folder: Path) -> None:
    generate(world, folder)
    ended = world.run(
        "subscriptions", "rotate-secret", "orders", "--overlap", "0s", "--no-wait", "--json"
    )
    document = orjson.loads(ended.out)
    (secret,) = world.subscription("orders").endpoint.secrets
    assert parse_secret(document.pop("secret")) == secret.key
    assert document == {"subscription": "orders", "id": "generated-r2"}
    assert "earlier releases" not in ended.err


def test_a_rotation_is_published_without_the_secret(world: World, folder: Path) -> None:
    generate(world, folder)
    secret = world.run("subscriptions", "rotate-secret", "orders", "--no-wait").out.split()[-1]
    operations = world.names.operations
    records = read_tables(world.client, [operations])[operations].values()
    values = [record.value for record in records if record.value is not None]
    events = [value for value in values if b"secret_rotated" in value]
    assert len(events) == 1
    assert b"signing secret generated-r2 (v1) comes" in events[0]
    assert b"signing secret generated ends at " in events[0]
    assert not [value for value in values if secret.encode() in value]
    assert not [value for value in values if parse_secret(secret) in value]


def test_a_rotation_is_refused_with_its_remedy(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    rotate = ("subscriptions", "rotate-secret", "orders")
    for arguments, why in (
        (rotate, "{env: ORDERS} comes from a definition file: list the new one before it there"),
        ((*rotate, "--overlap", "31d"), "it is 0s to 30d, not 31d"),
        ((*rotate, "--overlap", "soon"), "is not a duration"),
        ((*rotate, "--if-revision", "7"), "is at revision 1, not 7"),
        (("subscriptions", "rotate-secret", "odrers"), "there is no subscription 'odrers'"),
    ):
        ended = world.run(*arguments)
        assert why in " ".join(ended.err.split())
        assert (ended.out, ended.code != 0) == ("", True)
    monkeypatch.delenv("HOOKSTREAM_KEYS__RING")
    ended = world.run(*rotate)
    assert "keys.file" in ended.err
    assert ended.code == 2


def test_public_keys_are_readable_without_a_key_ring(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(world, folder, "{generate: true, scheme: v1a}")
    line = world.run("subscriptions", "rotate-secret", "orders", "--no-wait").out.split()[-1]
    secrets = world.subscription("orders").endpoint.secrets
    publics = [
        Ed25519PrivateKey.from_private_bytes(each.key).public_key().public_bytes_raw()
        for each in secrets
    ]
    monkeypatch.delenv("HOOKSTREAM_KEYS__RING")

    assert parse_public_key(line) == publics[0]
    assert {each.scheme for each in secrets} == {SigningScheme.V1A}
    assert [parse_public_key(each["public_key"] or "") for each in shown(world)] == publics
    text = world.run("subscriptions", "show", "orders").out
    assert line in text
    assert "whsk_" not in text
    keys = orjson.loads(world.run("subscriptions", "jwks", "orders").out)["keys"]
    assert [urlsafe_b64decode(each.pop("x") + "=") for each in keys] == publics
    constant = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
    assert keys == [{**constant, "kid": "generated-r2"}, {**constant, "kid": "generated"}]

    world.run("subscriptions", "pause", "orders", "--no-wait")
    assert [parse_public_key(each["public_key"] or "") for each in shown(world)] == publics


def test_a_subscription_without_public_keys_has_an_empty_jwks(world: World, folder: Path) -> None:
    world.run("apply", str(folder), "--yes", "--no-wait")
    ended = world.run("subscriptions", "jwks", "orders")
    assert orjson.loads(ended.out) == {"keys": []}
    assert ended.err == "orders has no v1a signing secret\n"
