"""The cache of OAuth2 tokens on virtual time: how often a token server is asked, and who waits for it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from hookstream.adapters.http import tokens
from hookstream.adapters.http.connector import Fetched, Shortage
from hookstream.adapters.http.tokens import Tokens
from hookstream.core.model.endpoint_identity import TokenRequest
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    AddressBlocked,
    FailureKind,
    TransportFailure,
    Withheld,
)
from hookstream.core.model.subscription import ClientAuth
from hookstream.pipeline.ports import always_permitted

REQUEST = TokenRequest("acme", "https://login.example/token", "kim", "s3cret", ())
Answer = Fetched | TransportFailure | AddressBlocked | Shortage | Exception


class TokenServer:
    """Grants numbered tokens of a life, after some time, unless a test says otherwise."""

    def __init__(self, life: float = 100.0, takes: float = 0.5) -> None:
        self.life = life
        self.takes = takes
        self.fetched_at: list[float] = []
        self.answer: Answer | None = None

    async def fetch(
        self, request: TokenRequest
    ) -> Fetched | TransportFailure | AddressBlocked | Shortage:
        self.fetched_at.append(asyncio.get_running_loop().time())
        number = len(self.fetched_at)
        await asyncio.sleep(self.takes)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        document = {"access_token": f"{request.client_id}-{number}", "expires_in": self.life}
        return Fetched(200, orjson.dumps(document))


def cache(server: TokenServer) -> Tokens:
    return Tokens(server.fetch, lambda: 0.5)


async def get(
    found: Tokens, request: TokenRequest = REQUEST, within: float = 5.0
) -> str | TransportFailure | AddressBlocked | Shortage | Withheld:
    deadline = asyncio.get_running_loop().time() + within
    return await found.get(request, deadline, always_permitted)


async def test_one_fetch_serves_all_who_wait() -> None:
    server = TokenServer()
    async with cache(server) as found:
        async with asyncio.TaskGroup() as waiting:
            gets = [waiting.create_task(get(found)) for _ in range(100)]
        assert {each.result() for each in gets} == {"kim-1"}
    assert len(server.fetched_at) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, partner_id="zenith"),
        replace(REQUEST, client_secret="another"),
        replace(REQUEST, scopes=("read",)),
        replace(REQUEST, url="https://other.example/token"),
        replace(REQUEST, client_id="lee"),
        replace(REQUEST, client_auth=ClientAuth.BODY),
    ],
    ids=["partner", "secret", "scopes", "URL", "client", "client_auth"],
)
async def test_a_token_is_shared_by_equal_requests_only(other: TokenRequest) -> None:
    server = TokenServer()
    async with cache(server) as found:
        assert await get(found) == "kim-1"
        assert await get(found, other) == f"{other.client_id}-2"


async def test_a_token_is_renewed_beside_those_who_use_it_before_it_ends() -> None:
    server = TokenServer(life=100)
    async with cache(server) as found:
        await get(found)
        await asyncio.sleep(79)
        assert await get(found) == "kim-1"
        assert len(server.fetched_at) == 1
        await asyncio.sleep(2)
        assert await get(found) == "kim-1"
        await asyncio.sleep(1)
        assert await get(found) == "kim-2"
    assert len(server.fetched_at) == 2


async def test_a_renewal_that_fails_leaves_the_token_in_use_until_its_end() -> None:
    server = TokenServer(life=100)
    async with cache(server) as found:
        await get(found)
        server.answer = Fetched(500, b"oops")
        await asyncio.sleep(85)
        assert await get(found) == "kim-1"
        await asyncio.sleep(10)
        assert await get(found) == "kim-1"
        await asyncio.sleep(6)
        failure = await get(found)
    assert failure == TransportFailure(FailureKind.TOKEN, "token: the token server answered 500")
    assert len(server.fetched_at) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Fetched(500, b""),
        Fetched(401, b'{"error": "invalid_client"}'),
        Fetched(200, b"<html>"),
        TransportFailure(FailureKind.CONNECT, "connection refused"),
        RuntimeError("a defect"),
    ],
    ids=["500", "401", "no JSON", "refused", "a defect"],
)
async def test_whatever_fails_a_token_server_is_asked_once_in_30_seconds(answer: Answer) -> None:
    server = TokenServer(takes=0.1)
    server.answer = answer
    async with cache(server) as found:
        for _ in range(900):
            try:
                assert not isinstance(await get(found), str)
            except RuntimeError:
                assert isinstance(answer, RuntimeError)
            await asyncio.sleep(0.1)
    gaps = [b - a for a, b in zip(server.fetched_at, server.fetched_at[1:], strict=False)]
    assert 3 <= len(server.fetched_at) <= 4
    assert min(gaps) >= 30


async def test_a_fetch_outlives_the_attempt_that_began_it() -> None:
    server = TokenServer(takes=3)
    async with cache(server) as found:
        assert await get(found, within=1.0) == TransportFailure(
            FailureKind.TOKEN, "token: no answer in time"
        )
        assert await get(found, within=5.0) == "kim-1"
    assert len(server.fetched_at) == 1


async def test_a_cancelled_attempt_does_not_end_the_fetch_of_others() -> None:
    server = TokenServer(takes=3)
    async with cache(server) as found:
        async with asyncio.TaskGroup() as waiting:
            first = waiting.create_task(get(found))
            other = waiting.create_task(get(found))
            await asyncio.sleep(1)
            first.cancel()
        assert other.result() == "kim-1"


async def test_no_fetch_begins_while_nothing_may_be_sent() -> None:
    server = TokenServer()
    async with cache(server) as found:
        assert await found.get(REQUEST, 5.0, lambda: False) == NOT_PERMITTED
        assert server.fetched_at == []
        assert await get(found) == "kim-1"


async def test_a_refused_token_is_replaced_only_if_it_is_older_than_30_seconds() -> None:
    server = TokenServer(life=1_000)
    async with cache(server) as found:
        assert await get(found) == "kim-1"
        assert not found.replace(REQUEST, "kim-1")
        await asyncio.sleep(31)
        assert found.replace(REQUEST, "kim-1")
        # Others whose requests were under way with the same token wait for the same fetch.
        assert found.replace(REQUEST, "kim-1")
        assert await get(found) == "kim-2"
        assert found.replace(REQUEST, "kim-1")
        assert not found.replace(REQUEST, "kim-2")
    assert len(server.fetched_at) == 2


async def test_a_want_of_our_own_is_no_failure_of_the_token_server() -> None:
    server = TokenServer()
    server.answer = Shortage("too many open files", "raise the limit")
    async with cache(server) as found:
        assert await get(found) == server.answer
        server.answer = None
        # No request left the machine, so the next fetch need not wait.
        assert await get(found) == "kim-2"


async def test_a_blocked_address_of_a_token_server_blocks_the_delivery() -> None:
    server = TokenServer()
    server.answer = AddressBlocked("10.0.0.1 is private")
    async with cache(server) as found:
        assert await get(found) == AddressBlocked("token: 10.0.0.1 is private")


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_REQUESTS", 2)
    server = TokenServer()
    async with cache(server) as found:
        for name in ("a", "b", "c", "b", "a"):
            await get(found, replace(REQUEST, client_id=name))
    assert len(server.fetched_at) == 4


async def test_leaving_ends_a_fetch_in_progress() -> None:
    server = TokenServer(takes=1_000)
    async with cache(server) as found:
        await get(found, within=0.1)
    began: Callable[[], float] = asyncio.get_running_loop().time
    assert began() < 1.0
