"""Everything that commands work on, whatever implements it."""

from typing import Protocol

from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.backend.bulk_ports import SetAside
from hookstream.entry.backend.listing_ports import Attempts, Deliveries
from hookstream.entry.backend.ports import (
    Holds,
    Jobs,
    Partners,
    StatisticsSource,
    Subscriptions,
    Tokens,
)
from hookstream.entry.backend.sending_ports import Gaps, Replays, Tests


class Backend(Protocol):
    """The cluster, or an API."""

    @property
    def subscriptions(self) -> Subscriptions:
        """Subscriptions."""

    @property
    def partners(self) -> Partners:
        """Partners."""

    @property
    def tokens(self) -> Tokens:
        """Tokens."""

    @property
    def holds(self) -> Holds:
        """Holds."""

    @property
    def jobs(self) -> Jobs:
        """Jobs."""

    @property
    def tests(self) -> Tests:
        """Tests."""

    @property
    def replays(self) -> Replays:
        """Replays."""

    @property
    def gaps(self) -> Gaps:
        """Pauses and disablings."""

    @property
    def attempts(self) -> Attempts:
        """Attempts."""

    def aside(self, source: RedriveSource) -> SetAside:
        """Return the dead letters, or the undecodable records."""

    def deliveries(self, scan: int) -> Deliveries:
        """Return what lists deliveries; of the cluster, from at most `scan` records of each topic."""

    def statistics(self, scan: int) -> StatisticsSource:
        """Return what counts deliveries; of the cluster, from at most `scan` records of each topic."""
