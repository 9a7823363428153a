"""Logs unexpected exceptions, with the stack only once for each line of code that raised one."""

import traceback

from hookstream.entry.api.problems import ProblemDocument, ProblemKind
from hookstream.pipeline.ports import Logger

_LONGEST_STACK = 8_000


class DefectLog:
    """The log of unexpected exceptions of one component. Owned by the event loop.

    Args:
        logger: The log.
        event: The name of its log events.
    """

    def __init__(self, logger: Logger, event: str) -> None:
        self._logger = logger
        self._event = event
        self._stacks: set[tuple[str, int]] = set()

    def log(self, defect: Exception, request_id: str, route: str) -> ProblemDocument:
        """Log a defect, and return the answer to the caller, which does not describe it."""
        at = traceback.extract_tb(defect.__traceback__)[-1:]
        place = (at[0].filename, at[0].lineno or 0) if at else ("", 0)
        stack = ""
        if place not in self._stacks:
            self._stacks.add(place)
            stack = "".join(traceback.format_exception(defect))[-_LONGEST_STACK:]
        self._logger.error(
            self._event,
            request_id=request_id,
            route=route,
            kind=type(defect).__name__,
            stack=stack or None,
        )
        kind = ProblemKind.INTERNAL
        return ProblemDocument(
            type="urn:hookstream:problem:internal",
            title=kind.value.title,
            status=kind.status,
            reason=kind.reason,
            request_id=request_id,
        )
