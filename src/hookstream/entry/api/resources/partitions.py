"""Routes of partitions: show what workers have settled, start a stopped one, skip a record."""

from typing import Annotated, Any

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.partitions import StartAt, ask_skip, ask_start
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.filters import instant
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.errors import InputRefused

_TAG = "partitions"
_PATH = "/v1/partitions/{topic}/{partition}"
_LARGEST_OFFSET = 2**63 - 1
_READ_AGAIN = "GET it again: its worker has settled more meanwhile"

Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class PartitionHolder(ApiOutput, frozen=True):
    """The worker that is assigned to a partition, as the brokers describe it."""

    member_id: str
    client_id: str
    instance_id: str | None
    host: str


class PartitionShown(ApiOutput, frozen=True):
    """One partition that workers read."""

    topic: str
    partition: int
    group: str
    """The group that reads it."""
    start: int
    """The first offset of its log."""
    committed: int | None
    """The lowest offset that is not settled; null: nothing was committed yet."""
    settled_above: int
    """How many offsets above that are settled."""
    settled_spans: tuple[tuple[int, int], ...]
    """The ranges of those offsets: the first of each, and the one after its last."""
    end: int
    """The offset after its last record."""
    unsettled: int
    """Unsettled records, at most."""
    oldest: str | None
    """When the first unsettled record was appended."""
    holder: str | None
    """The client id of the worker that is assigned to it; null: none is."""
    held_by: PartitionHolder | None
    has_leader: bool = True
    """Whether a broker leads it; if not, `start` and `end` are the committed offset, and what is unsettled is not known."""


class PartitionsPage(ApiOutput, frozen=True):
    """Partitions of event topics and tiers, by topic and number."""

    items: tuple[PartitionShown, ...]
    next: str | None


class SkipGiven(ApiInput, frozen=True):
    """The record to skip, and the reason."""

    offset: Annotated[int, Meta(ge=0, le=_LARGEST_OFFSET)]
    """The record that stops the partition."""
    reason: Reason


class StartGiven(ApiInput, frozen=True):
    """The position at which a stopped partition starts, and the reason."""

    at: Annotated[str, Meta(min_length=1, max_length=40, examples=["earliest", "latest"])]
    """`earliest`, `latest`, or a time (RFC 3339): the first record appended then or later."""
    reason: Reason


def list_partitions(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return the partitions that workers read."""
    every = sorted(call.services.positions(), key=_key)
    found, following = page_of(call, every, _key)
    return ApiAnswer(PartitionsPage(items=tuple(map(_shown, found)), next=following))


def get_partition(call: Call[Any, None]) -> ApiAnswer:
    """Return one partition; its `ETag` is the lowest offset that is not settled."""
    found = _position(call, _named(call))
    return ApiAnswer(_shown(found), revision=_revision(found))


def skip_record(call: Call[Any, SkipGiven]) -> ApiAnswer:
    """Ask the worker to skip the record that stops a partition."""
    at, offset = _named(call), call.body.offset
    before = _position(call, at)
    if offset >= before.end:
        raise invalid(f"there is no record: the log ends before {before.end}", "offset")
    if before.settles(offset):
        raise RequestRefused(
            ProblemKind.CONFLICT,
            f"{offset} does not stop the partition: it is settled, or gone from the log",
            field="offset",
            remedy="the worker logs which offset stops it, as partition.stopped",
        )

    def answer(_: None, __: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(_shown(before), revision=_revision(before))

    return call.change(lambda writer: ask_skip(writer, at, offset, call.body.reason), answer)


def start_partition(call: Call[Any, StartGiven]) -> ApiAnswer:
    """Ask the worker to start a stopped partition at another position."""
    at, where = _named(call), _where(call.body.at)
    before = _position(call, at)
    if call.revision not in (None, _revision(before)):
        raise RequestRefused(
            ProblemKind.CONFLICT,
            f"it is not at {call.revision} but at {_revision(before)}",
            field="if-match",
            remedy=_READ_AGAIN,
        )
    if before.committed is not None and before.committed.offset == before.end:
        raise RequestRefused(
            ProblemKind.CONFLICT,
            f"it is not stopped: everything up to its end {before.end} is settled",
        )
    offset = call.services.offset_at(at, where)

    def answer(_: None, __: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(_shown(before), revision=_revision(before))

    return call.change(
        lambda writer: ask_start(writer, at, where, offset, call.body.reason), answer
    )


def _key(position: GroupPosition) -> str:
    return f"{position.at.topic}/{position.at.partition:06d}"


def _named(call: Call[Any, Any]) -> TopicPartition:
    topic, number = call.params["topic"], call.params["partition"]
    # Digits of other scripts, signs and long numbers are no partition.
    if not (number.isascii() and number.isdigit() and len(number) <= len("999999")):
        raise RequestRefused(ProblemKind.NOT_FOUND, f"there is no partition {number!r}")
    return TopicPartition(topic, int(number))


def _position(call: Call[Any, Any], at: TopicPartition) -> GroupPosition:
    try:
        return call.services.position(at)
    except InputRefused as refused:
        raise RequestRefused(ProblemKind.NOT_FOUND, str(refused)) from None


def _where(at: str) -> StartAt:
    if at == "earliest":
        return "earliest"
    if at == "latest":
        return "latest"
    found = instant(at, "at")
    if found is None or found < 0:
        raise invalid("is before 1970", "at")
    return found


def _revision(position: GroupPosition) -> int:
    return 0 if position.committed is None else position.committed.offset


def _shown(position: GroupPosition) -> PartitionShown:
    holder, committed = position.holder, position.committed
    return PartitionShown(
        topic=position.at.topic,
        partition=position.at.partition,
        group=position.group,
        start=position.start,
        committed=None if committed is None else committed.offset,
        settled_above=position.settled_above,
        settled_spans=position.spans,
        end=position.end,
        unsettled=position.unsettled,
        oldest=None if position.oldest is None else to_rfc3339(position.oldest),
        holder=None if holder is None else holder.client_id,
        held_by=None
        if holder is None
        else PartitionHolder(
            member_id=holder.id,
            client_id=holder.client_id,
            instance_id=holder.instance_id,
            host=holder.host.removeprefix("/"),
        ),
        has_leader=position.has_leader,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/partitions",
        Scope.OPERATOR_READ,
        "List the partitions that workers read, with their unsettled records.",
        list_partitions,
        PartitionsPage,
        query=PageQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        _PATH,
        Scope.OPERATOR_READ,
        "Show a partition: its worker and its unsettled records.",
        get_partition,
        PartitionShown,
        tag=_TAG,
    ),
    Route(
        "POST",
        _PATH + "/skip",
        Scope.OPERATOR_WRITE,
        "Skip the record that stops a partition; its unsettled deliveries are dropped.",
        skip_record,
        PartitionShown,
        body=SkipGiven,
        status=202,
        is_idempotent=True,
        refusals=(ProblemKind.CONFLICT,),
        tag=_TAG,
    ),
    Route(
        "POST",
        _PATH + "/start",
        Scope.OPERATOR_WRITE,
        "Start a stopped partition at another position.",
        start_partition,
        PartitionShown,
        body=StartGiven,
        status=202,
        takes_revision=True,
        is_idempotent=True,
        tag=_TAG,
    ),
)
