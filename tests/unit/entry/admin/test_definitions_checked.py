"""Definitions are checked by the TLS library and the settings before any broker is asked."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.doubles.certificates import Authority, private_pem

from hookstream.adapters.x509 import valid_until
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definitions import FolderPlanner
from hookstream.settings import Settings

AUTHORITY = Authority("partners")
CLIENT, OTHER = AUTHORITY.issue("client"), AUTHORITY.issue("other")
MATERIAL = {
    "CERTIFICATE": CLIENT.certificate,
    "KEY": CLIENT.key,
    "CA": AUTHORITY.pem,
    "OTHERS_KEY": OTHER.key,
    "ENCRYPTED_KEY": private_pem(ec.generate_private_key(ec.SECP256R1()), b"pw"),
    "BROKEN": b"-----BEGIN CERTIFICATE-----\naHVzaA\n-----END CERTIFICATE-----",
}
UNUSABLE = "endpoint.auth.mtls: the client certificate and its key cannot be used"
SUBSCRIPTION = """
id: orders
partner: acme
endpoint:
  url: https://acme.example/h
  signing_secrets: [generate: true]
  auth: {{mtls: {{certificate: {{env: {certificate}}}, key: {{env: {key}}}}}}}
  ca: {{env: {ca}}}
event_types: [order.generated]
"""


def problems(folder: Path, text: str) -> list[str]:
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "orders.yaml").write_text(text)
    environ = {name: material.decode() for name, material in MATERIAL.items()}
    planner = FolderPlanner(Settings(), environ, folder, PlanOptions(), needs_keys=False)
    return [f"{each.path}: {each.why}" for each in planner.problems]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        (
            {"key": "OTHERS_KEY"},
            [f"{UNUSABLE}: the key belongs to another certificate"],
        ),
        (
            {"key": "ENCRYPTED_KEY"},
            ["endpoint.auth.mtls: the key of the client certificate is encrypted"],
        ),
        (
            {"certificate": "BROKEN"},
            [f"{UNUSABLE}: one of the two is not PEM"],
        ),
        (
            {"ca": "BROKEN"},
            ["endpoint.ca: the private authority `ca` is not a list of PEM certificates"],
        ),
    ],
)
def test_certificates_and_keys_are_checked_by_the_tls_library(
    tmp_path: Path, changed: dict[str, str], expected: list[str]
) -> None:
    names = {"certificate": "CERTIFICATE", "key": "KEY", "ca": "CA", **changed}
    assert problems(tmp_path, SUBSCRIPTION.format(**names)) == expected


def test_a_token_url_must_be_https_as_an_endpoint_must(tmp_path: Path) -> None:
    text = SUBSCRIPTION.format(certificate="CERTIFICATE", key="KEY", ca="CA")
    oauth2 = "{oauth2: {token_url: 'http://login.example/hush', client_id: a, client_secret: {env: KEY}}, "
    found = problems(tmp_path, text.replace("{mtls:", oauth2 + "mtls:"))
    assert found[0] == "endpoint.auth.oauth2.token_url: the URL must begin with https://"
    assert "hush" not in str(found)


def test_the_end_of_a_certificates_validity_is_read_from_its_first_certificate() -> None:
    issued = AUTHORITY.issue("client", days=366)
    end = int(dt.datetime(2021, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000
    assert valid_until(issued.certificate + AUTHORITY.pem) == end
    assert valid_until(b"") is None
    assert valid_until(MATERIAL["BROKEN"]) is None
