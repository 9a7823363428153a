"""The development receiver verifies as a partner would, and answers as configured."""

from pathlib import Path

import pytest

from hookstream.adapters.dev.http_receiver import MAX_BODY_BYTES, Received
from hookstream.core.delivery.signing import RequestHeaders, parse_secret
from hookstream.entry.admin.dev_receiver import DevReceiver, Judged, secrets_of
from hookstream.errors import InputRefused
from hookstream.receiver import Reason

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = 1_614_265_330_000


def a_request(secret: str = SECRET, *, body: bytes | None = b"{}", at: int = NOW) -> Received:
    signed = RequestHeaders([parse_secret(secret)]).of(
        "msg_1", at // 1_000, body or b"", attempt=1, trigger="initial"
    )
    return Received("POST", "/", tuple(signed), body)


def judged(
    *requests: Received, secrets: tuple[str, ...] = (SECRET,), statuses: tuple[int, ...] = (204,)
) -> list[Judged]:
    found: list[Judged] = []
    receiver = DevReceiver(secrets, statuses, lambda: NOW, found.append)
    answers = [receiver.answer(request) for request in requests]
    assert answers == [each.status for each in found]
    return found


def test_a_genuine_request_is_verified_and_answered_with_the_status() -> None:
    request = a_request()
    assert judged(request) == [
        Judged(NOW, request, verified=True, reason=None, detail="", status=204)
    ]


def test_either_secret_verifies_while_one_replaces_the_other() -> None:
    found = judged(a_request(), a_request(OTHER), secrets=(OTHER, SECRET))
    assert [each.verified for each in found] == [True, True]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (a_request(OTHER), Reason.WRONG_SIGNATURE),
        (a_request(at=NOW - 301_000), Reason.TOO_OLD),
        (Received("GET", "/", (), b""), Reason.MISSING_HEADER),
        (Received("POST", "/", (("webhook-id", "\udcff"),), b""), Reason.BAD_HEADER),
    ],
)
def test_what_is_not_genuine_is_answered_401_with_the_reason(
    request_: Received, reason: Reason
) -> None:
    [found] = judged(request_)
    assert (found.verified, found.reason, found.status) == (False, reason, 401)
    assert found.detail


def test_statuses_are_answered_in_turn_and_a_forged_request_takes_none() -> None:
    genuine, forged = a_request(), a_request(OTHER)
    found = judged(genuine, forged, genuine, genuine, genuine, statuses=(503, 429, 200))
    assert [each.status for each in found] == [503, 401, 429, 200, 200]


def test_without_a_secret_nothing_is_verified_and_each_request_is_answered() -> None:
    [found] = judged(a_request(), secrets=())
    assert (found.verified, found.reason, found.status) == (None, None, 204)
    assert found.detail == "no secret was given"


def test_a_body_that_is_too_large_is_answered_413() -> None:
    [found] = judged(a_request(body=None))
    assert (found.verified, found.status) == (None, 413)
    assert f"{MAX_BODY_BYTES:,} bytes" in found.detail


def test_secrets_come_from_variables_and_files_as_subscriptions_name_them(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbf" + f"{OTHER}\n".encode())
    assert secrets_of(["A"], [file], {"A": f" {SECRET}\n"}) == [SECRET, OTHER]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "the variable A is not set"),
        ({"A": "secret-text"}, "A: the signing secret does not begin with whsec_"),
    ],
)
def test_an_invalid_secret_is_refused_by_name_and_never_quoted(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(InputRefused, match=f"^{said}$"):
        secrets_of(["A"], [], environ)
