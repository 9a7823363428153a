"""Looks up the ids of topics (KIP-516), which change when a topic is created again."""

import asyncio
from collections.abc import Collection
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import (
    ClientSettings,
    LastingFailure,
    admin_client,
    kafka_error,
    translated,
)
from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.errors import ConfigurationError, DependencyUnavailable
from hookstream.pipeline.ports import Clock, Logger

_FRESH: Final = 10.0
"""Seconds for which an answer is cached: as often as topics are looked up."""
_SECONDS: Final = 5.0
_PAUSE: Final = 1.0
_UNKNOWN: Final = ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID")


class KafkaTopicIds:
    """The `TopicIds` of a cluster, each cached for ten seconds. Owned by the event loop.

    Args:
        client: librdkafka's settings.
        logger: The log.
        clock: Measures the age of answers.
    """

    def __init__(self, client: ClientSettings, logger: Logger, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._failure = LastingFailure("topics.id_unknown", logger, clock)
        self._admin: AdminClient | None = None
        self._found: dict[str, tuple[float, bytes | None]] = {}
        self._asking = asyncio.Lock()

    async def find(self, topic: str) -> bytes | None:
        """As TopicIds says."""
        found = self._remembered(topic)
        if found is None:
            async with self._asking:
                found = self._remembered(topic) or await self._ask(topic)
        _, topic_id = found
        return topic_id

    def _remembered(self, topic: str) -> tuple[float, bytes | None] | None:
        found = self._found.get(topic)
        if found is None or self._clock.monotonic() - found[0] > _FRESH:
            return None
        return found

    async def _ask(self, topic: str) -> tuple[float, bytes | None]:
        if self._admin is None:
            self._admin = admin_client(self._client)
        while True:
            asked_at = self._clock.monotonic()
            try:
                topic_id = await asyncio.to_thread(topic_id_of, self._admin, topic)
            except (DependencyUnavailable, ConfigurationError) as error:
                self._failure.lasts(str(error))
                await asyncio.sleep(_PAUSE)
                continue
            self._failure.over()
            found = self._found[topic] = asked_at, topic_id
            return found


def topic_id_of(admin: AdminClient, topic: str) -> bytes | None:
    """Return the 16 bytes of a topic's id; None if there is no such topic, or it has no id.

    Raises:
        DependencyUnavailable: The cluster does not answer.
        ConfigurationError: Describing the topic is not allowed.
    """
    return topic_ids_of(admin, [topic])[topic] or None


def topic_ids_of(admin: AdminClient, topics: Collection[str]) -> dict[str, bytes | None]:
    """Return the 16 bytes of topics' ids; None for one that does not exist, empty if it has no id.

    Raises:
        DependencyUnavailable: The cluster does not answer.
        ConfigurationError: Describing a topic is not allowed.
    """
    if not topics:
        return {}
    asked = admin.describe_topics(TopicCollection([*topics]), request_timeout=_SECONDS)
    found: dict[str, bytes | None] = {}
    for topic, answer in asked.items():
        try:
            topic_id = answer.result(_SECONDS).topic_id
        except TimeoutError:
            LOOKUPS.forget()
            why = f"the id of topic {topic} was not returned in time"
            raise DependencyUnavailable(why) from None
        except KafkaException as error:
            if kafka_error(error).name() not in _UNKNOWN:
                LOOKUPS.forget()
                raise translated(error, f"the id of topic {topic} cannot be read") from error
            found[topic] = None
            continue
        halves = topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits()
        whole = b"".join(half.to_bytes(8, "big", signed=half < 0) for half in halves)
        # A broker without topic ids answers with zeros.
        found[topic] = whole if any(whole) else b""
    return found
