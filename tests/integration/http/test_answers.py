"""The HTTP sender against servers that misbehave, byte by byte, over real sockets."""

import asyncio

import pytest
from tests.doubles.raw_server import (
    Conversation,
    Play,
    close,
    hang,
    reset,
    response,
    say,
    server,
)
from tests.integration.http.sending import answer_to, post

from hookstream.adapters.http.sender import HttpSender
from hookstream.core.model.outcome import (
    FailureKind,
    Response,
    TransportFailure,
    Words,
)

# The request.


async def test_the_request_is_exactly_as_specified(sender: HttpSender) -> None:
    """The signature covers the body: not a byte may differ. The headers are complete."""
    async with server(response(204)) as running:
        url = running.url + "/a%20b?token=x&y=%2F"
        host = f"127.0.0.1:{running.port}"
        await sender.send(post(url, ("webhook-id", "msg_1"), ("x-own", "ä"), body=b'{"a": 1}'))
    (seen,) = running.seen
    assert seen.line == "POST /hook/a%20b?token=x&y=%2F HTTP/1.1"
    assert seen.headers == (
        ("host", host),
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("webhook-id", "msg_1"),
        ("x-own", "ä"),
        ("content-length", "8"),
    )
    assert seen.body == b'{"a": 1}'


@pytest.mark.parametrize("value", ["a\r\nevil: 1", "a\nevil: 1", "a\rb", "a\0b"])
async def test_a_header_that_would_smuggle_another_is_never_sent(
    sender: HttpSender, value: str
) -> None:
    async with server(response(204)) as running:
        answer = await sender.send(post(running.url, ("x-own", value)))
    assert answer == TransportFailure(
        FailureKind.PROTOCOL, "a request header contains a control character"
    )
    assert running.seen == []


@pytest.mark.parametrize(
    "url", ["ftp://x.example/", "http://[::1/secret", "nonsense", "http:///s"]
)
async def test_a_url_that_cannot_be_dialled_is_an_answer_without_its_secrets(
    sender: HttpSender, url: str
) -> None:
    answer = await sender.send(post(url))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.PROTOCOL
    assert url not in answer.detail


# The status line decides.

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
BROKEN_BODIES = {
    "shorter than announced": say(OK + b"Content-Length: 100\r\n\r\nhalf", close=True),
    "longer than announced": say(OK + b"Content-Length: 4\r\n\r\nhalf and more"),
    "chunks without end": say(CHUNKED, close=True),
    "a chunk size that is none": say(CHUNKED + b"zz", close=True),
    "ended by the connection": say(b"HTTP/1.0 200 OK\r\n\r\nhalf", close=True),
    "a second response": say(OK + b"Content-Length: 4\r\n\r\nhalfHTTP/1.1 500 No\r\n\r\n"),
}


@pytest.mark.parametrize("play", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_a_broken_body_does_not_change_an_accepted_delivery(
    sender: HttpSender, play: Play
) -> None:
    """Sending again what the partner accepted would be a duplicate that we caused."""
    assert await answer_to(sender, play) == Response(200, excerpt="half")


BROKEN_HEADERS = {
    "a line that is none": say(OK + b"A: 1\r\nno header at all\r\n\r\n"),
    "none at all": say(OK, close=True),
    "two lengths": say(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    "huge": say(OK + b"X: " + b"x" * 40_000, b"x" * 40_000),
    "bare line feeds": say(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
}


@pytest.mark.parametrize("play", BROKEN_HEADERS.values(), ids=BROKEN_HEADERS.keys())
async def test_broken_headers_do_not_change_an_accepted_delivery(
    sender: HttpSender, play: Play
) -> None:
    assert await answer_to(sender, play) == Response(200)


async def test_a_reset_after_the_status_line_does_not_change_it(sender: HttpSender) -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n")
        await asyncio.sleep(0.05)
        conversation.reset()

    assert await answer_to(sender, play) == Response(202)


async def test_a_body_that_trickles_is_not_waited_for(sender: HttpSender) -> None:
    """A permit that waits for a body of a thousand drops is a permit that other events lack."""
    started = asyncio.get_running_loop().time()
    trickle = say(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", *[b"x"] * 999, every=0.1)
    answer = await answer_to(sender, trickle, within=60_000)
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert set(answer.excerpt or "") == {"x"}
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_body_that_stalls_until_the_timeout_leaves_the_status(sender: HttpSender) -> None:
    stall = say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"d", every=9.0)
    assert await answer_to(sender, stall, within=200) == Response(200, excerpt="abc")


async def test_a_huge_body_costs_the_connection_and_nothing_else(sender: HttpSender) -> None:
    huge = response(200, body=b"x" * 5_000_000)
    async with server(huge, response(204)) as running:
        first = await sender.send(post(running.url))
        second = await sender.send(post(running.url))
    assert first == Response(200, excerpt="x" * 1024)
    assert second == Response(204)
    assert [seen.connection for seen in running.seen] == [1, 2]


async def test_the_excerpt_is_printable_and_bounded(sender: HttpSender) -> None:
    """It is shown in terminals and web pages: no escape sequence may pass."""
    body = b"\x1b[31mred\x00\xff line\n" + "\u202e".encode() + "ä".encode() * 2_000
    answer = await answer_to(sender, response(500, body=body))
    assert isinstance(answer, Response)
    assert answer.excerpt is not None
    assert answer.excerpt.startswith("\ufffd[31mred\ufffd\ufffd line\n\ufffdäää")
    assert len(answer.excerpt.encode()) <= 1024


async def test_a_character_cut_in_two_is_left_out(sender: HttpSender) -> None:
    answer = await answer_to(sender, response(500, body=b"x" * 1023 + "ä".encode()))
    assert answer == Response(500, excerpt="x" * 1023)


async def test_interim_responses_are_read_over(sender: HttpSender) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    play = say(interim, b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", every=0.02)
    assert await answer_to(sender, play) == Response(201, excerpt="ok")


async def test_interim_responses_without_end_are_cut_off(sender: HttpSender) -> None:
    flood = [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100] * 100
    answer = await answer_to(sender, say(*flood))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.PROTOCOL


async def test_a_switch_of_protocols_is_an_answer(sender: HttpSender) -> None:
    play = say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx")
    assert await answer_to(sender, play) == Response(101)


async def test_a_status_line_in_pieces_is_one(sender: HttpSender) -> None:
    line = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    pieces = [line[at : at + 1] for at in range(len(line))]
    assert await answer_to(sender, say(*pieces, every=0.001)) == Response(429, retry_after="7")


async def test_a_status_line_without_a_reason_is_one(sender: HttpSender) -> None:
    assert await answer_to(sender, say(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")) == Response(
        200
    )


async def test_an_early_answer_to_a_large_request_counts(sender: HttpSender) -> None:
    """A server that refuses by the headers alone need not read the body."""
    async with server(response(413), read_body=False) as running:
        answer = await sender.send(post(running.url, body=b"x" * 8_000_000))
    assert answer == Response(413)


# No status line.


DISCONNECTED, PROTOCOL = FailureKind.DISCONNECTED, FailureKind.PROTOCOL
LATE = TransportFailure(FailureKind.TIMEOUT, "no response in time")
NO_STATUS = {
    "reset": (reset, TransportFailure(DISCONNECTED, "connection reset before any response")),
    "closed": (close, TransportFailure(DISCONNECTED, "connection closed before any response")),
    "closed in the line": (
        say(b"HTTP/1.1 2", close=True),
        TransportFailure(DISCONNECTED, "connection closed within the response's headers"),
    ),
    "mail": (
        say(b"220 mail.example ESMTP\r\n"),
        TransportFailure(PROTOCOL, "not an HTTP response: it does not begin with HTTP/"),
    ),
    "hang": (hang, LATE),
    "hang in the line": (say(b"HTTP/1.1 ", b"2", every=9.0), LATE),
}


@pytest.mark.parametrize(("play", "failure"), NO_STATUS.values(), ids=NO_STATUS.keys())
async def test_without_a_status_line_the_attempt_failed(
    sender: HttpSender, play: Play, failure: TransportFailure
) -> None:
    assert await answer_to(sender, play, within=300) == failure


async def test_a_slow_drip_of_headers_ends_at_the_timeout(sender: HttpSender) -> None:
    """Each byte must not restart the clock."""
    drip = say(b"HTTP/1.1 200", *[b" "] * 999, every=0.02)
    started = asyncio.get_running_loop().time()
    await answer_to(sender, drip, within=300)
    assert asyncio.get_running_loop().time() - started < 1


# The receiver's words.

DISABLE = b"Webhook-Delivery: disable\r\n"
NOTHING_LEFT = b'RateLimit: "default";r=0;t=30\r\n'
HEADED = b"Content-Length: 0\r\n\r\n"


async def test_the_receivers_words_are_part_of_the_answer(sender: HttpSender) -> None:
    answer = say(b"HTTP/1.1 204 No Content\r\n" + DISABLE + NOTHING_LEFT + b"\r\n")
    assert await answer_to(sender, answer) == Response(
        204, words=Words("disable", '"default";r=0;t=30')
    )


async def test_words_that_are_repeated_are_joined(sender: HttpSender) -> None:
    again = b"WEBHOOK-DELIVERY: abort-message\r\n"
    answer = say(b"HTTP/1.1 500 No\r\n" + DISABLE + again + HEADED)
    assert await answer_to(sender, answer) == Response(
        500, words=Words("disable, abort-message", None)
    )


@pytest.mark.parametrize("times", [1, 30])
async def test_words_that_are_too_long_are_ignored_as_a_whole(
    sender: HttpSender, times: int
) -> None:
    """The rest of a number that was cut would be another number."""
    line = b'RateLimit: "%s";r=0;t=30\r\n' % (b"d" * (1_025 // times))
    answer = say(b"HTTP/1.1 200 OK\r\n" + DISABLE + line * times + HEADED)
    assert await answer_to(sender, answer) == Response(200, words=Words("disable", None))


async def test_the_words_of_one_answer_are_not_those_of_the_next(sender: HttpSender) -> None:
    async with server(say(OK + DISABLE + HEADED), response(204)) as running:
        first = await sender.send(post(running.url))
        second = await sender.send(post(running.url))
    assert (first, second) == (Response(200, words=Words("disable", None)), Response(204))


async def test_words_in_an_interim_response_or_in_a_trailer_are_ignored(
    sender: HttpSender,
) -> None:
    """Neither is the head of the answer."""
    interim = b"HTTP/1.1 103 Early Hints\r\n" + DISABLE + b"\r\n"
    trailer = b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + DISABLE + b"\r\n"
    assert await answer_to(sender, say(interim + OK + trailer)) == Response(200)
