"""The interface of a backend: the ports of all commands."""

from typing import Protocol

from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.backend.bulk_ports import SetAsideCommands
from hookstream.entry.backend.definition_ports import DefinitionCommands
from hookstream.entry.backend.event_ports import EventCommands
from hookstream.entry.backend.explain_ports import ExplainCommand
from hookstream.entry.backend.failure_ports import FailureCommands
from hookstream.entry.backend.listing_ports import AttemptCommands, DeliveryCommands
from hookstream.entry.backend.partition_ports import PartitionCommands
from hookstream.entry.backend.ports import (
    HoldCommands,
    JobCommands,
    PartnerCommands,
    StatisticsCommand,
    SubscriptionCommands,
    TokenCommands,
)
from hookstream.entry.backend.schema_ports import SchemaCommands
from hookstream.entry.backend.sending_ports import GapCommands, ReplayCommands, TestCommands
from hookstream.entry.backend.session_ports import SessionCommands
from hookstream.entry.backend.status_ports import StatusCommand


class Backend(Protocol):
    """The cluster, or an API."""

    @property
    def subscriptions(self) -> SubscriptionCommands:
        """Subscriptions."""

    @property
    def partners(self) -> PartnerCommands:
        """Partners."""

    @property
    def tokens(self) -> TokenCommands:
        """Tokens."""

    @property
    def sessions(self) -> SessionCommands:
        """Portal links, and sessions of pages."""

    @property
    def holds(self) -> HoldCommands:
        """Holds."""

    @property
    def jobs(self) -> JobCommands:
        """Jobs."""

    @property
    def tests(self) -> TestCommands:
        """Tests."""

    @property
    def replays(self) -> ReplayCommands:
        """Replays."""

    @property
    def gaps(self) -> GapCommands:
        """Pauses and disablings."""

    @property
    def attempts(self) -> AttemptCommands:
        """Attempts."""

    @property
    def partitions(self) -> PartitionCommands:
        """Partitions that workers read."""

    @property
    def failures(self) -> FailureCommands:
        """Failure groups.

        Raises:
            InputRefused: Without a console there are no failure groups.
        """

    @property
    def explaining(self) -> ExplainCommand:
        """Explanations of events."""

    @property
    def status(self) -> StatusCommand:
        """The state of the installation."""

    @property
    def schemas(self) -> SchemaCommands:
        """Published schemas and mappings."""

    @property
    def events(self) -> EventCommands:
        """Events of the event topics."""

    @property
    def definitions(self) -> DefinitionCommands:
        """Folders of definition files."""

    def aside(self, source: RedriveSource) -> SetAsideCommands:
        """Return the dead letters, or the undecodable records."""

    def deliveries(self, scan: int) -> DeliveryCommands:
        """Return the listing of deliveries; on the cluster it reads at most `scan` records of each topic."""

    def statistics(self, scan: int) -> StatisticsCommand:
        """Return the statistics; on the cluster they read at most `scan` records of each topic."""
