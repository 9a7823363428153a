"""A stage whose processes are forked from one that has hookstream imported."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
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
        request = json.dumps(start).encode()
        assert len(request) < LARGEST
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptors = [theirs.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(_fork_server(), [request], descriptors)
        return ForkedProcess(answers, out, err)


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
