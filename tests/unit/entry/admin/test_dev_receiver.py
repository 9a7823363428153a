"""The development receiver verifies as a partner would, and answers as configured."""

import json
from pathlib import Path

import pytest

from hookstream.adapters.dev.http_receiver import MAX_BODY_BYTES, Received
from hookstream.adapters.ed25519 import read_private_key, signer
from hookstream.core.delivery.signing import RequestHeaders, parse_secret, request_headers
from hookstream.entry.admin.dev_receiver import DevReceiver, Judged, schemas_of, secrets_of
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.receiver import BodySchema, Reason

PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = 1_614_265_330_000


def a_request(secret: str = SECRET, *, body: bytes | None = b"{}", at: int = NOW) -> Received:
    signed = RequestHeaders([parse_secret(secret)]).of(
        "msg_1", at // 1_000, body or b"", attempt=1, trigger="initial"
    )
    return Received("POST", "/", tuple(signed), body)


def judged(
    *requests: Received,
    secrets: tuple[str, ...] = (SECRET,),
    statuses: tuple[int, ...] = (204,),
    schemas: tuple[BodySchema, ...] = (),
) -> list[Judged]:
    found: list[Judged] = []
    receiver = DevReceiver(secrets, statuses, lambda: NOW, found.append, schemas)
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


def test_a_public_key_is_read_as_a_secret_is() -> None:
    assert secrets_of(["A"], [], {"A": f"{PUBLIC}\n"}) == [PUBLIC]


def test_a_request_that_is_signed_by_a_private_key_is_verified_by_its_public_key() -> None:
    signed = request_headers([signer(read_private_key(PRIVATE).seed)]).of(
        "msg_1", NOW // 1_000, b"{}", attempt=1, trigger="initial"
    )
    [found] = judged(Received("POST", "/", tuple(signed), b"{}"), secrets=(SECRET, PUBLIC))
    assert (found.verified, found.status) == (True, 204)


def schema_of(version: int) -> BodySchema:
    """A JSON Schema of one version."""
    return BodySchema(
        {"properties": {"version": {"const": version}}, "required": ["version", "id"]}
    )


@pytest.mark.parametrize("secrets", [(SECRET,), ()])
def test_a_body_that_is_valid_by_no_schema_is_answered_422_with_the_fewest_problems(
    secrets: tuple[str, ...],
) -> None:
    sound, strange = a_request(body=b'{"version":2,"id":"e"}'), a_request(body=b'{"version":2}')
    given = (schema_of(1), schema_of(2))
    found = judged(sound, strange, sound, secrets=secrets, statuses=(503, 204), schemas=given)
    assert [each.status for each in found] == [503, 422, 204]
    assert [each.valid for each in found] == [True, False, True]
    assert found[1].detail == "'id' is a required property"
    assert found[1].reason is None


def test_each_event_of_a_batch_must_be_valid() -> None:
    events = [{"version": 1, "id": "a"}, {"version": 3, "id": "b"}]
    body = json.dumps({"type": "hookstream.batch", "events": events}).encode()
    [found] = judged(a_request(body=body), schemas=(schema_of(1),))
    assert (found.verified, found.valid, found.status) == (True, False, 422)


def test_a_body_that_is_not_json_is_not_valid() -> None:
    [found] = judged(a_request(body=b"{"), schemas=(schema_of(1),))
    assert (found.valid, found.status) == (False, 422)
    assert found.detail.startswith("the body is not JSON")


def test_json_schemas_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({"required": ["id"]}))
    [schema] = schemas_of([file])
    # Raises otherwise.
    schema.check({"id": 1})


@pytest.mark.parametrize(
    ("text", "refusal", "said"),
    [
        ("{", InputRefused, "it is not JSON"),
        ("[]", InputRefused, "it is not a JSON Schema, which is an object"),
        ('{"type": 1}', ConfigurationError, "it is no JSON Schema"),
    ],
)
def test_a_file_that_is_no_json_schema_is_refused_by_name(
    tmp_path: Path, text: str, refusal: type[Exception], said: str
) -> None:
    file = tmp_path / "order.json"
    file.write_text(text)
    with pytest.raises(refusal, match=rf"order\.json: {said}"):
        schemas_of([file])


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "the variable A is not set"),
        ({"A": "secret-text"}, "A: the signing secret does not begin with whsec_"),
        ({"A": "whpk_secret-text"}, "A: the signing key is not base64 after whpk_"),
    ],
)
def test_an_invalid_secret_is_refused_by_name_and_never_quoted(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(InputRefused, match=f"^{said}$"):
        secrets_of(["A"], [], environ)
