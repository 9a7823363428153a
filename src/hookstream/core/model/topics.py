"""The names of hookstream's own topics and groups, all under one prefix."""

from functools import lru_cache
from typing import Final

from hookstream.core.model.instant import Millis, format_duration, parse_duration


class Topics:
    """Every topic and group name of hookstream."""

    def __init__(self, prefix: str = "hookstream") -> None:
        self.prefix: Final = prefix
        self.schemas: Final = f"{prefix}.schemas"
        """All published schema revisions (compacted)."""
        self.partners: Final = f"{prefix}.partners"
        """Partners and their grants (compacted)."""
        self.subscriptions: Final = f"{prefix}.subscriptions"
        """Subscriptions, holds, skips and starts (compacted)."""
        self.health: Final = f"{prefix}.health"
        """Endpoint health, written by workers (compacted)."""
        self.jobs: Final = f"{prefix}.jobs"
        """Redrives and their progress (compacted)."""
        self.tables: Final = (
            self.schemas,
            self.partners,
            self.subscriptions,
            self.health,
            self.jobs,
        )
        """The compacted topics that workers read, in the best order for loading."""
        self.console: Final = f"{prefix}.console"
        """Tokens and idempotency keys (compacted), which only consoles and token commands read."""
        self.dead_letters: Final = f"{prefix}.dead-letters"
        """Deliveries that were given up."""
        self.undecodable: Final = f"{prefix}.undecodable"
        """Records that never became events."""
        self.attempts: Final = f"{prefix}.attempts"
        """The audit log."""
        self.operations: Final = f"{prefix}.operations"
        """Events about hookstream itself."""
        self.group: Final = prefix
        """The consumer group of the event topics."""
        self.retry_group: Final = f"{prefix}.retry"
        """The consumer group of the tiers."""
        self.writer: Final = f"{prefix}.writer"
        """The transactional id of the only writer of tables."""
        self.registry_writer: Final = f"{prefix}.registry"
        """The transactional id of the writer of rows of registries' schemas."""

    def job(self, job_id: str) -> str:
        """Return the transactional id of a job."""
        return f"{self.prefix}.job.{job_id}"

    def tier(self, delay: Millis) -> str:
        """Return the retry topic of a delay."""
        return f"{self.prefix}.retry.{format_duration(delay)}"

    def delay_of(self, topic: str) -> Millis | None:
        """Return the delay of a retry topic; None for any other topic."""
        head = f"{self.prefix}.retry."
        return _delay(topic[len(head) :]) if topic.startswith(head) else None


@lru_cache(256)  # each record of a tier asks again
def _delay(text: str) -> Millis | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None
