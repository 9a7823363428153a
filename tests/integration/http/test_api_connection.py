"""The way to an API, over real sockets: what is sent, and what becomes of an answer that cannot be taken."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from hookstream.adapters.http import api_connection
from hookstream.adapters.http.api_connection import ApiConnection
from hookstream.entry.cli.context import Context
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused

pytestmark = pytest.mark.real_time


WHOLE = (b"6\r\none\ntw\r\n", b"2\r\no\n\r\n", b"0\r\n\r\n")
CHUNKS = {
    "/whole": WHOLE,
    "/cut/between": WHOLE[:2],
    "/cut/within": (WHOLE[0], b"2\r\no"),
    "/cut/line": (WHOLE[0], WHOLE[2]),
}


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """Yield a server's address, and the requests that it got; it answers 201, elsewhere with a redirect."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append((self.path, headers, body))
            moved = self.path.startswith("/moved")
            self.send_response(302 if moved else 201)
            if moved:
                self.send_header("Location", "http://192.0.2.1/")
            self.send_header("X-Thing", "yes")
            self.end_headers()
            self.wfile.write(b"answer")

        def do_GET(self) -> None:
            """Answer with lines in chunks, as far as the path says."""
            if self.path == "/refused":
                self.send_error(429)
                return
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in CHUNKS[self.path]:
                self.wfile.write(chunk)

        def log_request(self, *_: object) -> None:
            """Write no log."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{made.server_port}", seen=seen)
    made.shutdown()
    made.server_close()
    thread.join()


def test_a_request_has_the_path_the_token_and_the_body(server: SimpleNamespace) -> None:
    connection = ApiConnection(server.url + "/front/", "hs_token")
    for _ in range(2):
        reply = connection.send("POST", "/v1/things?a=b", {"If-Match": "*"}, b"{}")
        assert (reply.status, reply.headers["x-thing"], reply.body) == (201, "yes", b"answer")
    [(path, headers, body), _] = server.seen
    assert (path, body) == ("/front/v1/things?a=b", b"{}")
    assert (headers["authorization"], headers["if-match"]) == ("Bearer hs_token", "*")


def test_an_answer_in_lines_is_read_line_by_line(server: SimpleNamespace) -> None:
    with ApiConnection(server.url, "t").in_lines("/whole") as answer:
        assert (answer.reply.status, answer.reply.body) == (200, b"")
        assert [*answer.lines] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("path", [each for each in CHUNKS if each.startswith("/cut")])
def test_an_answer_in_lines_that_is_cut_off_is_not_taken_for_whole(
    server: SimpleNamespace, path: str
) -> None:
    with ApiConnection(server.url, "t").in_lines(path) as answer:
        assert next(answer.lines) == b"one\n"
        with pytest.raises(DependencyUnavailable, match="the API's answer is cut off"):
            assert [*answer.lines] == [b"two\n"]


def test_a_line_that_is_too_long_is_not_read(
    server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_connection, "_MOST_ANSWER", 3)
    with (
        ApiConnection(server.url, "t").in_lines("/whole") as answer,
        pytest.raises(DependencyUnavailable, match="a line of more than 3 bytes"),
    ):
        next(answer.lines)


def test_a_refusal_in_the_place_of_lines_is_whole(server: SimpleNamespace) -> None:
    with ApiConnection(server.url, "t").in_lines("/refused") as answer:
        assert (answer.reply.status, [*answer.lines]) == (429, [])
        assert b"429" in answer.reply.body
    with (
        pytest.raises(DependencyUnavailable, match="the API does not answer: "),
        ApiConnection("http://127.0.0.1:1", "t").in_lines("/whole"),
    ):
        pass


def test_a_redirect_is_not_followed(server: SimpleNamespace) -> None:
    assert ApiConnection(server.url + "/moved", "t").send("POST", "/v1", {}, None).status == 302


def test_an_answer_that_is_too_large_is_not_read(
    server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_connection, "_MOST_ANSWER", 5)
    with pytest.raises(DependencyUnavailable, match="more than 5 bytes"):
        ApiConnection(server.url, "t").send("POST", "/v1", {}, None)


def test_an_api_that_is_away_or_speaks_no_tls_is_said(server: SimpleNamespace) -> None:
    with pytest.raises(DependencyUnavailable, match="the API does not answer: ") as away:
        ApiConnection("http://127.0.0.1:1", "t").send("GET", "/v1/me", {}, None)
    assert "http://127.0.0.1:1: Connection refused. Check the URL" in str(away.value)
    with pytest.raises(DependencyUnavailable, match="the API does not answer: "):
        ApiConnection(server.url.replace("http:", "https:"), "t").send("GET", "/v1/me", {}, None)


def test_tls_checks_the_certificate() -> None:
    context = ApiConnection("https://api.example", "t")._tls  # noqa: SLF001
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("url", ["api.example", "ftp://api.example", "http://", "http://a:b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputRefused, match="--api"):
        ApiConnection(url, "t")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ü"])
def test_a_token_that_cannot_be_sent_is_refused_without_its_text(token: str) -> None:
    with pytest.raises(ConfigurationError, match="HOOKSTREAM_TOKEN") as refused:
        ApiConnection("http://api.example", token)
    assert not token or token not in str(refused.value)


def test_the_token_comes_from_the_environment_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    settings = {"api.token_file": str(file), "api.url": "http://set.example"}
    context = Context(None, {}, settings)
    assert (context.token, context.api_url) == ("from-file", "http://set.example")
    given = Context(None, {"HOOKSTREAM_TOKEN": "given"}, settings, api="http://given.example")
    assert (given.token, given.api_url) == ("given", "http://given.example")
    file.unlink()
    with pytest.raises(ConfigurationError, match="token: No such file"):
        Context(None, {}, settings).token  # noqa: B018  it reads the file
