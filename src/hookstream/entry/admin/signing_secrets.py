"""Signing secrets for operators: rotating one, and what of them may be shown."""

from functools import partial

from hookstream.adapters.signing_keys import generated_key
from hookstream.adapters.system import random_bytes
from hookstream.core.delivery.jwks import jwk
from hookstream.core.delivery.signing import write_secret
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import SigningScheme, SigningSecret, Subscription
from hookstream.core.planning.rotation import Replaced, replaced, without_ended
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import State, at_revision, found_subscription


def rotate_secret(
    writer: ChangeWriter,
    subscription_id: str,
    revision: int | None,
    overlap: Millis,
    scheme: SigningScheme | None,
) -> Replaced:
    """Replace the signing secret of a subscription by a generated one, and return what changed.

    Args:
        writer: Writes the tables; it has the key ring.
        subscription_id: The subscription.
        revision: The revision that it must be at; None: any.
        overlap: For how long the old secret signs as well.
        scheme: As for `replaced`.

    Raises:
        InputRefused: There is no such subscription, or its secret cannot be rotated so.
        Conflict: It is at another revision.
    """
    session = writer.session
    before = at_revision(writer.state, subscription_id, revision)
    done = replaced(
        before,
        session.now,
        session.takes_effect,
        overlap,
        scheme,
        partial(generated_key, random_bytes),
    )
    details = [
        f"signing secret {done.new.id} ({done.new.scheme}) comes",
        *(f"signing secret {each.id} ends at {_end(each)}" for each in done.ending),
        *(f"signing secret {each.id} goes" for each in done.gone),
    ]
    writer.write_subscription(
        done.subscription, "secret_rotated", session.takes_effect, details=details
    )
    return done


def secret_to_show(secret: SigningSecret) -> str:
    """Return what a partner needs of a generated secret: the secret, or the public key of it."""
    if secret.public_key is not None:
        return secret.public_key
    return write_secret(secret.key)


def secret_document(subscription_id: str, secret: SigningSecret) -> JsonObject:
    """Return a generated secret as JSON, to be shown once."""
    shown = secret_to_show(secret)
    if secret.public_key is not None:
        return {"subscription": subscription_id, "id": secret.id, "public_key": shown}
    return {"subscription": subscription_id, "id": secret.id, "secret": shown}


def signing_secrets(subscription: Subscription, now: Millis) -> list[Json]:
    """Return the live signing secrets as JSON, in signing order, without their material."""
    return [
        {
            "id": each.id,
            "scheme": each.scheme.value,
            "since": None if each.since is None else to_rfc3339(each.since),
            "expires_at": _end(each),
            "public_key": each.public_key,
        }
        for each in without_ended(subscription, now).endpoint.secrets
    ]


def jwks(state: State, subscription_id: str, now: Millis) -> JsonObject:
    """Return the public keys of a subscription's live `v1a` secrets as a JWKS (RFC 7517).

    Raises:
        InputRefused: There is no such subscription.
        ConfigurationError: It cannot be read.
    """
    found = without_ended(found_subscription(state, subscription_id), now)
    keys: list[Json] = [
        jwk(each.id, each.public_key)
        for each in found.endpoint.secrets
        if each.public_key is not None
    ]
    return {"keys": keys}


def _end(secret: SigningSecret) -> str | None:
    return None if secret.expires_at is None else to_rfc3339(secret.expires_at)
