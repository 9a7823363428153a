"""Decides whether a record or hookstream is to blame for an exception, and logs each defect of ours once."""

import traceback
from collections.abc import Mapping
from enum import StrEnum

from hookstream.core.model.record import TopicPartition
from hookstream.errors import DependencyUnavailable, InvariantBroken
from hookstream.pipeline.ports import Logger


class Step(StrEnum):
    """The step of the pipeline in which an exception was raised."""

    READ = "read"
    READ_STATE = "read_state"
    IDENTIFY = "identify"
    DECODE = "decode"
    MATCH = "match"
    WAIT = "wait"
    RENDER = "render"
    ENCODE = "encode"
    PREPARE = "prepare"
    SETTLE = "settle"
    NOTIFY = "notify"


BLAMED: Mapping[Step, tuple[type[Exception], ...]] = {
    # A schema name that is not UTF-8.
    Step.IDENTIFY: (UnicodeDecodeError,),
    # A string that is not UTF-8; a number or a time out of range.
    Step.DECODE: (UnicodeDecodeError, OverflowError),
    # A value that JSON cannot contain: a time beyond year 9999, a lone surrogate.
    Step.RENDER: (UnicodeEncodeError, OverflowError),
    Step.ENCODE: (UnicodeEncodeError, OverflowError),
}
"""The exceptions for which a record is to blame, by step; for other steps there are none. Expected problems of the
input are returned as values; these remain. A new entry needs a test with a record that raises it."""

ENDS = (InvariantBroken, DependencyUnavailable, MemoryError)
"""Exceptions that end the process: a broken invariant, a fenced or fatal producer, a lost group, no memory."""

MOST_PARTITIONS = 3
"""Partitions that one line of code may stop within `WITHIN` seconds; the last one ends the process."""

WITHIN = 60.0
"""Seconds."""

_MOST_LINES = 1_000
"""The most lines of code that are remembered; the oldest is dropped first."""

_MOST_DETAIL = 300
"""The most characters of an exception that are logged."""


def line_of(error: BaseException) -> str:
    """Return the line of code that raised an exception, `pipeline/settler.py:120 in _dead`."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    if not frames:
        return type(error).__name__
    file = frames[-1].filename.replace("\\", "/").rpartition("/hookstream/")[2]
    return f"{'/'.join(file.split('/')[-3:])}:{frames[-1].lineno} in {frames[-1].name}"


def described(error: BaseException) -> str:
    """Return an exception as one bounded line for operators."""
    return f"{type(error).__name__}: {error}"[:_MOST_DETAIL]


class StoppedLines:
    """The partitions that each line of code stopped lately."""

    def __init__(self) -> None:
        """Start empty."""
        self._stopped: dict[str, dict[TopicPartition, float]] = {}

    def note(self, error: Exception, where: TopicPartition, now: float) -> None:
        """Record that the line which raised `error` stopped a partition.

        Raises:
            InvariantBroken: It stopped `MOST_PARTITIONS` within `WITHIN` seconds.
        """
        line = line_of(error)
        stopped = self._stopped.setdefault(line, {})
        if len(self._stopped) > _MOST_LINES:
            del self._stopped[next(iter(self._stopped))]
        stopped[where] = now
        for each in [each for each, at in stopped.items() if now - at >= WITHIN]:
            del stopped[each]
        if len(stopped) >= MOST_PARTITIONS:
            raise InvariantBroken(
                f"{line} stopped {len(stopped)} partitions within a minute: {described(error)}."
                " This release has a defect: roll back to the previous one"
            ) from error


class Unexpected:
    """Logs defects: each line of code once with its stack. Safe to use from any thread."""

    def __init__(self, logger: Logger) -> None:
        """Log nothing yet."""
        self._logger = logger
        self._known: dict[str, None] = {}

    def note(self, error: Exception, step: Step) -> None:
        """Log an unexpected exception, unless its line was logged before.

        Raises:
            Exception: `error` itself, if it is one of `ENDS`.
        """
        if isinstance(error, ENDS):
            raise error
        line = f"{line_of(error)} {type(error).__name__}"
        if line in self._known:
            return
        self._known[line] = None
        if len(self._known) > _MOST_LINES:
            del self._known[next(iter(self._known))]
        stack = "".join(traceback.format_exception(error, limit=-40))
        try:
            self._logger.error(
                "defect.found",
                step=step.value,
                line=line_of(error),
                detail=described(error),
                stack=stack[-8_000:],
                remedy="this is a defect in hookstream: report it with the stack",
            )
        except Exception:  # noqa: BLE001  a failing log must not affect a record
            return
