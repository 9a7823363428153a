"""Caches the partitions that need attention, some seconds old; a thread of its own asks the brokers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Final

from hookstream.core.model.instant import SECOND, Millis
from hookstream.entry.admin.partitions import ReadPartitions
from hookstream.entry.admin.status import OpenPartition, open_partitions
from hookstream.errors import HookstreamError
from hookstream.settings import Settings

FRESH: Final[Millis] = 10 * SECOND
"""An older result is looked up again, while callers still get it."""

STALE: Final[Millis] = 60 * SECOND
"""A result older than this is not returned: the caller waits for the brokers."""


@dataclass(slots=True, frozen=True)
class PartitionsLook:
    """The result of a look at all partitions."""

    at: Millis
    """When it began."""
    partitions: tuple[OpenPartition, ...] = ()
    problem: str = ""
    """Why there is no result; empty: there is one."""


class PartitionWatch:
    """Keeps the last look. For any thread.

    Args:
        look: Returns the partitions that need a look; blocks, and may raise HookstreamError.
        now: The present.
        beside: Runs something beside its caller; the usual one takes a thread for it.
    """

    def __init__(
        self,
        look: Callable[[], Sequence[OpenPartition]],
        now: Callable[[], Millis],
        beside: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._look = look
        self._now = now
        self._beside = beside or _in_thread
        self._known: PartitionsLook | None = None
        self._looking = Lock()

    def latest(self) -> PartitionsLook:
        """Return what the last look found, at most `STALE` old, or a new one."""
        known, now = self._known, self._now()
        # A clock that went back makes it as old as one that is ahead.
        age = STALE + 1 if known is None else abs(now - known.at)
        if known is None or age > STALE:
            with self._looking:
                before = self._known
                # The previous holder of the lock may have looked meanwhile.
                return self._looked() if before is known or before is None else before
        if age > FRESH and self._looking.acquire(blocking=False):
            try:
                self._beside(self._look_and_release)
            except BaseException:
                self._looking.release()
                raise
        return known

    def _look_and_release(self) -> None:
        try:
            self._looked()
        finally:
            self._looking.release()

    def _looked(self) -> PartitionsLook:
        at = self._now()
        try:
            found = PartitionsLook(at, tuple(self._look()))
        except HookstreamError as problem:
            found = PartitionsLook(at, problem=str(problem))
        self._known = found
        return found


def watched(settings: Settings, now: Callable[[], Millis]) -> PartitionWatch:
    """Return a watch of the partitions that a cluster's workers read."""

    def look() -> list[OpenPartition]:
        partitions = ReadPartitions(settings)
        return open_partitions(partitions.of_events(), partitions.of_tiers(oldest=False), now())

    return PartitionWatch(look, now)


def _in_thread(look: Callable[[], None]) -> None:
    # It ends with the process: it holds nothing that must be closed.
    Thread(target=look, name="partition-watch", daemon=True).start()
