"""The journal is the structured log: one JSON object a line on standard error, one line an attempt."""

import logging
import sys

import structlog

from hookstream.core.audit.trail import canonical_line
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.outcome import Complete

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class StructuredJournal:
    """Fits `Journal`. Safe to use from any thread.

    Args:
        level: The least level that is written: debug, info, warning or error.
        form: `json`, or `console` for a person.
    """

    def __init__(self, level: str = "info", form: str = "json") -> None:
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
        if form == "console":
            renderer = structlog.dev.ConsoleRenderer()
        self._level = _LEVELS[level]
        self._log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        )

    def attempt(self, record: AttemptRecord) -> None:
        """Write the one line of an attempt; a delivered one only at debug, since audit has it."""
        if isinstance(record.disposition, Complete):
            if self._level <= logging.DEBUG:
                self._log.debug("attempt", **canonical_line(record))
            return
        if self._level <= logging.WARNING:
            self._log.warning("attempt", **canonical_line(record))

    def info(self, event: str, **fields: str | float | None) -> None:
        """Write what an operator may want to know."""
        self._log.info(event, **fields)

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Write what an operator should look at."""
        self._log.warning(event, **fields)

    def error(self, event: str, **fields: str | float | None) -> None:
        """Write what an operator must act on."""
        self._log.error(event, **fields)
