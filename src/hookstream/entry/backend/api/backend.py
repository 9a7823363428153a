"""The backend of a console's API."""

from dataclasses import dataclass

from hookstream.adapters.http.api_connection import ApiConnection
from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.backend.api.aside import ApiAside
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.api.definitions import ApiDefinitions
from hookstream.entry.backend.api.events import ApiEvents
from hookstream.entry.backend.api.explaining import ApiExplaining
from hookstream.entry.backend.api.failures import ApiFailures
from hookstream.entry.backend.api.listing import ApiAttempts, ApiDeliveries
from hookstream.entry.backend.api.partitions import ApiPartitions
from hookstream.entry.backend.api.rows import ApiHolds, ApiPartners, ApiSubscriptions, ApiTokens
from hookstream.entry.backend.api.schemas import ApiSchemas
from hookstream.entry.backend.api.sending import ApiGaps, ApiReplays, ApiTests
from hookstream.entry.backend.api.sessions import ApiSessions
from hookstream.entry.backend.api.status import ApiStatus
from hookstream.entry.backend.api.work import ApiJobs, ApiStatistics
from hookstream.entry.backend.status_ports import StatusCommand


def api_backend(url: str, token: str) -> "ApiBackend":
    """Return the API at a URL.

    Raises:
        InputRefused: It is not the URL of a web server.
        ConfigurationError: No token is set.
    """
    return ApiBackend(ApiClient(ApiConnection(url, token)))


@dataclass
class ApiBackend:
    """Sends commands to a console. Implements `Backend`."""

    api: ApiClient

    @property
    def subscriptions(self) -> ApiSubscriptions:
        """Subscriptions that the token may see."""
        return ApiSubscriptions(self.api)

    @property
    def partners(self) -> ApiPartners:
        """Partners."""
        return ApiPartners(self.api)

    @property
    def tokens(self) -> ApiTokens:
        """Tokens."""
        return ApiTokens(self.api)

    @property
    def sessions(self) -> ApiSessions:
        """Portal links, and sessions that the token may see."""
        return ApiSessions(self.api)

    @property
    def holds(self) -> ApiHolds:
        """Holds."""
        return ApiHolds(self.api)

    @property
    def jobs(self) -> ApiJobs:
        """Jobs that the token may see."""
        return ApiJobs(self.api)

    @property
    def tests(self) -> ApiTests:
        """Tests that the console sends."""
        return ApiTests(self.api)

    @property
    def replays(self) -> ApiReplays:
        """Replays that executors work on."""
        return ApiReplays(self.api)

    @property
    def gaps(self) -> ApiGaps:
        """Pauses and disablings of the subscriptions that the token may see."""
        return ApiGaps(self.api)

    @property
    def attempts(self) -> ApiAttempts:
        """Attempts of the console's index."""
        return ApiAttempts(self.api)

    @property
    def partitions(self) -> ApiPartitions:
        """Partitions that workers read."""
        return ApiPartitions(self.api)

    @property
    def failures(self) -> ApiFailures:
        """Failure groups that the token may see."""
        return ApiFailures(self.api)

    @property
    def explaining(self) -> ApiExplaining:
        """Explains events by the console's topics and its index."""
        return ApiExplaining(self.api)

    @property
    def status(self) -> StatusCommand:
        """The state of the installation."""
        return ApiStatus(self.api)

    @property
    def schemas(self) -> ApiSchemas:
        """Published schemas and mappings."""
        return ApiSchemas(self.api)

    @property
    def events(self) -> ApiEvents:
        """Events of the event topics."""
        return ApiEvents(self.api)

    @property
    def definitions(self) -> ApiDefinitions:
        """Folders of definition files, read here."""
        return ApiDefinitions(self.api)

    def aside(self, source: RedriveSource) -> ApiAside:
        """Return the dead letters, or the undecodable records, of the console's index."""
        return ApiAside(self.api, source)

    def deliveries(self, scan: int) -> ApiDeliveries:
        """Return the listing of deliveries from the console's index."""
        del scan
        return ApiDeliveries(self.api)

    def statistics(self, scan: int) -> ApiStatistics:
        """Return the statistics from the console's index."""
        del scan
        return ApiStatistics(self.api)
