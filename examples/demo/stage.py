"""The stage: settings, definition files, and hookstream's own commands as an operator runs them."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Protocol

from examples.consumers.receiver import Receiver
from examples.demo import parcels
from examples.demo.free_ports import free_port

from hookstream.receiver import BodySchema

ROOT = Path(__file__).parents[2]
_REFUSED = 2
"""The exit code of a command that was refused."""
_NO_TOKEN = 401

SETTINGS = """\
[kafka]
bootstrap_servers = "{servers}"

[topics]
prefix = "{prefix}"
partitions = 3

[events]
topics = ["{prefix}.events.*"]

[egress]
allow = ["127.0.0.0/8"]
https_only = false

[retry]
tiers = ["0s", "1s", "2s", "5s"]

[worker]
listen = "127.0.0.1:{port}"

[console]
listen = "127.0.0.1:{console_port}"
health_listen = "127.0.0.1:0"

[keys]
file = "{keys}"

[tracing]
exporter = "file"
ratio = 1.0
file = "{spans}"
"""

PARTNER = """\
id: {id}
name: {name}
grant:
  event_types: {types}
  environments: ["*"]
"""

SUBSCRIPTION = """\
id: {id}
partner: {id}
endpoint:
  url: {url}
  signing_secrets:
    - env: {secret}
  timeout: 5s
event_types: {types}
{more}retry:
  schedule: {schedule}
"""

JOB_TEMPLATE = """\
pattern:
  data:
    strategy: [fastest, nearest]
format: template
template:
  id: <$.id>
  type: <$.type>
  version: <$.version>
  job: <$.entity_id>
  note: "To be made in <$.data.site.city>, out by <$.data.dispatch_on>"
"""

STURDY = "[1s, 2s, 5s, 5s, 5s]"
BRIEF = "[1s, 2s]"

CAST: dict[str, tuple[str, str, str, str, str]] = {
    # id: name, granted types, requested types, further lines, schedule
    "order-system": (
        "Northwind order system",
        "[order.generated, processing.failed, parcel.shipped]",
        "[order.generated, processing.failed, parcel.shipped]",
        "versions:\n  order.generated: 1\n",
        STURDY,
    ),
    "crm": (
        "Brightside CRM",
        "[pricing.completed, order.generated]",
        "[pricing.completed, order.generated]",
        "versions:\n  order.generated: latest\n",
        BRIEF,
    ),
    "automation": (
        "Flowline automation",
        "[document.analyzed]",
        "[document.analyzed]",
        "format: cloudevents\n",
        STURDY,
    ),
    "dashboard": ("Pressroom board", '["*"]', '["*"]', "content: thin\n", STURDY),
    "print-shop": (
        "Halden Print",
        "[routing.decided]",
        "[routing.decided]",
        JOB_TEMPLATE,
        STURDY,
    ),
    "warehouse": (
        "Lakeside warehouse",
        "[document.analyzed, pricing.completed, routing.decided]",
        "[document.analyzed, pricing.completed, routing.decided]",
        "batch: {max_events: 50, max_wait: 200ms}\n",
        STURDY,
    ),
}

BY_API = "automation"
"""The partner that creates its subscription over the API. It verifies with a public key (`v1a`), without a secret."""
TOO_MUCH = "[document.analyzed, processing.failed]"
"""The event types that it requests first, and is not granted."""

REQUEST = """\
endpoint:
  url: {url}
  signing_secrets:
    - generate: true
      scheme: v1a
  timeout: 5s
event_types: {types}
{more}retry:
  schedule: {schedule}
"""

AGREED: dict[str, tuple[tuple[str, int, str], ...]] = {
    # id: type, version and format of every body that its receiver accepts
    "order-system": (
        ("order.generated", 1, "standard"),
        ("processing.failed", 1, "standard"),
        ("parcel.shipped", 1, "standard"),
    ),
    "crm": (
        ("pricing.completed", 1, "standard"),
        ("order.generated", 1, "standard"),
        ("order.generated", 2, "standard"),
    ),
    "automation": (("document.analyzed", 1, "cloudevents"),),
    # Of each member of a batch.
    "warehouse": (
        ("document.analyzed", 1, "standard"),
        ("pricing.completed", 1, "standard"),
        ("routing.decided", 1, "standard"),
    ),
}


class CommandFailed(Exception):
    """A hookstream command did not do what the demo needs."""


class Running(Protocol):
    """A process, with the methods that asyncio gives it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""

    def kill(self) -> None:
        """Kill it."""

    async def wait(self) -> int:
        """Wait until it ends, and return its exit code."""

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait until it ends, and return what it wrote to standard output and standard error."""


class Stage:
    """A folder with everything that one run of the demo writes."""

    def __init__(self, folder: Path, servers: str, prefix: str) -> None:
        """Write the settings; nothing runs yet."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.servers = servers
        self.prefix = prefix
        self.port, console_port = free_port(), free_port()
        self.api = f"http://127.0.0.1:{console_port}"
        """The console's."""
        self.tokens: dict[str, str] = {}
        """Of partners."""
        self.console: Running | None = None
        self.spans = folder / "spans.jsonl"
        self.log = folder / "worker.log"
        self.foreign = folder / "foreign"
        """Where the mapping of somebody else's records is written."""
        self.environ = dict(os.environ)
        self.worker: Running | None = None
        config = folder / "hookstream.toml"
        self.options = ["--config", str(config)]
        config.write_text(
            SETTINGS.format(
                servers=servers,
                prefix=prefix,
                port=self.port,
                console_port=console_port,
                keys=folder / "keys.json",
                spans=self.spans,
            )
        )

    def declare(self, receivers: dict[str, Receiver]) -> Path:
        """Write the definition files of all partners, and return their folder."""
        definitions = self.folder / "definitions"
        for kind in ("partners", "subscriptions"):
            (definitions / kind).mkdir(parents=True, exist_ok=True)
        for who, (name, granted, asked, more, schedule) in CAST.items():
            if who == BY_API:
                partner = PARTNER.format(id=who, name=name, types=granted)
                (definitions / "partners" / f"{who}.yaml").write_text(partner)
                continue
            secret = f"DEMO_SECRET_{who.upper().replace('-', '_')}"
            self.environ[secret] = receivers[who].secrets[0]
            partner = PARTNER.format(id=who, name=name, types=granted)
            (definitions / "partners" / f"{who}.yaml").write_text(partner)
            subscription = SUBSCRIPTION.format(
                id=who,
                url=receivers[who].url,
                secret=secret,
                types=asked,
                more=more,
                schedule=schedule,
            )
            (definitions / "subscriptions" / f"{who}.yaml").write_text(subscription)
        return definitions

    def first_schemas(self) -> Path:
        """Return a folder with the first version of every event type, as before any second one."""
        folder = self.folder / "first-versions"
        shutil.copytree(ROOT / "schemas", folder, ignore=shutil.ignore_patterns("v[2-9].avsc"))
        return folder

    def request(self, receiver: Receiver, types: str) -> Path:
        """Write what the partner with a token asks for, and return the file."""
        _, _, _, more, schedule = CAST[BY_API]
        file = self.folder / "request.yaml"
        text = REQUEST.format(url=receiver.url, types=types, more=more, schedule=schedule)
        file.write_text(text)
        return file

    async def admit(self, partner: str) -> None:
        """Make a token with which a partner manages its own things."""
        asked = ("--scope", "partner:manage", "--partner", partner)
        self.tokens[partner] = (await self.hookstream("tokens", "create", *asked)).strip()

    async def as_partner(self, partner: str, *arguments: str, refused: bool = False) -> str:
        """Run a command of a partner through the console's API, with its own token.

        Args:
            partner: The partner.
            arguments: Its command and options.
            refused: Whether it must be refused: then what it said is returned.

        Raises:
            CommandFailed: It ended otherwise.
        """
        # A partner has neither settings nor a way to the brokers.
        environ = {
            name: value
            for name, value in self.environ.items()
            if not name.startswith(("HOOKSTREAM_", "DEMO_"))
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hookstream", "--api", self.api, *arguments),
            cwd=ROOT,
            env={**environ, "HOOKSTREAM_TOKEN": self.tokens[partner]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if (process.returncode == _REFUSED) is not refused or (process.returncode and not refused):
            said = (out + err).decode(errors="replace")
            raise CommandFailed(f"hookstream --api {self.api} {' '.join(arguments)}: {said}")
        return (err if refused else out).decode()

    async def start_console(self) -> None:
        """Start a console as its own process and wait until its API answers.

        Raises:
            CommandFailed: It ended, or did not answer within a minute.
        """
        # So that pages show what the worker's lanes do.
        self.environ.setdefault("HOOKSTREAM_CONSOLE__WORKERS", f"127.0.0.1:{self.port}")
        log = self.folder / "console.log"
        with log.open("ab") as stream:
            self.console = await self.launch("console", log=stream)
        for _ in range(600):
            if self.console.returncode is not None:
                break
            if await asyncio.to_thread(self._answers):
                return
            await asyncio.sleep(0.1)
        tail = log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"the console did not become ready; its log ends:\n{tail}")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.api}/v1/me", timeout=5)  # noqa: S310  this machine
        except urllib.error.HTTPError as problem:
            # Whoever has no token gets this, and only from a console whose tables are current.
            return problem.code == _NO_TOKEN
        except OSError:
            return False
        return False

    async def stop_console(self) -> int:
        """Ask the console to stop, and return its exit code."""
        if self.console is None:
            return 0
        if self.console.returncode is None:
            self.console.send_signal(signal.SIGTERM)
        return await self.console.wait()

    def map_parcels(self, registry: str) -> Path:
        """Write the mapping of the carrier's records, and name their registry; return its folder."""
        topics = f"{self.prefix}.events.{parcels.TOPIC}"
        for name, value in (("URLS", registry), ("TOPICS", topics)):
            self.environ[f"HOOKSTREAM_REGISTRY__CARRIER__{name}"] = value
        return parcels.write_mapping(self.foreign, topics)

    async def agreed(self, event_type: str, version: int, body_format: str) -> BodySchema:
        """Return the JSON Schema that a partner is given."""
        document = await self.hookstream(
            "schemas",
            "jsonschema",
            event_type,
            "--version",
            str(version),
            "--format",
            body_format,
            "--schemas",
            str(self.foreign if event_type == parcels.EVENT_TYPE else ROOT / "schemas"),
        )
        return BodySchema(json.loads(document))

    async def hookstream(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            CommandFailed: Its exit code is not 0; with all its output.
        """
        command = await self.launch(*arguments)
        out, err = await command.communicate()
        if command.returncode != 0:
            said = (out + err).decode(errors="replace")
            raise CommandFailed(f"hookstream {' '.join(arguments)}: {said}")
        return out.decode()

    async def launch(self, *arguments: str, log: IO[bytes] | None = None) -> Running:
        """Start `hookstream` as its own process.

        Args:
            arguments: Its command and options.
            log: Takes all that it writes; if None, `communicate` returns that.
        """
        output = asyncio.subprocess.PIPE if log is None else log
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hookstream", *self.options, *arguments),
            cwd=ROOT,
            env=self.environ,
            stdout=output,
            stderr=output,
        )

    async def start_worker(self, *options: str) -> None:
        """Start a worker as its own process and wait until it is ready.

        Args:
            options: Further options of the command.

        Raises:
            CommandFailed: It ended, or was not ready within a minute.
        """
        with self.log.open("ab") as log:
            self.worker = await self.launch(*options, "worker", log=log)
        for _ in range(600):
            if self.worker.returncode is not None:
                break
            if await self._ready():
                return
            await asyncio.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"the worker did not become ready; its log ends:\n{tail}")

    async def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return " 200 " in (await self.ask_worker("/readyz")).split("\r\n", 1)[0]
        return False

    async def ask_worker(self, path: str) -> str:
        """Return what the worker's own HTTP server answers, status line and headers included.

        Raises:
            OSError: It does not listen.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            # A worker that is killed meanwhile resets the connection.
            writer.close()
        return answer.decode()

    async def kill_worker(self) -> None:
        """Kill the worker without notice (SIGKILL), as when its machine dies."""
        if self.worker is not None and self.worker.returncode is None:
            self.worker.send_signal(signal.SIGKILL)
            await self.worker.wait()

    async def stop_worker(self) -> int:
        """Ask the worker to stop, and return its exit code."""
        if self.worker is None:
            return 0
        if self.worker.returncode is None:
            self.worker.send_signal(signal.SIGTERM)
        return await self.worker.wait()

    def read_spans(self) -> list[dict[str, object]]:
        """Return every span that workers wrote."""
        if not self.spans.exists():
            return []
        spans = []
        for line in self.spans.read_text().splitlines():
            # A worker that was killed may have left half a line.
            with contextlib.suppress(ValueError):
                spans.append(json.loads(line))
        return spans
