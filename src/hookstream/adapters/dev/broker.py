"""Runs a real Apache Kafka broker on this machine for development and tests; it never outlives us.

One node, KRaft, loopback only. The broker is a child of this process; a watchdog process reads a
pipe from this process. The pipe closes when this process ends, however it ends (even by SIGKILL),
and then the watchdog stops the broker. Both have their own sessions, so that Ctrl-C in a terminal
reaches this process alone, which then stops the broker gracefully.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from hookstream.adapters.dev.class_archive import class_archive
from hookstream.adapters.kafka.reach import Reach
from hookstream.errors import ConfigurationError, DependencyUnavailable

# 16 bytes in base64, the form of a Kafka cluster id: "hookstream-dev-1".
_CLUSTER_ID = "aG9va3N0cmVhbS1kZXYtMQ"

_LOGGING = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c)%n
"""

# One replica of everything; no delay before a group's first rebalance; session timeouts short enough
# that a killed member's partitions are reassigned in five seconds rather than forty-five; heartbeats
# so frequent that members learn of a rebalance within half a second; no empty record in the metadata
# log twice a second, which costs an idle broker 40 % of its CPU; no copies of its metrics for JMX, which are not read,
# and 8 MB instead of 128 for the keys of one round of compaction: both cost most at its start.
_SERVER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={log}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
metadata.max.idle.interval.ms=0
metric.reporters=
log.cleaner.dedupe.buffer.size=8388608
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms={session}
broker.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=3000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
"""

# $0 the broker's pid, $1 a folder to remove or nothing. `cat` ends when our end of the pipe closes.
_WATCHDOG = """\
trap '' HUP INT TERM
cat >/dev/null
kill -TERM "$0" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -0 "$0" 2>/dev/null || break
  sleep 0.25
done
kill -KILL "$0" 2>/dev/null
[ -z "$1" ] || rm -rf "$1"
"""

_STEP = 0.05
"""Seconds between two checks for an answer of the broker."""

_ASK_SECONDS = 2.0

_PATIENCE = 3600
"""Checks before a start counts as failed: three minutes, since a busy machine may need one."""

_ARCHIVED_WITHIN = 120.0
"""Seconds for Java to write the archive when it ends: five, and many times that on a busy machine."""

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the range of ephemeral ports, so that no client's socket takes a killed broker's port."""


class BrokerProcess:
    """A broker as a child process, with blocking methods; a context manager that starts and stops it.

    Args:
        libs: Folder of Kafka's jars.
        java: Path of the Java executable.
        port: The client port; 0 chooses a free one, which stays the same over restarts.
        data: Folder of its log, kept; None uses a temporary one, removed at the end.
        session: Seconds until a killed broker's session expires; it comes back about 2.5 s later.
            Kafka's default is 9. At 2 it expires while the new broker first loads its groups, and
            Kafka 4.3.1 may then treat a half-loaded state as complete: with much in the log, groups
            lost members and partitions (docs/reliability.md has the storms).
        settings: Settings of the broker that add to ours or replace them, such as an authorizer;
            `{port}` and `{controller}` in a value are replaced by the ports.
        quick: Use Java's first compiler only: a start takes 60 % of the CPU. Use False
            for sustained load and measurements.
        scratch: Folder in which a temporary log is made; None for the system's.
        options: Further options of Java for the broker.
    """

    def __init__(
        self,
        libs: Path,
        java: str,
        *,
        port: int = 0,
        data: Path | None = None,
        session: float = 2.0,
        settings: Mapping[str, str] | None = None,
        quick: bool = True,
        scratch: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._java = java
        self._quick = quick
        self._session = session
        self._settings = dict(settings or {})
        self._libs = libs
        self._formatted = libs.resolve().parent / "formatted"
        self._archive = class_archive(libs, java)
        self._options = options
        self._temporary = data is None
        self.data = data or Path(tempfile.mkdtemp(prefix="hookstream-broker-", dir=scratch))
        """The folder of its log, its configuration and `broker.log`."""
        ports = _free_ports()
        self._port = port or next(ports)
        self._controller = next(ports)
        self.bootstrap_servers = f"127.0.0.1:{self._port}"
        """The address for clients."""
        self._broker: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The broker's process id, None while it does not run."""
        return self._broker.pid if self._broker is not None else None

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self._broker is not None and self._broker.poll() is None

    def start(self) -> None:
        """Start the broker on its log and wait until it answers a metadata request.

        Takes about 2 s on a new log; after `kill` the old session must expire as well.

        Raises:
            ConfigurationError: The port is taken.
            DependencyUnavailable: It exited or did not answer within a minute; the message ends
                with its last output.
        """
        if self.running:
            return
        if not _is_free(self._port):
            raise ConfigurationError(
                f"port {self._port} is taken: choose another, or 0 for a free one"
            )
        self.data.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        if not (self.data / "log" / "meta.properties").exists():
            self._format()
        self._launch()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self, patience: float = 10.0) -> None:
        """Stop the broker gracefully (0.5 s), by force after `patience` seconds; remove temporary data.

        A broker with temporary data is killed: it would spend up to ten seconds on files that are removed.
        """
        if not self._temporary:
            self._end_gracefully(patience)
        self.kill()
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def _end_gracefully(self, patience: float) -> None:
        if self._broker is not None:
            self._broker.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._broker.wait(patience)

    def kill(self) -> None:
        """Kill the broker with SIGKILL, like a crash; `start` then recovers its log."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()
        self._dismiss_watchdog()

    def freeze(self) -> None:
        """Suspend the broker with SIGSTOP until `thaw`: it keeps its connections but does not answer."""
        if self._broker is not None:
            self._broker.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a frozen broker."""
        if self._broker is not None:
            self._broker.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start the broker; remove its temporary data if that fails."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _write_configuration(self) -> None:
        (self.data / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        more = "".join(f"{name}={value}\n" for name, value in self._settings.items())
        server = (_SERVER + more).format(
            port=self._port,
            controller=self._controller,
            log=(self.data / "log").resolve(),
            session=round(self._session * 1_000),
        )
        (self.data / "server.properties").write_text(server, encoding="utf-8")

    def _command(self, *arguments: str, more: Sequence[str] = ()) -> list[str]:
        logging = self.data / "log4j2.properties"
        options = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1"]
        if self._quick:
            options.append("-XX:TieredStopAtLevel=1")
        # With a named but missing archive, Java would not use its own archive either.
        if self._archive.exists():
            options.append(f"-XX:SharedArchiveFile={self._archive}")
        # Java itself expands the asterisk.
        return [
            self._java,
            *options,
            *more,
            f"-Dlog4j2.configurationFile={logging.resolve()}",
            "-cp",
            str(self._libs.resolve() / "*"),
            *arguments,
        ]

    def _format(self) -> None:
        """Have Kafka format the log for the first broker of these jars; the others get a copy."""
        log = self.data / "log"
        if self._formatted.is_dir():
            shutil.copytree(self._formatted, log, dirs_exist_ok=True)
            return
        server = str(self.data / "server.properties")
        command = self._command(
            "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", server
        )
        done = subprocess.run(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise DependencyUnavailable(f"Kafka could not format {self.data}: {said[-2000:]}")
        with tempfile.TemporaryDirectory(dir=self._formatted.parent) as folder:
            copy = shutil.copytree(log, Path(folder) / "log")
            # Another broker may have been first.
            with contextlib.suppress(OSError):
                copy.rename(self._formatted)

    def _launch(self) -> None:
        """Start the broker, but only after its watchdog runs.

        1. A shell waits for a line from us. 2. The watchdog starts with the shell's pid. 3. We send
        the line, and the shell becomes the broker. Whenever we die, nothing remains: before 3 the
        shell reads an end of file and exits, after 2 the watchdog knows which process to stop.
        """
        server = str(self.data / "server.properties")
        kafka = self._command("kafka.Kafka", server, more=self._options)
        waits = ["/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "broker", *kafka]
        with (self.data / "broker.log").open("ab") as log:
            broker = subprocess.Popen(  # noqa: S603 - our own command
                waits, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        remove = str(self.data.resolve()) if self._temporary else ""
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own command
            ["/bin/sh", "-c", _WATCHDOG, str(broker.pid), remove],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if broker.stdin is not None:
            broker.stdin.write(b"go\n")
            broker.stdin.close()
        self._broker = broker

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is None:
            return
        # Kill it together with its `cat`: on an end of file it would stop the broker.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._watchdog.pid, signal.SIGKILL)
        self._watchdog.wait()
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog = None

    def _wait_until_it_answers(self) -> None:
        client = {"bootstrap.servers": self.bootstrap_servers}
        for _ in range(_PATIENCE):
            time.sleep(_STEP)
            if not self.running:
                break
            # A socket first: a client library would log every refused connection.
            if not _is_free(self._port) and Reach(client).ask(_ASK_SECONDS) is None:
                return
        last = (self.data / "broker.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise DependencyUnavailable(
            f"the development broker on {self.bootstrap_servers} did not start; its last output: "
            f"{last.strip() or 'none'}"
        )


def archive_classes(libs: Path, java: str) -> None:
    """Archive the classes that a broker loads, unless there is an archive for these jars and this Java.

    A start then takes 1.6 s of CPU rather than 2.5. Takes five seconds: a broker starts and ends.

    Args:
        libs: Folder of Kafka's jars.
        java: Path of the Java executable.

    Raises:
        DependencyUnavailable: The broker did not start.
    """
    archive = class_archive(libs, java)
    if archive.exists():
        return
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        partial = Path(folder) / archive.name
        options = [f"-XX:ArchiveClassesAtExit={partial}"]
        broker = BrokerProcess(libs, java, data=Path(folder) / "broker", options=options)
        try:
            broker.start()
        finally:
            broker.stop(_ARCHIVED_WITHIN)
        # Renamed when complete: Java crashes on a partial archive. There is none if it was killed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            partial.rename(archive)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Java's server sockets do: ignore closed connections in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_ports() -> Iterator[int]:
    """Yield free ports, starting at one that differs between processes."""
    span = LAST_PORT - FIRST_PORT
    start = os.getpid() * 7
    for step in range(span):
        port = FIRST_PORT + (start + step) % span
        if _is_free(port):
            yield port
    raise DependencyUnavailable(f"no free port between {FIRST_PORT} and {LAST_PORT}")
