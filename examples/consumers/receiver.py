"""Receives signed webhooks as a partner would: verify, validate, deduplicate, act, record.

It trusts nothing that hookstream signs: signatures are verified over the raw body by independent
libraries, `standardwebhooks` for secrets and `cryptography` for public keys, and the demo's account
is made from its counts. The receiver's kit does the rest: it takes batches apart, acts once on each
event, and validates bodies if it is given schemas.
"""

import binascii
import json
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from hookstream.receiver import (
    TOLERANCE,
    BodyRefused,
    BodySchema,
    Member,
    ReplayGuard,
    Verified,
    members,
)

PUBLIC_PREFIX = "whpk_"


@dataclass(slots=True)
class Entry:
    """One event of a request, as the request was answered."""

    key: str
    """The same for every copy: the webhook-id, or in batches the key of the member."""
    webhook_id: str
    event_type: str
    event_id: str
    entity_id: str
    attempt: int
    """0 in a batch, whose members have attempts of their own."""
    trigger: str
    """Empty in a batch."""
    status: int
    at: float
    """Seconds since the epoch."""
    version: int | None
    """The version of the event's data, if the body has it."""
    media_type: str


@dataclass
class Book:
    """All events that a receiver got, in order."""

    entries: list[Entry] = field(default_factory=list)
    requests: int = 0
    """Genuine requests with a body of the agreed form."""
    forged: int = 0
    """Requests with an invalid signature."""
    not_valid: list[str] = field(default_factory=list)
    """The problem of each genuine body that does not have the agreed form."""

    def accepted(self) -> dict[str, list[Entry]]:
        """Return the entries that were answered 2xx, by key."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if 200 <= entry.status < 300:
                found.setdefault(entry.key, []).append(entry)
        return found


Answer = Callable[[dict[str, Any], int], Awaitable[int]]
"""Given the body (of a batch its `events`) and how many events came before, the status to answer with."""

Read = Callable[[Mapping[str, str], bytes], dict[str, Any]]
"""Given headers in lower case and the body, returns the event, or raises BodyRefused."""


def json_of(_: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read any body that is a JSON object."""
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise BodyRefused(["the body is no object"])
    return body


class Receiver:
    """One partner's endpoint on its own port."""

    def __init__(
        self,
        name: str,
        act: Callable[[dict[str, Any]], None],
        read: Read = json_of,
        *,
        batches: bool = False,
    ) -> None:
        """Act on each event once, even if it arrives twice.

        `read` is for bodies with one event; `batches`: a body has several, in either format.
        """
        self.name = name
        self.book = Book()
        self.secrets: list[str] = []
        """Signing secrets (`whsec_...`) and public keys (`whpk_...`)."""
        self.schemas: list[BodySchema] = []
        """A body must be valid by one of them; if empty, bodies are not validated."""
        self.answer: Answer | None = None
        self.words: dict[str, str] = {}
        """Headers of every answer, such as `webhook-delivery`."""
        self.url = ""
        self._act = act
        self._read = read
        self._batches = batches
        self._guard = ReplayGuard()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free loopback port."""
        app = web.Application(client_max_size=2 << 20)
        app.router.add_post("/hooks", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/hooks"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not self._verified(raw, headers):
            self.book.forged += 1
            return web.Response(status=401, text="the signature does not hold")
        try:
            found = self._members(headers, raw)
            for each in found:
                self._validate(each.event)
        except BodyRefused as refused:
            self.book.not_valid.append(str(refused))
            return web.Response(status=422, text=str(refused))
        status = 204
        if self.answer is not None:
            events = [each.event for each in found]
            body = {"events": events} if self._batches else events[0]
            status = await self.answer(body, len(self.book.entries))
        self.book.requests += 1
        for each in found:
            self.book.entries.append(_entry(headers, each, status, request.content_type))
            if 200 <= status < 300:
                with self._guard.handling(each.key, time.time()) as first:
                    if first:
                        self._act(each.event)
        return web.Response(status=status, headers=self.words)

    def _members(self, headers: Mapping[str, str], raw: bytes) -> list[Member]:
        webhook_id = headers["webhook-id"]
        if not self._batches:
            return [Member(webhook_id, self._read(headers, raw))]
        return members(Verified(webhook_id, int(headers["webhook-timestamp"])), raw)

    def _validate(self, body: dict[str, Any]) -> None:
        """Check a body by each schema until one fits; if none does, raise the refusal with the fewest problems."""
        refusals: list[BodyRefused] = []
        for schema in self.schemas:
            try:
                schema.check(body)
            except BodyRefused as refused:
                refusals.append(refused)
            else:
                return
        if refusals:
            raise min(refusals, key=lambda each: len(each.problems))

    def _verified(self, raw: bytes, headers: Mapping[str, str]) -> bool:
        for secret in self.secrets:
            if secret.startswith(PUBLIC_PREFIX):
                if _is_signed_by(secret, raw, headers):
                    return True
                continue
            try:
                Webhook(secret).verify(raw, {**headers})
            except WebhookVerificationError:
                continue
            return True
        return False


def _entry(headers: Mapping[str, str], member: Member, status: int, media_type: str) -> Entry:
    event = member.event
    return Entry(
        key=member.key,
        webhook_id=headers["webhook-id"],
        # A body of the partner's own template may name the event alone.
        event_type=event.get("type", ""),
        event_id=event["id"],
        # In a CloudEvent it is the subject.
        entity_id=event["subject"] if "subject" in event else event.get("entity_id", ""),
        attempt=int(headers.get("hookstream-attempt", 0)),
        trigger=headers.get("hookstream-trigger", ""),
        status=status,
        at=time.time(),
        version=event.get("version", event.get("dataversion")),
        media_type=media_type,
    )


def _is_signed_by(public: str, raw: bytes, headers: Mapping[str, str]) -> bool:
    """Return whether a current request is signed (`v1a`) by the private key of a public one."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE:
        return False
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix(PUBLIC_PREFIX)))
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + raw
    for entry in headers.get("webhook-signature", "").split():
        version, _, signature = entry.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(b64decode(signature), signed)
        except (InvalidSignature, binascii.Error):
            continue
        return True
    return False
