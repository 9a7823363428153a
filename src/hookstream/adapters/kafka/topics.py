"""Reads the cluster's topics and their access rules, and applies a plan of changes."""

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from hookstream.adapters.kafka.client import TOPIC_GONE, ClientSettings, kafka_error, translated
from hookstream.adapters.kafka.lookups import LOOKUPS, translating
from hookstream.core.topology.plan import (
    Configure,
    CreateTopic,
    Existing,
    TopicChange,
    TopicReplicas,
)
from hookstream.core.topology.writers import TopicRule, WriteAccess
from hookstream.errors import DependencyUnavailable

_SECONDS = 30.0
_OPEN_BY_DEFAULT = "allow.everyone.if.no.acl.found"
_INSYNC_OF_THREE = 3
_PAUSE = 0.1
_NAMED = 5


def _rule(binding: AclBinding) -> TopicRule:
    prefixed = binding.resource_pattern_type == ResourcePatternType.PREFIXED
    return TopicRule(
        principal=str(binding.principal),
        host=str(binding.host),
        operation=AclOperation(binding.operation).name,
        allow=binding.permission_type == AclPermissionType.ALLOW,
        pattern="prefixed" if prefixed else "literal",
        name=str(binding.name),
    )


class KafkaTopics:
    """An administrator's view of the cluster. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
    """

    def __init__(self, client: ClientSettings) -> None:
        self._admin: AdminClient = LOOKUPS.client(client)

    def brokers(self) -> int:
        """Return how many brokers the cluster has.

        Raises:
            DependencyUnavailable: None answers.
        """
        with translating("cannot list the cluster's brokers", _SECONDS):
            return len(self._admin.list_topics(timeout=_SECONDS).brokers)

    def names(self) -> frozenset[str]:
        """Return the names of all topics.

        Raises:
            DependencyUnavailable: None answers.
        """
        with translating("cannot list the cluster's topics", _SECONDS):
            return frozenset(self._admin.list_topics(timeout=_SECONDS).topics)

    def replicas(self, pick: Callable[[Iterable[str]], Iterable[str]]) -> dict[str, TopicReplicas]:
        """Return how topics are replicated, each at its worst partition; `pick` as for `existing`.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        with translating("cannot list the cluster's topics", _SECONDS):
            metadata = self._admin.list_topics(timeout=_SECONDS).topics
        return {
            name: TopicReplicas(
                min(len(each.replicas) for each in metadata[name].partitions.values()),
                min(len(each.isrs) for each in metadata[name].partitions.values()),
            )
            for name in pick(metadata)
            if metadata[name].partitions
        }

    def existing(self, pick: Callable[[Iterable[str]], Iterable[str]]) -> dict[str, Existing]:
        """Return topics with their settings.

        A topic has some forty settings, and a cluster may have thousands of others' topics. A topic
        that is deleted meanwhile is left out.

        Args:
            pick: Chooses from the names of all topics that are not Kafka's own.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        with translating("cannot list the cluster's topics", _SECONDS):
            metadata = self._admin.list_topics(timeout=_SECONDS).topics
            names = pick(name for name in metadata if not name.startswith("__"))
            asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
            answers = self._admin.describe_configs(asked) if asked else {}
            found: dict[str, Existing] = {}
            for resource, answer in answers.items():
                try:
                    settings = answer.result(_SECONDS)
                except KafkaException as error:
                    if kafka_error(error).code() in TOPIC_GONE:
                        continue  # it was deleted since it was listed
                    raise
                found[resource.name] = Existing(
                    len(metadata[resource.name].partitions),
                    {name: str(entry.value) for name, entry in settings.items()},
                )
            return found

    def access(self) -> WriteAccess | None:
        """Return the access rules of topics; None: reading them is not allowed.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        # The library takes None for any name, principal and host; its types do not.
        asked = AclBindingFilter(
            ResourceType.TOPIC,
            None,  # type: ignore[arg-type]
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        try:
            found = self._admin.describe_acls(asked).result(_SECONDS)
            if not found and not any(self._of_brokers("authorizer.class.name")):
                # The client library returns an empty answer for that, not an error.
                return WriteAccess(None)
            return WriteAccess(
                [_rule(binding) for binding in found], "true" in self._of_brokers(_OPEN_BY_DEFAULT)
            )
        except KafkaException as error:
            code = kafka_error(error).code()
            if code == KafkaError.SECURITY_DISABLED:
                return WriteAccess(None)
            if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
                return None
            LOOKUPS.forget()
            raise translated(error, "cannot list the access rules of topics") from error

    def _of_brokers(self, setting: str) -> set[str]:
        """Return the values that the brokers have for a setting; empty text if it is not set."""
        brokers = self._admin.list_topics(timeout=_SECONDS).brokers
        asked = [ConfigResource(ResourceType.BROKER, str(broker)) for broker in brokers]
        answers = self._admin.describe_configs(asked).values()
        entries = [answer.result(_SECONDS).get(setting) for answer in answers]
        return {entry.value or "" for entry in entries if entry is not None}

    def apply(
        self,
        changes: Sequence[TopicChange],
        replication: int,
        waiting: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Apply a plan, and return when every new partition has a leader.

        A topic that was created by another process meanwhile is left unchanged.

        Args:
            changes: The plan.
            replication: Replicas of each new partition.
            waiting: Called with a sentence if it has to wait for partitions.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer, or partitions have no leader.
        """
        created = [change for change in changes if isinstance(change, CreateTopic)]
        with translating("cannot change the cluster's topics", _SECONDS):
            self._create(created, replication)
            self._await_leaders([change.topic.name for change in created], waiting)
            self._configure([change for change in changes if isinstance(change, Configure)])

    def _create(self, changes: Sequence[CreateTopic], replication: int) -> None:
        if not changes:
            return
        insync = {"min.insync.replicas": "2"} if replication >= _INSYNC_OF_THREE else {}
        wanted = [
            NewTopic(
                change.topic.name,
                num_partitions=change.topic.partitions,
                replication_factor=replication,
                config={**change.topic.config, **insync},
            )
            for change in changes
        ]
        for made in self._admin.create_topics(wanted, operation_timeout=_SECONDS).values():
            try:
                made.result(_SECONDS)
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def _await_leaders(self, topics: Sequence[str], waiting: Callable[[str], object]) -> None:
        until = time.monotonic() + _SECONDS
        reported = False
        while left := self._leaderless(topics):
            names = ", ".join(left[:_NAMED]) + (" ..." if len(left) > _NAMED else "")
            if time.monotonic() >= until:
                raise DependencyUnavailable(
                    f"the topics were created, but after {_SECONDS:g} s partitions of {names} have no leader:"
                    " check the brokers' logs, then run the command again"
                )
            if not reported:
                reported = True
                waiting(f"Waiting for leaders of the new partitions: {names}")
            time.sleep(_PAUSE)

    def _leaderless(self, topics: Sequence[str]) -> list[str]:
        found = self._admin.list_topics(timeout=_SECONDS).topics if topics else {}
        return [
            name
            for name in topics
            if name not in found
            or not found[name].partitions
            or any(partition.leader < 0 for partition in found[name].partitions.values())
        ]

    def _configure(self, changes: Sequence[Configure]) -> None:
        if not changes:
            return
        resources: dict[str, list[ConfigEntry]] = {}
        for change in changes:
            entry = ConfigEntry(
                change.setting, change.after, incremental_operation=AlterConfigOpType.SET
            )
            resources.setdefault(change.name, []).append(entry)
        asked = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
            for name, entries in resources.items()
        ]
        for altered in self._admin.incremental_alter_configs(asked).values():
            altered.result(_SECONDS)
