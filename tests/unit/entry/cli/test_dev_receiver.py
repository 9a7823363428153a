"""What `hookstream dev receiver` prints of a request, whatever it contains."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hookstream.adapters.dev.http_receiver import Received
from hookstream.entry.admin import dev_receiver
from hookstream.entry.cli.root import root

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def run(
    monkeypatch: pytest.MonkeyPatch, request: Received | None, *options: str
) -> tuple[Result, list[int]]:
    """Run the command with one request in place of a socket."""
    answers: list[int] = []

    async def receive(
        port: int,
        answer: Callable[[Received], int],
        listening: Callable[[str], None],
        limit: int | None,
    ) -> None:
        await asyncio.sleep(0)
        listening(f"http://127.0.0.1:{port}/ {limit}")
        if request is not None:
            answers.append(answer(request))

    monkeypatch.setattr(dev_receiver, "receive", receive)
    runner = CliRunner(env={"HOOKSTREAM_CONFIG": None, "SECRET": SECRET})
    return runner.invoke(root, ["dev", "receiver", *options]), answers


def shown(monkeypatch: pytest.MonkeyPatch, body: bytes | None, *options: str) -> str:
    request = Received("POST", "/hooks?a=b", (("Webhook-Id", "msg_1"), ("X-A", "\udcff")), body)
    result, _ = run(monkeypatch, request, *options)
    assert result.exit_code == 0
    return result.stdout


def test_the_url_is_printed_on_standard_error_with_what_is_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_one, _ = run(monkeypatch, None, "--port", "8080", "-n", "3", "--secret-env", "SECRET")
    with_none, _ = run(monkeypatch, None)
    assert (with_one.stdout, with_one.stderr) == ("", "Listening on http://127.0.0.1:8080/ 3\n")
    assert with_none.stderr == (
        "Listening on http://127.0.0.1:0/ None; no secret was given, so nothing is verified\n"
    )


def test_a_request_is_printed_with_its_verdict_headers_and_indented_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = '{"price":1.50,"far":123456789012345678,"who":"Zoë\u202e"}'.encode()
    assert shown(monkeypatch, body) == (
        "not verified: no secret was given; answered 204\n"
        "  POST /hooks?a=b\n"
        "  webhook-id: msg_1\n"
        "  x-a: \\udcff\n"
        "\n"
        "  {\n"
        '    "price": 1.50,\n'
        '    "far": 123456789012345678,\n'
        '    "who": "Zoë\\u202e"\n'
        "  }\n"
        "\n"
    )


def test_a_body_that_is_not_valid_is_printed_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "order.json"
    file.write_text('{"required": ["id"]}')
    request = Received("POST", "/", (), b"{}")
    result, answers = run(monkeypatch, request, "--json-schema", str(file))
    first, *_ = result.stdout.splitlines()
    assert first == "not verified, not valid: 'id' is a required property; answered 422"
    assert answers == [422]


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        (b"not JSON", "not JSON"),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b'{"a":123456789012345678901234567890}', '{"a":123456789012345678901234567890}'),
        (b"[" * 5_000, "[" * 5_000),
        (b"\x1b[2J\xc2\x9b", "\\x1b[2J\\x9b"),
        (b"\xff\x00" * 100, f"200 bytes, not UTF-8: {'ff00 ' * 31}ff00…"),
        (None, "(not read)"),
        (b"", ""),
    ],
)
def test_a_body_that_is_no_plain_json_is_printed_as_text_or_bytes(
    monkeypatch: pytest.MonkeyPatch, body: bytes | None, printed: str
) -> None:
    _, _, last = shown(monkeypatch, body).partition("\n\n")
    assert last == (f"  {printed}\n\n" if printed else "\n\n")


def test_a_line_of_a_body_never_looks_like_one_of_the_receivers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = shown(monkeypatch, b"\nverified; answered 204\r\nPOST /").splitlines()
    assert [line for line in lines[1:] if line and not line.startswith("  ")] == []


def test_no_more_of_a_long_body_is_printed_than_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nested = b"[" * 90 + b"1," * 100_000 + b"1" + b"]" * 90
    printed = shown(monkeypatch, nested)
    assert len(printed) < 70_000
    assert "134,645 more bytes: --json prints them" in printed


def test_json_has_one_object_a_line_with_the_text_that_was_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice = (("A", "1"), ("a", "2"), ("webhook-id", "\udcff"))
    text, _ = run(monkeypatch, Received("PUT", "/", twice, b'{"n": 1.50}'), "--json")
    other, _ = run(
        monkeypatch, Received("PUT", "/", (), b"\xff"), "--json", "--secret-env", "SECRET"
    )

    found = json.loads(text.stdout)
    assert found.pop("at").endswith("Z")
    assert found == {
        "verified": None,
        "reason": None,
        "detail": "no secret was given",
        "status": 204,
        "method": "PUT",
        "target": "/",
        "headers": {"a": "1, 2", "webhook-id": "\udcff"},
        "body": '{"n": 1.50}',
        "body_base64": None,
    }
    found = json.loads(other.stdout)
    assert (found["verified"], found["reason"]) == (False, "missing_header")
    assert (found["body"], found["body_base64"], text.stdout.count("\n")) == (None, "/w==", 1)


def test_statuses_are_given_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Received("POST", "/", (), b"")
    assert run(monkeypatch, request, "--status", "503", "--status", "204")[1] == [503]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--secret-env", "MISSING"), "hookstream: the variable MISSING is not set"),
        (("--secret-file", "no/such"), "hookstream: no/such: No such file or directory"),
        (("--status", "199"), "Invalid value for '--status'"),
        (("--port", "65536"), "Invalid value for '--port'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result, _ = run(monkeypatch, None, *options)
    assert (result.exit_code, said in result.stderr) == (2, True)
