"""Public keys as partners' libraries load them: JSON Web Keys (RFC 7517) of ed25519 (RFC 8037)."""

import binascii

from hookstream.core.delivery.signing import parse_public_key
from hookstream.core.model.json import JsonObject


def jwk(name: str, public_key: str) -> JsonObject:
    """Return a public key as a JWK.

    Args:
        name: The signing secret's name, which becomes the key's id.
        public_key: A `whpk_` key.

    Raises:
        InputRefused: It is not such a key.
    """
    digits = binascii.b2a_base64(parse_public_key(public_key), newline=False).decode()
    x = digits.rstrip("=").translate({ord("+"): "-", ord("/"): "_"})
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": name,
        "x": x,
    }
