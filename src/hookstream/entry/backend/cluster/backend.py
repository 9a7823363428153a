"""The backend of the cluster itself."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hookstream.core.redrive.marks import RedriveSource
from hookstream.errors import InputRefused
from hookstream.settings import Settings

if TYPE_CHECKING:
    from hookstream.entry.backend.cluster.access import ClusterAccess
    from hookstream.entry.backend.cluster.aside import ClusterAside
    from hookstream.entry.backend.cluster.definitions import ClusterDefinitions
    from hookstream.entry.backend.cluster.events import ClusterEvents
    from hookstream.entry.backend.cluster.listing import ClusterAttempts, ClusterDeliveries
    from hookstream.entry.backend.cluster.rows import (
        ClusterHolds,
        ClusterPartners,
        ClusterSubscriptions,
        ClusterTokens,
    )
    from hookstream.entry.backend.cluster.schemas import ClusterSchemas
    from hookstream.entry.backend.cluster.sending import ClusterGaps, ClusterReplays, ClusterTests
    from hookstream.entry.backend.cluster.sessions import ClusterSessions
    from hookstream.entry.backend.cluster.work import ClusterJobs, ClusterStatistics
    from hookstream.entry.backend.explain_ports import ExplainCommand
    from hookstream.entry.backend.failure_ports import FailureCommands
    from hookstream.entry.backend.partition_ports import PartitionCommands
    from hookstream.entry.backend.status_ports import StatusCommand


@dataclass
class ClusterBackend:
    """Works on Kafka. Implements `Backend`."""

    settings: Settings

    @cached_property
    def access(self) -> "ClusterAccess":
        """Reads and changes the tables."""
        from hookstream.entry.backend.cluster.access import ClusterAccess

        return ClusterAccess(self.settings)

    @property
    def subscriptions(self) -> "ClusterSubscriptions":
        """Subscriptions of the tables."""
        from hookstream.entry.backend.cluster.rows import ClusterSubscriptions

        return ClusterSubscriptions(self.access)

    @property
    def partners(self) -> "ClusterPartners":
        """Partners of the tables."""
        from hookstream.entry.backend.cluster.rows import ClusterPartners

        return ClusterPartners(self.access)

    @property
    def tokens(self) -> "ClusterTokens":
        """Tokens of the console topic."""
        from hookstream.entry.backend.cluster.rows import ClusterTokens

        return ClusterTokens(self.access)

    @property
    def sessions(self) -> "ClusterSessions":
        """Portal links and sessions of the console topic."""
        from hookstream.entry.backend.cluster.sessions import ClusterSessions

        return ClusterSessions(self.access)

    @property
    def holds(self) -> "ClusterHolds":
        """Holds of the tables."""
        from hookstream.entry.backend.cluster.rows import ClusterHolds

        return ClusterHolds(self.access)

    @property
    def jobs(self) -> "ClusterJobs":
        """Jobs of the jobs table."""
        from hookstream.entry.backend.cluster.work import ClusterJobs

        return ClusterJobs(self.settings)

    @property
    def tests(self) -> "ClusterTests":
        """Tests that this process sends."""
        from hookstream.entry.backend.cluster.sending import ClusterTests

        return ClusterTests(self.access)

    @property
    def replays(self) -> "ClusterReplays":
        """Replays that this process works on."""
        from hookstream.entry.backend.cluster.sending import ClusterReplays

        return ClusterReplays(self.access)

    @property
    def gaps(self) -> "ClusterGaps":
        """Pauses and disablings of the tables."""
        from hookstream.entry.backend.cluster.sending import ClusterGaps

        return ClusterGaps(self.access)

    @property
    def attempts(self) -> "ClusterAttempts":
        """Attempts of the attempts topic."""
        from hookstream.entry.backend.cluster.listing import ClusterAttempts

        return ClusterAttempts(self.settings)

    @property
    def partitions(self) -> "PartitionCommands":
        """Partitions as the brokers know them."""
        from hookstream.entry.backend.cluster.partitions import ClusterPartitions

        return ClusterPartitions(self.settings)

    @property
    def failures(self) -> "FailureCommands":
        """There are none: only the indexes of consoles have failure groups.

        Raises:
            InputRefused: Always.
        """
        raise InputRefused(
            "failure groups exist only in a console's index: give --api URL"
            " before the command, or set api.url; `hookstream stats` counts errors without a console"
        )

    @property
    def explaining(self) -> "ExplainCommand":
        """Explains events by the topics."""
        from hookstream.entry.backend.cluster.explaining import ClusterExplaining

        return ClusterExplaining(self.settings)

    @property
    def status(self) -> "StatusCommand":
        """The state of the installation."""
        from hookstream.entry.backend.cluster.status import ClusterStatus

        return ClusterStatus(self.settings)

    @property
    def schemas(self) -> "ClusterSchemas":
        """Schemas and mappings of the tables."""
        from hookstream.entry.backend.cluster.schemas import ClusterSchemas

        return ClusterSchemas(self.access)

    @property
    def events(self) -> "ClusterEvents":
        """Events of the cluster's topics."""
        from hookstream.entry.backend.cluster.events import ClusterEvents

        return ClusterEvents(self.access)

    @property
    def definitions(self) -> "ClusterDefinitions":
        """Folders of definition files."""
        from hookstream.entry.backend.cluster.definitions import ClusterDefinitions

        return ClusterDefinitions(self.access)

    def aside(self, source: RedriveSource) -> "ClusterAside":
        """Return the dead letters, or the undecodable records, of their topic."""
        from hookstream.entry.backend.cluster.aside import ClusterAside

        return ClusterAside(self.settings, source)

    def deliveries(self, scan: int) -> "ClusterDeliveries":
        """Return the listing of deliveries from at most `scan` records of each topic."""
        from hookstream.entry.backend.cluster.listing import ClusterDeliveries

        return ClusterDeliveries(self.settings, scan)

    def statistics(self, scan: int) -> "ClusterStatistics":
        """Return the statistics from at most `scan` records of each topic."""
        from hookstream.entry.backend.cluster.work import ClusterStatistics

        return ClusterStatistics(self.settings, scan)
