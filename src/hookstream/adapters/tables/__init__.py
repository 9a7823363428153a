"""What the rows of the partners, subscriptions and health tables say, as JSON both ways.

Every value carries `format` (1; 2 where a number in it is one that releases before would round) and an
integer `revision`. Reading is tolerant, since a newer
release may have written the row: unknown fields are ignored. A subscription's value has two parts.
The envelope (id, partner, event types, active interval, state) is readable by every release and
without a key; everything else stands in `body`, which may not be.
"""

from hookstream.adapters.tables.fields import EnvelopeUnreadable
from hookstream.adapters.tables.holds import held_by_key, hold_key, read_hold, write_hold
from hookstream.adapters.tables.partners import read_partner, write_partner
from hookstream.adapters.tables.rows import (
    WRITER_KEY,
    RowKind,
    SkipAsked,
    StartAsked,
    disabled_key,
    disabled_row,
    disabled_subscription,
    failing_key,
    failing_row,
    failing_subscription,
    read_disabled,
    read_failing,
    read_skip,
    read_start,
    row_kind,
    skip_key,
    start_key,
    write_disabled,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.sealed import SealedSecrets
from hookstream.adapters.tables.subscriptions import (
    Keys,
    read_subscription,
    write_subscription,
)

__all__ = [
    "WRITER_KEY",
    "EnvelopeUnreadable",
    "Keys",
    "RowKind",
    "SealedSecrets",
    "SkipAsked",
    "StartAsked",
    "disabled_key",
    "disabled_row",
    "disabled_subscription",
    "failing_key",
    "failing_row",
    "failing_subscription",
    "held_by_key",
    "hold_key",
    "read_disabled",
    "read_failing",
    "read_hold",
    "read_partner",
    "read_skip",
    "read_start",
    "read_subscription",
    "row_kind",
    "skip_key",
    "start_key",
    "write_disabled",
    "write_hold",
    "write_partner",
    "write_skip",
    "write_start",
    "write_subscription",
]
