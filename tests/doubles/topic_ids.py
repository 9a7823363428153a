"""The ids of topics that a test sets: a double of `TopicIds`."""

from dataclasses import dataclass, field


@dataclass
class KnownTopicIds:
    """Every topic's id; a topic without one is gone."""

    ids: dict[str, bytes] = field(default_factory=dict)

    async def find(self, topic: str) -> bytes | None:
        return self.ids.get(topic)
