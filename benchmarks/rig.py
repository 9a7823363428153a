"""The rig: nginx as the sink, a broker beside it on one core, and one worker on the other."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  log_format seen '$msec $http_webhook_id';
  access_log {folder}/received.log seen;
  client_body_temp_path {folder}/body;
  client_body_buffer_size 64k;
  keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""

SETTINGS = """\
[kafka]
bootstrap_servers = "{servers}"
[topics]
prefix = "bench"
partitions = 3
[events]
topics = ["bench.events.*"]
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

WORKER_CORE = 0
OTHERS_CORE = 1
_TICKS = os.sysconf("SC_CLK_TCK")


class RigFailed(Exception):
    """Something that the measurement stands on is missing or did not start."""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pin(pid: int, core: int) -> None:
    """Keep a process, with all its threads, on one core."""
    command = ["taskset", "--all-tasks", "--cpu-list", "--pid", str(core), str(pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Sink:
    """nginx, answering 204 and writing down when which webhook-id came."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Raises:
            RigFailed: nginx is not installed.
        """
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        if not Path(nginx).exists():
            raise RigFailed("nginx is missing: apt-get install nginx-light")
        self.port = free_port()
        self._log = folder / "received.log"
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=self.port))
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(OTHERS_CORE), nginx, "-c", str(configuration)]
        )
        self._seen = 0
        self._at = 0

    def received(self) -> int:
        """Return how many requests came so far."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as log:
            log.seek(self._at)
            while block := log.read(1 << 20):
                self._seen += block.count(b"\n")
                self._at += len(block)
        return self._seen

    def times(self) -> dict[str, float]:
        """Return by webhook-id when it came first, seconds since the epoch."""
        found: dict[str, float] = {}
        for line in self._log.read_text().splitlines():
            at, _, webhook_id = line.partition(" ")
            found.setdefault(webhook_id, float(at))
        return found

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(10)


class Worker:
    """hookstream as an operator runs it, pinned to its core."""

    def __init__(self, folder: Path, servers: str) -> None:
        """Write the settings."""
        self._folder = folder
        self._port = free_port()
        self._config = folder / "hookstream.toml"
        self._config.write_text(SETTINGS.format(folder=folder, servers=servers, port=self._port))
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> None:
        """Run a hookstream command.

        Raises:
            RigFailed: It failed; with what it said.
        """
        done = subprocess.run(self._line(*arguments), capture_output=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).decode()
            raise RigFailed(f"hookstream {' '.join(arguments)}: {said}")

    def start(self, launcher: tuple[str, ...] = ()) -> None:
        """Start the worker and wait until it is ready.

        Raises:
            RigFailed: It was not within a minute.
        """
        with (self._folder / "worker.log").open("wb") as log:
            line = [
                "taskset",
                "--cpu-list",
                str(WORKER_CORE),
                *self._line("worker", launcher=launcher),
            ]
            self._process = subprocess.Popen(line, stdout=log, stderr=log)
        for _ in range(600):
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self._port}/readyz"
                with urllib.request.urlopen(url, timeout=1) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.1)
        raise RigFailed((self._folder / "worker.log").read_text()[-2000:])

    @property
    def pid(self) -> int:
        """The process's id; `taskset` became the worker itself."""
        if self._process is None:
            raise RigFailed("the worker was not started")
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send the worker a signal."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """Ask the worker to stop, and return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._process.wait(60)

    def _line(self, *arguments: str, launcher: tuple[str, ...] = ()) -> list[str]:
        run = launcher or ("-m", "hookstream")
        return [sys.executable, *run, "--config", str(self._config), *arguments]
