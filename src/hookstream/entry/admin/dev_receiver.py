"""Runs a partner's endpoint for development: it verifies each request as a partner would, and answers it.

Requests are judged by `hookstream.receiver`, the kit that partners have.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hookstream.adapters.dev.http_receiver import MAX_BODY_BYTES, Received, receive
from hookstream.core.delivery.signing import PUBLIC_PREFIX, parse_public_key, parse_secret
from hookstream.core.model.instant import Millis
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.receiver import (
    BodyRefused,
    BodySchema,
    Reason,
    VerificationFailed,
    Verified,
    members,
    verify,
)

UNVERIFIED: Final = 401
"""The response status for an invalid signature."""
INVALID: Final = 422
"""The response status for a body that is not valid."""
_MAX_SECRET_BYTES: Final = 4_096
_UNSIGNED: Final = Verified("", 0)
"""Replaces the result for an unverified request; only the keys of its events depend on it."""


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
    """Its problem, as a sentence; empty if it is verified and valid."""
    status: int
    """The status of the response."""
    valid: bool = True
    """False if the body is not valid against the schemas."""


@dataclass(slots=True)
class DevReceiver:
    """The endpoint."""

    secrets: Sequence[str]
    """Its signing secrets (`whsec_...`) and public keys (`whpk_...`); none: nothing is verified."""
    statuses: Sequence[int]
    """The statuses of the answers in order, the last one from then on. An unverified request is answered 401,
    an invalid one 422; neither uses up a status."""
    now: Callable[[], Millis]
    """Milliseconds since the epoch."""
    on_request: Callable[[Judged], None]
    """Called with each request before it is answered."""
    schemas: Sequence[BodySchema] = ()
    """Each event must be valid against one of them; none: nothing is validated."""
    _taken: int = 0

    async def run(
        self, port: int, listening: Callable[[str], None], limit: int | None = None
    ) -> None:
        """Receive on a loopback port until cancelled, or until `limit` requests are answered.

        Args:
            port: 0 takes a free one.
            listening: Called with the URL as soon as requests are accepted.
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
        verified = _UNSIGNED
        if self.secrets:
            try:
                verified = verify(dict(request.headers), request.body, self.secrets, now / 1_000)
            except VerificationFailed as failed:
                return Judged(now, request, False, failed.reason, str(failed), UNVERIFIED)  # noqa: FBT003
        signed = True if self.secrets else None
        try:
            self._validate(verified, request.body)
        except BodyRefused as refused:
            return Judged(now, request, signed, None, str(refused), INVALID, valid=False)
        detail = "" if signed else "no secret was given"
        return Judged(now, request, signed, None, detail, self._next_status())

    def _validate(self, verified: Verified, body: bytes) -> None:
        """Check each event of a body.

        Raises:
            BodyRefused: It is valid against none of the schemas; the error has the fewest problems of any.
        """
        if self.schemas:
            for member in members(verified, body):
                refusals = [_refusal(schema, member.event) for schema in self.schemas]
                if all(refusals):
                    raise min(filter(None, refusals), key=lambda each: len(each.problems))

    def _next_status(self) -> int:
        status = self.statuses[min(self._taken, len(self.statuses) - 1)]
        self._taken += 1
        return status


def _refusal(schema: BodySchema, event: Mapping[str, Any]) -> BodyRefused | None:
    try:
        schema.check(event)
    except BodyRefused as refused:
        return refused
    return None


def schemas_of(files: Sequence[Path]) -> list[BodySchema]:
    """Read JSON Schemas, as `hookstream schemas jsonschema` prints them.

    Raises:
        InputRefused: A file is not JSON, or not an object.
        ConfigurationError: A file is not a JSON Schema, or the package `jsonschema` is not installed.
        OSError: A file cannot be read.
    """
    found = []
    for path in files:
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as problem:
            raise InputRefused(f"{path}: it is not JSON: {problem}") from None
        if not isinstance(document, dict):
            raise InputRefused(f"{path}: it is not a JSON Schema, which is an object")
        try:
            found.append(BodySchema(document))
        except ConfigurationError as problem:
            raise ConfigurationError(f"{path}: {problem}") from None
    return found


def secrets_of(
    names: Sequence[str], files: Sequence[Path], environ: Mapping[str, str]
) -> list[str]:
    """Read signing secrets or public keys from the sources that a subscription's file may name.

    Args:
        names: Variables of the environment, as `{env: NAME}` names one.
        files: Files, as `{file: PATH}` names one.
        environ: The environment.

    Raises:
        InputRefused: A variable is not set, or its value is neither a signing secret nor a public key.
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
    parse = parse_public_key if secret.startswith(PUBLIC_PREFIX) else parse_secret
    try:
        parse(secret)
    except InputRefused as refused:
        raise InputRefused(f"{where}: {refused}") from None
    return secret
