"""What stands in front of partners' receivers: gateways with a login, a token server, nginx with mTLS."""

import asyncio
import os
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from aiohttp import web
from examples.demo.free_ports import free_port
from examples.demo.stage import PARTNER
from standardwebhooks import Webhook
from tests.doubles.certificates import Authority, Issued
from tests.e2e.world import World

_SIGNING = "whsec_" + b64encode(token_bytes(32)).decode()
_SUBSCRIPTION = """\
id: {id}
partner: {id}
endpoint:
  url: {url}
  signing_secrets: [env: E2E_SIGNING]
  timeout: 5s
{endpoint}event_types: [pricing.completed]
retry:
  schedule: {schedule}
"""


def declare(
    world: World, name: str, url: str, endpoint: str = "", schedule: str = "[1s, 1s, 1s]"
) -> None:
    """Write a partner's files; `endpoint`: further lines of that section."""
    world.stage.environ["E2E_SIGNING"] = _SIGNING
    written = {
        "partners": PARTNER.format(id=name, name=name, types="[pricing.completed]"),
        "subscriptions": _SUBSCRIPTION.format(
            id=name, url=url, endpoint=endpoint, schedule=schedule
        ),
    }
    for kind, text in written.items():
        folder = world.stage.folder / "definitions" / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)


async def applied(world: World) -> None:
    """Apply the folder: its secrets are read again."""
    lead = "1s" if world.stage.worker else "0s"
    definitions = str(world.stage.folder / "definitions")
    await world.stage.hookstream(
        "--set", f"tables.activation_lead={lead}", "apply", definitions, "--yes"
    )


@dataclass(slots=True, frozen=True)
class Seen:
    """One request to a gateway."""

    path: str
    headers: Mapping[str, str]
    webhook_id: str
    status: int
    at: float
    """Monotonic seconds."""


class Gateway:
    """Endpoints on one port that let a request in by its headers, and verify its signature then."""

    def __init__(self, admits: Callable[[web.Request], bool]) -> None:
        """Answer 204 to what is admitted, 401 to the rest."""
        self.admits = admits
        self.seen: list[Seen] = []
        self.url = ""

    def accepted(self, path: str) -> set[str]:
        """Return the webhook-ids that were answered 204 on a path."""
        return {each.webhook_id for each in self.seen if (each.path, each.status) == (path, 204)}

    async def answer(self, request: web.Request) -> web.Response:
        """Record a request, and answer it."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        status = 204 if self.admits(request) else 401
        if status == 204:
            Webhook(_SIGNING).verify(body, headers)
        seen = Seen(request.path_qs, headers, headers["webhook-id"], status, time.monotonic())
        self.seen.append(seen)
        return web.Response(status=status)


class Login:
    """A token server whose tokens are numbered; `answer` may fail in its place."""

    def __init__(self) -> None:
        """Grant a token to whoever asks, until `answer` is changed."""
        self.answer: Callable[[int], Awaitable[web.Response | None]] | None = None
        """Given the number of a fetch; None in return grants a token."""
        self.fetched_at: list[float] = []
        self.authorizations: list[str | None] = []
        self.forms: list[dict[str, str]] = []
        self.url = ""

    async def grant(self, request: web.Request) -> web.Response:
        """Answer one fetch."""
        self.fetched_at.append(time.monotonic())
        self.authorizations.append(request.headers.get("authorization"))
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        number = len(self.fetched_at)
        failed = None if self.answer is None else await self.answer(number)
        return failed or web.json_response(
            {"access_token": f"granted-{number}", "token_type": "Bearer", "expires_in": 3_600}
        )


@asynccontextmanager
async def serving(answers: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Serve every POST on a free loopback port while the block runs; yields the URL without a path."""
    app = web.Application()
    app.router.add_post("/{any:.*}", answers)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
  log_format seen '$ssl_client_s_dn $http_webhook_id $status';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/tmp;
  proxy_temp_path {folder}/tmp;
  fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp;
  scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    ssl_client_certificate {folder}/clients.pem;
    ssl_verify_client on;
    location / {{ return 204; }}
  }}
}}
"""


class Material:
    """Files with certificates and keys, and the lines of definitions that name them."""

    def __init__(self, folder: Path) -> None:
        """Write into a folder that is made now."""
        folder.mkdir(parents=True)
        self._folder = folder
        self._keys: list[bytes] = []

    def put(self, name: str, pem: bytes) -> None:
        """Write a file."""
        (self._folder / name).write_bytes(pem)

    def issue(self, file: str, authority: Authority, name: str) -> None:
        """Issue a client certificate for a name, and write it and its key in place of earlier ones."""
        issued = authority.issue(name)
        self.put(f"{file}.pem", issued.certificate)
        self.put(f"{file}.key", issued.key)
        self._keys.append(issued.key)

    def key_lines(self) -> list[str]:
        """Return the base64 of all keys that were ever written, line by line."""
        return [line.decode() for key in self._keys for line in key.splitlines()[1:-1]]

    def mtls(self, file: str) -> str:
        """Return the lines of a client certificate."""
        folder = self._folder
        pair = f"certificate: {{file: {folder}/{file}.pem}}, key: {{file: {folder}/{file}.key}}"
        return f"  auth: {{mtls: {{{pair}}}}}\n"

    def ca(self, file: str) -> str:
        """Return the line of a private authority."""
        return f"  ca: {{file: {self._folder}/{file}.pem}}\n"


@dataclass(slots=True, frozen=True)
class Nginx:
    """An nginx that verifies client certificates."""

    folder: Path
    url: str

    def seen(self) -> list[tuple[str, str, int]]:
        """Return of each request the client's name, the webhook-id and the status."""
        lines = (self.folder / "access.log").read_text().splitlines()
        rows = [line.rsplit(" ", 2) for line in lines]
        return [(name.removeprefix("CN="), each, int(status)) for name, each, status in rows]

    def accepted(self, client: str | None = None) -> set[tuple[str, str]]:
        """Return client and webhook-id of the requests that were answered 204, of one client or all."""
        return {
            (name, each)
            for name, each, status in self.seen()
            if status == 204 and client in (None, name)
        }


@contextmanager
def nginx(folder: Path, server: Issued, clients_of: Authority) -> Iterator[Nginx]:
    """Run an nginx with a server's certificate, which asks for client certificates of an authority."""
    # Debian has it where only root's PATH looks.
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert path is not None, "nginx is missing: sh tools/prepare.sh nginx"
    (folder / "tmp").mkdir(parents=True)
    (folder / "server.pem").write_bytes(server.certificate + server.key)
    (folder / "clients.pem").write_bytes(clients_of.pem)
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    errors = str(folder / "error.log")
    process = subprocess.Popen([path, "-e", errors, "-c", str(folder / "nginx.conf")])  # noqa: S603  our own configuration
    try:
        yield Nginx(folder, f"https://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


async def until_listening(url: str, seconds: float) -> None:
    """Wait until a server takes connections."""
    deadline = time.monotonic() + seconds
    port = int(url.rpartition(":")[2])
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens at {url}"
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
