"""A partner's endpoint for development: it verifies each request as a partner would, and answers it.

Requests are judged by `hookstream.receiver`, the kit that partners have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookstream.adapters.dev.http_receiver import MAX_BODY_BYTES, Received, receive
from hookstream.core.delivery.signing import parse_secret
from hookstream.core.model.instant import Millis
from hookstream.errors import InputRefused
from hookstream.receiver import Reason, VerificationFailed, verify

UNVERIFIED: Final = 401
"""The response status for an invalid signature."""
_MAX_SECRET_BYTES: Final = 4_096


@dataclass(slots=True, frozen=True)
class Judged:
    """A request with the receiver's result."""

    at: Millis
    request: Received
    verified: bool | None
    """None if no secret was given, or the body was not read."""
    reason: Reason | None
    """Why it is not verified."""
    detail: str
    """The reason as a sentence; empty if it is verified."""
    status: int
    """The status of the response."""


@dataclass(slots=True)
class DevReceiver:
    """The endpoint."""

    secrets: Sequence[str]
    """Its signing secrets (`whsec_...`); none: nothing is verified."""
    statuses: Sequence[int]
    """What requests are answered with in turn, the last one from then on; one that is not verified is
    answered 401, and takes none of them."""
    now: Callable[[], Millis]
    """Milliseconds since the epoch."""
    on_request: Callable[[Judged], None]
    """Called with each request before it is answered."""
    _taken: int = 0

    async def run(
        self, port: int, listening: Callable[[str], None], limit: int | None = None
    ) -> None:
        """Receive on a loopback port until cancelled, or until `limit` requests are answered.

        Args:
            port: 0 takes a free one.
            listening: Called with the URL as soon as requests are taken.
            limit: None: no end.

        Raises:
            ConfigurationError: The port cannot be listened on.
        """
        await receive(port, self.answer, listening, limit)

    def answer(self, request: Received) -> int:
        """Return the status for a request."""
        judged = self._judge(request)
        self.on_request(judged)
        return judged.status

    def _judge(self, request: Received) -> Judged:
        now = self.now()
        if request.body is None:
            detail = f"the body is larger than {MAX_BODY_BYTES:,} bytes"
            return Judged(now, request, None, None, detail, 413)
        if not self.secrets:
            return Judged(now, request, None, None, "no secret was given", self._next_status())
        try:
            verify(dict(request.headers), request.body, self.secrets, now / 1_000)
        except VerificationFailed as failed:
            return Judged(now, request, False, failed.reason, str(failed), UNVERIFIED)  # noqa: FBT003
        return Judged(now, request, True, None, "", self._next_status())  # noqa: FBT003

    def _next_status(self) -> int:
        status = self.statuses[min(self._taken, len(self.statuses) - 1)]
        self._taken += 1
        return status


def secrets_of(
    names: Sequence[str], files: Sequence[Path], environ: Mapping[str, str]
) -> list[str]:
    """Read signing secrets from the sources that a subscription's file may name.

    Args:
        names: Variables of the environment, as `{env: NAME}` names one.
        files: Files, as `{file: PATH}` names one.
        environ: The environment.

    Raises:
        InputRefused: A variable is not set, or its value is not a signing secret.
        OSError: A file cannot be read.
    """
    found = []
    for name in names:
        if name not in environ:
            raise InputRefused(f"the variable {name} is not set")
        found.append(_checked(name, environ[name]))
    for path in files:
        with path.open("rb") as file:
            found.append(
                _checked(str(path), file.read(_MAX_SECRET_BYTES).decode("utf-8-sig", "replace"))
            )
    return found


def _checked(where: str, text: str) -> str:
    secret = text.strip()
    try:
        parse_secret(secret)
    except InputRefused as refused:
        raise InputRefused(f"{where}: {refused}") from None
    return secret
