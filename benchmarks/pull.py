"""What the pull door costs near the head of the log: `python -m benchmarks.pull --pollers 100 --rate 1000`.

1. A broker; as many subscriptions with the endpoint `pull` as pollers. Their filters share the events out by
   the first digits of their ids: each event is wanted by one of them.
2. One process with the door and all pollers, which ask for the next page as soon as they have one and wait
   for up to 30 s. They stand at the head when the load begins.
3. Events at an even rate; of each the time from the broker's append until a poller has it.

CPU seconds count, of the whole process, pollers included: they take what a console's HTTP server would pass
on, so its own cost for each request is not in them.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gauge import cpu_seconds, peak_mib
from benchmarks.installation import ROOT, lasting_as_long_as_we_do
from benchmarks.load import EVENT_TYPE, Load
from benchmarks.rig import say
from benchmarks.stage import EVENT_TOPIC, Stage
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.core.pull.page import PulledEvent, PullPage
from hookstream.entry.admin.pull import pull_door
from hookstream.pipeline.pull.service import PullService
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


# The measured process.


async def _serve(config: Path, pollers: int) -> None:
    """Open the door, poll until standard input says that it is over, and print what arrived."""
    found: list[tuple[float, bytes]] = []
    pages, refused = 0, Counter[str]()

    async def poll(door: PullService, number: int, ready: asyncio.Event) -> None:
        nonlocal pages
        cursor = "latest"
        while True:
            page = await door.page(_name(number), cursor, 100, 30)
            if not isinstance(page, PullPage):
                refused[str(page)] += 1
                await asyncio.sleep(0.2)
                continue
            cursor, now = page.cursor, time.time()
            pages += 1
            ready.set()
            found.extend(
                (now, each.body) for each in page.entries if isinstance(each, PulledEvent)
            )

    logger = StructuredLogger("warning", "console")
    async with pull_door(load(config, {}, {}), logger) as door, asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(pollers)]
        tasks = [group.create_task(poll(door, n, each)) for n, each in enumerate(ready)]
        print(_BEGIN, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            task.cancel()
    arrived = [(at, json.loads(body)["id"]) for at, body in found]
    print(json.dumps({"arrived": arrived, "pages": pages, "refused": refused}), flush=True)


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
    command = [sys.executable, "-m", "benchmarks.pull", "--serve", str(folder / "hookstream.toml")]
    process = subprocess.Popen(
        lasting_as_long_as_we_do([*command, "--pollers", str(asked.pollers)]),
        cwd=ROOT,
        env=stage.installation.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        if process.stdout.readline().strip() != _BEGIN:
            raise SystemExit("the pull door did not open")
        say("all stand at the head")
        time.sleep(3)
        idle = _used(process.pid, lambda: time.sleep(5))
        since = events.ends()
        say(f"{asked.rate:g} events/s for {asked.seconds:g} s")
        began = time.monotonic()
        used = _used(process.pid, lambda: events.paced(asked.rate, asked.seconds))
        took = time.monotonic() - began
        time.sleep(3)
        peak = peak_mib(process.pid)
        process.stdin.write(_END + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
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


def _used(pid: int, act: Callable[[], object]) -> float:
    """Return the CPU seconds that a process used meanwhile."""
    before = cpu_seconds(pid)
    act()
    return cpu_seconds(pid) - before


def _declared(stage: Stage, folder: Path, pollers: int) -> Path:
    definitions = stage.declare_endpoints({})
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
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        asyncio.run(_serve(asked.serve, asked.pollers))
    else:
        print(json.dumps(asdict(measure(asked)), indent=1))


if __name__ == "__main__":
    main()
