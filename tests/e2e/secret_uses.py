"""Uses every kind of secret of the API: each is sent to an endpoint, refused, changed, rotated and read around."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_bytes, token_hex, token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.doubles.certificates import Authority
from tests.e2e.gateway import Login, serving
from tests.e2e.page_client import PageClient
from tests.e2e.platform import Platform, has, wait_for

EVENTS = 2
"""Of each wave: the first is refused by every endpoint, the second accepted."""
NAMES = ("by-url", "by-login", "by-grant", "by-certificate", "by-key")


class SecretUses:
    """The subscriptions, each with other secrets.

    Args:
        platform: What runs.
        login: The token server.
        tls: The URL of an endpoint that asks for a client's certificate.
        authority: What issued its certificate, and issues the client's.
    """

    def __init__(self, platform: Platform, login: Login, tls: str, authority: Authority) -> None:
        self.platform = platform
        self.login = login
        self.tls = tls
        self.authority = authority
        self.sent: list[str] = []
        """The names of the secrets that endpoints or the token server are sent."""
        self.quoted: set[str] = set()
        """The names of secrets that were sent as the name of a field or of a thing: the refusal says which."""
        self.said: list[tuple[str, bytes]] = []
        """What commands printed."""

    def new(self, name: str, text: str = "", *, sent: bool = True) -> dict[str, str]:
        """Return new secret material as the API takes it."""
        if sent:
            self.sent.append(name)
        return {"value": self.platform.kept(name, text or f"hush/{token_urlsafe(24)}")}

    def path_of(self, name: str) -> str:
        """Return the path of a subscription's endpoint."""
        return self._url_path if name == "by-url" else f"/{name}"

    async def subscribe(self) -> None:
        """Make the subscriptions. Their endpoints refuse everything, and quote what they refuse."""
        platform, url = self.platform, self.platform.endpoint.url
        part = self.new("part of a URL", token_hex(20))["value"]
        query = self.new("query of a URL", token_hex(20))["value"]
        self._url_path = f"/by-url/{part}"
        for name in NAMES:
            platform.endpoint.statuses[self.path_of(name)] = 400
        platform.endpoint.echoes = True
        client = self.authority.issue("acme")
        endpoints: dict[str, dict[str, Any]] = {
            "by-url": {
                "url": {"value": f"{url}{self._url_path}?key={query}"},
                "headers": {"x-api-key": self.new("header")},
                "auth": {"bearer": {"token": self.new("bearer token", token_urlsafe(30))}},
                "signing_secrets": [self.new("given secret", symmetric(), sent=False)],
            },
            "by-login": {"auth": {"basic": {"username": "kim", "password": self.new("password")}}},
            "by-grant": {
                "auth": {
                    "oauth2": {
                        "token_url": f"{self.login.url}/token",
                        "client_id": "acme",
                        "client_secret": self.new("client secret"),
                        "client_auth": "body",
                    }
                }
            },
            "by-certificate": {
                "url": f"{self.tls}/by-certificate",
                "ca": self.new("authority", self.authority.pem.decode(), sent=False),
                "auth": {
                    "mtls": {
                        "certificate": self.new(
                            "client certificate", client.certificate.decode(), sent=False
                        ),
                        "key": self.new("client key", client.key.decode(), sent=False),
                    }
                },
            },
            "by-key": {"signing_secrets": [self.new("given key", asymmetric(), sent=False)]},
        }
        template: dict[str, Any] = {
            "format": "template",
            "template": {"id": "<$.id>", "key": {"secret": "key"}},
            "template_secrets": {"key": self.new("template secret")},
        }
        retry = {"schedule": ["1s"], "final_statuses": [400]}
        async with asyncio.TaskGroup() as subscribing:
            for name, endpoint in endpoints.items():
                more = template if name == "by-login" else {}
                subscribing.create_task(
                    platform.subscribe(name, endpoint=endpoint, retry=retry, **more)
                )

    async def refused(self) -> None:
        """Send the secrets in places that do not take them, or not so."""
        console, token = self.platform.console, self.platform.token
        for number, endpoint in enumerate(WRONG):
            text = self.new(f"misplaced {number}", sent=False)["value"]
            if number >= len(WRONG) - _AS_NAMES:
                self.quoted.add(f"misplaced {number}")
            body = {
                "partner": "acme",
                "event_types": ["pricing.completed"],
                "endpoint": {"url": f"{self.platform.endpoint.url}/x", **filled(endpoint, text)},
            }
            for method, path in (("POST", ""), ("PATCH", "/by-url")):
                answered = await console.done(
                    method, f"/v1/subscriptions{path}", token, body, If_Match="*"
                )
                assert answered.status in (400, 422), answered
        text = self.new("misplaced in the first line", token_hex(20), sent=False)["value"]
        self.quoted.add("misplaced in the first line")
        for path in (f"/v1/{text}", f"/v1/subscriptions/{text}", f"/v1/me?token={text}"):
            assert (await console.done("GET", path, token)).status in (404, 422)
        text = self.new("no token", f"hs_adm_{token_hex(4)}_{token_hex(20)}", sent=False)["value"]
        assert (await console.done("GET", "/v1/me", text)).status == 401
        text = self.new("cut off", sent=False)["value"]
        cut = b'{"endpoint": {"url": "' + text.encode()
        assert (await console.done("POST", "/v1/subscriptions", token, cut)).status == 400

    async def filed(self) -> None:
        """Plan and apply a definition of files by the API, with its secrets beside it: a wrong one first."""
        platform = self.platform
        endpoint = {
            "url": f"{platform.endpoint.url}/by-files",
            "headers": {"x-key": {"env": "KEY"}},
            "signing_secrets": [{"file": "secret.txt"}],
        }
        definition = {"id": "by-files", "partner": "acme", "event_types": ["order.generated"]}
        header = self.new("header of files", sent=False)
        body: dict[str, Any] = {}
        plan: dict[str, Any] = {}
        for signing, problems in (
            (self.new("no secret of files", sent=False), 1),
            (self.new("secret of files", symmetric(), sent=False), 0),
        ):
            body["definitions"] = [
                {
                    "kind": "subscription",
                    "definition": {**definition, "endpoint": endpoint},
                    "secrets": [
                        {"source": "env", "name": "KEY", **header},
                        {"source": "file", "name": "secret.txt", **signing},
                    ],
                }
            ]
            plan = await platform.made("/v1/definitions/plan", body)
            assert len(plan["problems"]) == problems, plan
        marks = {each["subject"]: each["mark"] for each in plan["changes"]}
        applied = await platform.made("/v1/definitions/apply", {**body, "marks": marks})
        assert applied["plan"]["changes"][0]["action"] == "create", applied
        again = await platform.made("/v1/definitions/plan", body)
        assert again["changes"][0]["action"] == "none", again

    async def used(self) -> None:
        """Have every endpoint refuse a wave of events and accept another; read and change all around them."""
        platform = self.platform
        await self.deliveries("dead-letters")
        platform.endpoint.statuses.clear()
        await self.deliveries("deliveries?state=completed")
        key = self.new("idempotency key", token_urlsafe(30), sent=False)["value"]
        redrive = {"selector": {"subscriptions": list(NAMES)}}
        await platform.made("/v1/dead-letters/preview", redrive)
        job = await platform.made("/v1/redrives", redrive, Idempotency_Key=key)
        await platform.console.until(
            f"/v1/jobs/{job['id']}", platform.token, lambda found: found["state"] == "done"
        )
        async with asyncio.TaskGroup() as reading:
            for name in NAMES:
                reading.create_task(self.read_around(name))
        await self.links()
        await self.commands()
        for number in range(1, len(self.login.fetched_at) + 1):
            self.sent.append(f"granted {number}")
            platform.kept(f"granted {number}", f"granted-{number}-{GRANTED}")

    async def deliveries(self, of: str) -> None:
        """Publish a wave of events, and wait until each subscription's are in a list."""
        await self.platform.publish(EVENTS)
        for name in NAMES:
            mark = "&" if "?" in of else "?"
            await self.platform.console.until(
                f"/v1/{of}{mark}subscription={name}", self.platform.token, has(EVENTS)
            )

    async def read_around(self, name: str) -> None:
        """Do what the API offers with one subscription."""
        platform, token = self.platform, self.platform.token
        console, path = platform.console, f"/v1/subscriptions/{name}"
        rotated = await console.done(
            "POST", f"{path}/rotate-secret", token, {"overlap": "1h"}, If_Match="*"
        )
        if rotated.status == 200:
            for each in rotated.json["generated"]:
                if each["secret"]:
                    platform.kept(f"rotated secret of {name}", each["secret"])
        header = {"endpoint": {"headers": {"x-later": self.new(f"later header of {name}")}}}
        changed = await console.done("PATCH", path, token, header, If_Match="*")
        assert changed.status == 200, changed
        await platform.made(f"{path}/test", {"wait": 20})
        listed = f"/v1/deliveries?subscription={name}&state=completed"
        page = await console.until(
            listed,
            token,
            lambda found: {each["trigger"] == "test" for each in found["items"]} == {True, False},
        )
        items = page["items"]
        delivery, test = [
            next(each for each in items if (each["trigger"] == "test") is is_test)
            for is_test in (False, True)
        ]
        of_test = await console.done("GET", f"/v1/deliveries/{test['delivery']}/payload", token)
        assert (of_test.status, "is a test" in of_test.json["detail"]) == (422, True)
        one = f"/v1/deliveries/{delivery['delivery']}"
        for by in (token, platform.partner):
            for each in (path, f"{path}/keys", f"{path}/events?cursor=earliest", one):
                assert (await console.done("GET", each, by)).status == 200, each
        payload = await console.done("GET", f"{one}/payload", token)
        assert payload.status == 200, payload
        await platform.made(f"{one}/resend", {})
        await wait_for(
            lambda: any(
                each.headers.get("hookstream-replay", "").startswith("resend-")
                for each in platform.endpoint.received
                if each.path.startswith(f"/{name}")
            ),
            lambda: platform.endpoint.received[-20:],
        )

    async def links(self) -> None:
        """Make portal links, by the API and by a command, begin sessions, and read what there is of them."""
        platform, path = self.platform, "/v1/partners/acme/portal-links"
        made = await platform.made(path, {"scope": "partner:manage"})
        said = await platform.world.stage.hookstream("partners", "portal-link", "acme")
        for name, url in (
            ("link of the API", made["url"]),
            ("link of a command", said.split()[0]),
        ):
            platform.kept(name, url.rpartition("/")[2])
        by_link, by_token = PageClient(platform.console), PageClient(platform.console)
        platform.kept(
            "cookie of a link", await by_link.open_link(platform.secrets["link of the API"])
        )
        platform.kept("cookie of a token", await by_token.log_in(platform.partner))
        for browser in (by_link, by_token):
            assert (await browser.get("/ui/subscriptions")).status == 200
        await by_token.log_out()
        for by in (platform.token, platform.partner):
            for each in (path, f"{path}/{made['link']['id']}", "/v1/sessions"):
                assert (await platform.console.done("GET", each, by)).status == 200, each

    async def commands(self) -> None:
        """Print by commands what there is."""
        stage = self.platform.world.stage
        export = stage.folder / "export.jsonl"
        for command in (
            ("attempts", "list", "--json", "--limit", "1000"),
            ("dlq", "list", "--json"),
            ("dlq", "export", "--all", str(export)),
            ("subscriptions", "list", "--json"),
            *(("subscriptions", "show", name, "--json") for name in NAMES),
            ("deliveries", "list", "--json"),
            ("jobs", "list", "--json"),
            ("tokens", "list", "--json"),
            ("sessions", "list", "--json"),
            ("partners", "portal-links", "acme", "--json"),
            ("stats", "by-url"),
        ):
            said = await stage.hookstream(*command)
            self.said.append((f"hookstream {' '.join(command)}", said.encode()))
        assert export.stat().st_size > 0


GRANTED = token_hex(12)
"""A part of each token that the token server grants."""
WRONG: tuple[dict[str, Any], ...] = (
    {"auth": {"bearer": {"token": "HUSH"}}},
    {"auth": {"bearer": {"token": {"value": ["HUSH"]}}}},
    {"auth": {"bearer": {"token": {"value": "HUSH\n"}}}},
    {"auth": {"basic": {"username": "kim:HUSH", "password": {"value": "HUSH"}}}},
    {"auth": {"oauth2": {"token_url": "HUSH", "client_id": "x", "client_secret": {"value": "x"}}}},
    {"auth": {"mtls": {"certificate": {"value": "HUSH"}, "key": {"value": "HUSH"}}}},
    {"ca": {"value": "HUSH"}},
    {"headers": {"x-key": {"value": "HUSH\r\nx: y"}}},
    {"signing_secrets": [{"value": "whsec_HUSH"}]},
    {"signing_secrets": [{"env": "HUSH"}]},
    {"url": {"value": "ftp://HUSH"}},
    {"url": {"file": "/HUSH"}},
    {"HUSH": "x"},
    {"headers": {"HUSH:": "x"}},
    {"auth": {"bearer": {"token": {"HUSH": "x"}}}},
)
"""Endpoints that are refused; HUSH stands for a secret. In the last ones it is the name of a field."""
_AS_NAMES = 3


def filled(endpoint: dict[str, Any], secret: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(endpoint).replace("HUSH", secret))
    return found


def symmetric() -> str:
    return "whsec_" + b64encode(token_bytes(32)).decode()


def asymmetric() -> str:
    key = Ed25519PrivateKey.generate()
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return "whsk_" + b64encode(both).decode()


@asynccontextmanager
async def secret_uses(platform: Platform) -> AsyncIterator[SecretUses]:
    """Serve a token server, and an endpoint that asks for certificates, while the block runs."""
    authority, login = Authority("acme's"), Login()

    async def grant(number: int) -> web.Response:
        granted = {"access_token": f"granted-{number}-{GRANTED}", "token_type": "Bearer"}
        return web.json_response({**granted, "expires_in": 3_600})

    login.answer = grant
    with TemporaryDirectory() as folder:
        issued = authority.issue("endpoint", "127.0.0.1")
        context = issued.server_context(Path(folder), clients_of=authority)
    async with serving(login.grant) as login.url:
        tls = await platform.endpoint.also_by_tls(context)
        yield SecretUses(platform, login, tls, authority)
