"""The bounds of the engine, as one value."""

from dataclasses import dataclass

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.outcome.policy import WaitRules

_LONGEST_PAUSE_HOP = 30 * MINUTE


@dataclass(slots=True, frozen=True)
class EngineRules:
    """Every bound of the engine, from the settings."""

    tiers: tuple[Millis, ...]
    max_in_flight: int = 512
    probe_every: Millis = 30_000
    max_deliveries: int = 2_000
    max_bytes: int = 64 << 20
    waiting_room_bytes: int = 32 << 20
    waiting_room_floor: int = 64 << 10
    max_body_bytes: int = 1 << 20
    unknown_schema_grace: Millis = 60 * MINUTE
    absent_grace: Millis = 7 * 24 * 60 * MINUTE
    paused_for: Millis = 14 * 24 * 60 * MINUTE
    disable_after: Millis = 5 * 24 * 60 * MINUTE
    disable_attempts: int = 10
    accept_create_time: bool = False

    @property
    def waits(self) -> tuple[Millis, ...]:
        """Return every configured delay above zero, ascending."""
        return tuple(sorted(delay for delay in self.tiers if delay > 0))

    @property
    def wait_rules(self) -> WaitRules:
        """Return how long deliveries wait for their subscription."""
        pause_hop = max(delay for delay in self.tiers if delay <= _LONGEST_PAUSE_HOP)
        return WaitRules(self.absent_grace, self.paused_for, pause_hop, self.waits)
