"""Processes, and a stage with them, that are forked from one that has hookstream imported."""

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from tempfile import TemporaryFile
from typing import IO

from examples.demo.stage import ROOT, Running, Stage
from tests.e2e.fork_server import LARGEST, Start


class ForkedProcess:
    """A process that the fork server forked, with the methods of one that asyncio started."""

    def __init__(self, answers: socket.socket, out: IO[bytes], err: IO[bytes]) -> None:
        """Take over the socket of the server's answers, and the files that the process writes."""
        self.pid = _number(answers)
        self.returncode: int | None = None
        self._answers = answers
        self._out, self._err = out, err
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(answers, self._end)

    def _end(self) -> None:
        self._loop.remove_reader(self._answers)
        with self._answers:
            self.returncode = _number(self._answers)
        self._ended.set()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it ends, and return its exit code."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait until it ends, and return what it wrote."""
        await self.wait()
        with self._out as out, self._err as err:
            out.seek(0)
            err.seek(0)
            return out.read(), err.read()


class ForkedStage(Stage):
    """A stage that starts an interpreter only for an environment that the interpreter itself reads."""

    async def launch(self, *arguments: str, log: IO[bytes] | None = None) -> Running:
        """See `Stage.launch`."""
        if self.environ.get("PYTHONPATH") != os.environ.get("PYTHONPATH"):
            return await super().launch(*arguments, log=log)
        # `communicate` closes them.
        out, err = (log, log) if log else (TemporaryFile(), TemporaryFile())  # noqa: SIM115
        start = Start([*self.options, *arguments], str(ROOT), self.environ)
        return ForkedProcess(_forked(start, out, err), out, err)


class BlockingProcess:
    """A process that the fork server forked, with the methods of `subprocess.Popen`, which block.

    Args:
        arguments: Of `hookstream`.
        log: Takes all that it writes.
    """

    def __init__(self, arguments: Sequence[str], log: IO[bytes]) -> None:
        start = Start([*arguments], str(ROOT), dict(os.environ))
        self._answers = _forked(start, log, log)
        self.pid = _number(self._answers)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._ended_within(0)

    def wait(self, seconds: float) -> int:
        """Wait until it ends, and return its exit code.

        Raises:
            TimeoutError: It did not end in time.
        """
        code = self._ended_within(seconds)
        if code is None:
            raise TimeoutError(f"process {self.pid} did not end within {seconds} s")
        return code

    def _ended_within(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], seconds)[0]:
            with self._answers:
                self.returncode = _number(self._answers)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _forked(start: Start, out: IO[bytes], err: IO[bytes]) -> socket.socket:
    """Have the server fork a process, and return the socket of its answers."""
    request = json.dumps(start).encode()
    assert len(request) < LARGEST
    answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        descriptors = [theirs.fileno(), out.fileno(), err.fileno()]
        socket.send_fds(_fork_server(), [request], descriptors)
    return answers


def _number(answers: socket.socket) -> int:
    """Return the next of the server's answers."""
    answer = answers.recv(8)
    assert answer, "the fork server has ended"
    return int.from_bytes(answer, "little", signed=True)


@cache
def _fork_server() -> socket.socket:
    """Start the server of this process, which ends with it."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.e2e.fork_server"]
        server = subprocess.Popen(command, cwd=ROOT, stdin=theirs.fileno())  # noqa: S603  our own

    def end() -> None:
        control.close()
        server.wait()

    atexit.register(end)
    return control
