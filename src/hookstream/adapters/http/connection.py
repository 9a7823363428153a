"""One HTTP/1.1 connection: writes a request in one piece; the response's status line is the result.

The protocol takes over a connected transport, so it does not deal with names, TLS or addresses. A
request costs one write and one parse. What follows the status line can only add to the answer
(Retry-After and the receiver's other headers, an excerpt of the body), never change it: a partner
that sent 200 and then disconnected has accepted the delivery.
"""

import asyncio
import codecs
import select
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

import httptools

from hookstream.adapters.http.deadlines import Deadlines, HasDeadline
from hookstream.adapters.http.tls_words import refused_by_alert
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
    Words,
)
from hookstream.errors import HookstreamError
from hookstream.pipeline.ports import Permitted, always_permitted

TakesAnswer: TypeAlias = Callable[[Answer | Exception], None]
"""Takes the answer of an exchange, or a defect of ours in reading it."""

MAX_HEAD = 32 * 1024
"""The most bytes read of status line and headers, including interim responses."""
EXCERPT_BYTES = 1024
"""Bytes of a response body that the audit log keeps."""
BODY_PATIENCE = 1.0
"""Seconds that the rest of a response may take after its status line.

A partner may take the whole timeout to decide, but not to trickle out a body that is not needed:
the permit is needed for other attempts.
"""
_DELIVERY = b"webhook-delivery"
_RATE_LIMIT = b"ratelimit"
_LENGTHS = frozenset(
    map(
        len,
        (
            b"content-length",
            b"transfer-encoding",
            b"keep-alive",
            b"retry-after",
            _DELIVERY,
            _RATE_LIMIT,
        ),
    )
)
"""The lengths of the names of headers that are read."""
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""Responses that end with their headers, whatever body these announce."""
_LEAST_STATUS = 100
_BEGINS = b"HTTP/"
_MAX_RETRY_AFTER = 128
_MAX_KEEP_ALIVE_HINT = 64
_MAX_WORDS = 1024
"""The most bytes of all `webhook-delivery` headers of a response, or of all its `RateLimit` headers.

If there are more, all are ignored: a truncated number is another number.
"""


def excerpt_of(body: bytes) -> str | None:
    """Return the start of a body as printable text, at most `EXCERPT_BYTES` of UTF-8.

    Characters that are neither printable nor a line break or tab become U+FFFD, since the text is
    shown in terminals and web pages. None if the body is empty.
    """
    if not body:
        return None
    # An incremental decoder leaves out a character that was cut in two.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(body[:EXCERPT_BYTES])
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    if not text.isascii():
        # A replaced byte takes three: cut again.
        text = text.encode()[:EXCERPT_BYTES].decode(errors="ignore")
    return text or None


class UnaskedResponse(HookstreamError):
    """Raised within the parser only, to end the parse at a second response to one request."""


class NoStatus(HookstreamError):
    """Raised within the parser only, to end the parse at a status line that is not HTTP/1."""


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    Args:
        deadlines: Notifies the connection when an attempt's time is over.
        max_response_bytes: The most bytes of a body read to keep the connection; beyond, it closes.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deadlines: Deadlines, max_response_bytes: int
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._max_response_bytes = max_response_bytes
        self._max_received = MAX_HEAD + max_response_bytes
        """The most bytes read of a response, with its framing and trailers."""
        self._transport: asyncio.Transport | None = None
        # One parser for the connection's life: creating one costs more than parsing a response.
        self._parser = httptools.HttpResponseParser(self)
        self._answered: TakesAnswer | None = None
        """Takes the answer of the exchange; None: no exchange is running."""
        self._together: set[HasDeadline] = set()
        self._until = 0.0
        self.born = loop.time()
        """Loop time at which it was created."""
        self.lost: asyncio.Future[Exception | None] = loop.create_future()
        """Done when the connection is gone, with the error that ended it, if any."""
        self.idle_limit: float | None = None
        """Seconds for which the server keeps an idle connection, if it says so."""
        self.idle_until = 0.0
        """Loop time until which it may be reused, while it is idle."""
        self._readable = select.poll()
        self._reset()

    def _reset(self) -> None:
        self._received = 0
        self._status = 0
        self._headed = False
        self._complete = False
        self._keep = False
        self.answered_strangely = False
        """Whether the bytes received since the last request do not begin an HTTP response."""
        self._beginning = b""
        self._announced = False
        self._patience = False
        self._body_size = 0
        self._excerpt = b""
        self._retry_after: bytes | None = None
        self._words: dict[bytes, bytes] | None = None

    # Called by the sender.

    def take_over(self, transport: asyncio.Transport) -> None:
        """Become the protocol of a connected transport."""
        self._transport = transport
        transport.set_protocol(self)
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    @property
    def silent(self) -> bool:
        """Whether no byte has been received since the last request was written."""
        return self._received == 0

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as this side knows."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def clean(self) -> bool:
        """Whether nothing is unread on it: neither bytes that belong to no request, nor its end.

        Asks the kernel, since the loop may not have read yet. Bytes that are there before a
        request's first byte would be mistaken for its response.
        """
        return self.alive and not self._readable.poll(0)

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: the response is complete, and both sides keep it open.

        Not reusable if the response came before the request was sent in full: bytes are unwritten.
        """
        transport = self._transport
        return (
            self._keep
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def begin(
        self, request: bytes, deadline: float, permitted: Permitted, answered: TakesAnswer
    ) -> Answer | Withheld | None:
        """Write a request, and call `answered` with its answer, by `deadline` (loop time) at the latest.

        `permitted` is called in the call that writes; if it returns False, nothing is written and
        the connection may serve another request.

        Returns:
            None if the request was written; otherwise why not, and `answered` is not called.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            self._received = 0
            return self._closed_before()
        if not permitted():
            self._keep = True
            return NOT_PERMITTED
        self._reset()
        self._answered = answered
        self._until = deadline
        self._together = self._deadlines.watch(self, deadline)
        transport.write(request)
        return None

    async def exchange(
        self, request: bytes, deadline: float, permitted: Permitted = always_permitted
    ) -> Answer | Withheld:
        """Write a request, and wait for the answer.

        Cancellation closes the connection, since a response may still arrive on it.
        """
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        refused = self.begin(request, deadline, permitted, partial(_set, waiter))
        if refused is not None:
            return refused
        try:
            return await waiter
        finally:
            if not waiter.done() or waiter.cancelled():
                self.abandon()

    def abandon(self) -> None:
        """Close at once, and report no answer."""
        self._end()
        self.abort()

    def _end(self) -> TakesAnswer | None:
        """End the exchange; return the function that takes its answer."""
        answered, self._answered = self._answered, None
        self._together.discard(self)
        return answered

    def _closed_before(self) -> TransportFailure:
        """Return why the connection ended before it could carry a request."""
        known = self.lost.done() and not self.lost.cancelled()
        refusal = refused_by_alert(self.lost.result()) if known else None
        if refusal is not None:
            return TransportFailure(FailureKind.TLS, f"TLS refused: {refusal}")
        return TransportFailure(FailureKind.DISCONNECTED, "the connection was closed")

    def abort(self) -> None:
        """Close at once and discard unwritten and unread data."""
        self._keep = False
        if self._transport is not None:
            self._transport.abort()

    # Called by the transport.

    def data_received(self, data: bytes) -> None:
        """Parse more of the response."""
        if self._answered is None:
            # Unsolicited: a second response to one request, or a 408 that closes an idle
            # connection. It must never be taken for the response to the next request.
            self.abort()
            return
        if self._received < len(_BEGINS) and not self._headed:
            at = self._received
            self.answered_strangely |= data[: len(_BEGINS) - at] != _BEGINS[at : at + len(data)]
        self._received += len(data)
        if self.answered_strangely and not self._status and self._of_another_protocol(data):
            self._keep = False
            self._finish(
                FailureKind.PROTOCOL, "not an HTTP response: it does not begin with HTTP/"
            )
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._garbled(error)
            return
        if self._complete or self._body_size > self._max_response_bytes:
            self._finish(FailureKind.PROTOCOL, "no status")
        elif self._received > (self._max_received if self._headed else MAX_HEAD):
            self._finish(FailureKind.PROTOCOL, f"response headers above {MAX_HEAD} bytes")
        elif self._headed and not self._patience:
            self._patience = True
            self._lose_patience_at(self._loop.time() + BODY_PATIENCE)

    def _of_another_protocol(self, data: bytes) -> bool:
        """Return whether the data does not begin like HTTP: the parser accepts RTSP and ICE as well.

        Empty lines before a status line are allowed.
        """
        if len(self._beginning) < len(_BEGINS):
            self._beginning = (self._beginning + data).lstrip(b"\r\n")[: len(_BEGINS)]
        return not _BEGINS.startswith(self._beginning)

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete the exchange: with the status line if received, else with how the connection ended."""
        if not self.lost.done():
            self.lost.set_result(exc)
        self._transport = None
        self._keep = False
        refusal = refused_by_alert(exc)
        if self._answered is not None and refusal is not None and self.silent:
            self._finish(FailureKind.TLS, f"TLS refused: {refusal}")
        elif self._answered is not None:
            how = "reset" if isinstance(exc, ConnectionResetError) else "closed"
            when = "before any response" if self.silent else "within the response's headers"
            self._finish(FailureKind.DISCONNECTED, f"connection {how} {when}")

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Refuse a second response, which would overwrite the requested one.

        The state of an interim response (100, 103) is reset for the one that follows.

        Raises:
            UnaskedResponse: A second response begins; it ends the parse.
        """
        if self._complete:
            raise UnaskedResponse("more follows than one response")
        self._retry_after = None
        self._words = None
        self._announced = False
        self.idle_limit = None

    def on_status(self, _: bytes) -> None:
        """Store the status: from here on the answer is decided, unless it is an interim one.

        Raises:
            NoStatus: The version is not HTTP/1.0 or 1.1. HTTP/2 (RFC 9113) and HTTP/0.9 have no
                status lines. It ends the parse.
        """
        version = self._parser.get_http_version()
        if not version.startswith("1."):
            raise NoStatus(f"it is of HTTP/{version}, but the request was HTTP/1.1")
        code: int = self._parser.get_status_code()
        if code >= HTTPStatus.OK or code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._status = code

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that are used; the length of the name excludes nearly all others.

        A trailer comes too late.
        """
        if len(name) not in _LENGTHS or self._headed:
            return
        name = name.lower()
        if name == b"content-length":
            self._announced |= value.strip(b"0") != b""
        elif name == b"transfer-encoding":
            self._announced = True
        elif name == b"keep-alive":
            self.idle_limit = _idle_limit(value[:_MAX_KEEP_ALIVE_HINT])
        elif name == b"retry-after":
            self._retry_after = value[:_MAX_RETRY_AFTER]
        elif name in (_DELIVERY, _RATE_LIMIT):
            self._keep_words(name, value)

    def _keep_words(self, name: bytes, value: bytes) -> None:
        """Keep a header that controls hookstream."""
        if self._words is None:
            self._words = {}
        before = self._words.get(name)
        value = value if before is None else before + b", " + value
        # One byte more than allowed shows later that there was more.
        self._words[name] = value[: _MAX_WORDS + 1]

    def on_headers_complete(self) -> None:
        """Handle the end of the head (and the status, if the line has no reason phrase).

        Raises:
            NoStatus: The status is below 100, or as `on_status`; it ends the parse.
        """
        if self._parser.get_status_code() < _LEAST_STATUS:
            raise NoStatus(f"its status is below {_LEAST_STATUS}")
        if not self._status:
            self.on_status(b"")
        self._headed = self._status > 0

    def on_body(self, data: bytes) -> None:
        """Keep the start of the body, count the rest."""
        self._body_size += len(data)
        missing = EXCERPT_BYTES - len(self._excerpt)
        if missing > 0:
            self._excerpt += data[:missing]

    def on_message_complete(self) -> None:
        """Handle the end of the response; an interim one (100, 103) is not the end."""
        if self._status:
            self._complete = True
            # An announced body may follow, and would be taken for the next response.
            lies = self._announced and self._status in _BODILESS
            self._keep = self._parser.should_keep_alive() and not lies

    # End of an exchange.

    def _garbled(self, error: Exception) -> None:
        """Handle data that is not a valid response. Our own defects are not treated as invalid data."""
        ours = isinstance(error, httptools.HttpParserCallbackError)
        if ours and not isinstance(error.__context__, UnaskedResponse | NoStatus):
            raise error
        self._keep = False
        why = error.__context__ if ours else error
        self._finish(FailureKind.PROTOCOL, f"not an HTTP response: {why}")

    def late(self) -> None:
        """Handle the timeout of the attempt, or of the rest of its body."""
        self._finish(FailureKind.TIMEOUT, "no response in time")

    def _lose_patience_at(self, until: float) -> None:
        if until < self._until:
            self._together.discard(self)
            self._together = self._deadlines.watch(self, until)

    def _finish(self, kind: FailureKind, detail: str) -> None:
        """Complete with the status if there is one, else with the failure; keep a clean connection only."""
        answered, answer = self._end(), None
        if answered is not None:
            answer = self._answer(kind, detail)
        if not self._keep:
            self.abort()
        if answered is not None and answer is not None:
            # Last, since it may begin the next exchange.
            answered(answer)

    def _answer(self, kind: FailureKind, detail: str) -> Answer | Exception:
        if not self._status:
            return TransportFailure(kind, detail)
        after = self._retry_after
        try:
            answer = Response(
                self._status,
                after.decode("latin-1") if after is not None else None,
                excerpt_of(self._excerpt) if self._excerpt else None,
            )
            if self._words is not None:
                answer.words = _words(self._words)
        except Exception as error:  # noqa: BLE001  otherwise the exchange would never end
            self._keep = False
            return error
        return answer


def _set(waiter: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    """Resolve a waiter with an answer, unless it was cancelled meanwhile."""
    if waiter.done():
        return
    if isinstance(answer, Exception):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)


def _words(found: dict[bytes, bytes]) -> Words | None:
    """Return the headers that control hookstream; None if there are none within bounds."""
    texts = {
        name: value.decode("latin-1") for name, value in found.items() if len(value) <= _MAX_WORDS
    }
    if not texts:
        return None
    return Words(texts.get(_DELIVERY), texts.get(_RATE_LIMIT))


def _idle_limit(value: bytes) -> float | None:
    """Return the seconds of `Keep-Alive: timeout=5, max=100`, or None if there is no timeout."""
    for part in value.split(b","):
        name, _, number = part.strip().partition(b"=")
        if name.lower() == b"timeout" and number.isdigit():
            return float(number)
    return None
