"""Writes the structured log: one line per event, as JSON or as text for a console.

A suppressed level costs a comparison only: the delivered attempts of a busy worker would cost 7 µs
each, and they are all in the audit topic anyway.
"""

import datetime as dt
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TextIO, TypeAlias

import orjson

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.trail import canonical_line
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.outcome import DeadLetter, Delivered
from hookstream.errors import ConfigurationError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_SECRET = re.compile(
    r"\b(wh(?:sec|sk)_|hs_(?:adm|op[rw]|prd|pmg)_)[A-Za-z0-9+/=_-]+|(?<=://)[^/@\s]+@"
)
"""Signing secrets, tokens, and user and password in a URL."""
_Line: TypeAlias = dict[str, object]
_clock = SystemClock()
_writing = threading.Lock()
"""Held while a line is written, so that lines of two threads do not mix."""


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
        self._text: Callable[[_Line], str]
        match style:
            case "json":
                self._text = _as_json
            case "console":
                self._text = _for_console(colors=sys.stderr.isatty())
            case _:
                raise ConfigurationError(f"log.format {style!r} is neither json nor console")
        self._out = out if out is not None else sys.stderr

    def attempt(self, record: AttemptRecord) -> None:
        """Write the line of an attempt: debug if delivered, warning if given up."""
        if isinstance(record.outcome, Delivered):
            level = "debug"
        elif isinstance(record.disposition, DeadLetter):
            level = "warning"
        else:
            level = "info"
        if self._threshold <= LEVELS[level]:
            self._write(level, "attempt", canonical_line(record))

    def info(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator may want to know."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator should look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: str | float | None) -> None:
        """Write an event that an operator must act on."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        if self._threshold > LEVELS[level]:
            return
        line = {**fields, "event": event, "level": level, "timestamp": _now()}
        text = self._text(line)
        with _writing:
            self._out.write(f"{text}\n")
            self._out.flush()


def _now() -> str:
    moment = dt.datetime.fromtimestamp(_clock.moment().wall, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _for_console(*, colors: bool) -> Callable[[_Line], str]:
    """Return a function that renders a line as readable text."""
    # Imported only here: with rich, which it looks for, its import is a fifth of a worker's start.
    from structlog.dev import ConsoleRenderer  # noqa: PLC0415

    rendered = ConsoleRenderer(colors=colors)

    def text(line: _Line) -> str:
        # Before colours are added: a line must not control the terminal.
        harmless = {
            name: _blotted(value) if isinstance(value, str) else value
            for name, value in line.items()
        }
        return rendered(None, "", harmless)

    return text


def _blotted(text: str) -> str:
    """Mask secrets and terminal control characters.

    Neither should reach the logger, but a partner's error text may contain anything.
    """
    if "wh" in text or "hs_" in text or "://" in text:
        text = _SECRET.sub(r"\1***", text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return text


def _as_json(line: _Line) -> str:
    # The whole line at once: JSON escaping separates its texts, whatever they contain.
    return _blotted(orjson.dumps(line, default=str).decode())
