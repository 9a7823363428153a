"""The cluster's topics: what is there, and how a plan is carried out."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from hookstream.adapters.kafka_client import (
    ClientSettings,
    admin_client,
    kafka_error,
    translated,
)
from hookstream.core.topology.plan import Configure, Create, Existing, TopicChange

_SECONDS = 30.0
_INSYNC_OF_THREE = 3


class KafkaTopics:
    """An administrator's view of the cluster. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
    """

    def __init__(self, client: ClientSettings) -> None:
        self._admin: AdminClient = admin_client(client)

    def brokers(self) -> int:
        """Return how many brokers the cluster has.

        Raises:
            DependencyUnavailable: None answers.
        """
        try:
            return len(self._admin.list_topics(timeout=_SECONDS).brokers)
        except KafkaException as error:
            raise translated(error, "asking for the cluster's brokers") from error

    def existing(self) -> dict[str, Existing]:
        """Return every topic that is not Kafka's own, with its settings.

        Raises:
            DependencyUnavailable: The cluster does not answer.
        """
        try:
            metadata = self._admin.list_topics(timeout=_SECONDS).topics
            names = [name for name in metadata if not name.startswith("__")]
            asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
            answers = self._admin.describe_configs(asked) if asked else {}
            return {
                resource.name: Existing(
                    len(metadata[resource.name].partitions),
                    {name: str(entry.value) for name, entry in answer.result(_SECONDS).items()},
                )
                for resource, answer in answers.items()
            }
        except KafkaException as error:
            raise translated(error, "asking for the cluster's topics") from error

    def apply(self, changes: Sequence[TopicChange], replication: int) -> None:
        """Carry a plan out; a topic that somebody else created meanwhile is taken as it is.

        Raises:
            ConfigurationError: The cluster refuses it for good.
            DependencyUnavailable: The cluster does not answer.
        """
        try:
            self._create([change for change in changes if isinstance(change, Create)], replication)
            self._configure([change for change in changes if isinstance(change, Configure)])
        except KafkaException as error:
            raise translated(error, "changing the cluster's topics") from error

    def _create(self, changes: Sequence[Create], replication: int) -> None:
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
