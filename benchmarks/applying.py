"""What `hookstream apply` takes for thousands of subscriptions: the whole command, on a broker of its own.

    python -m benchmarks.applying [--subscriptions 10000] [--json FILE]

A folder declares so many subscriptions of 100 partners, each in a file of its own, with a generated secret, a filter,
headers and limits. It is applied four times: everything is new, nothing changed, one subscription changed, all of them
did. Each row is one process of the command line from its start to its end, with the wait until what it wrote is in
effect (`tables.activation_lead`, 2 s, where anything changed); what it prints goes into a pipe. CPU is that of the
process (user and system), so that other load on the machine counts in it only as far as it slows caches down.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.gauge import cpu_seconds
from benchmarks.installation import ROOT, Installation
from benchmarks.rig import cores, say
from benchmarks.yardstick import Yardstick
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java

PARTNERS = 100
EVENT_TYPE = "pricing.completed"
_SETTINGS = """\
[kafka]
bootstrap_servers = "{servers}"

[topics]
prefix = "bench"

[keys]
file = "{folder}/keys.json"
"""
_PARTNER = """\
id: partner-{number}
name: Partner {number}
grant:
  event_types: ["*"]
  environments: [production]
"""
_SUBSCRIPTION = f"""\
id: orders-{{number}}
partner: partner-{{partner}}
endpoint:
  url: https://hooks-{{number}}.partner-{{partner}}.example/orders
  signing_secrets:
    - generate: true
  headers:
    X-Tenant: tenant-{{number}}
event_types: [{EVENT_TYPE}]
environments: [production]
pattern:
  data:
    customer_id: [customer-{{number}}]
limits:
  max_in_flight: 4
  rate_limit: {{rate}}
retry:
  schedule: [30s, 5m, 1h]
"""
_WIDTH = 120


@dataclass(slots=True, frozen=True)
class Applied:
    """One run of the command."""

    name: str
    seconds: float
    cpu_seconds: float
    broker_cpu_seconds: float
    yardstick_us: float


class Folder:
    """A folder that declares so many subscriptions."""

    def __init__(self, path: Path, subscriptions: int) -> None:
        """Write the partners' files; there are no subscriptions yet."""
        self.path = path
        self._subscriptions = subscriptions
        for kind in ("partners", "subscriptions"):
            (path / kind).mkdir(parents=True)
        for number in range(PARTNERS):
            text = _PARTNER.format(number=number)
            (path / "partners" / f"partner-{number}.yaml").write_text(text)

    def declare(self, rate: int) -> None:
        """Write the files of all subscriptions, with this rate limit."""
        for number in range(self._subscriptions):
            self.declare_one(number, rate)

    def declare_one(self, number: int, rate: int) -> None:
        """Write the file of one subscription."""
        text = _SUBSCRIPTION.format(number=number, partner=number % PARTNERS, rate=rate)
        (self.path / "subscriptions" / f"orders-{number}.yaml").write_text(text)


def measure(subscriptions: int) -> list[Applied]:
    """Apply the folder in all its states, and return what each took."""
    binary = find_java()
    libs = fetch_kafka(ROOT / ".cache" / "kafka", say)
    scratch = Path(tempfile.mkdtemp(prefix="hookstream-bench-"))
    core, _ = cores()
    found: list[Applied] = []
    try:
        say("a broker")
        with BrokerProcess(libs, binary, quick=False) as broker:
            settings = _SETTINGS.format(servers=broker.bootstrap_servers, folder=scratch)
            installation = Installation(scratch, settings)
            installation.begin()
            folder = Folder(scratch / "definitions", subscriptions)
            acts: dict[str, Callable[[], None]] = {
                "everything is new": lambda: folder.declare(10),
                "nothing changed": lambda: None,
                "one changed": lambda: folder.declare_one(0, 11),
                "all changed": lambda: folder.declare(12),
            }
            for name, act in acts.items():
                act()
                say(f"apply: {name}")
                with Yardstick(core) as yardstick:
                    began = time.monotonic(), _children(), cpu_seconds(broker.pid or 0)
                    installation.apply(folder.path)
                    ended = time.monotonic(), _children(), cpu_seconds(broker.pid or 0)
                seconds, cpu, brokers = (b - a for a, b in zip(began, ended, strict=True))
                found.append(Applied(name, seconds, cpu, brokers, yardstick.median_us))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _children() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table_of(subscriptions: int, found: list[Applied]) -> Table:
    """Return a table to print; the last line says how busy the machine is."""
    title = f"hookstream apply of {subscriptions:,} subscriptions"
    table = Table(title=title, caption=f"load average {os.getloadavg()[0]:.0f}")
    for column in ("", "seconds", "CPU", "CPU of the broker", "yardstick"):
        table.add_column(column, justify="right" if column else "left")
    for each in found:
        table.add_row(
            each.name,
            f"{each.seconds:.1f}",
            f"{each.cpu_seconds:.1f} s",
            f"{each.broker_cpu_seconds:.1f} s",
            f"{each.yardstick_us} µs",
        )
    return table


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applying", description=__doc__)
    parser.add_argument("--subscriptions", type=int, default=10_000, help="10000 by default")
    parser.add_argument("--json", type=Path, help="also write all values to this file")
    given = parser.parse_args()
    found = measure(given.subscriptions)
    Console(width=_WIDTH).print(table_of(given.subscriptions, found))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
