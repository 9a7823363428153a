"""A receiver accepts what is genuine and fresh, and marks it as handled once its handler succeeded."""

import datetime as dt
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from hookstream.errors import InputRefused
from hookstream.receiver import (
    BeingHandled,
    Reason,
    SeenIds,
    VerificationFailed,
    Verified,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = 1_614_265_330
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
GENUINE = Verified("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW)


def reason_of(
    headers: Mapping[str, str], *, body: bytes = BODY, now: float = NOW, secret: str = SECRET
) -> Reason:
    with pytest.raises(VerificationFailed) as caught:
        verify(headers, body, [secret], now)
    return caught.value.reason


def test_the_published_vector_is_genuine() -> None:
    """Standard Webhooks' own example, as eight libraries test it."""
    assert verify(HEADERS, BODY, [SECRET], NOW) == GENUINE


def test_the_case_of_header_names_does_not_matter() -> None:
    upper = {name.upper(): value for name, value in HEADERS.items()}
    assert verify(upper, BODY, [SECRET], NOW) == GENUINE


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET]])
def test_either_secret_will_do_while_one_replaces_the_other(secrets: list[str]) -> None:
    assert verify(HEADERS, BODY, secrets, NOW) == GENUINE


def test_any_of_several_signatures_will_do() -> None:
    signatures = f"v1a,abc nonsense v1,AAAA {HEADERS['webhook-signature']}"
    assert verify({**HEADERS, "webhook-signature": signatures}, BODY, [SECRET], NOW) == GENUINE


@given(st.binary(max_size=200), st.text("abcXYZ_019", min_size=1), st.integers(0, 4_000_000_000))
def test_whatever_an_independent_library_signs_is_genuine(body: bytes, name: str, at: int) -> None:
    when = dt.datetime.fromtimestamp(at, dt.UTC)
    text = body.decode("latin-1")
    headers = {
        "webhook-id": f"msg_{name}",
        "webhook-timestamp": str(at),
        "webhook-signature": Webhook(SECRET).sign(f"msg_{name}", when, text),
    }
    assert verify(headers, text.encode(), [SECRET], at) == Verified(f"msg_{name}", at)


@pytest.mark.parametrize("name", HEADERS)
def test_each_header_is_needed(name: str) -> None:
    rest = {key: value for key, value in HEADERS.items() if key != name}
    assert reason_of(rest) is Reason.MISSING_HEADER
    assert reason_of({**HEADERS, name: ""}) is Reason.BAD_HEADER
    assert reason_of({**HEADERS, name: "1" * 5_000}) is Reason.BAD_HEADER


@pytest.mark.parametrize("name", HEADERS)
def test_a_byte_that_is_not_text_is_a_bad_header(name: str) -> None:
    """Some frameworks pass such a byte as half a surrogate, which cannot be encoded again."""
    assert reason_of({**HEADERS, name: f"{HEADERS[name]}\udcff"}) is Reason.BAD_HEADER


@pytest.mark.parametrize("stamp", ["x", "-1", "1.5", "\u0661", "01614265330", "9" * 4000])
def test_a_timestamp_is_a_plain_whole_number(stamp: str) -> None:
    assert reason_of({**HEADERS, "webhook-timestamp": stamp}) is Reason.BAD_HEADER


def test_a_request_is_fresh_for_five_minutes_either_way() -> None:
    """A copied request must not be accepted tomorrow."""
    assert verify(HEADERS, BODY, [SECRET], NOW + 300) == GENUINE
    assert verify(HEADERS, BODY, [SECRET], NOW - 300) == GENUINE
    assert reason_of(HEADERS, now=NOW + 301) is Reason.TOO_OLD
    assert reason_of(HEADERS, now=NOW - 301) is Reason.TOO_NEW


def test_a_changed_body_id_time_or_secret_is_not_believed() -> None:
    wrong = [
        reason_of(HEADERS, body=BODY + b" "),
        reason_of({**HEADERS, "webhook-id": "msg_other"}),
        reason_of({**HEADERS, "webhook-timestamp": "1614265331"}),
        reason_of(HEADERS, secret=OTHER),
        reason_of({**HEADERS, "webhook-signature": "v1,"}),
    ]
    assert wrong == [Reason.WRONG_SIGNATURE] * 5


def test_an_invalid_secret_is_the_receivers_own_mistake() -> None:
    with pytest.raises(InputRefused) as caught:
        verify(HEADERS, BODY, ["whsec_%%%%"], NOW)
    assert "%%%%" not in str(caught.value)


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(VerificationFailed):
        verify(HEADERS, BODY, [], NOW)


# Acting once.


def test_a_webhook_is_handled_once() -> None:
    guard = SeenIds()
    turns = []
    for _ in range(3):
        with guard.handling("msg_1", NOW) as first:
            turns.append(first)
    assert turns == [True, False, False]


def test_a_handler_that_fails_gets_the_webhook_again() -> None:
    """An id that counted as seen before the work was done would lose the event."""
    guard = SeenIds()
    with pytest.raises(RuntimeError), guard.handling("msg_1", NOW):
        raise RuntimeError
    with guard.handling("msg_1", NOW) as first:
        assert first


def test_a_copy_that_arrives_meanwhile_is_rejected() -> None:
    """It must not be answered 2xx: the running handler may still fail."""
    guard = SeenIds()
    with guard.handling("msg_1", NOW), pytest.raises(BeingHandled), guard.handling("msg_1", NOW):
        pass


def test_ids_are_forgotten_after_their_time() -> None:
    guard = SeenIds(keep=10)
    for at, expected in ((0, True), (9, False), (10, True)):
        with guard.handling("msg_1", at) as first:
            assert first is expected


def test_no_more_ids_are_kept_than_the_bound() -> None:
    guard = SeenIds(most=3)
    for number in range(10):
        with guard.handling(f"msg_{number}", NOW):
            pass
    assert len(guard) == 3
    with guard.handling("msg_9", NOW) as first:
        assert not first


names = st.sampled_from(
    ("webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE", "webhook-signature", "", "x")
)
values = st.text(max_size=40) | st.sampled_from(
    ("", "²", "١٢٣", "9" * 5_000, "-1", "1e9", "v1,", "v1,\ud800", "v1, " * 2_000, "\x00")
)


@given(st.dictionaries(names, values), st.binary(max_size=20))
def test_an_unknown_request_is_refused_and_raises_nothing_else(
    headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(VerificationFailed):
        verify(headers, body, [SECRET], 1_795_000_000)
