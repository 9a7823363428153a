"""Deliveries with OAuth2 over real sockets: a token server that fails, and endpoints that answer 401."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from tests.doubles.raw_server import Play, RawServer, hang, response, server
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http import sender as sending
from hookstream.adapters.http import tokens
from hookstream.adapters.http.sender import HttpSender
from hookstream.core.delivery.quoted_secrets import LEFT_OUT
from hookstream.core.model.endpoint_identity import TokenRequest
from hookstream.core.model.outcome import (
    AddressBlocked,
    FailureKind,
    Response,
    TransportFailure,
)
from hookstream.core.model.subscription import ClientAuth
from hookstream.pipeline.ports import Post


def grant(token: str, expires_in: int = 3_600) -> Play:
    document = {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}
    return response(200, body=orjson.dumps(document))


def authorized(endpoint: RawServer, login: RawServer, timeout: int = 60_000) -> Post:
    request = TokenRequest("acme", login.url, "kim", "s3cret", ("events",))
    return replace(post(endpoint.url, timeout=timeout), token=request)


def tokens_seen(endpoint: RawServer) -> list[str]:
    return [dict(each.headers)["authorization"] for each in endpoint.seen]


async def test_a_token_is_fetched_once_and_sent_with_every_delivery(sender: HttpSender) -> None:
    async with server(grant("t-1")) as login, server(response(204)) as endpoint:
        for _ in range(20):
            assert await sender.send(authorized(endpoint, login)) == Response(204)
    assert tokens_seen(endpoint) == ["Bearer t-1"] * 20
    (fetch,) = login.seen
    assert fetch.body == b"grant_type=client_credentials&scope=events"
    assert fetch.line == "POST /hook HTTP/1.1"
    headers = {name.lower(): value for name, value in fetch.headers}
    assert headers["authorization"] == "Basic a2ltOnMzY3JldA=="
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["accept-encoding"] == "identity"


async def test_a_client_in_the_body_is_sent_in_the_form_alone(sender: HttpSender) -> None:
    async with server(grant("t-1")) as login, server(response(204)) as endpoint:
        sent = authorized(endpoint, login)
        assert sent.token is not None
        token = replace(sent.token, client_auth=ClientAuth.BODY)
        assert await sender.send(replace(sent, token=token)) == Response(204)
    (fetch,) = login.seen
    assert "authorization" not in {name.lower() for name, _ in fetch.headers}
    assert fetch.body == (
        b"grant_type=client_credentials&scope=events&client_id=kim&client_secret=s3cret"
    )


FAILURES: dict[str, tuple[Play, str]] = {
    "500": (response(500, body=b"s3cret"), "the token server answered 500"),
    "a known error": (
        response(400, body=b'{"error": "invalid_scope", "error_description": "s3cret"}'),
        "the token server answered 400 (invalid_scope)",
    ),
    "a redirect": (
        response(302, "Location: http://127.0.0.1:1/"),
        "the token server answered 302",
    ),
    "no JSON": (response(200, body=b"s3cret"), "the answer is not a JSON object"),
    "too long": (response(200, body=b" " * 70_000), "the answer has more than 65536 bytes"),
    "no answer": (hang, "no answer within 0.2 s"),
}


@pytest.mark.parametrize(("play", "why"), FAILURES.values(), ids=FAILURES.keys())
async def test_a_fetch_that_fails_is_a_failed_attempt_which_never_quotes_the_answer(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch, play: Play, why: str
) -> None:
    if play is hang:
        monkeypatch.setattr(sending, "TOKEN_SECONDS", 0.2)
    async with server(play) as login, server(response(204)) as endpoint:
        for _ in range(5):
            answer = await sender.send(authorized(endpoint, login))
            assert answer == TransportFailure(FailureKind.TOKEN, f"token: {why}")
    assert endpoint.seen == []
    assert len(login.seen) == 1


async def test_a_token_that_is_refused_is_replaced_within_the_same_attempt(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.0)
    async with (
        server(grant("old"), grant("new")) as login,
        server(response(401), response(204)) as endpoint,
    ):
        assert await sender.send(authorized(endpoint, login)) == Response(204, requests=2)
    assert tokens_seen(endpoint) == ["Bearer old", "Bearer new"]


async def test_an_answer_that_quotes_the_token_is_not_kept(sender: HttpSender) -> None:
    quoting = response(403, body=b'{"authorization": "Bearer granted-0123"}')
    async with server(grant("granted-0123")) as login, server(quoting) as endpoint:
        assert await sender.send(authorized(endpoint, login)) == Response(403, excerpt=LEFT_OUT)


async def test_an_endpoint_that_always_answers_401_gets_no_flood(sender: HttpSender) -> None:
    async with server(grant("young")) as login, server(response(401)) as endpoint:
        for _ in range(10):
            assert await sender.send(authorized(endpoint, login)) == Response(401)
    assert len(endpoint.seen) == 10
    assert len(login.seen) == 1


async def test_the_second_request_ends_with_the_timeout_of_the_attempt(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.0)
    async with server(grant("t")) as login, server(response(401, after=0.2), hang) as endpoint:
        began = asyncio.get_running_loop().time()
        answer = await sender.send(authorized(endpoint, login, timeout=1_500))
        took = asyncio.get_running_loop().time() - began
    assert answer == TransportFailure(FailureKind.TIMEOUT, "no response in time")
    assert took >= 1.4


async def test_the_address_of_a_token_server_is_checked_like_that_of_an_endpoint() -> None:
    def verdict(blocked: str) -> Callable[[str], str | None]:
        return lambda address: "it is private" if address == blocked else None

    async with (
        server(grant("t")) as login,
        server(response(204)) as endpoint,
        HttpSender(verdict("127.0.0.2")) as sender,
    ):
        request = TokenRequest(
            "acme", login.url.replace("127.0.0.1", "127.0.0.2"), "kim", "s3cret", ()
        )
        answer = await sender.send(replace(post(endpoint.url), token=request))
    assert answer == AddressBlocked("token: it is private")
    assert (login.seen, endpoint.seen) == ([], [])


async def test_four_workers_that_start_at_once_fetch_once_each() -> None:
    async with server(grant("t")) as login, server(response(204)) as endpoint:

        async def worker() -> None:
            async with (
                HttpSender(anywhere, connect_timeout=30) as each,
                asyncio.TaskGroup() as deliveries,
            ):
                for _ in range(50):
                    deliveries.create_task(each.send(authorized(endpoint, login)))

        async with asyncio.TaskGroup() as workers:
            for _ in range(4):
                workers.create_task(worker())
    assert len(endpoint.seen) == 200
    assert len(login.seen) == 4
