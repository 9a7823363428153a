"""The request of a past attempt, as far as its audit record determines it; nothing of it is a secret.

Headers stand in the order in which they are sent. What only the subscription of today says is marked as such:
it was so at the attempt unless the subscription changed since. Values that may be secrets are not shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from hookstream.core.delivery.address import host_of
from hookstream.core.delivery.signing import SIGNATURE, request_headers, reserved
from hookstream.core.model.instant import Millis

NOT_SHOWN = "(not shown)"
"""What stands in place of a value that may be a secret."""
_USER_AGENT = "user-agent"
_CONTENT_TYPE = "content-type"
_AUTHORIZATION = "authorization"


class Source(StrEnum):
    """What says that a header was so."""

    AUDIT = "audit"
    """The attempt's audit record."""
    TODAY = "today"
    """The subscription as it is now."""
    NOTHING = "nothing"
    """Nothing: it was sent, and its value is not kept."""


class SentHeader(NamedTuple):
    """A header of a request."""

    name: str
    value: str
    """In parentheses: words in place of the value, which is not kept or not shown."""
    source: Source


@dataclass(slots=True, frozen=True)
class AttemptMade:
    """What an audit record says of a request."""

    webhook_id: str
    """That of the batch, if it was attempted in one."""
    at: Millis
    attempt: int
    trigger: str
    replay: str | None
    """The job whose run it belongs to, unless that is a test."""
    host: str
    """Without the port, which no audit record has."""
    body_bytes: int
    """Of a batch the size of this delivery's part."""
    in_batch: bool


@dataclass(slots=True, frozen=True)
class SubscriptionToday:
    """What a subscription says of its requests now."""

    host: str
    """The `host` header of its requests, with the port unless that is the scheme's own."""
    content_type: str
    header_names: Sequence[str]
    """Of its static headers."""
    has_credentials: bool
    """Whether requests have an `authorization` header."""
    secrets: Sequence[str]
    """The names of the secrets that signed at the attempt."""


@dataclass(slots=True, frozen=True)
class SentRequest:
    """A request that was made."""

    line: str
    """The request line; the path may have a secret in it."""
    headers: tuple[SentHeader, ...]


def sent_request(made: AttemptMade, today: SubscriptionToday | None) -> SentRequest:
    """Return the request of an attempt.

    Args:
        made: What its audit record says.
        today: The subscription; None: there is none any more, or it cannot be read.
    """
    headers = [
        _host(made, today),
        *(_of_ours(name, value, today) for name, value in _named(made, today)),
    ]
    if today is not None:
        own = [name for name in today.header_names if not reserved(name)]
        own += [_AUTHORIZATION] if today.has_credentials else []
        headers += [SentHeader(name, NOT_SHOWN, Source.TODAY) for name in own]
    return SentRequest("POST (path not shown) HTTP/1.1", (*headers, _length(made)))


def _host(made: AttemptMade, today: SubscriptionToday | None) -> SentHeader:
    """Return the `host` header: its port is only known if the endpoint is still at that host."""
    if today is None or host_of(f"//{today.host}") != made.host:
        return SentHeader("host", f"{made.host} (its port is not stored)", Source.AUDIT)
    if today.host == made.host:
        return SentHeader("host", made.host, Source.AUDIT)
    return SentHeader("host", today.host, Source.TODAY)


def _named(made: AttemptMade, today: SubscriptionToday | None) -> list[tuple[str, str]]:
    """Return the headers that hookstream sets, in the order of the function that makes real requests."""
    build = request_headers((), (), "" if today is None else today.content_type)
    seconds = made.at // 1000
    if made.in_batch:
        return build.of_batch(made.webhook_id, seconds, b"", replay=made.replay)
    return build.of(
        made.webhook_id,
        seconds,
        b"",
        attempt=made.attempt,
        trigger=made.trigger,
        replay=made.replay,
    )


def _of_ours(name: str, value: str, today: SubscriptionToday | None) -> SentHeader:
    if name == SIGNATURE:
        if today is None or not today.secrets:
            return SentHeader(name, "(signed; by which secret is not known)", Source.NOTHING)
        several = "s" if len(today.secrets) > 1 else ""
        names = ", ".join(today.secrets)
        return SentHeader(name, f"(signed with the secret{several} {names})", Source.TODAY)
    if name == _CONTENT_TYPE:
        known = Source.TODAY if value else Source.NOTHING
        return SentHeader(name, value or "(not known)", known)
    if name == _USER_AGENT:
        return SentHeader(name, "(hookstream/ and the release that sent it)", Source.NOTHING)
    return SentHeader(name, value, Source.AUDIT)


def _length(made: AttemptMade) -> SentHeader:
    if made.in_batch:
        said = f"(of the whole batch; {made.body_bytes} bytes are this delivery's)"
        return SentHeader("content-length", said, Source.AUDIT)
    return SentHeader("content-length", str(made.body_bytes), Source.AUDIT)
