"""The port of `status`: the state of an installation.

The cluster and the API implement it, and each raises the exceptions that `ports.py` documents.
"""

from typing import Protocol

from hookstream.entry.admin.status import Status


class StatusCommand(Protocol):
    """Reads the state of an installation."""

    def read(self, workers: tuple[str, ...], most: int) -> Status:
        """Return the state now.

        Args:
            workers: `host:port` of workers to ask; none: those that the settings name, a console's or these.
            most: The most tier records that are read, and the most records of each dead-letter topic.
        """
