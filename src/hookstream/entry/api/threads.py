"""Runs handlers on threads, so that a blocking one delays no other request."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Threads(Protocol):
    """Runs blocking code outside of the event loop."""

    @property
    def most(self) -> int:
        """How many run at once; more wait."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns."""
