"""Turns all other output of a process on standard error into log lines.

Libraries log, emit warnings and report failed exports; a thread may end with an uncaught exception.
A line that is not JSON among JSON lines is lost to log collectors.
"""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hookstream.pipeline.ports import Logger

_MOST = 4_000
"""The most characters of a text."""
_EXPORTER = "opentelemetry"
_EXPORTER_SECONDS = 60.0


@contextmanager
def captured(logger: Logger, monotonic: Callable[[], float]) -> Iterator[None]:
    """Capture the logs of all libraries, warnings and uncaught exceptions of the process.

    Args:
        logger: Receives them.
        monotonic: Seconds; errors of the trace exporter are logged once a minute.
    """
    handler = _CapturedToLogger(logger, monotonic)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    earlier = sys.excepthook, threading.excepthook, sys.unraisablehook
    root.handlers[:], root.level = [handler], logging.WARNING
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    sys.excepthook = lambda *found: _crashed(
        logger, "main", threading.ExceptHookArgs((*found, None))
    )
    threading.excepthook = lambda found: _crashed(
        logger, found.thread.name if found.thread else "a thread", found
    )
    sys.unraisablehook = lambda found: _crashed(logger, "a destructor", found)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], root.level = before
        sys.excepthook, threading.excepthook, sys.unraisablehook = earlier


class _CapturedToLogger(logging.Handler):
    """Passes libraries' log lines to the logger; safe from any thread."""

    def __init__(self, logger: Logger, monotonic: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._monotonic = monotonic
        self._next_word = float("-inf")
        self._unsaid = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or count it if the trace exporter logged one within the minute."""
        try:
            detail = record.getMessage()
        except Exception as wrong:  # noqa: BLE001  whatever a library hands over must not end us
            # An object without a text form must not raise here as well.
            said = record.msg if isinstance(record.msg, str) else object.__repr__(record.msg)
            detail = f"{said} (its arguments do not fit: {wrong!r})"
        if record.name.startswith(_EXPORTER):
            self._exporter(detail)
            return
        stack = ""
        if record.exc_info and record.exc_info[1] is not None:
            stack = "".join(traceback.format_exception(record.exc_info[1]))
        write = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        fields = {"logger": record.name, "detail": detail[:_MOST]}
        write("library.logged", **(fields | {"stack": stack[-_MOST:]} if stack else fields))

    def _exporter(self, detail: str) -> None:
        now = self._monotonic()
        if now < self._next_word:
            self._unsaid += 1
            return
        self._next_word = now + _EXPORTER_SECONDS
        self._logger.warning("traces.not_exported", detail=detail[:_MOST], unsaid=self._unsaid)
        self._unsaid = 0


def _crashed(
    logger: Logger, where: str, found: "threading.ExceptHookArgs | sys.UnraisableHookArgs"
) -> None:
    kind, error = found.exc_type, found.exc_value
    stack = "".join(traceback.format_exception(kind, error, found.exc_traceback))
    detail = repr(error) if error is not None else kind.__name__
    logger.error("exception.uncaught", where=where, detail=detail[:_MOST], stack=stack[-_MOST:])
