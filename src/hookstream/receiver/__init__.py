"""The receiver kit: verifies webhooks and handles each of them once.

    guard = ReplayGuard(SqliteStore("seen.db"))

    def receive(headers, body):                      # any web framework
        try:
            verified = verify(headers, body, [SECRET], time.time())
        except VerificationFailed:
            return 401
        try:
            for member in members(verified, body):   # one, or those of a batch
                with guard.handling(member.key, time.time(), replay=verified.replay) as first:
                    if first:
                        handle(member.event)         # an exception here: not seen, it comes again
        except BeingHandled:
            return 503                               # a copy is being handled just now
        return 204                                   # the first time and every time after

The signature is the one of Standard Webhooks (`webhook-id`, `webhook-timestamp`,
`webhook-signature`, versions `v1` and `v1a`); any library for it verifies hookstream's requests as
well. Importing this module loads only the standard library. A public key (`whpk_`) needs the
package `cryptography`, a `BodySchema` needs `jsonschema` (`pip install hookstream[receiver]`).
"""

from hookstream.receiver.bodies import BodyRefused, BodySchema, Member, members
from hookstream.receiver.guard import KEEP_SECONDS, BeingHandled, ReplayGuard, SeenIds
from hookstream.receiver.stores import MAX_IDS, Claimed, MemoryStore, SeenStore, SqliteStore
from hookstream.receiver.verification import (
    TOLERANCE,
    Reason,
    VerificationFailed,
    Verified,
    verify,
)

__all__ = [
    "KEEP_SECONDS",
    "MAX_IDS",
    "TOLERANCE",
    "BeingHandled",
    "BodyRefused",
    "BodySchema",
    "Claimed",
    "Member",
    "MemoryStore",
    "Reason",
    "ReplayGuard",
    "SeenIds",
    "SeenStore",
    "SqliteStore",
    "VerificationFailed",
    "Verified",
    "members",
    "verify",
]
