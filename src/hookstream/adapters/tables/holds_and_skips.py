"""The rows of operators' requests: holds, skipped records, and start positions of partitions."""

from dataclasses import dataclass
from typing import Literal

from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import EnvelopeUnreadable, encoded
from hookstream.core.model import row_fields as fields
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.row_fields import Values

HOLD_PREFIX = "hold/"
SKIP_PREFIX = "skip/"
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
    return f"{SKIP_PREFIX}{topic}/{partition}/{offset}"


def held_by_key(key: str) -> tuple[HoldKind, str]:
    """Return the subject of a hold from its key alone: an unreadable value does not lift the hold.

    Raises:
        EnvelopeUnreadable: The hold's kind is one of a newer release: it may apply to anything.
    """
    kind, slash, name = key.removeprefix(HOLD_PREFIX).partition("/")
    try:
        found = HoldKind(kind)
    except ValueError:
        raise EnvelopeUnreadable(
            f"hold {key!r} is of a kind that this release does not know"
        ) from None
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
