"""The topics that hookstream needs, and a plan that creates missing ones and never reduces any.

It deletes nothing, shortens no retention, lowers no limit and removes no partition: an operator who
raised something had a reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import DAY, Millis, format_duration
from hookstream.core.model.topics import Topics

HEADROOM = 65_536
"""Bytes that tier records, dead letters and undecodable records add to the largest event: headers."""

_STAMP = "message.timestamp.type"
_LIMIT = "max.message.bytes"
_RETENTION = "retention.ms"
_DELETED_KEPT = 90 * DAY
"""How long a tombstone is kept for readers that load the table again."""


@dataclass(slots=True, frozen=True)
class WantedTopic:
    """One topic as it should be."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(slots=True, frozen=True)
class Existing:
    """One topic as it is."""

    partitions: int
    config: Mapping[str, str]


@dataclass(slots=True, frozen=True)
class TopicReplicas:
    """How a topic is replicated, at its worst partition."""

    assigned: int
    in_sync: int


@dataclass(slots=True, frozen=True)
class CreateTopic:
    """A topic is missing."""

    topic: WantedTopic


@dataclass(slots=True, frozen=True)
class Configure:
    """A topic's setting differs from what it must be."""

    name: str
    setting: str
    before: str
    after: str


@dataclass(slots=True, frozen=True)
class Remark:
    """A difference that is not changed but may interest the operator."""

    name: str
    remark: str


TopicChange: TypeAlias = CreateTopic | Configure | Remark


def wanted_topics(
    topics: Topics, tiers: Sequence[Millis], *, partitions: int, largest_event: int
) -> list[WantedTopic]:
    """Return all of hookstream's topics as they should be.

    Args:
        topics: Their names.
        tiers: The delays of the tiers that are written to.
        partitions: The partitions of each topic that is not a table.
        largest_event: Bytes of the largest record that an event topic accepts.
    """
    limit = str(largest_event + HEADROOM)
    compacted = {"cleanup.policy": "compact", _STAMP: "LogAppendTime", _LIMIT: limit}
    # A tombstone is kept for as long as a reader may have been away.
    compacted["delete.retention.ms"] = str(_DELETED_KEPT)
    logs = {topics.tier(each): _log(max(14 * DAY, 2 * each + 7 * DAY), limit) for each in tiers}
    logs[topics.dead_letters] = logs[topics.undecodable] = _log(30 * DAY, limit)
    logs[topics.attempts] = {**_log(7 * DAY, limit), "compression.type": "zstd"}
    logs[topics.operations] = _log(30 * DAY, limit)
    return [
        *(WantedTopic(name, 1, compacted) for name in (*topics.tables, topics.console)),
        *(WantedTopic(name, partitions, config) for name, config in logs.items()),
    ]


def _log(kept: Millis, limit: str) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        _RETENTION: str(kept),
        _STAMP: "LogAppendTime",
        _LIMIT: limit,
    }


def plan(
    wanted: Sequence[WantedTopic], event_topics: Sequence[str], existing: Mapping[str, Existing]
) -> list[TopicChange]:
    """Return the changes, in the order in which to apply them.

    Args:
        wanted: hookstream's own topics as they should be.
        event_topics: The upstream topics that are read; each must use the broker's timestamps.
        existing: Those of them that exist, as they are.
    """
    changes: list[TopicChange] = []
    for topic in wanted:
        found = existing.get(topic.name)
        if found is None:
            changes.append(CreateTopic(topic))
        else:
            changes += _differences(topic, found)
    for name in event_topics:
        before = existing[name].config.get(_STAMP, "CreateTime")
        if before != "LogAppendTime":
            changes.append(Configure(name, _STAMP, before, "LogAppendTime"))
    return changes


def _differences(topic: WantedTopic, found: Existing) -> list[TopicChange]:
    changes: list[TopicChange] = []
    if found.partitions != topic.partitions:
        has = counted(found.partitions, "partition")
        remark = f"has {has}, not {topic.partitions}: left as it is"
        changes.append(Remark(topic.name, remark))
    for setting, after in topic.config.items():
        before = found.config.get(setting, "")
        if before == after:
            continue
        if setting == "cleanup.policy":
            # Changing it either way could delete data that somebody relies on.
            remark = f"cleanup.policy is {before}, not {after}: change it by hand"
            changes.append(Remark(topic.name, remark))
        elif not _is_more(setting, before, after):
            changes.append(Configure(topic.name, setting, before, after))
    return changes


def _is_more(setting: str, before: str, after: str) -> bool:
    """Return whether a topic has more than is needed, which is kept."""
    if setting not in (_RETENTION, _LIMIT, "delete.retention.ms"):
        return False
    try:
        return int(before) < 0 or int(before) >= int(after)
    except ValueError:
        return False


def compared_topics(globs: Sequence[str], topics: Topics, names: Iterable[str]) -> list[str]:
    """Return the topics that a plan compares: upstream's, and all under hookstream's own prefix."""
    found = set(names)
    ours = {name for name in found if name.startswith(f"{topics.prefix}.")}
    return sorted({*event_topics(globs, topics, found), *ours})


def event_topics(globs: Sequence[str], topics: Topics, names: Iterable[str]) -> list[str]:
    """Return the upstream topics that match a glob; hookstream's own never match."""
    own = {*topics.tables, topics.console, topics.dead_letters, topics.undecodable}
    own |= {topics.attempts, topics.operations}
    return sorted(
        name
        for name in names
        if name not in own
        and topics.delay_of(name) is None
        and any(fnmatchcase(name, glob) for glob in globs)
    )


def for_development(names: Iterable[str]) -> list[CreateTopic]:
    """Return small event topics for development."""
    return [CreateTopic(WantedTopic(name, 3, {_STAMP: "LogAppendTime"})) for name in names]


def taken_topics(globs: Sequence[str], topics: Topics, names: Iterable[str]) -> list[str]:
    """Return the topics whose events workers match: upstream's, and hookstream's operations topic."""
    found = set(names)
    ours = {topics.operations} & found
    return sorted({*event_topics(globs, topics, found), *ours})


def tier_topics(topics: Topics, names: Iterable[str]) -> list[str]:
    """Return all existing retry topics, configured or not: a changed ladder strands no records."""
    return sorted(name for name in names if topics.delay_of(name) is not None)


def replication_of(wanted: int | None, brokers: int) -> int:
    """Return the replication factor of new topics: three if the cluster has three brokers."""
    if wanted is not None:
        return wanted
    return min(brokers, 3)


def describe(change: TopicChange) -> str:
    """Return a change as one line for a person."""
    match change:
        case CreateTopic(topic=topic):
            kept = topic.config.get(_RETENTION)
            policy = "compacted" if kept is None else f"kept {format_duration(int(kept))}"
            return f"+ {topic.name}: {counted(topic.partitions, 'partition')}, {policy}"
        case Configure(name=name, setting=setting, before=before, after=after):
            return f"~ {name}: {setting} {before or 'unset'} -> {after}"
        case Remark(name=name, remark=remark):
            return f"! {name}: {remark}"
