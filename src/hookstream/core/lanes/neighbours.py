"""Tells whether a lane is alone: no other lane has had work for a minute."""

_ALONE_AFTER = 60.0
"""Seconds without work in any other lane after which a lane is alone. While another lane gets even an
occasional event, intake must not slow down to one endpoint's rate, because that event may be behind the
backlog."""


class Neighbours:
    """The two lanes that had work last, over monotonic seconds."""

    __slots__ = ("_other", "_recent")

    def __init__(self) -> None:
        """Start without any work recorded."""
        self._recent: tuple[str, float] = ("", float("-inf"))
        self._other: tuple[str, float] = ("", float("-inf"))

    def alone(self, lane: str, now: float) -> bool:
        """Return whether no other lane has had work lately."""
        last = self._other if self._recent[0] == lane else self._recent
        return now - last[1] > _ALONE_AFTER

    def note(self, lane: str, now: float) -> None:
        """Record that a lane has work."""
        if self._recent[0] != lane:
            self._other = self._recent
        self._recent = (lane, now)
