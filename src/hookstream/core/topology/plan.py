"""The topics that hookstream needs, and the plan that creates what is missing and never shrinks.

Nothing is ever deleted, no retention shortened, no limit lowered and no partition taken away: an
operator who raised something had a reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from hookstream.core.model.instant import DAY, Millis, format_duration
from hookstream.core.model.topics import Topics

HEADROOM = 65_536
"""Bytes that tiers, dead letters and undecodable take beyond the largest event: our headers."""

_STAMP = "message.timestamp.type"
_LIMIT = "max.message.bytes"
_RETENTION = "retention.ms"
_DELETED_KEPT = 90 * DAY
"""How long a deleted subscription is remembered by whoever reads the table again."""


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
class CreateTopic:
    """A topic is missing."""

    topic: WantedTopic


@dataclass(slots=True, frozen=True)
class Configure:
    """A setting of a topic is not what it must be."""

    name: str
    setting: str
    before: str
    after: str


@dataclass(slots=True, frozen=True)
class Remark:
    """Something is not as wanted and is left alone; a person may want to know."""

    name: str
    remark: str


TopicChange: TypeAlias = CreateTopic | Configure | Remark


def wanted_topics(
    topics: Topics, tiers: Sequence[Millis], *, partitions: int, largest_event: int
) -> list[WantedTopic]:
    """Return every topic of ours as it should be.

    Args:
        topics: Their names.
        tiers: The delays that records are written to.
        partitions: Of topics that are no tables.
        largest_event: Bytes of the largest record that an event topic takes.
    """
    limit = str(largest_event + HEADROOM)
    compacted = {"cleanup.policy": "compact", _STAMP: "LogAppendTime", _LIMIT: limit}
    # A tombstone is kept for as long as a reader may have been away.
    compacted["delete.retention.ms"] = str(_DELETED_KEPT)
    found = [WantedTopic(name, 1, compacted) for name in topics.tables]
    for delay in tiers:
        kept = max(14 * DAY, 2 * delay + 7 * DAY)
        found.append(WantedTopic(topics.tier(delay), partitions, _log(kept, limit)))
    found.append(WantedTopic(topics.dead_letters, partitions, _log(30 * DAY, limit)))
    found.append(WantedTopic(topics.undecodable, partitions, _log(30 * DAY, limit)))
    audit = {**_log(7 * DAY, limit), "compression.type": "zstd"}
    found.append(WantedTopic(topics.attempts, partitions, audit))
    found.append(WantedTopic(topics.operations, partitions, _log(30 * DAY, limit)))
    return found


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
    """Return what must change, in the order in which it is best done.

    Args:
        wanted: Our own topics as they should be.
        event_topics: Upstream's topics that are read; each must carry the broker's timestamps.
        existing: Every topic of the cluster as it is.
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
        remark = f"has {found.partitions} partitions, not {topic.partitions}: left as it is"
        changes.append(Remark(topic.name, remark))
    for setting, after in topic.config.items():
        before = found.config.get(setting, "")
        if before == after:
            continue
        if setting == "cleanup.policy":
            # Either way it could delete what somebody counts on.
            remark = f"cleanup.policy is {before}, not {after}: change it by hand"
            changes.append(Remark(topic.name, remark))
        elif not _is_more(setting, before, after):
            changes.append(Configure(topic.name, setting, before, after))
    return changes


def _is_more(setting: str, before: str, after: str) -> bool:
    """Return whether a topic has more of something than is asked for, which is left to it."""
    if setting not in (_RETENTION, _LIMIT, "delete.retention.ms"):
        return False
    try:
        return int(before) < 0 or int(before) >= int(after)
    except ValueError:
        return False


def event_topics(globs: Sequence[str], topics: Topics, names: Iterable[str]) -> list[str]:
    """Return the topics that a glob names, our own never among them: upstream's."""
    own = {*topics.tables, topics.dead_letters, topics.undecodable}
    own |= {topics.attempts, topics.operations}
    return sorted(
        name
        for name in names
        if name not in own
        and topics.delay_of(name) is None
        and any(fnmatchcase(name, glob) for glob in globs)
    )


def for_development(names: Iterable[str]) -> list[CreateTopic]:
    """Return event topics as upstream should make them, but small."""
    return [CreateTopic(WantedTopic(name, 3, {_STAMP: "LogAppendTime"})) for name in names]


def taken_topics(globs: Sequence[str], topics: Topics, names: Iterable[str]) -> list[str]:
    """Return the topics that workers match: upstream's, and our own operations events."""
    found = set(names)
    ours = {topics.operations} & found
    return sorted({*event_topics(globs, topics, found), *ours})


def tier_topics(topics: Topics, names: Iterable[str]) -> list[str]:
    """Return every retry topic there is, configured or not: a changed ladder strands nothing."""
    return sorted(name for name in names if topics.delay_of(name) is not None)


def replication_of(wanted: int | None, brokers: int) -> int:
    """Return how many replicas new topics get: three where the cluster has three brokers."""
    if wanted is not None:
        return wanted
    return min(brokers, 3)


def describe(change: TopicChange) -> str:
    """Return a change as one line for a person."""
    match change:
        case CreateTopic(topic=topic):
            kept = topic.config.get(_RETENTION)
            policy = "compacted" if kept is None else f"kept {format_duration(int(kept))}"
            return f"+ {topic.name}: {topic.partitions} partitions, {policy}"
        case Configure(name=name, setting=setting, before=before, after=after):
            return f"~ {name}: {setting} {before or 'unset'} -> {after}"
        case Remark(name=name, remark=remark):
            return f"! {name}: {remark}"
