"""Forks `hookstream` processes from one that has it imported: a start then costs 30 ms of CPU, not 600.

Run as a process with a socket as its standard input. Each request there is the JSON of a `Start`,
with three descriptors: a socket for the answers, standard output and standard error. The answers are
the new process's id and, when it has ended, its exit code, eight bytes each.

What is forked is a process as any other: with its own memory, arguments, environment and signals.
Only the imports are older than it. What the interpreter itself reads at its start (PYTHONPATH) takes
an interpreter.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
from typing import NamedTuple

from hookstream.entry.backend import cluster
from hookstream.entry.cli import main
from hookstream.entry.cli.root import COMMANDS

LARGEST = 200_000
"""Bytes of a request."""
LOADED_LATER = {
    "hookstream.adapters.telemetry.tracing",
    "hookstream.entry.backend.api.backend",
    "hookstream.entry.executor.executor",
    *(each.name for each in pkgutil.iter_modules(cluster.__path__, f"{cluster.__name__}.")),
}
"""What commands load as they run."""


class Start(NamedTuple):
    """What a process is to be."""

    arguments: list[str]
    folder: str
    environ: dict[str, str]


def serve(control: socket.socket) -> None:
    """Fork a process for each request, until the other end of the socket is closed."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, LARGEST, 3)
        if not request:
            return
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if not os.fork():
            control.close()
            _supervise(Start(*json.loads(request)), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _supervise(start: Start, answers: int, out: int, err: int) -> None:
    """Fork the process and answer for it; returns in that process alone, when it is done."""
    child = os.fork()
    if not child:
        os.close(answers)
        _become(start, out, err)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(out)
    os.close(err)
    os.write(answers, child.to_bytes(8, "little"))
    _, status = os.waitpid(child, 0)
    # Whoever started it may be gone.
    with contextlib.suppress(OSError):
        code = os.waitstatus_to_exitcode(status)
        os.write(answers, code.to_bytes(8, "little", signed=True))
    os._exit(0)


def _become(start: Start, out: int, err: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environ)
    sys.argv[:] = ["hookstream", *start.arguments]
    main()


if __name__ == "__main__":
    commands = {f"hookstream.entry.cli.{each.module}" for each in COMMANDS.values()}
    for module in commands | LOADED_LATER:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as given:
        serve(given)
