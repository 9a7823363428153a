"""Looks attempts of an explained event up in a console's index, as far as it reaches back."""

from dataclasses import dataclass
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


@dataclass(slots=True, frozen=True)
class IndexedHistories:
    """Implements `Histories`."""

    index: IndexReader
    budget: SearchBudget
    partner_id: str | None
    """The only partner whose deliveries are looked up; None: all."""

    def mentioned(self, event: Event, since: Millis) -> Mentioned:
        """As `Histories` says."""
        window = self.index.window()
        are_all = window.since is not None and window.since <= since and window.reading
        if not are_all:
            self.budget.left_out.append(
                f"attempts that are not in the console's index, which {_limit(window)}"
            )
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

    def of(self, delivery_id: str, since: Millis) -> DeliveryHistory | None:
        """As `Histories` says."""
        found = self.index.delivery(delivery_id, partner_id=self.partner_id)
        return (
            DeliveryHistory(delivery_id, (), ())
            if found is None
            else found.history.within(max(0, since - SKEW), None)
        )


def _limit(window: Window) -> str:
    if window.since is None:
        return "has nothing yet"
    if not window.reading:
        return "does not read what happens now"
    return f"begins at {to_rfc3339(window.since)}"
