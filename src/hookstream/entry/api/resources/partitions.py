"""Routes of partitions: what the workers' groups have read and settled."""

from hookstream.core.access.scopes import Scope
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.entry.api.fields import ApiOutput
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.routes import ApiAnswer, Call, Route


class PartitionShown(ApiOutput, frozen=True):
    """One partition that workers read."""

    topic: str
    partition: int
    end: int
    unsettled: int
    """Records that are not settled, at most."""
    holder: str | None
    """The worker that is assigned to it; null: none is."""


class PartitionsPage(ApiOutput, frozen=True):
    """Partitions of event topics and tiers, by topic and number."""

    items: tuple[PartitionShown, ...]
    next: str | None


def list_partitions(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return the partitions that workers read."""
    every = sorted(call.services.positions(), key=_key)
    found, following = page_of(call, every, _key)
    items = tuple(
        PartitionShown(
            topic=each.at.topic,
            partition=each.at.partition,
            end=each.end,
            unsettled=each.unsettled,
            holder=None if each.holder is None else each.holder.client_id,
        )
        for each in found
    )
    return ApiAnswer(PartitionsPage(items=items, next=following))


def _key(position: GroupPosition) -> str:
    return f"{position.at.topic}/{position.at.partition:06d}"


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/partitions",
        Scope.OPERATOR_READ,
        "List the partitions that workers read, and what is not settled of each.",
        list_partitions,
        PartitionsPage,
        query=PageQuery,
        tag="partitions",
    ),
)
