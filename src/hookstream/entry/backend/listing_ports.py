"""What commands need of deliveries, attempts and dead letters: what happened, and what waits.

As for `ports`: the cluster and the API implement each of these, and each may raise what is said there.
Every reading takes `progress`, which is called with how many records of how many were read.
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
    """How many there are of the window."""
    is_least: bool = False
    """Whether there may be more than `count`."""
    problems: Sequence[str] = ()
    """What could not be read, and what limits what is listed."""


@dataclass(slots=True, frozen=True)
class HistoryRead:
    """The history of a delivery."""

    history: DeliveryHistory
    problems: Sequence[str] = ()


class AttemptCommands(Protocol):
    """Lists attempts, and shows what happened to a delivery."""

    def listed(self, selection: AuditSelection, limit: int, progress: Progress) -> AttemptListing:
        """Return the newest `limit` attempts that a selection selects."""

    def followed(
        self, selection: AuditSelection, say: Callable[[str], None]
    ) -> Iterator[AuditEntry]:
        """Yield attempts as they are made, without end.

        Args:
            selection: Which.
            say: Called with what limits what is yielded, each sentence once.
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
    """All that is known of one delivery."""

    details: DeliveryDetails
    status: SubscriptionStatus | None
    """Of its subscription, under the holds; None: it is not known."""
    life: DeliveryLife
    problems: Sequence[str] = ()


@dataclass(slots=True, frozen=True)
class ListedDeliveries:
    """Runs of deliveries, and what limits what is listed."""

    listing: DeliveryListing
    not_read: JsonObject
    """What was not read, as JSON has it."""
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
    """A resend that is asked for."""

    delivery_id: str
    origin: str | None
    """Which event, where several have this id."""
    as_granted_today: bool
    since: Millis | None = None
    """The window in which the delivery is looked for."""
    until: Millis | None = None
    reason: str = ""
    """Why it is sent again; empty: nobody said."""


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
    """The version that was sent last; None: no request was made."""
    changed_at: Millis | None
    """When the subscription changed after the last request; None: it did not, or it is not known."""
    at_origin: bool
    """Whether it is the event's own record; False: a copy in a tier or dead letter."""
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
            since: From when on what ended is read; the default one where the selection has none.
            progress: As for all.
        """

    def found(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> DeliveryRead:
        """Return all about one delivery.

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
            origin: Which event, where several have this id.
            since: The window in which the delivery is looked for.
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
            allowed: Called with the runs of it that are pending; it raises what keeps the resend from being made.
            progress: As for all.
        """
