"""A hold's row: its key alone says what is held, so that whoever cannot read the value holds it too."""

import orjson

from hookstream.adapters.tables import fields
from hookstream.adapters.tables.fields import FORMAT, EnvelopeUnreadable
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import from_rfc3339, to_rfc3339

HOLD_PREFIX = "hold/"


def hold_key(kind: HoldKind, name: str) -> str:
    """Return the subscriptions topic's key of a hold."""
    return f"{HOLD_PREFIX}{kind}/{name}"


def held_by_key(key: str) -> tuple[HoldKind, str]:
    """Return what a key holds.

    Raises:
        EnvelopeUnreadable: It is a hold of a kind that a newer release knows: it may be on anything.
    """
    kind, slash, name = key.removeprefix(HOLD_PREFIX).partition("/")
    try:
        found = HoldKind(kind)
    except ValueError:
        raise EnvelopeUnreadable(f"hold {key!r} is of a kind that is not known here") from None
    if not slash or not name or (found is HoldKind.EVERYTHING and name != ALL):
        raise EnvelopeUnreadable(f"hold {key!r} names nothing")
    return found, name


def write_hold(hold: Hold) -> bytes:
    """Return the row of a hold."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "revision": hold.revision,
            "since": to_rfc3339(hold.since),
            "reason": hold.reason,
            "set_by": hold.set_by,
        }
    )


def read_hold(key: str, value: bytes) -> Hold:
    """Return the hold that a row sets; where its value cannot be read it holds all the same.

    Raises:
        EnvelopeUnreadable: Not even its key can be read.
    """
    kind, name = held_by_key(key)
    try:
        row = fields.row_of(key, value)
        fields.check_format(row)
        return Hold(
            kind,
            name,
            fields.parsed(row, "since", from_rfc3339),
            fields.text(row, "reason"),
            fields.text(row, "set_by"),
            fields.integer(row, "revision"),
        )
    except (fields.FieldUnreadable, EnvelopeUnreadable) as why:
        return Hold(kind, name, 0, f"its row cannot be read: {why}")
