"""The readers of a console's index: consecutive handlers share one, with its open files.

Opening the files of a day takes as long as answering from them, and the number of open files of all threads is
bounded. So a reader belongs to a handler's place, not to its thread: consecutive requests, on whichever threads, find
the files that the previous one opened.
"""

from collections.abc import Callable
from pathlib import Path
from threading import local
from typing import Final

from hookstream.adapters.index.opened_files import OpenLimit
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.model.instant import Millis
from hookstream.entry.console.request_threads import place

BUSY_PLACES: Final = 4
"""The number of first places, whose readers have most of the open files."""
_MOST_OF_BUSY, _MOST_OF_OTHERS = 128, 32
"""The open files of readers at first and at other places. Each takes three descriptors; a process often has 1,024."""


class IndexReaders:
    """Gives each handler a reader of its own. For any thread.

    Args:
        folder: The index's.
        clock: As IndexReader says.
    """

    def __init__(self, folder: Path, clock: Callable[[], Millis] | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._of_busy, self._of_others = OpenLimit(_MOST_OF_BUSY), OpenLimit(_MOST_OF_OTHERS)
        self._at_places: dict[int, IndexReader] = {}
        self._of_thread = local()

    def own(self) -> IndexReader:
        """Return the reader of the handler that runs on this thread, or the thread's own if none does."""
        number = place()
        if number is None:
            found: IndexReader | None = getattr(self._of_thread, "reader", None)
            if found is None:
                found = self._of_thread.reader = self._made(self._of_others)
            return found
        at_place = self._at_places.get(number)
        if at_place is None:
            # No other handler is at this place.
            limit = self._of_busy if number < BUSY_PLACES else self._of_others
            at_place = self._at_places[number] = self._made(limit)
        return at_place

    def _made(self, limit: OpenLimit) -> IndexReader:
        return IndexReader(self._folder, self._clock, limit=limit)
