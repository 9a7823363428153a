"""The stage: settings, definitions, and workers that start and end."""

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gauge import cpu_seconds, peak_mib
from benchmarks.installation import Installation, last_words
from examples.demo.free_ports import free_port

from chaos.cast import PARTNERS, Endpoint

PREFIX = "chaos"

_SETTINGS = """\
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
max_in_flight = {max_in_flight}
probe_every = "{probe_every}"

[retry]
tiers = [{tiers}]

[keys]
file = "{folder}/keys.json"
"""

_PARTNER = """\
id: {id}
name: {id}
grant:
  event_types: {types}
  environments: {environments}
"""

_SUBSCRIPTION = """\
id: {id}
partner: {partner}
endpoint:
  url: http://{address}:{port}/hook
  signing_secrets:
    - env: {secret}
  timeout: {timeout}
event_types: {types}
{more}retry:
  schedule: [{schedule}]
"""

_READY_WITHIN = 180.0
_DRAIN_SECONDS = 60.0


@dataclass(slots=True, frozen=True)
class Terms:
    """What a run sets otherwise than by default."""

    tiers: str
    schedule: str
    timeout: str
    max_in_flight: int = 512
    probe_every: str = "30s"


@dataclass(slots=True)
class Worker:
    """One place in the group, and the process that has it now."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    peaks: list[float] = field(default_factory=list)
    """The memory high-water of each process so far, the present one last."""
    expected_to_run: bool = False

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def look(self) -> None:
        """Note the high-water of the process, which the kernel forgets with it."""
        if self.process is not None and self.running:
            try:
                self.peaks[-1] = max(self.peaks[-1], peak_mib(self.process.pid))
            except OSError:
                return

    def cpu(self) -> float:
        """Return the CPU seconds that the process used so far."""
        return cpu_seconds(self.process.pid) if self.process is not None and self.running else 0.0


class Stage:
    """Everything of one run except its broker and its receiver."""

    def __init__(self, folder: Path, servers: str, terms: Terms, workers: int) -> None:
        """Write the settings; nothing runs yet."""
        self.folder = folder
        self.servers = servers
        self.terms = terms
        self.port = free_port()
        self.workers = [Worker(f"worker-{n}", free_port()) for n in range(1, workers + 1)]
        settings = _SETTINGS.format(
            servers=servers,
            prefix=PREFIX,
            folder=folder,
            max_in_flight=terms.max_in_flight,
            probe_every=terms.probe_every,
            tiers=", ".join(f'"{delay}"' for delay in terms.tiers.split()),
        )
        self._installation = Installation(folder, settings)

    def prepare(self, cast: Sequence[Endpoint], subscription: Callable[[int], "Filed"]) -> None:
        """Apply topics, schemas and definitions; returns when all subscriptions are active."""
        definitions = self.folder / "definitions"
        for kind in ("partners", "subscriptions"):
            (definitions / kind).mkdir(parents=True)
        for name, (types, environments) in PARTNERS.items():
            text = _PARTNER.format(id=name, types=types, environments=environments)
            (definitions / "partners" / f"{name}.yaml").write_text(text)
        for number, endpoint in enumerate(cast):
            secret = f"CHAOS_SECRET_{number}"
            self._installation.environ[secret] = endpoint.secret
            filed = subscription(number)
            text = _SUBSCRIPTION.format(
                id=endpoint.name,
                partner=filed.partner,
                address=endpoint.address,
                port=self.port,
                secret=secret,
                timeout=self.terms.timeout,
                types=filed.types,
                more=filed.more,
                schedule=", ".join(self.terms.schedule.split()),
            )
            (definitions / "subscriptions" / f"{endpoint.name}.yaml").write_text(text)
        self._installation.prepare(definitions)

    def start(self, worker: Worker) -> None:
        """Start a worker's process; it is not ready yet."""
        environ = {
            "HOOKSTREAM_WORKER__LISTEN": f"127.0.0.1:{worker.port}",
            "HOOKSTREAM_WORKER__NAME": worker.name,
        }
        worker.process = self._installation.start_worker(self._log_of(worker), environ)
        worker.peaks.append(0.0)
        worker.expected_to_run = True

    def start_all(self) -> None:
        """Start every worker and wait until all are ready."""
        for worker in self.workers:
            self.start(worker)
        for worker in self.workers:
            if not self.until_ready(worker):
                raise SystemExit(f"{worker.name} ended:\n{self.last_words(worker)}")

    def until_ready(self, worker: Worker) -> bool:
        """Wait until a worker is ready; False: it ended instead."""
        began = time.monotonic()
        while time.monotonic() - began < _READY_WITHIN and worker.running:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/readyz", timeout=2):
                    return True
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        if not worker.running:
            return False
        raise SystemExit(
            f"{worker.name} did not become ready; its log ends:\n{self.last_words(worker)}"
        )

    def metrics_of(self, worker: Worker) -> str:
        """Return a worker's metrics, or why there are none."""
        try:
            url = f"http://127.0.0.1:{worker.port}/metrics"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            return str(error)

    def kill(self, worker: Worker) -> None:
        """Kill a worker without notice (SIGKILL), as when its machine dies."""
        worker.look()
        worker.expected_to_run = False
        if worker.process is not None:
            worker.process.kill()
            worker.process.wait()

    def freeze(self, worker: Worker) -> None:
        """Have a worker get no CPU until `thaw`, as a machine that is paused or overcommitted."""
        if worker.process is not None and worker.running:
            worker.process.send_signal(signal.SIGSTOP)

    def thaw(self, worker: Worker) -> None:
        """Let a worker continue."""
        if worker.process is not None and worker.running:
            worker.process.send_signal(signal.SIGCONT)

    def stop(self, worker: Worker) -> int | None:
        """Ask a worker to drain and return its exit code; None where it had to be killed."""
        self.ask_to_stop(worker)
        return self._until_stopped(worker)

    def ask_to_stop(self, worker: Worker) -> None:
        """Ask a worker to drain; a second signal would end it at once."""
        worker.look()
        worker.expected_to_run = False
        if worker.process is not None and worker.running:
            worker.process.send_signal(signal.SIGTERM)

    def _until_stopped(self, worker: Worker) -> int | None:
        if worker.process is None:
            return None
        try:
            return worker.process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(worker)
            return None

    def stop_all(self) -> dict[str, int | None]:
        """Ask all workers to drain, at once, and return their exit codes."""
        for worker in self.workers:
            self.ask_to_stop(worker)
        return {worker.name: self._until_stopped(worker) for worker in self.workers}

    def kill_all(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            self.kill(worker)

    def last_words(self, worker: Worker) -> str:
        """Return the end of a worker's log."""
        return last_words(self._log_of(worker))

    @property
    def logs(self) -> list[Path]:
        """The file that each worker logs to, whether it has begun or not."""
        return [self._log_of(worker) for worker in self.workers]

    def _log_of(self, worker: Worker) -> Path:
        return self.folder / f"{worker.name}.log"


@dataclass(slots=True, frozen=True)
class Filed:
    """What a subscription's file has beside its endpoint."""

    partner: str
    types: str
    more: str = ""
