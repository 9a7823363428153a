"""Deliveries authenticate as declared, by a real worker, and no secret is in anything it writes."""

import asyncio
import json
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.conftest import Broker
from tests.doubles.certificates import Authority
from tests.e2e.gateway import (
    Gateway,
    Login,
    Material,
    applied,
    declare,
    nginx,
    serving,
    until_listening,
)
from tests.e2e.world import World, a_world, until

from hookstream.core.model.subscription import SubscriptionState

pytestmark = pytest.mark.timeout(400)

HOLDS_WITHIN = 2.0
"""Seconds after `apply` in which a rotated credential is used everywhere."""
FETCH_SECONDS = 30
SWIFT = "[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]"
PATIENT = "[5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s]"


async def everything_written(world: World, name: str) -> str:
    """Return all logs, spans, records, metrics, and what commands print of the subscriptions."""
    stage = world.stage
    definitions = str(stage.folder / "definitions")
    printed = [
        stage.log.read_text(),
        stage.spans.read_text() if stage.spans.exists() else "",
        await stage.ask_worker("/metrics"),
        await stage.hookstream("plan", definitions),
        await stage.hookstream("plan", definitions, "--json"),
        await stage.hookstream("subscriptions", "list", "--json"),
        await stage.hookstream("subscriptions", "show", name),
        await stage.hookstream("attempts", "list", "--json"),
    ]
    topics = [each for each in await asyncio.to_thread(world.log.names) if world.prefix in each]
    records = await asyncio.to_thread(world.log.read, *topics)
    return "\n".join([*printed, *(f"{each.value!r} {each.headers}" for each in records)])


async def attempts(world: World, name: str) -> list[dict[str, Any]]:
    """Return a subscription's attempts from the audit log, once one of them failed."""
    deadline = time.monotonic() + 30
    while True:
        lines = await world.stage.hookstream("attempts", "list", "--subscription", name, "--json")
        found = [json.loads(line) for line in lines.splitlines()]
        if any(each["outcome"] == "failed" for each in found):
            return found
        assert time.monotonic() < deadline, found


def hidden(material: str, text: str) -> bool:
    """Return whether neither some material nor its base64 is in a text."""
    encoded = b64encode(material.encode()).decode().rstrip("=")
    return material not in text and encoded not in text


async def test_every_kind_of_credential_reaches_its_endpoint_and_nothing_else(
    world: World,
) -> None:
    """Each is rotated at its source, and the new one is used two seconds after it was applied."""
    secrets = {
        "E2E_TOKEN": "token-hush-1",
        "E2E_PASSWORD": "pass hush 1",
        "E2E_KEY": "key-hush-1",
    }

    def admits(request: web.Request) -> bool:
        login = f"kim:{secrets['E2E_PASSWORD']}".encode()
        wanted = {
            "/bearer": ("authorization", f"Bearer {secrets['E2E_TOKEN']}"),
            "/basic": ("authorization", f"Basic {b64encode(login).decode()}"),
            "/header": ("x-api-key", secrets["E2E_KEY"]),
        }
        if request.path not in wanted:
            return request.path_qs == "/T0/path-hush?q=query-hush"
        name, value = wanted[request.path]
        return request.headers.get(name) == value

    gateway = Gateway(admits)
    async with serving(gateway.answer) as url:
        whole = f"{url}/T0/path-hush?q=query-hush"
        world.stage.environ |= {**secrets, "E2E_URL": whole}
        declare(world, "bearer", f"{url}/bearer", "  auth: {bearer: {token: {env: E2E_TOKEN}}}\n")
        login = "  auth: {basic: {username: kim, password: {env: E2E_PASSWORD}}}\n"
        declare(world, "basic", f"{url}/basic", login)
        declare(world, "header", f"{url}/header", "  headers: {x-api-key: {env: E2E_KEY}}\n")
        declare(world, "url", "{env: E2E_URL}")
        await applied(world)
        await world.stage.start_worker()
        paths = ["/bearer", "/basic", "/header", "/T0/path-hush?q=query-hush"]

        await world.publish(5)

        def delivered(count: int) -> bool:
            return all(len(gateway.accepted(path)) == count for path in paths)

        await until(lambda: delivered(5), 60, lambda: gateway.seen)
        assert {each.status for each in gateway.seen} == {204}
        assert all(
            "authorization" not in each.headers for each in gateway.seen[:] if "T0" in each.path
        )

        earlier = dict(secrets)
        secrets.update({name: value[:-1] + "2" for name, value in secrets.items()})
        world.stage.environ |= secrets
        await applied(world)
        rotated_at = time.monotonic()
        await world.publish(40, every=0.1)
        await until(lambda: delivered(45), 60, lambda: gateway.seen)
        late = [each for each in gateway.seen if each.at > rotated_at + HOLDS_WITHIN]
        assert late
        assert {each.status for each in late} == {204}

        text = await everything_written(world, "url")
    assert f"{url}/… (not shown) env:E2E_URL" in text or f"{url}/ (not shown) env:E2E_URL" in text
    for material in (*earlier.values(), *secrets.values(), "path-hush", "query-hush"):
        assert hidden(material, text), material


def oauth2(url: str, client: str, client_auth: str = "basic") -> str:
    fields = f"token_url: {url}/token, client_id: {client}, client_secret: {{env: E2E_CLIENT}}"
    return f"  auth: {{oauth2: {{{fields}, scopes: [a, b], client_auth: {client_auth}}}}}\n"


async def test_a_token_server_that_fails_is_asked_once_in_30_seconds_and_costs_attempts_alone(
    world: World,
) -> None:
    """One server answers 500 first, one not in time; a third's token is refused when it is young."""
    failing, slow, refused = Login(), Login(), Login()

    async def fails_first(number: int) -> web.Response | None:
        return web.Response(status=500, text="body-hush") if number == 1 else None

    async def hangs_first(number: int) -> web.Response | None:
        if number == 1:
            await asyncio.sleep(20)
        return None

    failing.answer, slow.answer = fails_first, hangs_first
    # The third's first token is valid no more when it is granted.
    gateway = Gateway(lambda request: request.headers["authorization"] == "Bearer granted-2")
    async with (
        serving(gateway.answer) as url,
        serving(failing.grant) as failing_url,
        serving(slow.grant) as slow_url,
        serving(refused.grant) as refused_url,
    ):
        world.stage.environ["E2E_CLIENT"] = "client-hush"
        for name, login, client_auth in (
            ("failing", failing_url, "basic"),
            ("slow", slow_url, "body"),
            ("refused", refused_url, "basic"),
        ):
            declare(world, name, f"{url}/{name}", oauth2(login, name, client_auth), PATIENT)
        await applied(world)
        await world.stage.start_worker()

        await world.publish(3)

        paths = ["/failing", "/slow", "/refused"]
        await until(
            lambda: all(len(gateway.accepted(path)) == 3 for path in paths),
            60,
            lambda: gateway.seen,
        )
        for server in (failing, slow, refused):
            first, second = server.fetched_at
            assert second - first > FETCH_SECONDS - 0.5
        basic = "Basic " + b64encode(b"failing:client-hush").decode()
        assert failing.authorizations == [basic] * 2
        assert slow.authorizations == [None] * 2
        client = {"client_id": "slow", "client_secret": "client-hush"}
        grant = {"grant_type": "client_credentials", "scope": "a b"}
        assert (slow.forms[0], failing.forms[0]) == ({**grant, **client}, grant)
        # No endpoint was asked without a token, and only the third with one that it refuses.
        assert {each.path for each in gateway.seen if each.status == 401} == {"/refused"}

        said = {name: await attempts(world, name) for name in ("failing", "slow", "refused")}
        refusal = "token: the token server answered 500"
        assert {each["error"] for each in said["failing"]} == {refusal, None}
        assert any("token: no answer" in str(each["error"]) for each in said["slow"])
        # The first request of that attempt had a token that was older than 30 s.
        assert any("had another token" in str(each["error"]) for each in said["refused"])
        assert 'kind="token"' in await world.stage.ask_worker("/metrics")
        for each in await world.ask("subscriptions", "list"):
            assert each["state"] == SubscriptionState.ACTIVE
            assert each["failing_since"] is None

        text = await everything_written(world, "failing")
    for material in ("client-hush", "body-hush", "granted-1", "granted-2"):
        assert hidden(material, text), material


async def test_four_workers_that_start_at_once_fetch_one_token_each(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """Whatever waits for them, and although their token server is slow and the endpoint says 401."""
    login = Login()

    async def slow(_: int) -> None:
        await asyncio.sleep(0.5)

    login.answer = slow
    turns = iter(range(1_000_000))
    gateway = Gateway(lambda _: next(turns) % 10 > 0)
    async with (
        a_world(tmp_path, broker.bootstrap_servers, prefix, partitions=8) as world,
        serving(gateway.answer) as url,
        serving(login.grant) as login_url,
    ):
        world.stage.environ["E2E_CLIENT"] = "client-hush"
        declare(world, "crm", f"{url}/crm", oauth2(login_url, "crm"), SWIFT)
        await applied(world)
        await world.publish(200)
        stages = [world.stage, *(world.another_worker() for _ in range(3))]

        async with asyncio.TaskGroup() as starting:
            for stage in stages:
                starting.create_task(stage.start_worker())
        await world.publish(100, every=0.02)

        await until(lambda: len(gateway.accepted("/crm")) == 300, 60, lambda: len(gateway.seen))
        began = login.fetched_at[0]
        within = [at for at in login.fetched_at if at < began + FETCH_SECONDS]
        assert 1 <= len(within) <= len(stages)
        assert any(each.status == 401 for each in gateway.seen)


async def test_nginx_sees_each_partner_under_its_own_certificate(
    world: World, tmp_path: Path
) -> None:
    """On one host and port; a rotated certificate is used two seconds after it was applied."""
    servers, clients, foreigners = (
        Authority("servers"),
        Authority("clients"),
        Authority("foreigners"),
    )
    material = Material(world.stage.folder / "material")
    material.put("servers.pem", servers.pem)
    material.put("foreigners.pem", foreigners.pem)
    for name, authority in (("acme", clients), ("zenith", clients), ("forged", foreigners)):
        material.issue(name, authority, f"{name}-1")

    with nginx(tmp_path / "nginx", servers.issue("gateway", "127.0.0.1"), clients) as gateway:
        await until_listening(gateway.url, 10)
        url = f"{gateway.url}/hook"
        for name in ("acme", "zenith", "forged"):
            declare(world, name, url, material.mtls(name) + material.ca("servers"))
        declare(world, "nobody", url, material.ca("servers"))
        declare(world, "astray", url, material.mtls("acme") + material.ca("foreigners"))
        await applied(world)
        await world.stage.start_worker()

        await world.publish(10)
        await until(lambda: len(gateway.accepted()) == 20, 60, gateway.seen)

        assert len(gateway.accepted("acme-1")) == len(gateway.accepted("zenith-1")) == 10
        # Without a certificate, or with one of another authority, nginx answers 400.
        for name in ("nobody", "forged"):
            assert {each["status"] for each in await attempts(world, name)} == {400}
        assert {each["error"] for each in await attempts(world, "astray")} == {
            "certificate refused: unknown authority (unable to get local issuer certificate)"
        }

        material.issue("acme", clients, "acme-2")
        await applied(world)
        deadline, published = time.monotonic() + HOLDS_WITHIN, 10
        while time.monotonic() < deadline:
            published += len(await world.publish(1, every=0.1))
        await until(lambda: len(gateway.accepted()) == 2 * published, 60, gateway.seen)
        by_the_old = gateway.accepted("acme-1")
        await world.publish(10)
        await until(lambda: len(gateway.accepted()) == 2 * (published + 10), 60, gateway.seen)
        assert gateway.accepted("acme-1") == by_the_old
        assert len(gateway.accepted("acme-2")) >= 10

        text = await everything_written(world, "acme")
    for key in material.key_lines():
        assert hidden(key, text)
