"""Partitions through the API; the console writes requests to workers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from hookstream.core.model.instant import from_rfc3339, to_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import METADATA_BYTES, CommitPosition, encode_metadata
from hookstream.core.offsets.group_position import GroupMember, GroupPosition
from hookstream.entry.admin.partitions import StartAt
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.resources.partitions import (
    PartitionShown,
    PartitionsPage,
    SkipGiven,
    StartGiven,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.partition_ports import PartitionListing
from hookstream.errors import InputRefused

_PARTITION: Final = "/v1/partitions/{topic}/{partition}"
_OF_TIERS: Final = ".retry"
"""The suffix of the tiers' group's name."""
_EVERY: Final = 0.5
"""Seconds between two looks at a partition that is waited for."""


@dataclass(slots=True, frozen=True)
class ApiPartitions:
    """Partitions of event topics and tiers. Implements `PartitionCommands`."""

    api: ApiClient

    def listed(self) -> PartitionListing:
        pages = self.api.pages("/v1/partitions", PartitionsPage, PageQuery)
        found = [_position(each) for page in pages for each in page.items]
        # The API lists them by topic alone. The name of the tiers' group begins with that of the events' group.
        found.sort(key=lambda each: (each.group, each.at))
        return PartitionListing(found, _groups({each.group for each in found}))

    def partition(self, at: TopicPartition) -> "ApiPartition":
        return ApiPartition(self.api, at)


@dataclass(slots=True)
class ApiPartition:
    """One partition. Implements `PartitionCommand`."""

    api: ApiClient
    at: TopicPartition
    _seen: int | None = field(default=None, init=False)
    """The revision that was seen last; None before the first look."""

    def position(self) -> GroupPosition:
        shown = self.api.get(self._path(), PartitionShown)
        self._seen = shown.committed or 0
        return _position(shown)

    def start(self, where: StartAt, reason: str) -> None:
        _require_reason(reason)
        at = where if isinstance(where, str) else to_rfc3339(where)
        # A partition that moved since the last look is not stopped.
        self.api.change(
            "POST",
            f"{self._path()}/start",
            PartitionShown,
            StartGiven(at=at, reason=reason),
            revision=self._seen,
        )

    def skip(self, offset: int, reason: str) -> None:
        _require_reason(reason)
        given = SkipGiven(offset=offset, reason=reason)
        self.api.change("POST", f"{self._path()}/skip", PartitionShown, given)

    def position_within(
        self, seconds: float, reached_it: Callable[[GroupPosition], bool]
    ) -> GroupPosition:
        until = self.api.monotonic() + seconds
        while True:
            position = self.position()
            if reached_it(position) or self.api.monotonic() >= until:
                return position
            self.api.sleep(_EVERY)

    def _path(self) -> str:
        return path(_PARTITION, topic=self.at.topic, partition=str(self.at.partition))


def _require_reason(reason: str) -> None:
    if not reason:
        raise InputRefused(
            "--reason is required by the API, for the operations topic and the audit log"
        )


def _groups(found: Collection[str]) -> Sequence[str]:
    """Return both groups, of which one may have no partition."""
    if len(found) != 1:
        return sorted(found)
    names = Topics(min(found).removesuffix(_OF_TIERS))
    return names.group, names.retry_group


def _position(shown: PartitionShown) -> GroupPosition:
    holder, committed = shown.held_by, shown.committed
    return GroupPosition(
        group=shown.group,
        at=TopicPartition(shown.topic, shown.partition),
        holder=None
        if holder is None
        else GroupMember(holder.member_id, holder.client_id, holder.host, holder.instance_id),
        committed=None
        if committed is None
        else CommitPosition(
            committed, encode_metadata(committed, shown.settled_spans, METADATA_BYTES).text
        ),
        start=shown.start,
        end=shown.end,
        oldest=None if shown.oldest is None else from_rfc3339(shown.oldest),
        looked=shown.oldest is not None or not shown.unsettled,
        has_leader=shown.has_leader,
    )
