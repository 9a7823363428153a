"""What the pull door costs near the head of the log: `python -m benchmarks.pull --pollers 100 --rate 1000`.

1. A broker; as many subscriptions with the endpoint `pull` as pollers. Their filters share the events out by
   the first digits of their ids: each event is wanted by one of them.
2. One process with the door and all pollers, which ask for the next page as soon as they have one and wait
   for up to 30 s. They stand at the head when the load begins. With `--http` a console serves the door, and
   the pollers are in a process of their own.
3. Events at an even rate; of each the time from the broker's append until a poller has it. The load lasts
   for longer than the tail keeps an event.

CPU seconds count, of the whole measured process: the door and the pollers, or the console alone.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp
import orjson
from examples.demo.free_ports import free_port

from benchmarks.gauge import cpu_seconds, peak_mib
from benchmarks.installation import ROOT, last_words, lasting_as_long_as_we_do
from benchmarks.load import EVENT_TYPE, Load
from benchmarks.rig import say
from benchmarks.stage import EVENT_TOPIC, PARTNER, Stage
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.core.access.tokens import TOKEN_PATTERN
from hookstream.core.pull.page import PulledEvent, PullPage
from hookstream.entry.admin.pull import pull_door
from hookstream.settings import load

_SUBSCRIPTION = """\
id: {id}
partner: bench
endpoint: pull
event_types: [{event_type}]
pattern:
  id: {prefixes}
"""
_SHARES = 4_096
"""Three hexadecimal digits."""
_PATIENCE = 120.0
_BEGIN, _END = "begin", "end"
_TOKEN = "BENCH_TOKEN"  # noqa: S105  the name of a variable
_OK, _UNAUTHENTICATED = 200, 401


@dataclass
class Figures:
    """What was measured."""

    pollers: int
    rate: float
    seconds: float
    events: int
    arrived: int
    twice: int
    pages: int
    cpu_share: float
    """CPU seconds a second."""
    cpu_us_an_event: float
    idle_cpu_share: float
    """The same while nothing comes and all pollers wait."""
    p50_ms: float
    p99_ms: float
    peak_mib: float


# The process with the pollers: with the door too, or in front of a console.

PageOf: TypeAlias = Callable[[str, str], Awaitable[tuple[str, list[bytes]] | str]]
"""Returns the cursor and the bodies of a subscription's next page, or why there is none."""


async def _poll_all(page_of: PageOf, pollers: int) -> None:
    """Poll until standard input says that it is over, and print what arrived."""
    found: list[tuple[float, bytes]] = []
    pages, refused = 0, Counter[str]()

    async def poll(number: int, ready: asyncio.Event) -> None:
        nonlocal pages
        cursor = "latest"
        while True:
            page = await page_of(_name(number), cursor)
            if isinstance(page, str):
                refused[page] += 1
                await asyncio.sleep(0.2)
                continue
            now = time.time()
            cursor, bodies = page
            pages += 1
            ready.set()
            found.extend((now, body) for body in bodies)

    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(pollers)]
        tasks = [group.create_task(poll(n, each)) for n, each in enumerate(ready)]
        for each in ready:
            await each.wait()
        print(_BEGIN, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            task.cancel()
    arrived = [(at, json.loads(body)["id"]) for at, body in found]
    print(json.dumps({"arrived": arrived, "pages": pages, "refused": refused}), flush=True)


async def _with_the_door(config: Path, pollers: int) -> None:
    async with pull_door(load(config, {}, {}), StructuredLogger("warning", "console")) as door:

        async def page_of(name: str, cursor: str) -> tuple[str, list[bytes]] | str:
            page = await door.page(name, cursor, 100, 30)
            if not isinstance(page, PullPage):
                return str(page)
            return page.cursor, [e.body for e in page.entries if isinstance(e, PulledEvent)]

        await _poll_all(page_of, pollers)


async def _by_http(api: str, pollers: int) -> None:
    headers = {"authorization": f"Bearer {os.environ[_TOKEN]}"}
    async with aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
    ) as session:

        async def page_of(name: str, cursor: str) -> tuple[str, list[bytes]] | str:
            asked = {"cursor": cursor, "limit": "100", "wait": "30"}
            try:
                async with session.get(
                    f"{api}/v1/subscriptions/{name}/events", params=asked
                ) as answer:
                    page = orjson.loads(await answer.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                return type(error).__name__
            if answer.status != _OK:
                return f"{answer.status} {page.get('detail', '')}"
            entries = page["entries"]
            return page["cursor"], [e["body"].encode() for e in entries if e["kind"] == "event"]

        await _poll_all(page_of, pollers)


def _name(number: int) -> str:
    return f"poller-{number:04}"


# The measuring one.


def measure(asked: argparse.Namespace) -> Figures:
    """Run it all, and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="hookstream-bench-"))
    libs = fetch_kafka(ROOT / ".cache" / "kafka", say)
    broker = BrokerProcess(libs, find_java(), quick=False)
    try:
        with broker:
            return _measured(asked, Stage(folder, broker.bootstrap_servers), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(asked: argparse.Namespace, stage: Stage, folder: Path) -> Figures:
    events = Load(stage.servers, EVENT_TOPIC, ROOT / "schemas")
    events.create_topic()
    say("subscriptions")
    stage.installation.prepare(_declared(stage, folder, asked.pollers))
    console = _console(stage, folder) if asked.http else None
    serve = str(folder / "hookstream.toml") if console is None else console.url
    command = [sys.executable, "-m", "benchmarks.pull", "--serve", serve]
    process = subprocess.Popen(
        lasting_as_long_as_we_do([*command, "--pollers", str(asked.pollers)]),
        cwd=ROOT,
        env=stage.installation.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    measured = process.pid if console is None else console.process.pid
    try:
        if process.stdout.readline().strip() != _BEGIN:
            raise SystemExit("the pull door did not open")
        say("all stand at the head")
        time.sleep(3)
        idle = _used(measured, lambda: time.sleep(5))
        since = events.ends()
        say(f"{asked.rate:g} events/s for {asked.seconds:g} s")
        began = time.monotonic()
        used = _used(measured, lambda: events.paced(asked.rate, asked.seconds))
        took = time.monotonic() - began
        time.sleep(3)
        peak = peak_mib(measured)
        process.stdin.write(_END + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    finally:
        for each in (process, None if console is None else console.process):
            if each is not None:
                each.kill()
                each.wait()
    if answer["refused"]:
        say(f"refused: {answer['refused']}")
    appended = events.appended(since)
    times: dict[str, float] = {}
    for at, event_id in answer["arrived"]:
        times.setdefault(event_id, at)
    if not times:
        raise SystemExit(f"nothing arrived: {len(appended)} appended, {answer}")
    late = sorted((times[each] - at) * 1000 for each, at in appended.items() if each in times)
    return Figures(
        pollers=asked.pollers,
        rate=asked.rate,
        seconds=round(took, 1),
        events=len(appended),
        arrived=len(late),
        twice=len(answer["arrived"]) - len(times),
        pages=answer["pages"],
        cpu_share=round(used / took, 3),
        cpu_us_an_event=round(used / len(appended) * 1e6, 1),
        idle_cpu_share=round(idle / 5, 3),
        p50_ms=round(statistics.median(late), 1),
        p99_ms=round(late[int(len(late) * 0.99) - 1], 1),
        peak_mib=round(peak),
    )


@dataclass
class _Console:
    """A console that serves the API."""

    process: "subprocess.Popen[bytes]"
    url: str


def _console(stage: Stage, folder: Path) -> _Console:
    """Start a console and return when it answers; the token of the pollers is in the environment."""
    made = stage.installation.run(
        "tokens", "create", "--scope", "partner:read", "--partner", PARTNER
    )
    token = TOKEN_PATTERN.search(made)
    if token is None:
        raise SystemExit(f"no token was made: {made}")
    stage.installation.environ[_TOKEN] = token[0]
    address = f"127.0.0.1:{free_port()}"
    listens = ["--set", f"console.listen={address}", "--set", "console.health_listen=127.0.0.1:0"]
    log = folder / "console.log"
    process = stage.installation.start(log, *listens, "console")
    deadline = time.monotonic() + _PATIENCE
    while _status(f"http://{address}/v1/me") != _UNAUTHENTICATED:
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"the console does not answer:\n{last_words(log)}")
        time.sleep(0.2)
    return _Console(process, f"http://{address}")


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        return problem.code
    except OSError:
        return 0


def _used(pid: int, act: Callable[[], object]) -> float:
    """Return the CPU seconds that a process used meanwhile."""
    before = cpu_seconds(pid)
    act()
    return cpu_seconds(pid) - before


def _declared(stage: Stage, folder: Path, pollers: int) -> Path:
    definitions = stage.declare_endpoints({})
    partner = definitions / "partners" / f"{PARTNER}.yaml"
    # All pollers have one token: its rate is not what is measured.
    partner.write_text(partner.read_text() + "limits: {requests_a_second: 10000}\n")
    for number in range(pollers):
        first, end = _SHARES * number // pollers, _SHARES * (number + 1) // pollers
        prefixes = [{"prefix": f"{share:03x}"} for share in range(first, end)]
        text = _SUBSCRIPTION.format(
            id=_name(number), event_type=EVENT_TYPE, prefixes=json.dumps(prefixes)
        )
        (folder / "definitions" / "subscriptions" / f"{_name(number)}.yaml").write_text(text)
    return definitions


def main() -> None:
    """Read the command line, and measure or serve."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pull", description="Measure readers at the head of the log."
    )
    parser.add_argument("--pollers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1_000, help="events/s")
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument(
        "--http",
        action="store_true",
        help="Measure a console: the pollers are in another process and ask its API.",
    )
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is None:
        print(json.dumps(asdict(measure(asked)), indent=1))
    elif asked.serve.startswith("http"):
        asyncio.run(_by_http(asked.serve, asked.pollers))
    else:
        asyncio.run(_with_the_door(Path(asked.serve), asked.pollers))


if __name__ == "__main__":
    main()
