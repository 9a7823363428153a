"""Signing keys of both schemes are read as they are given, and generated as they sign."""

import pytest

from hookstream.adapters.ed25519 import private_key
from hookstream.adapters.signing_keys import generated_key, read_signing_key
from hookstream.core.delivery.jwks import jwk
from hookstream.core.delivery.signing import write_private_key, write_secret
from hookstream.core.model.subscription import SigningScheme
from hookstream.core.planning.declared import SigningKey
from hookstream.errors import InputRefused

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
"""The first example of RFC 8032, section 7.1."""


def test_the_prefix_says_what_key_it_is() -> None:
    private = write_private_key(private_key(SEED))
    assert read_signing_key(private) == SigningKey(SEED, SigningScheme.V1A, PUBLIC)
    assert read_signing_key(write_secret(SEED)) == SigningKey(SEED, SigningScheme.V1)


def test_a_public_key_cannot_sign() -> None:
    with pytest.raises(InputRefused, match="it is a public key: the private one, whsk_, signs"):
        read_signing_key(PUBLIC)


def test_a_generated_key_of_v1a_has_its_public_key() -> None:
    assert generated_key(lambda n: SEED[:n], SigningScheme.V1A).public_key == PUBLIC
    assert generated_key(lambda n: SEED[:n], SigningScheme.V1) == SigningKey(SEED)


def test_a_key_is_not_in_its_repr() -> None:
    assert repr(SigningKey(SEED, SigningScheme.V1A, PUBLIC)) == "SigningKey(v1a)"


def test_a_public_key_becomes_the_json_web_key_of_rfc_8037() -> None:
    """Its appendix A.2 has the same key."""
    example = jwk("generated", PUBLIC)
    assert example["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert (example["kty"], example["crv"], example["kid"]) == ("OKP", "Ed25519", "generated")
