"""A receiver takes signed webhooks as a partner would: verify, deduplicate, act, record what was received.

It trusts nothing of hookstream: signatures are verified by the independent `standardwebhooks`
library over the raw body, and the demo's account is made from its counts.
"""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(slots=True)
class Entry:
    """One request, as it was answered."""

    webhook_id: str
    event_type: str
    event_id: str
    entity_id: str
    attempt: int
    trigger: str
    status: int
    at: float
    """Seconds since the epoch."""


@dataclass
class Book:
    """What a receiver got, in order. Nothing is ever taken out."""

    entries: list[Entry] = field(default_factory=list)
    forged: int = 0
    """Requests with an invalid signature."""

    def accepted(self) -> dict[str, list[Entry]]:
        """Return the entries that were answered 2xx, by webhook-id."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if 200 <= entry.status < 300:
                found.setdefault(entry.webhook_id, []).append(entry)
        return found


Answer = Callable[[dict[str, Any], int], Awaitable[int]]
"""Given the body and how many requests came before, the status to answer with."""


class Receiver:
    """One partner's endpoint on its own port."""

    def __init__(self, name: str, act: Callable[[dict[str, Any]], None]) -> None:
        """Act on each event once, whatever arrives twice."""
        self.name = name
        self.book = Book()
        self.secrets: list[str] = []
        self.answer: Answer | None = None
        self.url = ""
        self._act = act
        self._seen: set[str] = set()
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
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if not self._verified(raw, request):
            self.book.forged += 1
            return web.Response(status=401, text="the signature does not hold")
        body = json.loads(raw)
        status = 204
        if self.answer is not None:
            status = await self.answer(body, len(self.book.entries))
        webhook_id = request.headers["webhook-id"]
        self.book.entries.append(
            Entry(
                webhook_id=webhook_id,
                # A body of the partner's own template may name the event alone.
                event_type=body.get("type", ""),
                event_id=body["id"],
                # In a CloudEvent it is the subject.
                entity_id=body.get("entity_id", body.get("subject", "")),
                attempt=int(request.headers["hookstream-attempt"]),
                trigger=request.headers["hookstream-trigger"],
                status=status,
                at=time.time(),
            )
        )
        if 200 <= status < 300 and webhook_id not in self._seen:
            self._act(body)
            self._seen.add(webhook_id)
        return web.Response(status=status)

    def _verified(self, raw: bytes, request: web.Request) -> bool:
        headers = {name.lower(): value for name, value in request.headers.items()}
        for secret in self.secrets:
            try:
                Webhook(secret).verify(raw, headers)
            except WebhookVerificationError:
                continue
            return True
        return False
