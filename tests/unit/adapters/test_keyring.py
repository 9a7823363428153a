"""The key ring decrypts a secret for its owner only, and never shows a key."""

import base64
import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.keyring import (
    CiphertextBroken,
    KeyMissing,
    KeyRing,
    read_ring,
    read_ring_file,
)
from hookstream.errors import ConfigurationError

OLD = bytes(range(32))
NEW = bytes(range(32, 64))


def ring(active: str = "k1", **keys: bytes) -> KeyRing:
    return KeyRing(active, keys or {"k1": OLD}, os.urandom)


@given(plaintext=st.binary(max_size=200), associated=st.binary(max_size=50))
def test_what_was_encrypted_is_given_back_to_its_owner(
    plaintext: bytes, associated: bytes
) -> None:
    keys = ring()
    key_id, ciphertext = keys.encrypt(plaintext, associated)
    assert keys.decrypt(key_id, ciphertext, associated) == plaintext


def test_a_ciphertext_moved_to_another_owner_is_refused() -> None:
    """Write access to the table must not allow signing with a neighbour's secret."""
    keys = ring()
    key_id, ciphertext = keys.encrypt(b"secret", b"orders/main")
    with pytest.raises(CiphertextBroken):
        keys.decrypt(key_id, ciphertext, b"crm/main")


def test_two_encryptions_of_one_secret_differ() -> None:
    keys = ring()
    assert keys.encrypt(b"secret", b"") != keys.encrypt(b"secret", b"")


def test_an_older_key_still_decrypts_when_another_is_active() -> None:
    key_id, ciphertext = ring().encrypt(b"secret", b"a")
    both = ring("k2", k1=OLD, k2=NEW)
    assert (both.active, both.decrypt(key_id, ciphertext, b"a")) == ("k2", b"secret")


def test_a_key_that_is_missing_is_named() -> None:
    key_id, ciphertext = ring().encrypt(b"secret", b"a")
    with pytest.raises(KeyMissing, match="no key 'k1'"):
        ring("k2", k2=NEW).decrypt(key_id, ciphertext, b"a")


@pytest.mark.parametrize("damaged", ["", "!", "AAAA", base64.b64encode(bytes(40)).decode()])
def test_a_damaged_ciphertext_is_refused(damaged: str) -> None:
    with pytest.raises(CiphertextBroken):
        ring().decrypt("k1", damaged, b"a")


def test_no_key_shows_in_a_repr() -> None:
    assert repr(ring()) == "KeyRing(active='k1', keys=['k1'])"


def test_a_ring_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(
        orjson.dumps({"active": "k1", "keys": {"k1": base64.b64encode(OLD).decode()}})
    )
    key_id, ciphertext = ring().encrypt(b"secret", b"a")
    assert read_ring_file(path, os.urandom).decrypt(key_id, ciphertext, b"a") == b"secret"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "and nothing else"),
        ('{"active": "k1"}', "and nothing else"),
        ('{"active": 1, "keys": {}}', "`active` is an id"),
        ('{"active": "k1", "keys": {"k1": "%"}}', "key 'k1' is not base64"),
        ('{"active": "k1", "keys": {"k1": 5}}', "key 'k1' is not base64"),
        ('{"active": "k1", "keys": {"k1": "AAAA"}}', "has 3 bytes, not 32"),
        ('{"active": "k1", "keys": {}}', "active key 'k1' is not among"),
        ('{"active": "k1", "keys": {}}' + " " * 70_000, "at most 65536 bytes"),
    ],
)
def test_an_invalid_key_ring_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        read_ring(text, "keys.json", os.urandom)
    assert str(refused.value).startswith("keys.json: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json cannot be read: No such file"):
        read_ring_file(tmp_path / "none.json", os.urandom)
