"""An endpoint that refuses our side of TLS gives an outcome with what is missing, not "closed"."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from tests.doubles.certificates import certificate
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http import tls_contexts
from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.http.tls_words import refused_by_alert, words_of
from hookstream.core.model.outcome import Answer, FailureKind, TransportFailure, Withheld


@contextlib.contextmanager
def asking(context: ssl.SSLContext) -> Iterator[str]:
    """Serve TLS that requires a client certificate, and hang up as OpenSSL does: alert first."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection.dup() as kept:
                with contextlib.suppress(OSError):
                    context.wrap_socket(connection, server_side=True)
                with contextlib.suppress(OSError):
                    # What is unread at a close becomes a reset, which would overtake the alert.
                    kept.settimeout(5)
                    while kept.recv(4_096):
                        pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (
            ssl.TLSVersion.TLSv1_2,
            (
                "TLS handshake failed: the endpoint shares no TLS parameters with us; it may require a client"
                " certificate (handshake_failure)"
            ),
        ),
        (
            ssl.TLSVersion.TLSv1_3,
            (
                "TLS refused: the endpoint requires a client certificate, and none was given"
                " (certificate_required)"
            ),
        ),
    ],
)
def test_an_endpoint_that_requires_a_client_certificate_is_distinguished(
    tmp_path: Path, version: ssl.TLSVersion, said: str
) -> None:
    """On the loop that workers run on: which errors TLS reports depends on the loop."""
    context, pem = certificate(tmp_path, "127.0.0.1", days=36_500)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pem)
    context.minimum_version = context.maximum_version = version

    async def attempt(url: str) -> Answer | Withheld:
        tls = ssl.create_default_context(cafile=str(pem))
        async with HttpSender(anywhere, tls=tls) as sender:
            return await sender.send(post(url))

    with asking(context) as url:
        answer = uvloop.run(attempt(url))
    assert answer == TransportFailure(FailureKind.TLS, said)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_endpoint_that_speaks_only_old_tls_is_named_as_such(tmp_path: Path) -> None:
    context, pem = certificate(tmp_path, "127.0.0.1", days=36_500)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    async def attempt(url: str) -> Answer | Withheld:
        tls = tls_contexts.machine_context()
        tls.load_verify_locations(pem)
        async with HttpSender(anywhere, tls=tls) as sender:
            return await sender.send(post(url))

    with asking(context) as url:
        answer = uvloop.run(attempt(url))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.TLS
    assert "the endpoint supports no TLS version that we accept (1.2 and later)" in answer.detail


def test_a_tls_alert_without_a_description_is_named_as_it_is() -> None:
    assert words_of("TLSV1_ALERT_INTERNAL_ERROR") == "TLSV1_ALERT_INTERNAL_ERROR"
    assert words_of("WRONG_VERSION_NUMBER") == "WRONG_VERSION_NUMBER"
    assert words_of(None) == "no reason was given"


@pytest.mark.parametrize("error", [None, ConnectionResetError(), ssl.SSLEOFError()])
def test_a_connection_that_ended_otherwise_was_refused_by_no_alert(
    error: Exception | None,
) -> None:
    assert refused_by_alert(error) is None
