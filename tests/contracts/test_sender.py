"""What every `Sender` promises: tested on the double and, over real sockets, on the product's own."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import pytest
from tests.doubles import endpoint, raw_server
from tests.doubles.batch_bodies import event_ids, is_batch
from tests.doubles.endpoint import WITHOUT_DESCRIPTORS, Endpoints
from tests.doubles.raw_server import RawServer

from hookstream.adapters.ed25519 import signer
from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.http.tls_contexts import machine_context
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    AddressBlocked,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
)
from hookstream.core.model.record import Origin
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Endpoint,
    SigningSecret,
    Subscription,
)
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import (
    Answered,
    Continuation,
    Exchange,
    Permitted,
    Post,
    Sender,
    always_permitted,
)
from hookstream.pipeline.request_parts import PreparedRequests

pytestmark = pytest.mark.real_time


@dataclass(slots=True, frozen=True)
class Answers:
    status: int
    retry_after: str | None = None
    excerpt: str | None = None


@dataclass(slots=True, frozen=True)
class Hangs:
    pass


@dataclass(slots=True, frozen=True)
class Closes:
    pass


@dataclass(slots=True, frozen=True)
class IsDown:
    pass


@dataclass(slots=True, frozen=True)
class IsForbidden:
    pass


Behaviour = Answers | Hangs | Closes | IsDown | IsForbidden


class Stage(Protocol):
    """An endpoint with a configured behaviour, and a sender that reaches it."""

    sender: Sender
    """Sends by `send`, or by `begin`."""

    async def behave(self, behaviour: Behaviour) -> None: ...

    def post(self, *, timeout: int = 5_000) -> Post: ...

    async def requests(self, count: int) -> list[bytes]: ...

    def headers(self) -> dict[str, str]:
        """Return those of the last request."""

    def connected(self) -> bool: ...

    def without_descriptors(self) -> AbstractContextManager[None]: ...

    async def until_cancelled(self) -> None: ...


class DoubleStage:
    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.sender: Sender = self.endpoints

    async def behave(self, behaviour: Behaviour) -> None:
        self.endpoints.script("sub-1", _double(behaviour))

    def post(self, *, timeout: int = 5_000) -> Post:
        return Post("sub-1", "https://partner.example/hook", [("webhook-id", "m")], b"{}", timeout)

    async def requests(self, count: int) -> list[bytes]:
        await self.endpoints.wait_until(lambda each: len(each.requests) >= count)
        return [each.post.body for each in self.endpoints.to("sub-1")]

    def headers(self) -> dict[str, str]:
        return dict(self.endpoints.to("sub-1")[-1].post.headers)

    def connected(self) -> bool:
        return True

    @contextmanager
    def without_descriptors(self) -> Iterator[None]:
        self.endpoints.short = True
        yield
        self.endpoints.short = False

    async def until_cancelled(self) -> None:
        assert [each.cancelled for each in self.endpoints.requests] == [True]


class SocketStage:
    def __init__(self, sender: HttpSender, server: RawServer) -> None:
        self.sender: Sender = sender
        self._http = sender
        self.server = server
        self.url = server.url

    async def behave(self, behaviour: Behaviour) -> None:
        match behaviour:
            case Answers(status, retry_after, excerpt):
                headers = [f"Retry-After: {retry_after}"] if retry_after else []
                body = (excerpt or "").encode()
                self.server.play(raw_server.response(status, *headers, body=body))
            case Hangs():
                self.server.play(raw_server.hang)
            case Closes():
                self.server.play(raw_server.close)
            case IsDown():
                async with raw_server.server(raw_server.hang) as gone:
                    self.url = gone.url
            case IsForbidden():
                self.url = "http://127.0.0.2:80/hook"

    def post(self, *, timeout: int = 5_000) -> Post:
        return Post("sub-1", self.url, [("webhook-id", "m")], b"{}", timeout)

    async def requests(self, count: int) -> list[bytes]:
        await self.server.wait_until(lambda each: len(each.seen) >= count)
        return [each.body for each in self.server.seen]

    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.server.seen[-1].headers}

    def connected(self) -> bool:
        return self._http.connections > 0

    @contextmanager
    def without_descriptors(self) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        # None at all: a thread that resolved names for an earlier test may still close some, whose numbers are free then.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    async def until_cancelled(self) -> None:
        await self.server.wait_until(lambda each: each.ended == 1)


def _double(behaviour: Behaviour) -> endpoint.Behaviour:
    match behaviour:
        case Answers(status, retry_after, excerpt):
            return endpoint.status(status, retry_after=retry_after, excerpt=excerpt)
        case Hangs():
            return endpoint.hang()
        case Closes():
            return endpoint.fail(FailureKind.DISCONNECTED)
        case IsDown():
            return endpoint.refuse_connections()
        case IsForbidden():
            return endpoint.blocked()


def only_the_first_address(address: str) -> str | None:
    return None if address == "127.0.0.1" else f"{address} is not allowed"


@asynccontextmanager
async def _socket_stage() -> AsyncIterator[SocketStage]:
    async with (
        raw_server.server(raw_server.response(204)) as server,
        HttpSender(only_the_first_address, tls=_authorities()) as sender,
    ):
        yield SocketStage(sender, server)


_authorities = cache(machine_context)
"""Those of the machine, read once: each time takes 24 ms."""


class Beginning:
    """Sends by `begin`, as lanes do."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.began: list[str] = []
        """What `begin` returned each time."""

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Withheld | Continuation[Answer | Withheld]:
        return self._sender.begin(post, permitted, answered)

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        came: asyncio.Future[Answer | Withheld | Continuation[Answer | Withheld] | Exception]
        came = asyncio.get_running_loop().create_future()
        begun = self.begin(post, permitted, came.set_result)
        self.began.append(type(begun).__name__)
        assert not came.done(), "it is called in a later turn of the event loop"
        answer: Answer | Withheld | Continuation[Answer | Withheld] | Exception
        if isinstance(begun, Withheld | Continuation):
            answer = begun
        else:
            try:
                answer = await came
            except asyncio.CancelledError:
                begun.abandon()
                raise
        if isinstance(answer, Exception):
            raise answer
        return await answer.run() if isinstance(answer, Continuation) else answer


@pytest.fixture(params=["double", "double, begun", "sockets", "sockets, begun"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    kind, _, begun = request.param.partition(", ")
    async with contextlib.AsyncExitStack() as opened:
        made: Stage = DoubleStage()
        if kind == "sockets":
            made = await opened.enter_async_context(_socket_stage())
        if begun:
            made.sender = Beginning(made.sender)
        yield made


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 410, 429, 500, 503])
async def test_a_status_is_the_answer_whatever_it_is(stage: Stage, status: int) -> None:
    """Core interprets the status; a redirect is not followed."""
    await stage.behave(Answers(status))
    assert await stage.sender.send(stage.post()) == Response(status)
    assert await stage.requests(1) == [b"{}"]


FORMATS: dict[str, tuple[BodyFormat, int, str]] = {
    "standard": (BodyFormat.STANDARD, 0, "application/json"),
    "cloudevents": (BodyFormat.CLOUDEVENTS, 0, "application/cloudevents+json"),
    "batch": (BodyFormat.STANDARD, 100, "application/json"),
    "batch of cloudevents": (
        BodyFormat.CLOUDEVENTS,
        100,
        "application/cloudevents-batch+json",
    ),
}


@pytest.mark.parametrize("made_as", FORMATS)
async def test_a_body_of_any_format_arrives_byte_for_byte_with_its_headers(
    stage: Stage, made_as: str
) -> None:
    """Names and types with characters of several bytes; a batch of many deliveries is one request."""
    body_format, most, media_type = FORMATS[made_as]
    subscription = replace(
        a_subscription("sub-1"), format=body_format, batch=Batch(most) if most else None
    )
    ids = [f"e{number}-é" for number in range(max(most, 1))]
    prepared = PreparedRequests(signer).of(subscription, 0)
    bodies = [json.dumps({"id": each, "type": "t", "data": "€"}).encode() for each in ids]
    made = prepared.request([a_delivery(each) for each in ids], bodies, 1_795_000_000_000)
    await stage.behave(Answers(204))

    answer = await stage.sender.send(replace(made, url=stage.post().url))

    assert answer == Response(204)
    assert await stage.requests(1) == [made.body]
    seen = replace(made, headers=[*stage.headers().items()], body=(await stage.requests(1))[0])
    assert event_ids(seen) == ids
    assert is_batch(seen) is (most > 0)
    headers = stage.headers()
    assert headers["content-type"] == media_type
    assert {name: headers[name] for name, _ in made.headers} == dict(made.headers)
    assert ("hookstream-attempt" in headers) is (most == 0)


def a_subscription(name: str) -> Subscription:
    endpoint = Endpoint("https://partner.example/hook", (SigningSecret("s1", b"0" * 32),))
    return Subscription(name, "acme", endpoint, ("t",), 0)


def a_delivery(event_id: str) -> Delivery:
    origin = Origin("events", 0, 0, 0)
    return Delivery(f"msg_{event_id}", "sub-1", "acme", "t", event_id, origin, 0, 1)


async def test_retry_after_and_the_body_come_with_the_status(stage: Stage) -> None:
    await stage.behave(Answers(503, retry_after="120", excerpt="try later"))
    answer = await stage.sender.send(stage.post())
    assert answer == Response(503, retry_after="120", excerpt="try later")


async def test_an_attempt_at_an_endpoint_that_hangs_ends_at_the_timeout(stage: Stage) -> None:
    await stage.behave(Hangs())
    started = asyncio.get_running_loop().time()
    answer = await stage.sender.send(stage.post(timeout=50))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.TIMEOUT
    assert 0.045 <= asyncio.get_running_loop().time() - started < 1


async def test_a_connection_closed_without_an_answer_is_a_failure(stage: Stage) -> None:
    """It is not sent again inline: the endpoint had the request on a fresh connection."""
    await stage.behave(Closes())
    answer = await stage.sender.send(stage.post())
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.DISCONNECTED
    assert await stage.requests(1) == [b"{}"]


async def test_an_endpoint_that_is_down_is_a_failure_to_connect(stage: Stage) -> None:
    await stage.behave(IsDown())
    answer = await stage.sender.send(stage.post())
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.CONNECT


async def test_a_forbidden_address_is_refused_by_us(stage: Stage) -> None:
    """No retry will change it, so it must not look like a connection that failed."""
    await stage.behave(IsForbidden())
    assert isinstance(await stage.sender.send(stage.post()), AddressBlocked)


async def test_cancelling_ends_the_request(stage: Stage) -> None:
    """A worker that drains must be able to end without open sockets."""
    await stage.behave(Hangs())
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(stage.sender.send(stage.post()))
        await stage.requests(1)
        sending.cancel()
    assert sending.cancelled()
    await stage.until_cancelled()


async def test_without_eligibility_not_a_byte_is_sent(stage: Stage) -> None:
    """It is not a failure, and the next request that is permitted is sent as usual."""
    assert await stage.sender.send(stage.post(), lambda: False) == NOT_PERMITTED
    assert await stage.requests(0) == []
    assert await stage.sender.send(stage.post(), lambda: True) == Response(204)
    assert await stage.requests(1) == [b"{}"]


async def test_eligibility_is_checked_once_the_connection_is_open(stage: Stage) -> None:
    """A dial and a handshake take seconds, in which a subscription may be deleted."""
    asked: list[bool] = []

    def permitted() -> bool:
        asked.append(stage.connected())
        return True

    assert await stage.sender.send(stage.post(), permitted) == Response(204)
    assert await stage.sender.send(stage.post(), permitted) == Response(204)
    assert asked == [True, True]


async def test_without_descriptors_an_attempt_is_withheld_before_eligibility_is_checked(
    stage: Stage,
) -> None:
    """It is not an answer; the attempt that replaces it is checked again."""
    with stage.without_descriptors():
        answer = await stage.sender.send(stage.post(), pytest.fail)
    assert answer == WITHOUT_DESCRIPTORS
    assert await stage.requests(0) == []
    assert await stage.sender.send(stage.post()) == Response(204)


async def test_many_requests_at_once_are_answered_each(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        sending = [tasks.create_task(stage.sender.send(stage.post())) for _ in range(20)]
    assert [each.result() for each in sending] == [Response(204)] * 20
    assert len(await stage.requests(20)) == 20


async def test_over_an_open_connection_a_request_needs_no_coroutine() -> None:
    async with _socket_stage() as stage:
        stage.sender = begun = Beginning(stage.sender)
        for _ in range(3):
            assert await begun.send(stage.post()) == Response(204)
        assert begun.began == ["Continuation", "Connection", "Connection"]


async def test_a_connection_that_was_closed_meanwhile_costs_a_request_nothing() -> None:
    """The endpoint closed it as the request was on its way: it is sent once more over another one."""
    async with _socket_stage() as stage:
        stage.sender = begun = Beginning(stage.sender)
        stage.server.play(raw_server.response(204), raw_server.close, raw_server.response(204))
        assert await begun.send(stage.post()) == Response(204)
        assert await begun.send(stage.post()) == Response(204)
        assert begun.began == ["Continuation", "Connection"]
        assert len(await stage.requests(3)) == 3


async def test_an_abandoned_request_closes_its_connection_and_is_never_answered() -> None:
    async with _socket_stage() as stage:
        stage.sender = begun = Beginning(stage.sender)
        assert await begun.send(stage.post()) == Response(204)
        await stage.behave(Hangs())
        answers: list[object] = []
        exchange = begun.begin(stage.post(), always_permitted, answers.append)
        await stage.requests(2)

        assert not isinstance(exchange, Withheld | Continuation)
        exchange.abandon()

        await stage.until_cancelled()
        assert answers == []
        assert await begun.send(stage.post(timeout=50)) == TransportFailure(
            FailureKind.TIMEOUT, "no response in time"
        )


async def test_a_failure_beside_an_open_sender_leaves_as_it_is_and_closes_its_connections() -> (
    None
):
    """A worker's exit code depends on what the failure is: a group of failures would be a defect."""
    failure = ConfigurationError("a port is in use")
    async with raw_server.server(raw_server.response(204)) as server:
        sender = HttpSender(only_the_first_address, tls=_authorities())
        with pytest.raises(ConfigurationError) as raised:
            await _fail_beside(sender, server, failure)
    assert raised.value is failure
    assert sender.connections == 0


async def _fail_beside(sender: HttpSender, server: RawServer, failure: Exception) -> None:
    async with sender:
        assert await sender.send(SocketStage(sender, server).post()) == Response(204)
        assert sender.connections == 1
        raise failure
