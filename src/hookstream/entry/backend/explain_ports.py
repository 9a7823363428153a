"""What commands need to explain why an event did, or did not, arrive.

As for `ports`: the cluster and the API implement this, and each may raise what is said there.
"""

from typing import Protocol

from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Explanation


class ExplainCommand(Protocol):
    """Explains an event."""

    def explain(self, request: ExplainRequest) -> Explanation:
        """Return the explanation of an event; one that was not found has none."""
