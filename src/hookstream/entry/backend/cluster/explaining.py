"""Explains events by the topics of the cluster."""

from dataclasses import dataclass

from hookstream.entry.admin.explain import ExplainRequest, explain
from hookstream.entry.admin.explanation import Explanation
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class ClusterExplaining:
    """Implements `ExplainCommand`."""

    settings: Settings

    def explain(self, request: ExplainRequest) -> Explanation:
        return explain(self.settings, request)
