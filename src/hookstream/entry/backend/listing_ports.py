"""The ports for deliveries and attempts: listing and showing them, and sending a delivery again.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
Every reading takes `progress`, which is called with the number of records that were read, and of all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.entry.admin.audit import AuditSelection
from hookstream.entry.admin.deliveries import (
    DeliveryDetails,
    DeliveryListing,
    DeliverySelection,
)
from hookstream.entry.admin.delivery_life import DeliveryLife

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(slots=True, frozen=True)
class AttemptListing:
    """The newest attempts, the oldest of them first."""

    entries: Sequence[AuditEntry]
    count: int
    """The number of attempts in the window."""
    is_least: bool = False
    """Whether there may be more than `count`."""
    problems: Sequence[str] = ()
    """Unreadable records, and the limits of the list."""


@dataclass(slots=True, frozen=True)
class HistoryRead:
    """The history of a delivery."""

    history: DeliveryHistory
    problems: Sequence[str] = ()


class AttemptCommands(Protocol):
    """Lists attempts, and shows the history of a delivery."""

    def listed(self, selection: AuditSelection, limit: int, progress: Progress) -> AttemptListing:
        """Return the newest `limit` attempts that a selection selects."""

    def followed(
        self, selection: AuditSelection, say: Callable[[str], None]
    ) -> Iterator[AuditEntry]:
        """Yield attempts as they are made, without end.

        Args:
            selection: Which.
            say: Called with the limits of the yielded attempts, each sentence once.
        """

    def history(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> HistoryRead:
        """Return the history of a delivery.

        Raises:
            InputRefused: Nothing is known of it.
        """


@dataclass(slots=True, frozen=True)
class DeliveryRead:
    """Everything that is known about one delivery."""

    details: DeliveryDetails
    status: SubscriptionStatus | None
    """The status of its subscription under the holds; None: it is not known."""
    life: DeliveryLife
    problems: Sequence[str] = ()


@dataclass(slots=True, frozen=True)
class ListedDeliveries:
    """Runs of deliveries, and the limits of the list."""

    listing: DeliveryListing
    not_read: JsonObject
    """The numbers of records that were not read, as in the JSON."""
    problems: Sequence[str] = ()


@dataclass(slots=True, frozen=True)
class DoneResend:
    """A resend that was written."""

    job: Job
    delivery_id: str
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    origin: str
    """Where its event was published; empty: partners do not see it."""
    found: str
    """Where its event came from; empty: the API does not say."""
    waits: str
    """Why it waits before its attempt; empty: it is attempted at once."""
    pending_before: int
    """How many runs of it were pending."""


@dataclass(slots=True, frozen=True)
class WantedResend:
    """The request for a resend."""

    delivery_id: str
    origin: str | None
    """The event's position, if several events have this id."""
    as_granted_today: bool
    since: Millis | None = None
    """The window in which the delivery is searched."""
    until: Millis | None = None
    reason: str = ""
    """Why it is sent again; empty: not given."""


@dataclass(slots=True, frozen=True)
class PayloadRead:
    """The body of a delivery, as it would be rendered now."""

    body: bytes
    content_type: str
    event_type: str
    version: int
    """The version that the subscription gets."""
    published_at: Millis
    version_sent: int | None
    """The version in the last request; None: no request was made."""
    changed_at: Millis | None
    """When the subscription changed after the last request; None: it did not, or it is not known."""
    at_origin: bool
    """Whether the event's own record was read; False: a copy in a tier or dead letter."""
    found: str
    """The record that has the event, in words; empty: partners do not see it."""


class DeliveryCommands(Protocol):
    """Lists and shows deliveries, and sends one again."""

    def listed(
        self, selection: DeliverySelection, since: Millis, progress: Progress
    ) -> ListedDeliveries:
        """Return the runs that a selection selects.

        Args:
            selection: Which.
            since: The instant from which ended runs are read; the default if the selection has none.
            progress: As for all.
        """

    def found(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> DeliveryRead:
        """Return everything about one delivery.

        Raises:
            InputRefused: Nothing is known of it.
        """

    def payload(
        self,
        delivery_id: str,
        origin: str | None,
        since: Millis | None,
        until: Millis | None,
        progress: Progress,
    ) -> PayloadRead:
        """Return the body of a delivery, without the secrets of a template.

        Args:
            delivery_id: Which.
            origin: The event's position, if several events have this id.
            since: The window in which the delivery is searched.
            until: Its end.
            progress: As for all.

        Raises:
            InputRefused: Nothing is known of it, or its event is gone, may not be shown or cannot be rendered.
        """

    def resend(
        self,
        wanted: WantedResend,
        allowed: Callable[[Sequence[PendingRecord]], None],
        progress: Progress,
    ) -> DoneResend:
        """Send a delivery again.

        Args:
            wanted: Which.
            allowed: Called with its pending runs; it raises an exception to prevent the resend.
            progress: As for all.
        """
