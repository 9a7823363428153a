"""nginx takes every delivery, answers 204, and logs when it arrived."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, Self

from examples.demo.free_ports import free_port

from benchmarks.gauge import cpu_seconds

# One line a request: seconds with milliseconds, status, bytes of the body, whose delivery it was.
_CONF = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
  log_format deliveries '$msec $status $content_length $http_webhook_id';
  access_log {folder}/access.log deliveries;
  client_header_buffer_size 8k;
  client_body_temp_path {folder}/nginx-tmp;
  proxy_temp_path {folder}/nginx-tmp;
  fastcgi_temp_path {folder}/nginx-tmp;
  uwsgi_temp_path {folder}/nginx-tmp;
  scgi_temp_path {folder}/nginx-tmp;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ return 204; }}
  }}
}}
"""

_PATIENCE = 100
"""Looks, a twentieth of a second apart, before a start counts as failed."""


class Receipt(NamedTuple):
    """One delivery as the sink saw it."""

    at: float
    """Seconds since 1970, to the millisecond."""
    status: int
    body_bytes: int
    webhook_id: str


class Sink:
    """One nginx of our own; a context manager. It runs on the core of the process that starts it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "access.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._rest = b""

    @property
    def url(self) -> str:
        """Where to deliver to."""
        return f"http://127.0.0.1:{self._port}/hook"

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        nginx = nginx_path()
        (self._folder / "nginx-tmp").mkdir()
        conf = self._folder / "nginx.conf"
        conf.write_text(_CONF.format(folder=self._folder, port=self._port))
        error_log = str(self._folder / "nginx-error.log")
        self._process = subprocess.Popen([nginx, "-e", error_log, "-c", str(conf)])
        for _ in range(_PATIENCE):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self._stop()
        raise SystemExit(f"nginx did not start; see {error_log}")

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of its processes so far."""
        if self._process is None:
            return 0.0
        pid = self._process.pid
        theirs = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(map(cpu_seconds, (pid, *map(int, theirs))))

    def take(self) -> list[Receipt]:
        """Return what came since the last call, in the order of its coming."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return [_receipt(line.decode()) for line in lines]


def nginx_path() -> str:
    """Return the path of nginx, or end with the way to get it."""
    # Debian has it where only root's PATH looks.
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise SystemExit("nginx is missing, which is the sink: apt-get install nginx-light")
    return path


def _receipt(line: str) -> Receipt:
    at, status, body_bytes, webhook_id = line.split(" ")
    return Receipt(float(at), int(status), int(body_bytes) if body_bytes != "-" else 0, webhook_id)
