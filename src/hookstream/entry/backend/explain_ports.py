"""The port of `explain`: explains why an event did, or did not, arrive.

The cluster and the API implement it, and each raises the exceptions that `ports.py` documents.
"""

from typing import Protocol

from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Explanation


class ExplainCommand(Protocol):
    """Explains an event."""

    def explain(self, request: ExplainRequest) -> Explanation:
        """Return the explanation of an event; one that was not found has none."""
