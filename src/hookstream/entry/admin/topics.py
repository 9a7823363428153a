"""hookstream's topics for operators: finds missing topics and wrong settings, and corrects them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import (
    Existing,
    Remark,
    TopicChange,
    compared_topics,
    event_topics,
    for_development,
    plan,
    replication_of,
    wanted_topics,
)
from hookstream.core.topology.writers import WriteAccess, open_topics
from hookstream.entry.cluster import reached
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class TopicsPlan:
    """The differences between the cluster's topics and the required ones."""

    changes: list[TopicChange]
    replication: int
    """Replicas of each new partition."""

    @property
    def todo(self) -> bool:
        """Whether `apply_topics` has anything to do."""
        return any(not isinstance(change, Remark) for change in self.changes)


def plan_topics(settings: Settings) -> TopicsPlan:
    """Compare the cluster's topics with those that hookstream needs.

    Raises:
        ConfigurationError: The cluster refuses to answer.
        DependencyUnavailable: The cluster does not answer.
    """
    cluster = KafkaTopics(reached(settings))
    topics = settings.topics_names
    existing = cluster.existing(partial(compared_topics, settings.events.topics, topics))
    upstream = event_topics(settings.events.topics, topics, existing)
    wanted = wanted_topics(
        topics,
        settings.retry.tiers,
        partitions=settings.topics.partitions,
        largest_event=_largest(existing, upstream, settings.events.max_record_bytes),
    )
    stamped = [] if settings.events.accept_create_time else upstream
    changes = plan(wanted, stamped, existing)
    remarks = _open_to_writes(cluster.access(), [topic.name for topic in wanted], topics)
    replication = replication_of(settings.topics.replication, cluster.brokers())
    return TopicsPlan([*changes, *remarks], replication)


def apply_topics(
    settings: Settings, planned: TopicsPlan, waiting: Callable[[str], object]
) -> None:
    """Create the topics that are missing and correct settings; nothing shrinks or is deleted.

    Args:
        settings: The cluster.
        planned: The plan.
        waiting: Called with a sentence where the new partitions have to be waited for.
    """
    KafkaTopics(reached(settings)).apply(planned.changes, planned.replication, waiting)


def create_event_topics(settings: Settings, names: tuple[str, ...]) -> None:
    """Create event topics for development; those that exist stay as they are."""
    KafkaTopics(reached(settings)).apply(for_development(names), replication=1)


def cluster_topics(settings: Settings) -> frozenset[str]:
    """Return the names of all topics of the cluster.

    Raises:
        DependencyUnavailable: The brokers do not answer.
    """
    return KafkaTopics(reached(settings)).names()


def _open_to_writes(access: WriteAccess | None, names: list[str], topics: Topics) -> list[Remark]:
    """Return remarks on who may write to hookstream's topics."""
    everything = f"{topics.prefix}.*"
    if access is None:
        why = "who may write cannot be checked: that takes Describe on the cluster"
        return [Remark(everything, why)]
    found = open_topics(access, names)
    if not found:
        return []
    if access.rules is None:
        whom = "the brokers have no authorizer, so every client that reaches them may write"
    else:
        whom = f"anybody who reaches the brokers may write to {', '.join(found)}"
    why = f"{whom}, and so forge signed deliveries: docs/security.md has the ACLs against it"
    return [Remark(everything, why)]


def _largest(existing: dict[str, Existing], upstream: list[str], at_least: int) -> int:
    found = [int(existing[name].config.get("max.message.bytes", "0")) for name in upstream]
    return max([at_least, *found])
