"""The development broker starts, restarts after a crash, and ends however its owner ends."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.conftest import ROOT

from hookstream.adapters.dev.broker import BrokerProcess, archive_classes
from hookstream.adapters.dev.class_archive import class_archive
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.errors import ConfigurationError

CACHE = ROOT / ".cache" / "kafka"


@contextlib.contextmanager
def a_broker_command(data: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `hookstream dev broker` until it answers; yield it and the pid of its broker."""
    command = [sys.executable, "-m", "hookstream", "dev", "broker"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--cache", str(CACHE), "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        try:
            yield process, broker_of(data)
        finally:
            process.kill()


def broker_of(data: Path) -> int:
    """Find the Java process that runs on a folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if b"kafka.Kafka" in line and str(data).encode() in line and b"/bin/sh" not in line:
                return int(entry.name)
    raise AssertionError(f"no broker runs on {data}")


def ends_within(pid: int, seconds: float) -> bool:
    """Wait for a process that is not our child."""
    for _ in range(int(seconds / 0.05)):
        try:
            state = (
                Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            )
        except FileNotFoundError:
            return True
        if state[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_sigterm_ends_the_command_and_its_broker_in_good_order(tmp_path: Path) -> None:
    with a_broker_command(tmp_path) as (process, broker):
        process.send_signal(signal.SIGTERM)
        code = process.wait(15)
        assert (code, ends_within(broker, 1)) == (0, True)


def test_a_killed_command_leaves_no_broker_behind(tmp_path: Path) -> None:
    """SIGKILL cannot be handled: the watchdog sees the pipe close."""
    with a_broker_command(tmp_path) as (process, broker):
        process.kill()
        process.wait()
        assert ends_within(broker, 10)


def test_a_killed_broker_restarts_with_its_records(tmp_path: Path) -> None:
    libs = fetch_kafka(CACHE, print)
    with BrokerProcess(libs, find_java(), data=tmp_path) as process:
        client: dict[str, str | int | float | bool]
        client = {"bootstrap.servers": process.bootstrap_servers, "log_level": 0}
        admin = AdminClient(client)
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(30)
        producer = Producer(client | {"acks": "all"})
        producer.produce("kept", b"value", partition=0)
        assert producer.flush(10) == 0
        address = process.bootstrap_servers

        process.kill()
        process.start()

        described = admin.list_topics(timeout=10).topics
        assert (process.bootstrap_servers, "kept" in described) == (address, True)


def test_the_dev_broker_refuses_a_taken_port_with_its_number(tmp_path: Path) -> None:
    libs = fetch_kafka(CACHE, print)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = BrokerProcess(libs, find_java(), port=port, data=tmp_path)
        with pytest.raises(ConfigurationError, match=f"port {port} is taken"):
            broker.start()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a broker with temporary data while it ran."""

    files: str
    """The files that Java had mapped."""
    folder: Path
    was_there: bool


@pytest.fixture(scope="module")
def stopped() -> Seen:
    """A broker that ran for a moment, with its classes archived before: its start is shared, it is not changed."""
    libs, java = fetch_kafka(CACHE, print), find_java()
    archive_classes(libs, java)
    with BrokerProcess(libs, java) as process:
        files = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        return Seen(files, process.data, process.data.is_dir())


def test_a_broker_starts_from_the_archive_of_its_classes(stopped: Seen) -> None:
    libs, java = fetch_kafka(CACHE, print), find_java()
    assert str(class_archive(libs, java)) in stopped.files


def test_a_stopped_broker_takes_its_temporary_data_with_it(stopped: Seen) -> None:
    assert stopped.was_there
    assert not stopped.folder.exists()
