"""Where handlers run: what blocks keeps no other request waiting."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Threads(Protocol):
    """Runs what blocks beside the event loop."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns."""
