"""What commands need of the state of an installation.

As for `ports`: the cluster and the API implement this, and each may raise what is said there.
"""

from typing import Protocol

from hookstream.entry.admin.status import Status


class StatusCommand(Protocol):
    """Reads the state of an installation."""

    def read(self, workers: tuple[str, ...], most: int) -> Status:
        """Return the state now.

        Args:
            workers: `host:port` of workers to ask; none: what the settings name, a console's or these.
            most: How many tier records are read at most, and how many records of each dead-letter topic.
        """
