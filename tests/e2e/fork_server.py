"""Forks `hookstream` processes from one that has it imported: a start then costs 10 ms of CPU, not 600.

Run as a process with a socket as its standard input. Each request there is the JSON of a `Start`,
with three descriptors: a socket for the answers, standard output and standard error. The answers are
the new process's id and, when it has ended, its exit code, eight bytes each.

What is forked is a process as any other: with its own memory, arguments, environment and signals.
Only the imports, and the schemas that nearly every table has, are older than it, and at its end it frees no
memory. What the interpreter itself reads at its start (PYTHONPATH) takes an interpreter.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import traceback
from multiprocessing import context, forkserver, popen_forkserver
from pathlib import Path
from typing import NamedTuple, NoReturn

from hookstream.adapters.avro.published import (
    own_schemas,
    prepared_earlier_schemas,
    prepared_own_schemas,
)
from hookstream.adapters.avro.registry import SchemaBook
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
    # Of whoever runs the tests; a process that is forked takes it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, _Forked] = {}
    changes = select.poll()
    changes.register(control, select.POLLIN)
    while True:
        for descriptor, _ in changes.poll():
            if descriptor in running:
                changes.unregister(descriptor)
                _answer(descriptor, running.pop(descriptor))
                continue
            request, descriptors, _, _ = socket.recv_fds(control, LARGEST, 3)
            if not request:
                return
            answers, out, err = descriptors
            child = os.fork()
            if not child:
                control.close()
                for other, forked in running.items():
                    os.close(other)
                    os.close(forked.answers)
                os.close(answers)
                _become(Start(*json.loads(request)), out, err)
            os.close(out)
            os.close(err)
            ended = os.pidfd_open(child)
            running[ended] = _Forked(child, answers)
            changes.register(ended, select.POLLIN)
            # Whoever asked may be gone.
            with contextlib.suppress(OSError):
                os.write(answers, child.to_bytes(8, "little"))


class _Forked(NamedTuple):
    pid: int
    answers: int


def _answer(ended: int, forked: _Forked) -> None:
    """Answer with the exit code of a process that has ended."""
    _, status = os.waitpid(forked.pid, 0)
    # Whoever started it may be gone.
    with contextlib.suppress(OSError):
        code = os.waitstatus_to_exitcode(status)
        os.write(forked.answers, code.to_bytes(8, "little", signed=True))
    os.close(forked.answers)
    os.close(ended)


def _become(start: Start, out: int, err: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environ)
    sys.argv[:] = ["hookstream", *start.arguments]
    if "console" in start.arguments:
        _have_forked_what_is_spawned()
    code = 0
    try:
        main()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    # Only here: what the frames of an exception refer to is alive as long as that.
    _end(code)


def _have_forked_what_is_spawned() -> None:
    """Have the processes that this one spawns forked from one like it: an interpreter's imports cost 0.5 s of CPU each.

    It has no threads yet. The standard library's own fork server is one of its children, and ends with it.
    """
    address = f"\0hookstream-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    asked, alive = os.pipe()
    child = os.fork()
    if not child:
        os.close(alive)
        code = 1
        try:
            forkserver.main(listener.detach(), asked, [])
        except SystemExit:
            code = 0
        except Exception:  # noqa: BLE001  nobody else would show it
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(asked)
    listener.close()
    # Public functions would start it by an interpreter, and the product asks for what is spawned.
    vars(forkserver._forkserver).update(  # noqa: SLF001
        _forkserver_address=address, _forkserver_alive_fd=alive, _forkserver_pid=child
    )
    context.SpawnProcess._Popen = staticmethod(popen_forkserver.Popen)  # type: ignore[assignment]  # noqa: SLF001


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for the memory: to free that would copy all of what was forked."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    commands = {f"hookstream.entry.cli.{each.module}" for each in COMMANDS.values()}
    for module in commands | LOADED_LATER:
        importlib.import_module(module)
    prepared_own_schemas()
    prepared_earlier_schemas()
    platform = Path(__file__).parents[2].glob("schemas/*/*.avsc")
    # What is compiled from these rows stays as long as this book has it: by a profile, a third of a command's CPU.
    book = SchemaBook([*own_schemas(), *(json.loads(each.read_bytes()) for each in platform)])
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as given:
        serve(given)
