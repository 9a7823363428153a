"""Holds each partner to its `scanned_records_a_second` where the log is read for its requests."""

import asyncio
import math
from dataclasses import dataclass
from typing import Final

from hookstream.core.model.subscription import Partner
from hookstream.core.pull.scan_rate import ScanRate
from hookstream.pipeline.ports import Clock

LONGEST: Final = 5.0
"""Seconds that a request waits until its partner may read again."""
_MOST_KEPT: Final = 10_000


@dataclass(slots=True, frozen=True)
class PartnerScan:
    """What one partner may read, by its row as it is now."""

    rate: ScanRate
    per_second: int
    clock: Clock

    @property
    def available(self) -> int:
        """How many records may be read now."""
        return self.rate.available(self.per_second, self.clock.monotonic())

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least one, after which something may be read."""
        return max(1, math.ceil(self.rate.wait(self.per_second, self.clock.monotonic())))

    def spend(self, records: int) -> None:
        """Note that records were read."""
        self.rate.spend(records, self.per_second, self.clock.monotonic())

    async def begun(self) -> bool:
        """Wait until something may be read; False: that takes too long."""
        until = self.clock.monotonic() + LONGEST
        while not self.available:
            wait = self.rate.wait(self.per_second, self.clock.monotonic())
            if self.clock.monotonic() + wait > until:
                return False
            await asyncio.sleep(wait)
        return True


class PartnerScans:
    """What all partners have read. Owned by the event loop."""

    def __init__(self, clock: Clock) -> None:
        """Know of no reading yet."""
        self._clock = clock
        self._rates: dict[str, ScanRate] = {}

    def of(self, partner: Partner) -> PartnerScan:
        """Return what a partner may read."""
        rate = self._rates.get(partner.id)
        if rate is None:
            if len(self._rates) >= _MOST_KEPT:
                now = self._clock.monotonic()
                self._rates = {
                    name: each for name, each in self._rates.items() if not each.is_idle(now)
                }
            rate = self._rates[partner.id] = ScanRate()
        return PartnerScan(rate, partner.limits.scanned_records_a_second, self._clock)
