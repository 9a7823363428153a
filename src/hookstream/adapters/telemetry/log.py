"""Writes the structured log: one line per event, as JSON or as text for a console.

A suppressed level costs a comparison only: the delivered attempts of a busy worker would cost 7 µs
each, and they are all in the audit topic anyway.
"""

import re
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from hookstream.core.audit.trail import canonical_line
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.outcome import DeadLetter, Delivered
from hookstream.errors import ConfigurationError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_SECRET = re.compile(
    r"\b(wh(?:sec|sk)_|hs_(?:adm|op[rw]|prd|pmg)_)[A-Za-z0-9+/=_-]+|(?<=://)[^/@\s]+@"
)
"""Signing secrets, tokens, and user and password in a URL."""


class StructuredLogger:
    """The `Logger` of the product. Safe to use from any thread.

    Args:
        level: The lowest level that is written: debug, info, warning or error.
        style: `json` for one object per line, `console` for readable text.
        out: The output stream; None for standard error.

    Raises:
        ConfigurationError: Level or style is unknown.
    """

    def __init__(
        self, level: str = "info", style: str = "json", *, out: TextIO | None = None
    ) -> None:
        if level not in LEVELS:
            raise ConfigurationError(f"log.level {level!r} is none of {', '.join(LEVELS)}")
        self._threshold = LEVELS[level]
        rendering: list[structlog.typing.Processor]
        match style:
            case "json":
                rendering = [structlog.processors.JSONRenderer(serializer=_to_json)]
            case "console":
                console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
                rendering = [_harmless, console]
            case _:
                raise ConfigurationError(f"log.format {style!r} is neither json nor console")
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(out if out is not None else sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                *rendering,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            context_class=dict,
        ).bind()

    def attempt(self, record: AttemptRecord) -> None:
        """Write the line of an attempt: debug if delivered, warning if given up."""
        if isinstance(record.outcome, Delivered):
            level = "debug"
        elif isinstance(record.disposition, DeadLetter):
            level = "warning"
        else:
            level = "info"
        if self._threshold <= LEVELS[level]:
            self._log.log(LEVELS[level], "attempt", **canonical_line(record))

    def info(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator may want to know."""
        self._log.info(event, **fields)

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator should look at."""
        self._log.warning(event, **fields)

    def error(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator must act on."""
        self._log.error(event, **fields)


def _harmless(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Sanitise every text of a line for a terminal, before colours are added."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = _blotted(value)
    return line


def _blotted(text: str) -> str:
    """Mask secrets and terminal control characters.

    Neither should reach the logger, but a partner's error text may contain anything.
    """
    if "wh" in text or "hs_" in text or "://" in text:
        text = _SECRET.sub(r"\1***", text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return text


def _to_json(line: EventDict, **_: object) -> str:
    # The whole line at once: JSON escaping separates its texts, whatever they contain.
    return _blotted(orjson.dumps(line, default=str).decode())
