"""The rows of partners and of endpoints' health."""

from typing import Any

from hookstream.adapters.tables.grant_history import GRANT, HISTORY, WrittenHistory
from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.core.model import row_fields as fields
from hookstream.core.model.instant import format_duration
from hookstream.core.model.json import Json
from hookstream.core.model.partner_limits import (
    DEFAULT_PARTNER_LIMITS,
    PARTNER_LIMIT_BOUNDS,
    LimitBounds,
    PartnerLimits,
)
from hookstream.core.model.row_fields import FieldKind, RowFields
from hookstream.core.model.subscription import Disabled, Failing, Partner

DISABLED_SUFFIX = "/disabled"
FAILING_SUFFIX = "/failing"


def _limit(name: str, bounds: LimitBounds) -> FieldKind:
    """Return the kind of one limit. A wrong value must not stop matching: the default applies."""
    default: int = getattr(DEFAULT_PARTNER_LIMITS, name)
    whole = fields.DURATION if name == "timeout" else fields.WHOLE

    def read(found: object) -> int:
        try:
            limit: int = whole.read(found)
        except ValueError:
            return default
        return limit if bounds.least <= limit <= bounds.most else default

    absent: Json = format_duration(default) if name == "timeout" else default
    return FieldKind(read, whole.write).sparse(absent)


_LIMIT_FIELDS = RowFields(
    **{name: _limit(name, bounds) for name, bounds in PARTNER_LIMIT_BOUNDS.items()}
)
_LIMITS = FieldKind(
    lambda found: PartnerLimits(**_LIMIT_FIELDS.values(found if isinstance(found, dict) else {})),
    _LIMIT_FIELDS.document,
).sparse({})
"""Left out if all are defaults, as earlier releases wrote the row; they ignore the field."""


def _partner(history: WrittenHistory, **values: Any) -> Partner:  # noqa: ANN401  the other fields by name
    return Partner(**values, history=history.ending_with(values["grant"]))


_PARTNER = Row(
    "partner",
    _partner,
    strict=True,
    revision=fields.WHOLE,
    id=fields.TEXT,
    name=fields.TEXT,
    owner=fields.TEXT,
    grant=GRANT,
    grant_from=fields.INSTANT,
    previous_grant=fields.optional(GRANT),
    history=HISTORY,
    limits=_LIMITS,
)

_DISABLED = Row(
    "health row",
    Disabled,
    rf"(?P<subscription_id>.*){DISABLED_SUFFIX}",
    since=fields.INSTANT,
    reason=fields.TEXT,
    evidence=fields.REMARK,
)

_FAILING = Row(
    "health row", Failing, rf"(?P<subscription_id>.*){FAILING_SUFFIX}", since=fields.INSTANT
)

read_partner, write_partner = _PARTNER.read, _PARTNER.write


def disabled_key(subscription_id: str) -> str:
    """Return the health table's key that disables a subscription."""
    return subscription_id + DISABLED_SUFFIX


def failing_key(subscription_id: str) -> str:
    """Return the health table's key for the time since which an endpoint has been failing."""
    return subscription_id + FAILING_SUFFIX


def subscription_of(health_key: str) -> str:
    """Return the subscription id in a key of the health table."""
    return health_key.rpartition("/")[0]


def disabled_row(disabled: Disabled) -> tuple[str, bytes]:
    """Return key and value of the health row that disables a subscription."""
    return disabled_key(disabled.subscription_id), _DISABLED.write(disabled)


def failing_row(failing: Failing) -> tuple[str, bytes]:
    """Return key and value of the health row with the time since which an endpoint has been failing."""
    return failing_key(failing.subscription_id), _FAILING.write(failing)


def read_disabled(key: str, value: bytes) -> Disabled | None:
    """Return the contents of a health row; None if the key is of another kind (`…/failing`).

    Raises:
        EnvelopeUnreadable: The time since which the subscription is disabled is unreadable.
    """
    return _DISABLED.read(key, value) if key.endswith(DISABLED_SUFFIX) else None


def read_failing(key: str, value: bytes) -> Failing | None:
    """Return the contents of a health row; None if the key is of another kind, or it is unreadable.

    An unreadable one is ignored: the next failure writes it again.
    """
    try:
        return _FAILING.read(key, value) if key.endswith(FAILING_SUFFIX) else None
    except EnvelopeUnreadable:
        return None
