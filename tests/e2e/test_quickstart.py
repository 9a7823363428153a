"""The commands of README's quickstart, as they are written there, end with a verified webhook."""

import asyncio
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import pytest
from examples.demo.free_ports import free_port
from tests.conftest import ROOT

from hookstream.adapters.dev.kafka_jars import fetch_kafka

pytestmark = pytest.mark.timeout(400)

INSTALLS = "make setup kafka && "
"""What is already set up where this test runs."""


def commands() -> list[list[str]]:
    """Return the lines that README's quickstart has one type, by block."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Quickstart\n")[2]
    blocks = re.findall(r"```console\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return [
        [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        for block in blocks
    ]


class Shell:
    """A shell in a folder that looks like a checkout; ports are free ones."""

    def __init__(self, process: Process, ports: dict[str, str]) -> None:
        self._process = process
        self._ports = ports
        self.said: list[str] = []

    async def type(self, lines: list[str]) -> None:
        """Hand lines to the shell, which runs one after the other."""
        assert self._process.stdin is not None
        for line in lines:
            self._process.stdin.write(f"{with_ports(line, self._ports)}\n".encode())
        await self._process.stdin.drain()

    async def until(self, wanted: str) -> None:
        """Read what the commands print until a line has this."""
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            self.said.append(line)
            if wanted in line:
                return
        raise AssertionError(f"{wanted!r} was never printed: {''.join(self.said)}")


def with_ports(text: str, ports: dict[str, str]) -> str:
    for written, free in ports.items():
        text = re.sub(rf"\b{written}\b", free, text)
    return text


def a_checkout(folder: Path, ports: dict[str, str]) -> None:
    """Make a folder look like a checkout after `make setup kafka`."""
    fetch_kafka(ROOT / ".cache" / "kafka", print)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "kafka").symlink_to(ROOT / ".cache" / "kafka")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "schemas").symlink_to(ROOT / "schemas")
    shutil.copytree(ROOT / "examples" / "quickstart", folder / "examples" / "quickstart")
    for file in folder.glob("examples/quickstart/subscriptions/*.yaml"):
        file.write_text(with_ports(file.read_text(), ports))


async def test_the_quickstart_ends_with_a_verified_webhook(tmp_path: Path) -> None:
    ports = {written: str(free_port()) for written in ("9092", "8080")}
    a_checkout(tmp_path, ports)
    broker, rest, end = commands()
    assert broker[0].startswith(INSTALLS)
    environ = {
        **os.environ,
        "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['9092']}",
        "HOOKSTREAM_WORKER__LISTEN": "127.0.0.1:0",
    }
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=tmp_path,
        env=environ,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    shell = Shell(process, ports)
    try:
        await shell.type([broker[0].removeprefix(INSTALLS), *broker[1:]])
        await shell.until(f"127.0.0.1:{ports['9092']}")
        await shell.type(rest)
        await shell.until("verified; answered 204")
        await shell.until("hookstream-attempt: 1")
        await shell.until('"type": "order.generated"')
        listing, drain, stop = end
        await shell.type([listing])
        await shell.until("delivered 204")
        await shell.type([drain, "echo drained with code $?"])
        await shell.until("drained with code 0")
        await shell.type([stop, "wait", "echo all ended"])
        await shell.until("all ended")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    assert [line for line in shell.said if "not verified" in line or "Traceback" in line] == []
