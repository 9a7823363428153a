"""Which token an answer grants, for how long it lives, and what a refusal may say."""

from dataclasses import replace

import pytest

from hookstream.core.delivery.tokens import (
    Token,
    basic,
    client_authorization,
    form_of,
    granted,
    refusal,
)
from hookstream.core.model.endpoint_identity import TokenRequest
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import ClientAuth

REQUEST = TokenRequest("acme", "https://login.example/token", "kim@acme", "p:s w&rd", ("a", "b"))


def test_a_token_is_requested_as_rfc_6749_has_it() -> None:
    assert form_of(REQUEST) == "grant_type=client_credentials&scope=a+b"
    # Basic of "kim%40acme:p%3As+w%26rd": both parts are form-encoded first (2.3.1).
    assert client_authorization(REQUEST) == "Basic a2ltJTQwYWNtZTpwJTNBcyt3JTI2cmQ="


def test_a_client_in_the_body_is_in_no_header() -> None:
    request = replace(REQUEST, client_auth=ClientAuth.BODY)
    assert form_of(request) == (
        "grant_type=client_credentials&scope=a+b&client_id=kim%40acme&client_secret=p%3As+w%26rd"
    )
    assert client_authorization(request) is None


def test_a_name_and_password_are_encoded_as_rfc_7617_has_it() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (3600, 3600),
        ("1800", 1800),
        (3600.5, 3600.5),
        (None, 300),
        (True, 300),
        ("soon", 300),
        (0, 30),
        (-5, 30),
        (1e400, 86_400),
        (10**29, 86_400),
        (float("nan"), 86_400),
        ("9" * 5_000, 300),
        ([], 300),
    ],
)
def test_a_life_is_clamped_to_what_can_be_kept_up(expires_in: Json, life: float) -> None:
    document: Json = {"access_token": "t0k", "token_type": "bearer", "expires_in": expires_in}
    token = granted(document, 1_000.0, 0.5)
    assert isinstance(token, Token)
    assert token == Token("t0k", 1_000.0, token.renew_at, 1_000.0 + life)
    assert token.renew_at == pytest.approx(1_000 + 0.8 * life)


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.7), (1.0, 0.9)])
def test_a_renewal_is_drawn_between_70_and_90_percent_of_the_life(
    drawn: float, share: float
) -> None:
    token = granted({"access_token": "t", "expires_in": 100}, 0.0, drawn)
    assert isinstance(token, Token)
    assert token.renew_at == pytest.approx(100 * share)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "the answer is not a JSON object"),
        ([], "the answer is not a JSON object"),
        ({}, "the answer has no access_token"),
        ({"access_token": ""}, "the answer has no access_token"),
        ({"access_token": 7}, "the answer has no access_token"),
        ({"access_token": "a\r\nx-evil: 1"}, "is not printable ASCII"),
        ({"access_token": "a b"}, "is not printable ASCII"),
        ({"access_token": "ü"}, "is not printable ASCII"),
        ({"access_token": "a\n"}, "is not printable ASCII"),
        ({"access_token": "a" * 8_193}, "is not printable ASCII of at most 8192"),
        ({"access_token": "a", "token_type": "mac"}, "the token_type is not Bearer"),
        ({"access_token": "a", "token_type": None}, "the token_type is not Bearer"),
    ],
)
def test_an_answer_without_a_usable_token_says_what_is_wrong_without_quoting_it(
    document: Json, why: str
) -> None:
    found = granted(document, 0.0, 0.5)
    assert isinstance(found, str)
    assert why in found
    assert "evil" not in found


def test_a_refusal_shows_the_status_and_known_codes_only() -> None:
    assert refusal(401, {"error": "invalid_client", "error_description": "s3cret"}) == (
        "the token server answered 401 (invalid_client)"
    )
    assert refusal(400, {"error": "s3cret"}) == "the token server answered 400"
    assert refusal(302, None) == "the token server answered 302"
    assert refusal(400, {"error": ["invalid_client"]}) == "the token server answered 400"


def test_a_secret_is_in_no_repr() -> None:
    assert "p:s w&rd" not in repr(REQUEST)
    assert "t0ken" not in repr(granted({"access_token": "t0ken"}, 0.0, 0.5))
