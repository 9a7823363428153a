"""The state of an installation, from the brokers, the tables and the workers."""

from dataclasses import dataclass

from hookstream.entry.admin.status import Status, with_workers
from hookstream.entry.admin.status_reading import read_status
from hookstream.entry.admin.worker_pages import read_named_workers
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class ClusterStatus:
    """Implements `StatusCommand`."""

    settings: Settings

    def read(self, workers: tuple[str, ...], most: int) -> Status:
        pages = read_named_workers(self.settings, workers)
        return with_workers(read_status(self.settings, most), pages)
