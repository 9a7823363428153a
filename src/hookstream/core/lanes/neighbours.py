"""Whether a lane is alone: no other had work for a minute."""

_ALONE_AFTER = 60.0
"""Seconds without work in any other lane after which a lane is alone. Where others get an event now
and then, intake must not slow to the rate of one endpoint: theirs may stand behind its backlog."""


class Neighbours:
    """Which two lanes had work last, over monotonic seconds."""

    __slots__ = ("_other", "_recent")

    def __init__(self) -> None:
        """Know of no work yet."""
        self._recent: tuple[str, float] = ("", float("-inf"))
        self._other: tuple[str, float] = ("", float("-inf"))

    def alone(self, lane: str, now: float) -> bool:
        """Return whether a lane is alone."""
        last = self._other if self._recent[0] == lane else self._recent
        return now - last[1] > _ALONE_AFTER

    def note(self, lane: str, now: float) -> None:
        """Note that a lane has work."""
        if self._recent[0] != lane:
            self._other = self._recent
        self._recent = (lane, now)
