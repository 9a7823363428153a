"""The rows of all kinds except subscriptions: partners, health, holds, and operators' requests."""

from dataclasses import dataclass
from typing import Literal

from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import EnvelopeUnreadable, encoded
from hookstream.core.model import row_fields as fields
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.row_fields import FieldKind, RowFields, Values
from hookstream.core.model.subscription import Disabled, Failing, Grant, Partner

HOLD_PREFIX = "hold/"
DISABLED_SUFFIX = "/disabled"
FAILING_SUFFIX = "/failing"

_PLACE = r"(?P<topic>.+)/(?P<partition>[0-9]{1,19})"


@dataclass(slots=True, frozen=True)
class StartAsked:
    """An operator's request for the position at which a stopped partition resumes."""

    topic: str
    partition: int
    at: Literal["earliest", "latest"] | Millis
    asked_at: Millis
    revision: int = 1

    @property
    def where(self) -> TopicPartition:
        """The stopped partition."""
        return TopicPartition(self.topic, self.partition)


@dataclass(slots=True, frozen=True)
class SkipAsked:
    """An operator's request to skip a record that stops its partition."""

    topic: str
    partition: int
    offset: int
    asked_at: Millis
    reason: str = ""

    @property
    def where(self) -> TopicPartition:
        """The partition of the record."""
        return TopicPartition(self.topic, self.partition)


_GRANT = RowFields(
    event_types=fields.TEXTS,
    environments=fields.TEXTS,
    pattern=fields.optional(fields.OBJECT),
    # Rows of older releases lack it.
    operator=FieldKind(lambda found: found is True),
).of(Grant)

_PARTNER = Row(
    "partner",
    Partner,
    strict=True,
    revision=fields.WHOLE,
    id=fields.TEXT,
    name=fields.TEXT,
    owner=fields.TEXT,
    grant=_GRANT,
    grant_from=fields.INSTANT,
    previous_grant=fields.optional(_GRANT),
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

_HOLD: Row[Values] = Row(
    "hold",
    dict,
    strict=True,
    revision=fields.WHOLE,
    since=fields.INSTANT,
    reason=fields.TEXT,
    set_by=fields.TEXT,
)

_START = Row(
    "start row",
    StartAsked,
    rf"start/{_PLACE}",
    revision=fields.WHOLE,
    at=fields.parsed(
        lambda text: text if text in ("earliest", "latest") else from_rfc3339(text),
        lambda at: to_rfc3339(at) if isinstance(at, int) else at,
    ),
    asked_at=fields.INSTANT,
)

_SKIP = Row(
    "skip row",
    SkipAsked,
    rf"skip/{_PLACE}/(?P<offset>[0-9]{{1,19}})",
    asked_at=fields.INSTANT,
    reason=fields.REMARK,
)

read_partner, write_partner = _PARTNER.read, _PARTNER.write
read_start, write_start = _START.read, _START.write
read_skip, write_skip = _SKIP.read, _SKIP.write


def hold_key(kind: HoldKind, name: str) -> str:
    """Return the subscriptions topic's key of a hold."""
    return f"{HOLD_PREFIX}{kind}/{name}"


def start_key(topic: str, partition: int) -> str:
    """Return the subscriptions topic's key for a partition's start position."""
    return f"start/{topic}/{partition}"


def skip_key(topic: str, partition: int, offset: int) -> str:
    """Return the subscriptions topic's key for a skipped record."""
    return f"skip/{topic}/{partition}/{offset}"


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


def held_by_key(key: str) -> tuple[HoldKind, str]:
    """Return the subject of a hold from its key alone: an unreadable value does not lift the hold.

    Raises:
        EnvelopeUnreadable: The hold's kind is that of a newer release: it may be on anything.
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
    return encoded(_HOLD.document(hold))


def read_hold(key: str, value: bytes) -> Hold:
    """Return the hold that a row sets; the hold is in force even if its value is unreadable.

    Raises:
        EnvelopeUnreadable: Even its key is unreadable.
    """
    kind, name = held_by_key(key)
    try:
        return Hold(kind, name, **_HOLD.read(key, value))
    except EnvelopeUnreadable as why:
        return Hold(kind, name, 0, f"its row cannot be read: {why}")
