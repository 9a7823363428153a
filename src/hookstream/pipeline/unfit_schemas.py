"""Raises an alarm for foreign schemas that fit no version of their mapping, once a minute for each."""

from typing import Final

from hookstream.core.model.event import UnknownSchema
from hookstream.pipeline.ports import Clock, Logger

_AGAIN: Final = 60.0
"""Seconds."""
_KEPT: Final = 1_000
"""The most schemas whose last alarm is remembered."""


class UnfitSchemas:
    """The alarms of one worker. Owned by the event loop."""

    def __init__(self, logger: Logger, clock: Clock) -> None:
        self._logger = logger
        self._clock = clock
        self._raised: dict[tuple[str, str], float] = {}
        """The time of the last alarm, by topic and the text about the schema."""

    def found(self, topic: str, unknown: UnknownSchema) -> None:
        """Raise an alarm, because a record waits whose schema fits no version."""
        now = self._clock.monotonic()
        key = topic, str(unknown)
        before = self._raised.get(key)
        if before is not None and now - before < _AGAIN:
            return
        if len(self._raised) >= _KEPT:
            self._raised.clear()
        self._raised[key] = now
        self._logger.error("schema.unfit", topic=topic, detail=str(unknown))
