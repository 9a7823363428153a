"""What a partner needs to receive webhooks safely: verify that one is genuine, act on it only once.

    guard = SeenIds()

    def receive(headers, body):                      # any web framework
        try:
            verified = verify(headers, body, [SECRET], time.time())
        except VerificationFailed:
            return 401
        try:
            with guard.handling(verified.id, time.time()) as first:
                if first:
                    handle(json.loads(body))         # an exception here: not seen, it comes again
        except BeingHandled:
            return 503                               # a copy is being handled just now
        return 204                                   # the first time and every time after

The signature is the one of Standard Webhooks (`webhook-id`, `webhook-timestamp`,
`webhook-signature`, version `v1`); any library for it verifies hookstream's requests as well.
"""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.delivery.signing import parse_secret, signature
from hookstream.errors import HookstreamError

TOLERANCE = 300
"""Seconds by which a request's time may differ from the receiver's clock, either way."""
KEEP_SECONDS = 8 * 24 * 3600
"""How long an id is remembered: longer than a delivery lives by default (`retry.expires_after`, 7 d)."""
MAX_IDS = 100_000
"""How many ids are remembered (some 200 bytes each); the oldest go first, whatever their age."""

_MAX_HEADER = 4096
_MAX_SIGNATURES = 16
_MAX_DIGITS = 12


class Reason(StrEnum):
    """Why a request is not to be believed."""

    MISSING_HEADER = "missing_header"
    BAD_HEADER = "bad_header"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    WRONG_SIGNATURE = "wrong_signature"


class VerificationFailed(HookstreamError):
    """Raised when a request is not to be believed: answer 401 and do nothing else.

    Args:
        reason: The stable word for it, for a metric or a log.
        detail: A sentence for a person; it contains no part of a secret or a valid signature.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class BeingHandled(HookstreamError):
    """Raised when another copy of the same webhook is being handled: answer 503, it comes again."""


@dataclass(slots=True, frozen=True)
class Verified:
    """A genuine request."""

    id: str
    """The same for every copy of one event for one subscription: deduplicate by it."""
    timestamp: int
    """When this attempt was made: seconds since the epoch."""


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: float,
    tolerance: int = TOLERANCE,
) -> Verified:
    """Return whose request this is if it is genuine and fresh.

    Args:
        headers: As received; the case of names does not matter.
        body: Exactly the bytes received, before any parsing.
        secrets: The endpoint's signing secrets (`whsec_...`): two while one replaces the other.
        now: Seconds since the epoch.
        tolerance: Seconds by which the request's time may differ from `now`.

    Raises:
        VerificationFailed: It is not; answer 401.
        InputRefused: A secret is none: that is this receiver's configuration, not the request.
    """
    keys = [parse_secret(secret) for secret in secrets]
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id = _header(found, "webhook-id")
    stamp = _header(found, "webhook-timestamp")
    signatures = _header(found, "webhook-signature")
    # Written plainly: leading zeros would be another text than the one that was signed.
    if not stamp.isdigit() or str(int(stamp[:_MAX_DIGITS])) != stamp:
        raise VerificationFailed(Reason.BAD_HEADER, "webhook-timestamp is not a whole number")
    timestamp = int(stamp)
    if timestamp < now - tolerance:
        raise VerificationFailed(Reason.TOO_OLD, f"sent more than {tolerance} s ago")
    if timestamp > now + tolerance:
        raise VerificationFailed(Reason.TOO_NEW, f"sent more than {tolerance} s in the future")
    due = signature(keys, webhook_id, timestamp, body).split()
    if not _any_fits(due, signatures):
        raise VerificationFailed(Reason.WRONG_SIGNATURE, "no signature fits any secret")
    return Verified(webhook_id, timestamp)


class SeenIds:
    """Remembers which webhooks were handled, in memory. Safe to use from several threads.

    An id counts as seen once its handler *succeeded*: a handler that fails must get the event
    again. A receiver of several processes, or one that must never act twice even over a restart,
    keeps the ids in its own database, in the transaction of the handler.

    Args:
        keep: Seconds for which an id is remembered.
        most: How many ids are remembered.
    """

    def __init__(self, *, keep: float = KEEP_SECONDS, most: int = MAX_IDS) -> None:
        self._keep = keep
        self._most = most
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._handled: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._seen)

    @contextmanager
    def handling(self, webhook_id: str, now: float) -> Iterator[bool]:
        """Yield True where the webhook is to be handled, False where it was: answer 2xx either way.

        Args:
            webhook_id: `Verified.id`.
            now: Seconds since the epoch.

        Raises:
            BeingHandled: A copy of it is being handled; answer 503.
        """
        with self._lock:
            self._forget(now)
            if webhook_id in self._handled:
                raise BeingHandled(f"{webhook_id} is being handled")
            first = webhook_id not in self._seen
            if first:
                self._handled.add(webhook_id)
        if not first:
            yield False
            return
        try:
            yield True
        except BaseException:
            with self._lock:
                self._handled.discard(webhook_id)
            raise
        with self._lock:
            self._handled.discard(webhook_id)
            self._seen[webhook_id] = now + self._keep

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) < self._most and self._seen[oldest] > now:
                return
            del self._seen[oldest]


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise VerificationFailed(Reason.MISSING_HEADER, f"the header {name} is missing")
    if not value or len(value) > _MAX_HEADER or not value.isascii():
        detail = f"the header {name} is empty, too long or not ASCII"
        raise VerificationFailed(Reason.BAD_HEADER, detail)
    return value


def _any_fits(due: Sequence[str], signatures: str) -> bool:
    """Return whether any signature is one of those due, in constant time for each pair.

    Entries of other versions (`v1a`) and malformed ones fit none.
    """
    given = [entry.encode() for entry in signatures.split()[:_MAX_SIGNATURES]]
    fits = [hmac.compare_digest(one.encode(), other) for one in due for other in given]
    return any(fits)
