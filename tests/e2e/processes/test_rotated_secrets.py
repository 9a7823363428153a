"""While a secret is rotated, every delivery verifies with the secrets of its instant and no other."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from examples.demo.stage import PARTNER
from standardwebhooks import Webhook, WebhookVerificationError
from tests.e2e.world import EVENT_TYPE, World, until

from hookstream.core.model.instant import Millis, from_rfc3339

pytestmark = pytest.mark.timeout(400)

SUBSCRIPTION = """\
id: {id}
partner: crm
endpoint:
  url: {url}/{id}
  signing_secrets: [{secret}]
event_types: [{types}]
retry: {{schedule: [1s, 1s, 1s, 1s, 1s, 1s]}}
"""

NEW = "generated-r2"
"""The id of the secret that a rotation makes."""
OLD = "generated"
"""The id of the one before it."""
Fits = Callable[[dict[str, str], bytes, str], bool]
"""Whether one entry of `webhook-signature` is by a certain secret, as a library says that is not ours."""


@dataclass
class Taken:
    """What one subscription's endpoint was sent."""

    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    secrets: dict[str, Fits] = field(default_factory=dict)

    def events(self) -> set[str]:
        return {json.loads(body)["id"] for _, body in self.requests}

    async def until_sent(self, count: int) -> None:
        await until(lambda: len(self.requests) > count, 60, lambda: len(self.requests))

    async def until_events(self, sent: set[str]) -> None:
        await until(lambda: self.events() >= sent, 60, lambda: len(self.events()))

    async def until_signed_by(self, names: list[str]) -> None:
        """Wait until a request is signed by these secrets alone."""
        await until(
            lambda: any(who == names for _, who in self.signers(self.requests[-5:])),
            60,
            lambda: self.signers(self.requests[-5:]),
        )

    def signers(
        self, requests: Sequence[tuple[dict[str, str], bytes]] | None = None
    ) -> list[tuple[Millis, list[str]]]:
        """Return of each request when it was signed, to the second, and the names of who signed."""
        return [
            (
                int(headers["webhook-timestamp"]) * 1_000,
                [
                    self._signer(headers, body, entry)
                    for entry in headers["webhook-signature"].split(" ")
                ],
            )
            for headers, body in (self.requests if requests is None else requests)
        ]

    def _signer(self, headers: dict[str, str], body: bytes, entry: str) -> str:
        [name] = [name for name, fits in self.secrets.items() if fits(headers, body, entry)]
        return name


def shared(secret: str) -> Fits:
    webhook = Webhook(secret)

    def fits(headers: dict[str, str], body: bytes, entry: str) -> bool:
        try:
            webhook.verify(body, {**headers, "webhook-signature": entry})
        except WebhookVerificationError:
            return False
        return True

    return fits


def public(text: str) -> Fits:
    key = Ed25519PublicKey.from_public_bytes(b64decode(text.removeprefix("whpk_"), validate=True))

    def fits(headers: dict[str, str], body: bytes, entry: str) -> bool:
        version, _, signature = entry.partition(",")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        try:
            key.verify(b64decode(signature, validate=True), signed)
        except InvalidSignature:
            return False
        return version == "v1a"

    return fits


@asynccontextmanager
async def endpoints(*names: str) -> AsyncIterator[tuple[str, dict[str, Taken]]]:
    """Listen on loopback, and yield the URL and what is sent to each path below it."""
    taken = {name: Taken() for name in names}

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        taken[request.match_info["name"]].requests.append((headers, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", taken
    finally:
        await runner.cleanup()


async def declared(world: World, url: str, taken: dict[str, Taken]) -> None:
    """Apply the definitions, and note the secrets that were generated."""
    folder = world.stage.folder / "definitions"
    written = {"partners/crm": PARTNER.format(id="crm", name="crm", types=f"[{EVENT_TYPE}]")}
    for name, secret in (
        ("shared", "{generate: true}"),
        ("public", "{generate: true, scheme: v1a}"),
    ):
        written[f"subscriptions/{name}"] = SUBSCRIPTION.format(
            id=name, url=url, secret=secret, types=EVENT_TYPE
        )
    for place, text in written.items():
        file = folder / f"{place}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for made in (await world.ask("apply", str(folder), "--yes"))["signing_secrets"]:
        note(taken[made["subscription"]], made)


def note(taken: Taken, made: dict[str, str]) -> None:
    fits = shared(made["secret"]) if "secret" in made else public(made["public_key"])
    taken.secrets[made["id"]] = fits


async def test_each_delivery_is_signed_by_the_secrets_of_its_instant_through_a_kill(
    world: World,
) -> None:
    """The partner changes over at any time within the overlap, and rejects nothing."""
    async with endpoints("shared", "public") as (url, taken):
        await declared(world, url, taken)
        await world.stage.start_worker()
        ends: dict[str, Millis] = {}
        is_over, sent = asyncio.Event(), set[str]()

        async def publish() -> None:
            while not is_over.is_set():
                sent.update(each.event_id for each in await world.publish(20, every=0.08))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publish())
            for name, each in taken.items():
                await each.until_sent(10)
                rotate = ("subscriptions", "rotate-secret", name, "--overlap", "6s")
                note(each, await world.ask(*rotate))
                # A worker that starts on a busy machine may not be ready before the overlap ends.
                await each.until_signed_by([NEW, OLD])
                _, old = (await world.ask("subscriptions", "show", name))["signing_secrets"]
                ends[name] = from_rfc3339(old["expires_at"])
            await world.stage.kill_worker()
            await world.stage.start_worker()
            # However slow commands are, there are events before, within and after the overlap.
            for each in taken.values():
                await each.until_signed_by([NEW])
            is_over.set()
        for each in taken.values():
            await each.until_events(sent)

        new, old_one = NEW, OLD
        for name, each in taken.items():
            effect, end = ends[name] - 6_000, ends[name]
            signers = each.signers()
            assert {(*who,) for _, who in signers} == {(old_one,), (new, old_one), (new,)}
            for at, who in signers:
                # A time is known to the second only.
                assert at < effect or who[0] == new
                assert at < end or who == [new]
                assert at + 1_000 > end or old_one in who
        plan = await world.stage.hookstream("plan", str(world.stage.folder / "definitions"))
        assert plan.splitlines()[-1] == "Nothing to change."
