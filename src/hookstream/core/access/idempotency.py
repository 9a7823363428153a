"""Idempotency keys: a repeated request gets the answer of the first, and is not done again.

The row of a key commits with what its request wrote: either both exist or neither.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.model.instant import HOUR, Millis
from hookstream.errors import InputRefused

ANSWERS_KEPT: Millis = 24 * HOUR
"""How long the answer of a key is kept, from when its row was appended."""
LONGEST_KEY = 255
"""The most characters of a key."""
LARGEST_BODY = 16_384
"""The most bytes of an answer's body that are kept; of a larger one the digest is."""
FORGOTTEN_AT_ONCE = 100
"""The most expired rows that one later write removes."""

_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(slots=True, frozen=True)
class KeptAnswer:
    """The answer to the request of one key."""

    request: str
    """What `request_hash` returned for the request."""
    status: int
    body: bytes | None = field(default=None, repr=False)
    """None: it is not kept, since it is too large or contained a secret that is shown once."""
    body_hash: str = ""
    """SHA-256 of the body, in hex."""
    location: str | None = None
    """The path of what was made, if anything was."""
    etag: str | None = None
    """The revision that the request left behind, as its answer stated it."""
    at: Millis = 0
    """When the brokers appended the row; 0: it is not written yet."""

    def expired(self, now: Millis) -> bool:
        """Return whether the key may be used for another request."""
        return now >= self.at + ANSWERS_KEPT


@dataclass(slots=True, frozen=True)
class FirstRequest:
    """The request is the first of its key: do it."""


@dataclass(slots=True, frozen=True)
class Repeat:
    """The request was done: answer as then."""

    answer: KeptAnswer


@dataclass(slots=True, frozen=True)
class OtherRequest:
    """The key was used for another request (HTTP 422)."""


@dataclass(slots=True, frozen=True)
class InProgress:
    """The first request of the key is not answered yet (HTTP 409)."""


Judgement: TypeAlias = FirstRequest | Repeat | OtherRequest | InProgress


def judged(
    kept: KeptAnswer | None, request: str, now: Millis, *, in_progress: str | None = None
) -> Judgement:
    """Return what becomes of a request with an idempotency key.

    Args:
        kept: The row of the key, if there is one.
        request: What `request_hash` returned for the request.
        now: The brokers' time.
        in_progress: The hash of a request of this key that this process is at work on.
    """
    if kept is not None and not kept.expired(now):
        return Repeat(kept) if kept.request == request else OtherRequest()
    if in_progress is not None:
        return InProgress() if in_progress == request else OtherRequest()
    return FirstRequest()


def answer_of(
    request: str,
    status: int,
    body: bytes,
    *,
    secret: bool = False,
    location: str | None = None,
    etag: str | None = None,
) -> KeptAnswer:
    """Return what is kept of an answer.

    Args:
        request: What `request_hash` returned for its request.
        status: Its HTTP status.
        body: Its body.
        secret: Whether the body shows a secret that is shown once: then it is never written.
        location: The path of what was made.
        etag: The revision that it states.
    """
    is_kept = not secret and len(body) <= LARGEST_BODY
    digest = hashlib.sha256(body).hexdigest()
    return KeptAnswer(request, status, body if is_kept else None, digest, location, etag)


def checked_key(key: str) -> str:
    """Return an idempotency key.

    Raises:
        InputRefused: It is empty, too long, or not printable ASCII without spaces.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not _KEY.fullmatch(key):
        raise InputRefused(
            f"an Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters, without spaces"
        )
    return key


def key_hash(key: str) -> str:
    """Return the SHA-256 of an idempotency key in hex: what people choose is not in the row's key."""
    return hashlib.sha256(key.encode()).hexdigest()


def request_hash(method: str, path: str, if_match: str | None, body: bytes) -> str:
    """Return a hash that two requests share only if they ask for the same thing.

    Args:
        method: The HTTP method.
        path: The path with its query, as it was sent.
        if_match: The revision that the request demands, as it was sent.
        body: The body's bytes.
    """
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), (if_match or "").encode(), body):
        # Each part with its length, so that no two splits of the same bytes are equal.
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
