"""A worker signs with exactly the signing secrets that are live, by the brokers' time."""

import asyncio
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook
from tests.doubles.endpoint import Request, status
from tests.scenarios.world import World

from hookstream.core.model.instant import MINUTE
from hookstream.core.model.subscription import SigningScheme, SigningSecret, Subscription

OLD, NEW, SEED, OTHER_SEED = (letter * 32 for letter in (b"o", b"n", b"s", b"t"))
NAMES = {OLD: "old", NEW: "new", SEED: "seed", OTHER_SEED: "other seed"}


def signed_by(subscription: Subscription, *secrets: SigningSecret) -> Subscription:
    """Return the next revision, with these signing secrets."""
    return replace(
        subscription,
        endpoint=replace(subscription.endpoint, secrets=secrets),
        revision=subscription.revision + 1,
    )


def v1a(name: str, seed: bytes, expires_at: int | None = None) -> SigningSecret:
    return SigningSecret(name, seed, SigningScheme.V1A, expires_at)


def signers(request: Request) -> list[str]:
    """Return whose signatures a request has, in order, as libraries that are not ours verify them."""
    fields = {name: request.header(f"webhook-{name}") or "" for name in ("id", "timestamp")}
    entries = (request.header("webhook-signature") or "").split(" ")
    return [_signer(entry, fields, request.post.body) for entry in entries]


def _signer(entry: str, fields: dict[str, str], body: bytes) -> str:
    at = datetime.fromtimestamp(int(fields["timestamp"]), UTC)
    for key in (OLD, NEW):
        if entry == Webhook(key).sign(fields["id"], at, body.decode()):
            return NAMES[key]
    version, _, text = entry.partition(",")
    assert version == "v1a", "signed with an unknown secret"
    for seed in (SEED, OTHER_SEED):
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        try:
            signed = f"{fields['id']}.{fields['timestamp']}.".encode() + body
            public.verify(b64decode(text, validate=True), signed)
        except InvalidSignature:
            continue
        return NAMES[seed]
    raise AssertionError("signed with an unknown key")


async def test_a_worker_stops_signing_with_a_secret_at_the_end_of_its_overlap() -> None:
    async with World() as world:
        ends = world.clock.now() + 10 * MINUTE
        world.directory.put_subscription(
            signed_by(
                world.subscribe("crm"),
                SigningSecret("generated-r2", NEW),
                SigningSecret("generated", OLD, expires_at=ends),
            )
        )
        await world.worker()
        for number in range(20):
            world.publish(f"e{number}")
            await asyncio.sleep(60)
        await world.until(world.settled)

        assert len(world.endpoints.requests) == 20
        for request in world.endpoints.requests:
            in_overlap = int(request.header("webhook-timestamp") or "") * 1000 < ends
            assert signers(request) == (["new", "old"] if in_overlap else ["new"])
        assert signers(world.endpoints.requests[0]) == ["new", "old"]
        assert signers(world.endpoints.requests[-1]) == ["new"]


async def test_a_retry_is_signed_with_the_secrets_of_its_own_time() -> None:
    async with World() as world:
        before = world.subscribe("crm", schedule=(5 * MINUTE, 5 * MINUTE))
        world.endpoints.script("crm", status(500), status(500), status(204))
        first = signed_by(before, SigningSecret("generated", OLD))
        world.directory.put_subscription(first)
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(MINUTE / 1000)
        world.directory.put_subscription(
            signed_by(
                first,
                SigningSecret("generated-r3", NEW),
                SigningSecret("generated", OLD, expires_at=world.clock.now() + 6 * MINUTE),
            )
        )
        await world.until(world.settled)

        assert [signers(each) for each in world.endpoints.requests] == [
            ["old"],
            ["new", "old"],
            ["new"],
        ]


async def test_keys_of_both_schemes_sign_one_request_in_their_order() -> None:
    async with World() as world:
        ends = world.clock.now() + MINUTE
        world.directory.put_subscription(
            signed_by(
                world.subscribe("crm"),
                v1a("generated-r2", SEED),
                SigningSecret("env:CRM", NEW),
                v1a("generated", OTHER_SEED, ends),
            )
        )
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(2 * MINUTE / 1000)
        world.publish("e2")
        await world.until(world.settled)

        assert [signers(each) for each in world.endpoints.requests] == [
            ["seed", "new", "other seed"],
            ["seed", "new"],
        ]
