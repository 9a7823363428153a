import base64

import pytest

from hookstream.core.delivery.signing import (
    USER_AGENT,
    RequestHeaders,
    Signer,
    header_problem,
    parse_secret,
    request_headers,
    reserved,
    signature,
    write_secret,
)
from hookstream.errors import InputRefused

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("secret", "webhook_id", "timestamp_s", "body", "expected"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            # 18 bytes, from before the specification set a lower bound: signed, never accepted.
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_the_published_vectors_are_reproduced(
    secret: str, webhook_id: str, timestamp_s: int, body: bytes, expected: str
) -> None:
    """The vectors that are published: what every receiver in the field computes."""
    key = base64.b64decode(secret.removeprefix("whsec_"))

    assert signature([key], webhook_id, timestamp_s, body) == expected


def test_each_live_secret_signs_once_in_order() -> None:
    """While secrets rotate, a receiver may know either one."""
    old, new = bytes(24), KEY

    found = signature([new, old], "msg_1", 1, b"{}")

    assert found == f"{signature([new], 'msg_1', 1, b'{}')} {signature([old], 'msg_1', 1, b'{}')}"


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_is_read_back_as_it_was_written(length: int) -> None:
    key = bytes(range(length))

    assert parse_secret(write_secret(key)) == key


def test_a_secret_may_leave_its_padding_out() -> None:
    text = write_secret(bytes(25))

    assert parse_secret(text.rstrip("=")) == bytes(25)


@pytest.mark.parametrize(
    "text",
    [
        "w",
        "",
        "whsec_",
        "whsec_%",
        "whsec_wronglength",
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "whsec_" + "A" * 24 + "\n",
        "whsec_" + "A" * 31 + "=A",
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        "whsk_6Xb/dCcHpPea21PS1N9VY",
        "secret_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        write_secret(bytes(23)),
        write_secret(bytes(65)),
        "whsec_ümläut",
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(text: str) -> None:
    """A refusal may be logged; the secret must not be with it."""
    with pytest.raises(InputRefused) as refusal:
        parse_secret(text)

    shown = f"{refusal.value!r} {refusal.value.__cause__!r}"
    rest = text.partition("_")[2]
    assert not rest or rest not in shown


def test_all_headers_of_an_attempt_are_made_at_once() -> None:
    headers = RequestHeaders([KEY], [("authorization", "Bearer x"), ("x-tenant", "7")])

    found = headers.of("msg_1", 1700000000, b"{}", attempt=3, trigger="retry")

    assert found == [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", signature([KEY], "msg_1", 1700000000, b"{}")),
        ("hookstream-attempt", "3"),
        ("hookstream-trigger", "retry"),
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
        ("authorization", "Bearer x"),
        ("x-tenant", "7"),
    ]


@pytest.mark.parametrize("signers", [[KEY], [KEY, lambda _: b"signed"]])
def test_the_media_type_of_a_body_is_a_header_of_each_attempt(signers: list[Signer]) -> None:
    headers = request_headers(signers, [], "application/cloudevents+json")
    found = dict(headers.of("msg_1", 1, b"", attempt=1, trigger="initial"))
    assert found["content-type"] == "application/cloudevents+json"


def test_a_static_header_can_never_replace_one_of_ours() -> None:
    """The table may have been written by something that did not check."""
    headers = RequestHeaders([KEY], [("Webhook-Signature", "v1,forged"), ("HOST", "internal")])

    found = headers.of("msg_1", 1, b"", attempt=1, trigger="initial")

    assert [name for name, _ in found] == [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "hookstream-attempt",
        "hookstream-trigger",
        "content-type",
        "user-agent",
    ]


@pytest.mark.parametrize(
    "name",
    ["webhook-id", "Webhook-Extra", "hookstream-x", "Host", "CONTENT-LENGTH", "te", "traceparent"],
)
def test_headers_that_frame_or_sign_a_request_are_reserved(name: str) -> None:
    assert reserved(name)


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "cookie", "accept"])
def test_headers_that_endpoints_need_are_not_reserved(name: str) -> None:
    assert not reserved(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("x y", "x"),
        ("x:", "x"),
        ("x" * 65, "x"),
        ("x-ü", "x"),
        ("x-a\n", "x"),
        ("host", "x"),
        ("x-a", ""),
        ("x-a", "a\r\nx-b: c"),
        ("x-a", "a\n"),
        ("x-a", " padded"),
        ("x-a", "\x00"),
        ("x-a", "ü"),
        ("x-a", "v" * 1025),
    ],
)
def test_a_static_header_that_could_break_a_request_is_refused(name: str, value: str) -> None:
    problem = header_problem(name, value)

    assert problem is not None
    assert len(value) < 4 or value not in problem


@pytest.mark.parametrize("value", ["x", "Bearer a.b-c_d", "a\tb", "v" * 1024])
def test_an_ordinary_static_header_passes(value: str) -> None:
    assert header_problem("x-api-key", value) is None
