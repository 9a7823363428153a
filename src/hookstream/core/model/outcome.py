"""What an attempt came to, and what happens next: two closed unions, matched in full everywhere."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import Millis


class FailureKind(StrEnum):
    """How an attempt failed, in the few words that metrics, headers and audit share."""

    STATUS = "status"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    TLS = "tls"
    DNS = "dns"
    DISCONNECTED = "disconnected"
    PROTOCOL = "protocol"
    INTERNAL_ERROR = "internal_error"
    """A defect of ours, met once the request was sent: it says nothing about the endpoint."""


class RefusalReason(StrEnum):
    """Why hookstream itself refuses to make an attempt."""

    BLOCKED_ADDRESS = "blocked_address"
    BODY_TOO_LARGE = "body_too_large"
    NOT_RENDERABLE = "not_renderable"
    VERSION_NOT_RESOLVABLE = "version_not_resolvable"
    FILTER_NOT_EVALUABLE = "filter_not_evaluable"
    NOT_GRANTED = "not_granted"


class DeadReason(StrEnum):
    """Why a delivery was given up: the word of `hs-reason`."""

    GONE = "gone"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    FINAL_STATUS = "final_status"
    DISABLED = "disabled"
    PAUSED_TOO_LONG = "paused_too_long"
    SUBSCRIPTION_ABSENT = "subscription_absent"
    NOT_DECODABLE = "not_decodable"
    RECORD_TOO_LARGE = "record_too_large"
    BLOCKED_ADDRESS = "blocked_address"
    BODY_TOO_LARGE = "body_too_large"
    NOT_RENDERABLE = "not_renderable"
    VERSION_NOT_RESOLVABLE = "version_not_resolvable"
    FILTER_NOT_EVALUABLE = "filter_not_evaluable"
    NOT_GRANTED = "not_granted"


# What an attempt is answered by, before it is classified.


@dataclass(slots=True)
class Response:
    """The endpoint answered: the status line came, whatever became of the rest."""

    status: int
    retry_after: str | None = None
    excerpt: str | None = None
    """At most 1 KB of the body, sanitised."""


@dataclass(slots=True)
class TransportFailure:
    """No status line came."""

    kind: FailureKind
    detail: str


@dataclass(slots=True)
class AddressBlocked:
    """The address was refused before a byte was sent."""

    detail: str


Answer: TypeAlias = Response | TransportFailure | AddressBlocked


@dataclass(slots=True, frozen=True)
class Withheld:
    """No request was made, for a reason of our own: no attempt is counted and nobody failed.

    The delivery stays in its lane as it was.
    """

    detail: str


NOT_PERMITTED = Withheld("the permission to send ended before the first byte was written")
BODY_MADE = Withheld("its body was being made; now it can be sent")


# Outcomes. `name` is the word of headers, metrics and audit.


@dataclass(slots=True, frozen=True)
class Delivered:
    """2xx."""

    status: int
    name = "delivered"


@dataclass(slots=True, frozen=True)
class Gone:
    """410: the partner says that the endpoint is retired."""

    status: int = 410
    name = "gone"


@dataclass(slots=True, frozen=True)
class Throttled:
    """429, or 503 with Retry-After."""

    status: int
    retry_after: Millis | None
    """How long the partner asked to be left alone, capped at the longest tier."""
    name = "throttled"


@dataclass(slots=True, frozen=True)
class Failed:
    """It may pass another time."""

    kind: FailureKind
    detail: str
    status: int | None = None
    name = "failed"


@dataclass(slots=True, frozen=True)
class FailedForGood:
    """A status that the subscription lists as final."""

    status: int
    name = "failed_for_good"


@dataclass(slots=True, frozen=True)
class Refused:
    """Refused by us; no request was made, or none that left the machine."""

    reason: RefusalReason
    detail: str
    name = "refused"


Outcome: TypeAlias = Delivered | Gone | Throttled | Failed | FailedForGood | Refused


def is_defect(outcome: Outcome) -> bool:
    """Return whether an attempt failed by a defect of ours, which tells nothing of the endpoint."""
    return isinstance(outcome, Failed) and outcome.kind is FailureKind.INTERNAL_ERROR


# Dispositions. `name` is the word of metrics and audit.


@dataclass(slots=True, frozen=True)
class Complete:
    """The partner has it."""

    name = "complete"


@dataclass(slots=True, frozen=True)
class RetryAt:
    """Another attempt, no sooner than `due_at`."""

    due_at: Millis
    name = "retry"


@dataclass(slots=True, frozen=True)
class DeferUntil:
    """Back to a tier without an attempt having been made."""

    due_at: Millis
    reason: DeferReason
    name = "defer"


@dataclass(slots=True, frozen=True)
class DeadLetter:
    """Given up, with the reason; redrivable."""

    reason: DeadReason
    detail: str
    disable: bool = False
    """True: the subscription is disabled with it (410)."""
    name = "dead_letter"


@dataclass(slots=True, frozen=True)
class Cancel:
    """Its subscription was deleted."""

    detail: str
    name = "cancel"


Disposition: TypeAlias = Complete | RetryAt | DeferUntil | DeadLetter | Cancel
