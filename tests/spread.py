"""Runs the tests of one collection in several processes, and reports each test whatever ends a process.

With `--processes=N` pytest collects once and forks. A process that has nothing more to do takes the next
unit of tests (`tests/units.py`) and sends what came of each. pytest-xdist collects in every process and has
one more, which reads six messages for each test that passes: a tenth of the CPU of `make quick`.
"""

import atexit
import os
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import pytest
from _pytest._io import TerminalWriter
from _pytest.nodes import Node
from tests.units import Unit, units

_FORK = get_context("fork")
_TASKS = Path("/proc/self/task")
_NUMBER = struct.Struct("i")
_KEPT = 0.5
"""Seconds for which a process keeps what passed before it sends that."""
_PATIENCE = 10.0
"""Seconds for the processes of an interrupted run to end by themselves: a terminal interrupts them, too."""
_CLOSING = 60.0
"""Seconds for them to close what they opened, after that."""


@dataclass(frozen=True, slots=True)
class _Passed:
    """A test that passed and has nothing to say."""

    index: int
    start: float
    stop: float
    duration: float


@dataclass(frozen=True, slots=True)
class _Reported:
    """Any other report of a phase of a test, as pytest makes it to be sent."""

    index: int
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Warned:
    """A warning that is no error."""

    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Broken:
    """What ended a process, and is no test's."""

    trace: str


_Sent: TypeAlias = _Passed | _Reported | _Warned | _Broken


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="run the tests in N processes, which are forked after the collection",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in several processes where that is asked for."""
    if not is_spread(session):
        return None
    _Run(session).go(session.config.option.processes)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


def is_spread(session: pytest.Session) -> bool:
    """Return whether the tests of a session run in several processes."""
    option = session.config.option
    asked = option.processes > 1 and not (option.collectonly or option.usepdb)
    return asked and bool(session.items) and not session.testsfailed


class _Board:
    """What all processes see: the unit that is next, the test that each is at, whether to stop."""

    def __init__(self, units: int, processes: int) -> None:
        # Forked processes share the offset of an open file: one of them reads each number.
        self._next: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  the run's
        self._next.write(b"".join(map(_NUMBER.pack, range(units))))
        self._next.seek(0)
        # Whether to stop, and of each process the number of its test from 1.
        self._slots = memoryview(mmap(-1, _NUMBER.size * (processes + 1))).cast("i")

    def take(self) -> int | None:
        """Return the number of a unit that no other process gets; None after the last."""
        found = b"" if self._slots[0] else self._next.read(_NUMBER.size)
        if not found:
            return None
        number: int
        (number,) = _NUMBER.unpack(found)
        return number

    def stop(self) -> None:
        """Let no process take a unit from now on."""
        self._slots[0] = 1

    def close(self) -> None:
        """Close the file that processes share."""
        self._next.close()

    def begin(self, process: int, index: int) -> None:
        """Say which test a process is at."""
        self._slots[process] = index + 1

    def at(self, process: int) -> int | None:
        """Return the test that a process began last."""
        begun = self._slots[process]
        return begun - 1 if begun else None


class _Run:
    """The process that collected: it has what the others send reported as if it had run the tests."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._plugins = session.config.hook
        self._units = units(session.items)
        self._missing = set(range(len(session.items)))
        self._ended: list[str] = []
        """Of processes that ended too soon: how, and at which test."""
        self._broken: list[str] = []

    def go(self, asked: int) -> None:
        """Return when every process has ended.

        Raises:
            RuntimeError: This process has threads, or something failed that is no test's.
        """
        # What belongs to a thread, such as a client of Kafka, waits for it for ever in a process that has it no more.
        threads = [(task / "comm").read_text().strip() for task in _TASKS.iterdir()]
        if len(threads) > 1:
            raise RuntimeError(f"a process with threads must not be forked: {', '.join(threads)}")
        # A process with a folder beside those of earlier runs removes them at its end: two would remove the same one.
        _folders(self._session).getbasetemp()
        processes = min(asked, len(self._units))
        board = _Board(len(self._units), processes)
        started: list[ForkProcess] = []
        running: dict[Connection, tuple[int, ForkProcess]] = {}
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            for number in range(1, processes + 1):
                receiving, sending = _FORK.Pipe(duplex=False)
                runner = _Forked(self._session, self._units, board, number, sending)
                process = _FORK.Process(target=runner.run, args=([*running, receiving],))
                process.start()
                started.append(process)
                running[receiving] = number, process
                sending.close()
            self._receive(board, running)
        finally:
            board.stop()
            _end(started)
            board.close()
        if not (self._session.shouldfail or self._session.shouldstop):
            self._fail_missing()
        if self._broken:
            raise RuntimeError("\n".join(self._broken))

    def _receive(self, board: _Board, running: dict[Connection, tuple[int, ForkProcess]]) -> None:
        """Report what processes send until all of them have ended."""
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                try:
                    received: list[_Sent] = connection.recv()
                except (EOFError, OSError):  # the latter in the middle of what was sent
                    number, process = running.pop(connection)
                    process.join()
                    if process.exitcode:
                        self._note_end(process.exitcode, board.at(number))
                else:
                    for sent in received:
                        self._report(sent)
                    if self._session.shouldfail or self._session.shouldstop:
                        board.stop()

    def _report(self, sent: _Sent) -> None:
        match sent:
            case _Passed(index, start, stop, duration):
                self._missing.discard(index)
                report = self._made(index, "passed", None, duration, start, stop)
                self._plugins.pytest_runtest_logreport(report=report)
            case _Reported(index, data):
                self._missing.discard(index)
                self._plugins.pytest_runtest_logreport(
                    report=self._plugins.pytest_report_from_serializable(
                        config=self._session.config, data=data
                    )
                )
            case _Warned(arguments):
                self._plugins.pytest_warning_recorded.call_historic(kwargs=arguments)
            case _Broken(trace):
                self._broken.append(trace)

    def _note_end(self, exitcode: int, at: int | None) -> None:
        """Fail the test at which a process ended."""
        how = f"the process ended with {exitcode}"
        if at is None:
            self._ended.append(f"{how} before its first test")
            return
        self._ended.append(f"{how} at {self._session.items[at].nodeid}")
        self._missing.discard(at)
        self._fail(at, how)

    def _fail_missing(self) -> None:
        """Fail the tests of which nothing came: a process ended that had taken them."""
        for index in sorted(self._missing):
            self._fail(index, "no result: " + ("; ".join(self._ended) or "no process took it"))

    def _fail(self, index: int, why: str) -> None:
        self._plugins.pytest_runtest_logreport(report=self._made(index, "failed", why))

    def _made(
        self,
        index: int,
        outcome: Literal["passed", "failed"],
        why: str | None,
        duration: float = 0.0,
        start: float = 0.0,
        stop: float = 0.0,
    ) -> pytest.TestReport:
        item = self._session.items[index]
        return pytest.TestReport(
            item.nodeid,
            item.location,
            {},
            outcome,
            why,
            "call",
            duration=duration,
            start=start,
            stop=stop,
        )


class _Forked:
    """A process that runs units of tests and sends what comes of them."""

    def __init__(
        self,
        session: pytest.Session,
        divided: list[Unit],
        board: _Board,
        number: int,
        sending: Connection,
    ) -> None:
        self._session = session
        self._units = divided
        self._board = board
        self._number = number
        self._sending = sending
        self._at = 0
        self._unsent: list[_Sent] = []
        self._sent = 0.0

    def run(self, inherited: list[Connection]) -> None:
        """Run units until there are none left, and close what the tests opened."""
        # If they stayed open here, no other process would notice that nobody reads what it sends.
        for connection in inherited:
            connection.close()
        self._prepare()
        interrupted = False
        try:
            self._run_units()
        except KeyboardInterrupt:
            interrupted = True
        except BaseException:  # noqa: BLE001  the process that reports raises it
            self._unsent.append(_Broken(traceback.format_exc()))
        self._close()
        if interrupted:
            sys.exit(128 + signal.SIGINT)

    def _prepare(self) -> None:
        """Have plugins know that the run's results are not for this process to write or show."""
        # What was to be closed at the end was opened by the process that collected.
        atexit._clear()  # noqa: SLF001  as multiprocessing does
        config = self._session.config
        vars(config)["workerinput"] = {}  # how pytest's own plugins ask
        folders = _folders(self._session)
        own = folders.getbasetemp() / str(self._number)
        vars(folders).update(_given_basetemp=own, _basetemp=None, _exit_stack=ExitStack())
        terminal = _Terminal(config.get_terminal_writer())
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(terminal, "terminalreporter")
        config.pluginmanager.register(self)
        # All processes would write what tests print to one file.
        capturing = config.pluginmanager.getplugin("capturemanager")
        capturing.stop_global_capturing()
        capturing.start_global_capturing()

    def _run_units(self) -> None:
        places = (
            place for number in iter(self._board.take, None) for place in self._units[number]
        )
        following = _Following(self._session, places)
        while (place := following.place) is not None:
            self._at = place
            self._board.begin(self._number, place)
            item, following = self._session.items[place], _Following(self._session, places)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _close(self) -> None:
        config = self._session.config
        try:
            config.hook.pytest_sessionfinish(session=self._session, exitstatus=0)
            config._ensure_unconfigure()  # noqa: SLF001
            atexit._run_exitfuncs()  # noqa: SLF001
        except BaseException:  # noqa: BLE001  the process that reports raises it
            self._unsent.append(_Broken(traceback.format_exc()))
        self._send()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep or send a report; phases that went well beside the test's own are left out."""
        silent = not (report.sections or report.user_properties or hasattr(report, "wasxfail"))
        if report.passed and silent:
            if report.when == "call":
                self._unsent.append(_Passed(self._at, report.start, report.stop, report.duration))
        else:
            data = self._session.config.hook.pytest_report_to_serializable(
                config=self._session.config, report=report
            )
            self._unsent.append(_Reported(self._at, data))
        if report.failed or time.monotonic() - self._sent > _KEPT:
            self._send()

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Keep a warning that is no error."""
        sent = warnings.WarningMessage(
            str(warning_message.message),
            warning_message.category,
            warning_message.filename,
            warning_message.lineno,
        )
        self._unsent.append(
            _Warned(
                {"warning_message": sent, "when": when, "nodeid": nodeid, "location": location}
            )
        )

    def _send(self) -> None:
        self._sent = time.monotonic()
        unsent, self._unsent = self._unsent, []
        try:
            self._sending.send(unsent)
        except BrokenPipeError:
            # Nobody is left to report to.
            self._session.shouldstop = "the process that started this one has ended"


class _Following:
    """Stands for the test after another, which is taken when that one's fixtures are to be torn down.

    A process that took it sooner would keep it from the others for as long as its own test takes.
    """

    def __init__(self, session: pytest.Session, places: Iterator[int]) -> None:
        self._session = session
        self._places = places

    @cached_property
    def place(self) -> int | None:
        """The place of the test; None after the last, and when the run is to stop."""
        stops = self._session.shouldfail or self._session.shouldstop
        return None if stops else next(self._places, None)

    def listchain(self) -> list[Node]:
        """Return what the test is in, as pytest asks for what may stay set up."""
        return [] if self.place is None else self._session.items[self.place].listchain()


class _Terminal:
    """What plugins get for the terminal where another process reports: a way to write, for stacks at a timeout."""

    def __init__(self, writer: TerminalWriter) -> None:
        self._tw = writer


def _folders(session: pytest.Session) -> pytest.TempPathFactory:
    found = vars(session.config)["_tmp_path_factory"]
    assert isinstance(found, pytest.TempPathFactory)
    return found


def _end(processes: list[ForkProcess]) -> None:
    """Return when processes have ended, by themselves if they can: they close what tests opened."""
    for patience, ending in ((_PATIENCE, signal.SIGINT), (_CLOSING, signal.SIGKILL)):
        until = time.monotonic() + patience
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
        for process in processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, ending)
    for process in processes:
        process.join()
