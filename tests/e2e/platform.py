"""A platform with a worker, consoles, and partners of which every kind of delivery has been seen."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.consoles import ANYWHERE, DEADLINE, Console, Endpoint, admin
from tests.e2e.world import EVENT_TYPE, World

from hookstream.core.model.instant import from_rfc3339
from hookstream.errors import DependencyUnavailable
from hookstream.producer import EventProducer

EVENTS = 30
"""Published before the first test: as many are delivered, dead-lettered and pending."""
LEASE = "2s"
RARELY = '{"fetch.wait.max.ms": 500}'
"""The worker rests most of the time: it asks the broker twice a second, not ten times, for what is new."""


@dataclass
class Platform:
    """What the tests of consoles share: it is made once, and each test leaves it running."""

    world: World
    endpoint: Endpoint
    consoles: dict[str, Console]
    token: str = ""
    """Of an admin."""
    partner: str = ""
    """A token of the partner `acme`."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Each secret of the run, by where it comes from."""

    async def start(self) -> None:
        """Start an endpoint, a console and a worker; there is no partner yet."""
        temporary = self.world.stage.folder / "temporary"
        temporary.mkdir()
        self.world.stage.environ |= {
            **ANYWHERE,
            "HOOKSTREAM_JOBS__LEASE": LEASE,
            "HOOKSTREAM_LOG__LEVEL": "debug",
            # Where consoles without a folder of their own keep their indexes.
            "TMPDIR": str(temporary),
        }
        await self.endpoint.start()
        self.token = self.kept("the admin's token", await admin(self.world))
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self.up("first"))
            starting.create_task(self.world.stage.start_worker("--set", f"kafka.client={RARELY}"))

    async def set_up(self) -> None:
        """Start it; publish what is delivered, what is refused and what waits."""
        await self.start()
        partner = {
            "id": "acme",
            "name": "Acme",
            "grant": {"event_types": ["*"], "environments": ["*"]},
            "limits": {"requests_a_second": 1000, "subscriptions": 50},
        }
        await self.made("/v1/partners", partner)
        self.partner = await self.new_token("acme")
        retry = {"schedule": ["1h"], "final_statuses": [400]}
        async with asyncio.TaskGroup() as subscribing:
            for name in ("healthy", "refused", "waiting"):
                subscribing.create_task(self.subscribe(name, retry=retry))
        self.endpoint.statuses = {"/refused": 400, "/waiting": 503}
        await self.publish(EVENTS)
        await self.world.publish_bytes(b"no framing at all")
        hold = {
            "kind": "event-type",
            "name": "order.generated",
            "reason": "the morning's incident",
        }
        await self.made("/v1/holds", hold)
        # A job that finds nothing to do, and that has ended before answers are compared.
        job = await self.made("/v1/redrives", {"selector": {"subscriptions": ["waiting"]}})
        console = self.consoles["first"]
        await console.until(f"/v1/jobs/{job['id']}", self.token, has_ended)
        await console.until("/v1/dead-letters?limit=100", self.token, has(EVENTS))
        await console.until("/v1/pending?limit=100", self.token, has(EVENTS))
        await console.until(
            "/v1/subscriptions/healthy/statistics",
            self.token,
            lambda found: found["counts"]["delivered"] == EVENTS,
        )

    async def up(self, *names: str) -> None:
        """Start those of the consoles that do not run."""
        async with asyncio.TaskGroup() as starting:
            for name in names:
                console = self.consoles[name]
                if console.process is None or console.process.returncode is not None:
                    starting.create_task(console.start())

    @property
    def console(self) -> Console:
        """A console that runs."""
        return next(
            each
            for each in self.consoles.values()
            if each.process is not None and each.process.returncode is None
        )

    def kept(self, where: str, secret: str) -> str:
        """Keep a secret for the search of all secrets."""
        self.secrets[where] = secret
        return secret

    async def made(self, path: str, body: object, **headers: str) -> Any:  # noqa: ANN401  JSON
        """Make something by the API, as an operator."""
        answered = await self.console.done("POST", path, self.token, body, **headers)
        assert answered.status in (200, 201, 202), (answered, self.console.tail())
        return answered.json

    async def new_token(self, partner: str, scope: str = "partner:manage") -> str:
        """Make a partner's token, and return its text."""
        made = await self.made("/v1/tokens", {"scope": scope, "partner": partner})
        return self.kept(f"token {made['token']['id']}", made["text"])

    async def subscribe(self, name: str, **more: Any) -> Any:  # noqa: ANN401  JSON
        """Make a subscription of `acme` whose id is also the path of its endpoint; return it once active.

        `more`: further fields, those of `endpoint` merged into it.
        """
        endpoint = {"url": f"{self.endpoint.url}/{name}", **more.pop("endpoint", {})}
        body = {
            "id": name,
            "partner": "acme",
            "endpoint": endpoint,
            "event_types": [EVENT_TYPE],
            **more,
        }
        made = await self.made("/v1/subscriptions", body)
        for each in made["generated"]:
            if each["secret"]:
                self.kept(f"signing secret {each['id']} of {name}", each["secret"])
        shown = (await self.console.done("GET", f"/v1/subscriptions/{name}", self.token)).json
        active_from = from_rfc3339(shown["active_from"])
        await wait_for(lambda: time.time() * 1_000 > active_from, lambda: shown)
        return shown

    async def publish(self, count: int) -> set[str]:
        """Publish events, and return their ids."""
        return {each.event_id for each in await self.world.publish(count)}

    async def publish_until(self, over: asyncio.Event) -> None:
        """Publish ten events a second, with one client, until it is over."""
        happening = self.world.next_event()
        async with EventProducer(
            self.world.stage.servers,
            schemas_topic=f"{self.world.prefix}.schemas",
            topic_prefix=f"{self.world.prefix}.events.",
        ) as producer:
            while not over.is_set():
                # A busy broker may be late; what is published is no test's claim.
                with suppress(DependencyUnavailable):
                    await producer.send(
                        happening.event_type, happening.data, entity_id=happening.entity_id
                    )
                await asyncio.sleep(0.1)

    async def end(self) -> None:
        for console in self.consoles.values():
            await console.kill()
        await self.endpoint.stop()


def has(count: int) -> Callable[[Any], bool]:
    """Return whether a page of a list has so many items."""
    return lambda page: len(page["items"]) == count


def has_ended(job: dict[str, Any]) -> bool:
    """Return whether nothing works on a job any more, and nothing will by itself."""
    return bool(job["state"] != "running")


def a_platform(world: World, folders: Path) -> Platform:
    """Return a platform of which nothing runs; the first console's index outlives its process."""
    consoles = {
        "first": Console(world, "first", folders / "index-of-first"),
        "second": Console(world, "second"),
        "third": Console(world, "third"),
    }
    return Platform(world, Endpoint(), consoles)


async def wait_for(holds: Callable[[], bool], otherwise: Callable[[], object]) -> None:
    """Wait until a condition is true, or fail at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(0.05)


def document(value: bytes | None) -> dict[str, Any]:
    """Return the value of a table's row."""
    found: dict[str, Any] = json.loads(value or b"{}")
    return found
