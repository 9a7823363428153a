"""Partners' endpoints without sockets: a double of `Sender` whose behaviour a test scripts.

It lives on the running loop's time, so under virtual time an hour of hanging passes at once.

    endpoints = Endpoints()
    endpoints.script("sub-1", hang(), status(503, retry_after="30"), status(204))
    endpoints.script("sub-2", status(200, after=0.25))

Each subscription plays its script once, its last behaviour for ever; who has none answers 204.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tests.doubles.exchange import PlayedExchange

from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    AddressBlocked,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
    Words,
)
from hookstream.pipeline.ports import (
    Answered,
    Continuation,
    Exchange,
    Permitted,
    Post,
    always_permitted,
)

Behaviour: TypeAlias = Callable[[Post], Awaitable[Answer]]

QUICK_ANSWER = 0.02
"""Seconds that a healthy endpoint takes."""


def status(
    code: int,
    *,
    after: float = 0.0,
    retry_after: str | None = None,
    excerpt: str | None = None,
    words: Words | None = None,
) -> Behaviour:
    """Answer with a status line `after` that many seconds."""

    async def behave(_: Post) -> Answer:
        if after:
            # An answer at once comes with the next turn of the event loop all the same.
            await asyncio.sleep(after)
        return Response(code, retry_after=retry_after, excerpt=excerpt, words=words)

    return behave


def hang() -> Behaviour:
    """Accept the request and never answer it."""

    async def behave(_: Post) -> Answer:
        never: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return await never

    return behave


def fail(kind: FailureKind, detail: str = "as scripted", *, after: float = 0.0) -> Behaviour:
    """Fail before a status line comes."""

    async def behave(_: Post) -> Answer:
        await asyncio.sleep(after)
        return TransportFailure(kind, detail)

    return behave


def refuse_connections() -> Behaviour:
    """Be down: connections are refused."""
    return fail(FailureKind.CONNECT, "connection refused")


def blocked(detail: str = "10.0.0.1 is a private address") -> Behaviour:
    """Be at an address that must not be connected to."""

    async def behave(_: Post) -> Answer:
        await asyncio.sleep(0)
        return AddressBlocked(detail)

    return behave


class Throttle:
    """An endpoint that takes `rate` requests a second and answers 429 to what is above it."""

    def __init__(self, rate: float, *, retry_after: str | None = None, after: float = 0.0) -> None:
        self._spacing = 1.0 / rate
        self._retry_after = retry_after
        self._after = after
        self._free_at = float("-inf")
        self.turned_away = 0

    async def __call__(self, _: Post) -> Answer:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._after)
        if now < self._free_at:
            self.turned_away += 1
            return Response(429, retry_after=self._retry_after)
        self._free_at = now + self._spacing
        return Response(204)


SHORT_SECONDS = 0.25
WITHOUT_DESCRIPTORS = Withheld("no connection can be made: too many open files")
"""What a `Sender` gives, and after how long, if no connection can be made for lack of our own resources."""


class Switch:
    """An endpoint that a test turns from one behaviour to another while the worker runs."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def __call__(self, post: Post) -> Answer:
        return await self.behaviour(post)


@dataclass(slots=True)
class Request:
    """One request as an endpoint saw it."""

    post: Post
    at: float
    """Loop time at which it was sent."""
    answer: Answer | None = None
    """None: no answer yet, or cancelled before there was one."""
    cancelled: bool = False
    events: list[str] | None = None
    """The ids of its events, once a test has read them."""

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever the case of its name."""
        found = [value for key, value in self.post.headers if key.lower() == name]
        return found[0] if found else None


class Endpoints:
    """The `Sender` double: what every endpoint received, and what it answered."""

    def __init__(self, default: Behaviour | None = None) -> None:
        self.default = default or status(204)
        self.connects_after: dict[str, float] = {}
        """Seconds that dial and handshake take, by subscription; none where it is not here."""
        self.short = False
        """The worker lacks what a connection is made of."""
        self.requests: list[Request] = []
        self.in_flight: Counter[str] = Counter()
        self.peak_in_flight: Counter[str] = Counter()
        self._scripts: defaultdict[str, list[Behaviour]] = defaultdict(list)
        self._awaited: list[tuple[Callable[[Endpoints], bool], asyncio.Future[None]]] = []
        """Conditions that tests wait for."""

    def script(self, subscription_id: str, *behaviours: Behaviour) -> None:
        """Let a subscription's endpoint behave so from now on, in order, the last for ever."""
        self._scripts[subscription_id] = list(behaviours)

    def to(self, subscription_id: str) -> list[Request]:
        """Return the requests to one subscription, in order."""
        return [each for each in self.requests if each.post.subscription_id == subscription_id]

    def accepted(self, subscription_id: str) -> list[Request]:
        """Return the requests to one subscription that were answered 2xx."""
        return [
            each
            for each in self.to(subscription_id)
            if isinstance(each.answer, Response) and 200 <= each.answer.status < 300
        ]

    async def wait_until(self, true: Callable[["Endpoints"], bool]) -> None:
        """Wait until a condition is true: checked after every request and every answer."""
        if true(self):
            return
        came = asyncio.get_running_loop().create_future()
        awaited = true, came
        self._awaited.append(awaited)
        try:
            await came
        finally:
            self._awaited.remove(awaited)

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Withheld | Continuation[Answer | Withheld]:
        """Play it as over an open connection, where one need not be made first: it is written at once."""
        if self.short or post.subscription_id in self.connects_after:
            return Continuation(partial(self.send, post, permitted))
        if not permitted():
            return NOT_PERMITTED
        request, answer = self._written(post), self._behave(post)
        return PlayedExchange(self._played(request, answer), answered, answer)

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        """Play the endpoint's next behaviour, within the post's timeout."""
        who = post.subscription_id
        if who in self.connects_after:
            await asyncio.sleep(self.connects_after[who])
        if self.short:
            await asyncio.sleep(SHORT_SECONDS)
            return WITHOUT_DESCRIPTORS
        if not permitted():
            return NOT_PERMITTED
        request = self._written(post)
        return await self._played(request, self._behave(post))

    def _written(self, post: Post) -> Request:
        """Note a request, as its endpoint sees it."""
        who = post.subscription_id
        request = Request(post, asyncio.get_running_loop().time())
        self.requests.append(request)
        self.in_flight[who] += 1
        self.peak_in_flight[who] = max(self.peak_in_flight[who], self.in_flight[who])
        self._changed()
        return request

    def _behave(self, post: Post) -> Awaitable[Answer]:
        return self._next(post.subscription_id)(post)

    async def _played(self, request: Request, answer: Awaitable[Answer]) -> Answer:
        who = request.post.subscription_id
        try:
            async with asyncio.timeout(request.post.timeout / 1000):
                request.answer = await answer
        except TimeoutError:
            request.answer = TransportFailure(FailureKind.TIMEOUT, "no answer in time")
        except asyncio.CancelledError:
            request.cancelled = True
            raise
        finally:
            self.in_flight[who] -= 1
        self._changed()
        return request.answer

    def _next(self, subscription_id: str) -> Behaviour:
        script = self._scripts[subscription_id]
        if not script:
            return self.default
        return script.pop(0) if len(script) > 1 else script[0]

    def _changed(self) -> None:
        for true, came in self._awaited:
            if not came.done() and true(self):
                came.set_result(None)
