"""Looks attempts of an explained event up in a console's index, as far as it reaches back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import sleep
from typing import Final

from hookstream.adapters.index.answers import AttemptFilter, Cursor, Window
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model.event import Event
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.entry.admin.event_search import SearchBudget
from hookstream.entry.admin.explain import SKEW, Mentioned

_MOST_PAGES: Final = 50
_IN_PAGE: Final = 200
_BEHIND_SECONDS: Final = 5.0
"""How long an index is waited for that is behind, in seconds: at most about two while it reads."""
_LOOK_SECONDS: Final = 0.1
_ON_THE_WAY: Final[Millis] = 250
"""So long after a record was appended the index may take itself for up to date without it."""


@dataclass(slots=True)
class IndexedHistories:
    """Looks up for one explanation. Implements `Histories`."""

    index: IndexReader
    budget: SearchBudget
    partner_id: str | None
    """The only partner whose deliveries are looked up; None: all."""
    pause: Callable[[float], None] = sleep
    """Waits so many seconds."""
    _end: float | None = field(default=None, init=False)
    """Until when the index is waited for, whatever is looked up; None: it was not yet."""

    def mentioned(self, event: Event, since: Millis, until: Millis) -> Mentioned:
        """As `Histories` says."""
        until += _ON_THE_WAY
        window = self._window(since, until)
        are_all = _reaches_back(window, since) and _is_up_to(window, until)
        limit = f"attempts that are not in the console's index, which {_limit(window, since)}"
        if not are_all and limit not in self.budget.left_out:
            self.budget.left_out.append(limit)
        wanted = AttemptFilter(
            partner_id=self.partner_id, event_id=event.event_id, since=max(0, since - SKEW)
        )
        found: set[str] = set()
        after: Cursor | None = None
        for _ in range(_MOST_PAGES):
            page = self.index.attempts(wanted, after, _IN_PAGE)
            found |= {each.entry.delivery_id for each in page.items}
            after = page.after
            if after is None:
                return Mentioned(frozenset(found), are_all)
        self.budget.left_out.append(f"attempts of the event beyond {_MOST_PAGES * _IN_PAGE:,}")
        return Mentioned(frozenset(found), are_all=False)

    def _window(self, since: Millis, until: Millis) -> Window:
        """Return the index's window, as soon as it has what was recorded up to an instant."""
        if self._end is None:
            self._end = self.budget.clock() + _BEHIND_SECONDS
        while True:
            window = self.index.window()
            if (
                not _reaches_back(window, since)
                or _is_up_to(window, until)
                or self.budget.clock() >= self._end
                or self.budget.is_spent
            ):
                return window
            self.pause(_LOOK_SECONDS)

    def of(self, delivery_id: str, since: Millis) -> DeliveryHistory | None:
        """As `Histories` says."""
        found = self.index.delivery(delivery_id, partner_id=self.partner_id)
        return (
            DeliveryHistory(delivery_id, (), ())
            if found is None
            else found.history.within(max(0, since - SKEW), None)
        )


def _reaches_back(window: Window, since: Millis) -> bool:
    return window.since is not None and window.since <= since and window.reading


def _is_up_to(window: Window, until: Millis) -> bool:
    return window.until is not None and window.until >= until


def _limit(window: Window, since: Millis) -> str:
    if window.since is None or window.until is None:
        return "has nothing yet"
    if not window.reading:
        return "does not read what happens now"
    if not _reaches_back(window, since):
        return f"begins at {to_rfc3339(window.since)}"
    return f"is behind: it was read up to {to_rfc3339(window.until)}"
