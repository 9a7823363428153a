"""Whatever a process writes to standard error is a line of its logger."""

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.telemetry.log_capture import captured

EVERYTHING = """
import asyncio, logging, sys, threading, warnings, weakref
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.log_capture import captured

class Bad:
    def __del__(self):
        raise ValueError("in a destructor")

class Unsayable:
    def __str__(self):
        raise ValueError("it has no text")

async def forgotten():
    async def fails():
        raise ValueError("in a task")
    asyncio.get_running_loop().create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

with captured(StructuredLogger(), lambda: 0.0):
    logging.getLogger("some.library").warning("a %s\\nof two lines", "warning")
    logging.getLogger("some.library").error("%d", "no number")
    logging.getLogger("some.library").error(Unsayable())
    try:
        raise ValueError("logged")
    except ValueError:
        logging.getLogger("other").exception("failed")
    logging.warning("by the root logger")
    warnings.warn("deprecated", DeprecationWarning)
    thread = threading.Thread(target=lambda: 1 / 0, name="worker-7")
    thread.start()
    thread.join()
    Bad()
    asyncio.run(forgotten())
    import gc; gc.collect()
"""


def test_libraries_warnings_threads_tasks_and_the_end_itself_are_lines_of_json() -> None:
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", EVERYTHING], timeout=60, check=False, capture_output=True
    )
    logged = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert [(each["event"], each["level"]) for each in logged] == [
        ("library.logged", "warning"),
        ("library.logged", "error"),
        ("library.logged", "error"),
        ("library.logged", "error"),
        ("library.logged", "warning"),
        ("library.logged", "warning"),
        ("exception.uncaught", "error"),
        ("exception.uncaught", "error"),
        ("library.logged", "error"),
    ]
    assert logged[0]["detail"] == "a warning\nof two lines"
    assert logged[1]["detail"].startswith("%d (its arguments do not fit")
    assert "Unsayable object" in logged[2]["detail"]
    assert "it has no text" in logged[2]["detail"]
    assert "ValueError: logged" in logged[3]["stack"]
    assert "deprecated" in logged[5]["detail"]
    assert (logged[6]["where"], logged[6]["detail"]) == (
        "worker-7",
        "ZeroDivisionError('division by zero')",
    )
    assert "in a destructor" in logged[7]["detail"]
    assert "in a task" in logged[8]["stack"]


class Hand:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_exporter_of_traces_complains_once_a_minute() -> None:
    logger, clock = BookkeepingLogger(), Hand()
    exporter = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    with captured(logger, clock):
        for second in range(150):
            clock.now = float(second)
            exporter.error("Failed to export span batch due to timeout %d", second)
    assert [(event, fields["unsaid"]) for _, event, fields in logger.lines] == [
        ("traces.not_exported", 0),
        ("traces.not_exported", 59),
        ("traces.not_exported", 59),
    ]


def test_everything_is_restored_when_it_ends() -> None:
    excepthooks: Callable[[], tuple[object, ...]] = lambda: (  # noqa: E731
        sys.excepthook,
        sys.unraisablehook,
        logging.getLogger().handlers[:],
        warnings.showwarning,
    )
    before = excepthooks()
    with pytest.raises(KeyError), captured(BookkeepingLogger(), float):
        raise KeyError
    assert excepthooks() == before
