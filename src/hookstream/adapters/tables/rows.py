"""The small rows: who is disabled, where a stopped partition goes on, what a key stands for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from hookstream.adapters.tables import fields
from hookstream.adapters.tables.fields import FORMAT, EnvelopeUnreadable
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.subscription import Disabled, Failing

DISABLED_SUFFIX = "/disabled"
FAILING_SUFFIX = "/failing"
START_PREFIX = "start/"
SKIP_PREFIX = "skip/"
_NUMBER = re.compile("[0-9]{1,19}")
WRITER_KEY = "writer"
"""The key of the table writer's own row: no subscription may have it as its id."""


@dataclass(slots=True, frozen=True)
class StartAsked:
    """An operator's word on where reading of a stopped partition goes on."""

    topic: str
    partition: int
    at: Literal["earliest", "latest"] | Millis
    asked_at: Millis
    revision: int = 1


@dataclass(slots=True, frozen=True)
class SkipAsked:
    """An operator's word that a record which stops its partition is stepped over."""

    topic: str
    partition: int
    offset: int
    asked_at: Millis
    reason: str = ""


RowKind: TypeAlias = Literal["subscription", "hold", "skip", "start", "writer", "other"]


def row_kind(key: str) -> RowKind:
    """Tell what a key of the subscriptions topic stands for; `other`: a newer release knows."""
    if key == WRITER_KEY:
        return "writer"
    head, slash, _ = key.partition("/")
    if not slash:
        return "subscription"
    match head:
        case "hold":
            return "hold"
        case "skip":
            return "skip"
        case "start":
            return "start"
        case _:
            return "other"


def disabled_key(subscription_id: str) -> str:
    """Return the health table's key that disables a subscription."""
    return subscription_id + DISABLED_SUFFIX


def write_disabled(disabled: Disabled) -> bytes:
    """Return the health row that disables a subscription."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "revision": 1,
            "since": to_rfc3339(disabled.since),
            "reason": disabled.reason,
            "evidence": disabled.evidence,
        }
    )


def disabled_row(disabled: Disabled) -> tuple[str, bytes]:
    """Return key and value of the health row that disables a subscription."""
    return disabled_key(disabled.subscription_id), write_disabled(disabled)


def disabled_subscription(key: str) -> str | None:
    """Return the id of the subscription that a health key disables; None: a key of another kind."""
    return key.removesuffix(DISABLED_SUFFIX) if key.endswith(DISABLED_SUFFIX) else None


def read_disabled(key: str, value: bytes) -> Disabled | None:
    """Return what a health row says; None where the key is of another kind (`…/failing`).

    Raises:
        EnvelopeUnreadable: Nobody can tell since when the subscription is disabled.
    """
    subscription_id = disabled_subscription(key)
    if subscription_id is None:
        return None
    row = fields.row_of(key, value)
    try:
        evidence = row.get("evidence")
        return Disabled(
            subscription_id,
            fields.parsed(row, "since", from_rfc3339),
            fields.text(row, "reason"),
            evidence if isinstance(evidence, str) else "",
        )
    except fields.FieldUnreadable as why:
        raise EnvelopeUnreadable(f"health row {key!r}: {why}") from None


def failing_key(subscription_id: str) -> str:
    """Return the health table's key that says since when an endpoint fails."""
    return subscription_id + FAILING_SUFFIX


def failing_row(failing: Failing) -> tuple[str, bytes]:
    """Return key and value of the health row that says since when an endpoint fails."""
    row = {"format": FORMAT, "revision": 1, "since": to_rfc3339(failing.since)}
    return failing_key(failing.subscription_id), orjson.dumps(row)


def failing_subscription(key: str) -> str | None:
    """Return the id of the subscription of which a health key says that it fails; else None."""
    return key.removesuffix(FAILING_SUFFIX) if key.endswith(FAILING_SUFFIX) else None


def read_failing(key: str, value: bytes) -> Failing | None:
    """Return what a health row says; None where the key is of another kind, or nothing can be read.

    An unreadable one is as good as none: the next failure writes it again.
    """
    subscription_id = failing_subscription(key)
    if subscription_id is None:
        return None
    try:
        row = fields.row_of(key, value)
        return Failing(subscription_id, fields.parsed(row, "since", from_rfc3339))
    except (fields.FieldUnreadable, EnvelopeUnreadable):
        return None


def start_key(topic: str, partition: int) -> str:
    """Return the subscriptions topic's key for a partition's start position."""
    return f"{START_PREFIX}{topic}/{partition}"


def write_start(asked: StartAsked) -> bytes:
    """Return the row that says where reading of a stopped partition goes on."""
    at = to_rfc3339(asked.at) if isinstance(asked.at, int) else asked.at
    asked_at = to_rfc3339(asked.asked_at)
    return orjson.dumps(
        {"format": FORMAT, "revision": asked.revision, "at": at, "asked_at": asked_at}
    )


def read_start(key: str, value: bytes) -> StartAsked:
    """Return what a `start/<topic>/<partition>` row says.

    Raises:
        EnvelopeUnreadable: It cannot be read: the partition stays stopped.
    """
    row = fields.row_of(key, value)
    try:
        topic, partition = _named_partition(key.removeprefix(START_PREFIX))
        asked_at = fields.parsed(row, "asked_at", from_rfc3339)
        return StartAsked(topic, partition, _at(row), asked_at, fields.integer(row, "revision"))
    except fields.FieldUnreadable as why:
        raise EnvelopeUnreadable(f"start row {key!r}: {why}") from None


def skip_key(topic: str, partition: int, offset: int) -> str:
    """Return the subscriptions topic's key for a record that is stepped over."""
    return f"{SKIP_PREFIX}{topic}/{partition}/{offset}"


def write_skip(asked: SkipAsked) -> bytes:
    """Return the row that says that a record is stepped over."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "revision": 1,
            "asked_at": to_rfc3339(asked.asked_at),
            "reason": asked.reason,
        }
    )


def read_skip(key: str, value: bytes) -> SkipAsked:
    """Return what a `skip/<topic>/<partition>/<offset>` row says.

    Raises:
        EnvelopeUnreadable: It cannot be read: the partition stays stopped.
    """
    row = fields.row_of(key, value)
    place, _, offset = key.removeprefix(SKIP_PREFIX).rpartition("/")
    try:
        topic, partition = _named_partition(place)
        if not _NUMBER.fullmatch(offset):
            raise fields.FieldUnreadable("its key names no offset")  # noqa: TRY301
        asked_at = fields.parsed(row, "asked_at", from_rfc3339)
        reason = row.get("reason")
    except fields.FieldUnreadable as why:
        raise EnvelopeUnreadable(f"skip row {key!r}: {why}") from None
    words = reason if isinstance(reason, str) else ""
    return SkipAsked(topic, partition, int(offset), asked_at, words)


def _named_partition(place: str) -> tuple[str, int]:
    topic, _, partition = place.rpartition("/")
    if not topic or not _NUMBER.fullmatch(partition):
        raise fields.FieldUnreadable("its key names no partition")
    return topic, int(partition)


def _at(row: Mapping[str, object]) -> Literal["earliest", "latest"] | Millis:
    match fields.text(row, "at"):
        case "earliest":
            return "earliest"
        case "latest":
            return "latest"
        case _:
            return fields.parsed(row, "at", from_rfc3339)
