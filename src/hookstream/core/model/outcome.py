"""Outcomes of attempts and dispositions of deliveries: two closed unions, matched exhaustively."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import Millis


class FailureKind(StrEnum):
    """How an attempt failed: the words used in metrics, headers and the audit log."""

    STATUS = "status"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    TLS = "tls"
    DNS = "dns"
    DISCONNECTED = "disconnected"
    PROTOCOL = "protocol"
    TOKEN = "token"  # noqa: S105  a word, no secret
    """No OAuth2 token could be fetched, so the endpoint got no request."""
    INTERNAL_ERROR = "internal_error"
    """A defect in hookstream after the request was sent: it says nothing about the endpoint."""


class RefusalReason(StrEnum):
    """Why hookstream refuses to make an attempt."""

    BLOCKED_ADDRESS = "blocked_address"
    BODY_TOO_LARGE = "body_too_large"
    NOT_RENDERABLE = "not_renderable"
    VERSION_NOT_RESOLVABLE = "version_not_resolvable"
    FILTER_NOT_EVALUABLE = "filter_not_evaluable"
    NOT_GRANTED = "not_granted"


class DeadReason(StrEnum):
    """Why a delivery was dead-lettered: the value of `hs-reason`."""

    GONE = "gone"
    ASKED = "asked"
    """The receiver requested to be disabled: also the reason of the disabling."""
    ABORTED = "aborted"
    """The receiver requested that this delivery is not attempted again."""
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


# The answer to an attempt, before it is classified.


@dataclass(slots=True, frozen=True)
class Words:
    """The response headers that control hookstream: values as received, bounded."""

    delivery: str | None = None
    """`webhook-delivery`; several of them are joined by commas."""
    ratelimit: str | None = None
    """`RateLimit`; several of them are joined by commas, too."""


@dataclass(slots=True)
class Response:
    """The endpoint answered: a status line was received, whether or not the rest was."""

    status: int
    retry_after: str | None = None
    excerpt: str | None = None
    """At most 1 KB of the body, sanitised."""
    requests: int = 1
    """The requests that it took: 2 if the first was answered 401 and the token was replaced."""
    words: Words | None = None
    """None: it has no such header, as nearly every response."""


@dataclass(slots=True)
class TransportFailure:
    """No status line was received."""

    kind: FailureKind
    detail: str


@dataclass(slots=True)
class AddressBlocked:
    """The address was rejected before a byte was sent."""

    detail: str


Answer: TypeAlias = Response | TransportFailure | AddressBlocked


@dataclass(slots=True, frozen=True)
class Withheld:
    """No request was made, for an internal reason: no attempt is counted, and it is not a failure.

    The delivery stays in its lane unchanged.
    """

    detail: str


NOT_PERMITTED = Withheld("sending was no longer permitted when the first byte was to be written")
BODY_MADE = Withheld("its body was being made; now it can be sent")


# Outcomes. `name` is the word in headers, metrics and the audit log.


@dataclass(slots=True, frozen=True)
class Delivered:
    """2xx."""

    status: int
    name = "delivered"


@dataclass(slots=True, frozen=True)
class Gone:
    """410: the partner has retired the endpoint."""

    status: int = 410
    name = "gone"


@dataclass(slots=True, frozen=True)
class Throttled:
    """429, or 503 with Retry-After."""

    status: int
    retry_after: Millis | None
    """The pause that the partner requested, capped at the longest tier."""
    name = "throttled"


@dataclass(slots=True, frozen=True)
class Failed:
    """A failure that a retry may overcome."""

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
    """hookstream refused: no request left the machine."""

    reason: RefusalReason
    detail: str
    name = "refused"


NOT_GRANTED = Refused(RefusalReason.NOT_GRANTED, "the partner's grant does not cover it")

Outcome: TypeAlias = Delivered | Gone | Throttled | Failed | FailedForGood | Refused


def is_defect(outcome: Outcome) -> bool:
    """Return whether an attempt failed by a defect in hookstream: it says nothing of the endpoint."""
    return isinstance(outcome, Failed) and outcome.kind is FailureKind.INTERNAL_ERROR


# Dispositions. `name` is the word in metrics and the audit log.


@dataclass(slots=True, frozen=True)
class Complete:
    """The partner has received it."""

    asked: str | None = None
    """The receiver's request by which the subscription is disabled nevertheless; None: it is not."""
    name = "complete"


@dataclass(slots=True, frozen=True)
class RetryAt:
    """Another attempt, not before `due_at`."""

    due_at: Millis
    name = "retry"


@dataclass(slots=True, frozen=True)
class DeferUntil:
    """Back to a tier without an attempt."""

    due_at: Millis
    reason: DeferReason
    name = "defer"


@dataclass(slots=True, frozen=True)
class DeadLetter:
    """Given up, with the reason. It can be redriven."""

    reason: DeadReason
    detail: str
    disable: bool = False
    """True: the subscription is disabled too (a 410, or a request of the receiver)."""
    name = "dead_letter"


@dataclass(slots=True, frozen=True)
class Cancel:
    """It ends without being kept: the subscription was deleted, or a test was not delivered."""

    detail: str
    reason: str | None = None
    """Why a test was not attempted, or the reason for which it would have been dead-lettered."""
    name = "cancel"


Disposition: TypeAlias = Complete | RetryAt | DeferUntil | DeadLetter | Cancel
