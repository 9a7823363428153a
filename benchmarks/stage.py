"""The stage: settings, one subscription among many, and the worker that is measured."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

from examples.demo.free_ports import free_port

from benchmarks.installation import ROOT, Installation, last_words, lasting_as_long_as_we_do
from benchmarks.load import EVENT_TYPE
from benchmarks.report import Floor

MATCHING = "orders"
PARTNER = "bench"
PREFIX = "bench"
EVENT_TOPIC = f"{PREFIX}.events.{EVENT_TYPE}"

# Everything on: signatures, audit and metrics are always; traces by the share that a platform keeps.
_SETTINGS = """\
[kafka]
bootstrap_servers = "{servers}"

[topics]
prefix = "{prefix}"
partitions = 4

[events]
topics = ["{prefix}.events.*"]

[egress]
allow = ["127.0.0.0/8"]
https_only = false

[worker]
listen = "127.0.0.1:{port}"

[keys]
file = "{folder}/keys.json"

[tracing]
exporter = "file"
ratio = 0.01
file = "{folder}/spans.jsonl"
"""

_PARTNER = f"""\
id: {PARTNER}
name: Benchmark
grant:
  event_types: ["*"]
  environments: ["*"]
"""

_SUBSCRIPTION = """\
id: {id}
partner: bench
endpoint:
  url: {url}
  signing_secrets:
    - env: BENCH_SECRET
event_types: [{event_type}]
"""
_BATCH = "batch: {{max_events: {events}}}\n"
_OTHER = "pattern:\n  data:\n    customer_id: [nobody-{number}]\n"

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
_DRAIN_SECONDS = 40
_READY_SECONDS = 60.0
_LOOK = 0.1


class Stage:
    """A folder with everything that one run writes."""

    def __init__(self, folder: Path, servers: str) -> None:
        """Write the settings; nothing runs yet."""
        self.folder = folder
        self.servers = servers
        settings = _SETTINGS.format(
            servers=servers, prefix=PREFIX, port=free_port(), folder=folder
        )
        self.installation = Installation(folder, settings)
        self.installation.environ["BENCH_SECRET"] = _SECRET
        self._workers: list[tuple[subprocess.Popen[bytes], int]] = []
        """With the port of each, where it reports on itself."""
        self._log = folder / "worker.log"

    def prepare(self, url: str, subscriptions: int) -> None:
        """Apply topics, schemas and definitions; returns when all subscriptions are active."""
        self.installation.prepare(self._declare(url, subscriptions))

    def prepare_endpoints(self, urls: Mapping[str, str]) -> None:
        """Apply everything with one subscription for each name, at its URL: all get every event."""
        self.installation.prepare(self.declare_endpoints(urls))

    def declare_endpoints(self, urls: Mapping[str, str]) -> Path:
        """Write the files of one subscription for each name; what was written before stays."""
        folder = self._partner()
        for name, url in urls.items():
            text = _SUBSCRIPTION.format(id=name, url=url, event_type=EVENT_TYPE)
            (folder / "subscriptions" / f"{name}.yaml").write_text(text)
        return folder

    def _declare(self, url: str, subscriptions: int) -> Path:
        """Write the files of one subscription that matches, and of others that match nothing."""
        folder = self._partner()
        for number in range(subscriptions):
            name = MATCHING if number == 0 else f"other-{number}"
            text = _SUBSCRIPTION.format(id=name, url=url, event_type=EVENT_TYPE)
            more = "" if number == 0 else _OTHER.format(number=number)
            (folder / "subscriptions" / f"{name}.yaml").write_text(text + more)
        return folder

    def _partner(self) -> Path:
        folder = self.folder / "definitions"
        (folder / "partners").mkdir(parents=True, exist_ok=True)
        (folder / "subscriptions").mkdir(exist_ok=True)
        (folder / "partners" / f"{PARTNER}.yaml").write_text(_PARTNER)
        return folder

    def batch(self, url: str, events: int) -> None:
        """Give the subscription that matches batches of at most so many events."""
        file = self.folder / "definitions" / "subscriptions" / f"{MATCHING}.yaml"
        text = _SUBSCRIPTION.format(id=MATCHING, url=url, event_type=EVENT_TYPE)
        file.write_text(text + _BATCH.format(events=events))
        self.installation.apply(self.folder / "definitions")

    def start_worker(self, core: int | None, profile: tuple[str, Path] | None = None) -> int:
        """Start a worker, beside those that run, and return its process id.

        Args:
            core: The only core that it may use; None: those that this process may use.
            profile: How to profile it and where to write what was found; None: not at all.
        """
        module = ["hookstream"]
        if profile is not None:
            module = ["benchmarks.launcher", profile[0], str(profile[1])]
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        program = [*pinned, sys.executable, "-m", *module]
        port = free_port()
        environ = {"HOOKSTREAM_WORKER__LISTEN": f"127.0.0.1:{port}"}
        worker = self.installation.start_worker(self._log, environ, program=program)
        self._workers.append((worker, port))
        return worker.pid

    def await_ready(self) -> None:
        """Wait until every worker has its tables and a partition."""
        until = time.monotonic() + _READY_SECONDS
        for _, port in self._workers:
            while not _is_ready(port):
                self.check_worker()
                if time.monotonic() > until:
                    raise SystemExit(f"a worker is not ready:\n{self.last_words()}")
                time.sleep(_LOOK)

    def floor(self, url: str, events: int, core: int) -> Floor:
        """Deliver the events with the libraries' calls alone, on one core; return the figures."""
        command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.floor"]
        given = [self.servers, EVENT_TOPIC, f"{PREFIX}.attempts", url, str(events)]
        done = subprocess.run(
            lasting_as_long_as_we_do([*command, *given]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        return Floor(**json.loads(done.stdout))

    def check_worker(self) -> None:
        """End with the workers' last words where one of them ended."""
        if any(worker.poll() is not None for worker, _ in self._workers):
            raise SystemExit(f"the worker ended:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the worker's log."""
        return last_words(self._log)

    def stop_worker(self) -> int | None:
        """Ask every worker to drain; return the last one's exit code, None where it had to be killed."""
        code: int | None = None
        workers, self._workers = self._workers, []
        for worker, _ in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker, _ in workers:
            try:
                code = worker.wait(_DRAIN_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
                code = None
        return code


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return int(answer.status) == HTTPStatus.OK
    except OSError:
        return False
