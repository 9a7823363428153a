"""The names of hookstream's own topics and groups, all under one prefix."""

from collections.abc import Sequence
from dataclasses import dataclass

from hookstream.core.model.instant import Millis, format_duration, parse_duration


@dataclass(slots=True, frozen=True)
class Topics:
    """Every topic and group name of hookstream."""

    prefix: str = "hookstream"

    @property
    def schemas(self) -> str:
        """All published schema revisions (compacted)."""
        return f"{self.prefix}.schemas"

    @property
    def partners(self) -> str:
        """Partners and their grants (compacted)."""
        return f"{self.prefix}.partners"

    @property
    def subscriptions(self) -> str:
        """Subscriptions, holds, skips and starts (compacted)."""
        return f"{self.prefix}.subscriptions"

    @property
    def health(self) -> str:
        """Endpoint health, written by workers (compacted)."""
        return f"{self.prefix}.health"

    @property
    def jobs(self) -> str:
        """Redrives and their progress (compacted)."""
        return f"{self.prefix}.jobs"

    @property
    def dead_letters(self) -> str:
        """Deliveries that were given up."""
        return f"{self.prefix}.dead-letters"

    @property
    def undecodable(self) -> str:
        """Records that never became events."""
        return f"{self.prefix}.undecodable"

    @property
    def attempts(self) -> str:
        """The audit log."""
        return f"{self.prefix}.attempts"

    @property
    def operations(self) -> str:
        """Events about hookstream itself."""
        return f"{self.prefix}.operations"

    @property
    def group(self) -> str:
        """The consumer group of the event topics."""
        return self.prefix

    @property
    def retry_group(self) -> str:
        """The consumer group of the tiers."""
        return f"{self.prefix}.retry"

    @property
    def writer(self) -> str:
        """The transactional id of the only writer of tables."""
        return f"{self.prefix}.writer"

    @property
    def tables(self) -> Sequence[str]:
        """The compacted topics, in the best order for loading."""
        return (self.schemas, self.partners, self.subscriptions, self.health, self.jobs)

    def job(self, job_id: str) -> str:
        """Return the transactional id of a job."""
        return f"{self.prefix}.job.{job_id}"

    def tier(self, delay: Millis) -> str:
        """Return the retry topic of a delay."""
        return f"{self.prefix}.retry.{format_duration(delay)}"

    def delay_of(self, topic: str) -> Millis | None:
        """Return the delay of a retry topic; None for any other topic."""
        head = f"{self.prefix}.retry."
        if not topic.startswith(head):
            return None
        try:
            return parse_duration(topic[len(head) :])
        except ValueError:
            return None
