"""Keys of v1a are read as others write them, and sign as others do."""

import pytest

from hookstream.adapters.ed25519 import private_key, public_key, read_private_key, signer, verifies
from hookstream.core.delivery.signing import (
    PrivateKey,
    mixed_signature,
    parse_public_key,
    write_private_key,
    write_public_key,
)
from hookstream.errors import InputRefused

PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_the_published_vector_is_signed() -> None:
    """Svix's own example."""
    key = read_private_key(PRIVATE)
    signed = mixed_signature(
        [signer(key.seed)],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert signed == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )


def test_a_key_is_written_as_it_was_read() -> None:
    key = read_private_key(PRIVATE)
    assert write_private_key(key) == PRIVATE
    assert write_public_key(public_key(key.seed)) == PUBLIC
    assert parse_public_key(PUBLIC.rstrip("=")) == key.public
    assert private_key(key.seed) == key


def test_a_key_is_shown_by_its_public_part_alone() -> None:
    assert repr(read_private_key(PRIVATE)) == f"PrivateKey({PUBLIC})"


@pytest.mark.parametrize(
    "text",
    [
        PUBLIC,
        PRIVATE[:60],
        PRIVATE.replace("whsk_", "whsec_"),
        "whsk_%",
        "whsk_",
        write_private_key(PrivateKey(b"s" * 32, b"p" * 32)),
    ],
)
def test_what_is_no_private_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InputRefused) as caught:
        read_private_key(text)
    assert text[6:] not in str(caught.value) or len(text) < 8


def test_only_the_signed_message_verifies() -> None:
    key = read_private_key(PRIVATE)
    signed = signer(key.seed)(b"a")
    assert verifies(key.public, b"a", signed)
    assert not verifies(key.public, b"b", signed)
    assert not verifies(key.public, b"a", signed[:-1])
    assert not verifies(b"\xff" * 32, b"a", signed)
