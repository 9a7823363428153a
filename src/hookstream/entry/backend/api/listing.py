"""Deliveries and attempts through the API: from a console's index, with a note on its window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import PendingRecord, Selected
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription_status import Deleted, SubscriptionStatus
from hookstream.entry.admin.audit import AuditSelection
from hookstream.entry.admin.deliveries import (
    DeliveryDetails,
    DeliveryListing,
    DeliverySelection,
)
from hookstream.entry.api.filters import WindowShown
from hookstream.entry.api.resources.deliveries import (
    AttemptsPage,
    AttemptsQuery,
    DeliveriesPage,
    DeliveriesQuery,
)
from hookstream.entry.api.resources.delivery_life_views import DeliveryShown
from hookstream.entry.api.resources.delivery_views import AttemptShown, RunShown
from hookstream.entry.api.resources.jobs import JobShown
from hookstream.entry.api.resources.resending import PayloadQuery, PayloadShown, ResendGiven
from hookstream.entry.api.resources.subscription_views import SubscriptionShown
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.life import life_in
from hookstream.entry.backend.api.past import attempt_in, history_in, pending_in, run_in
from hookstream.entry.backend.api.rows import SUBSCRIPTION
from hookstream.entry.backend.api.values import facts_in, instant_or_none, job_in
from hookstream.entry.backend.listing_ports import (
    AttemptListing,
    DeliveryRead,
    DoneResend,
    HistoryRead,
    ListedDeliveries,
    PayloadRead,
    Progress,
    WantedResend,
)
from hookstream.errors import AccessRefused, InputRefused

_EVERY: Final = 1.0
"""Seconds between two requests while attempts are followed."""
_OVERLAP: Final[Millis] = 5_000
"""How far each of these requests reaches back for attempts recorded meanwhile."""
MOST_ASKED: Final = 10_000
"""The most entries of a list that a command requests, in pages."""
_DELIVERY = "/v1/deliveries/{delivery_id}"


class WindowWatch:
    """Notes the parts of the requested time that the windows of answers leave out."""

    def __init__(self, since: Millis | None) -> None:
        self._since = since
        self._said: list[str] = []

    def note(self, window: WindowShown) -> None:
        """Note the window of an answer."""
        known = window.since
        if known is not None and (self._since is None or from_rfc3339(known) > self._since):
            since = to_the_second(from_rfc3339(known))
            self._add(f"the console's index begins at {since}: earlier entries are not known")
        if window.building:
            self._add("the console's index is still being built: older entries are missing")
        if not window.reading:
            self._add("the console does not read new records now: newer entries may be missing")

    def _add(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.append(sentence)

    @property
    def said(self) -> Sequence[str]:
        """The limits of the answers, one sentence each."""
        return self._said


@dataclass(slots=True, frozen=True)
class ApiAttempts:
    """Implements `AttemptCommands`."""

    api: ApiClient

    def listed(self, selection: AuditSelection, limit: int, progress: Progress) -> AttemptListing:
        watch = WindowWatch(selection.since)
        found: list[AuditEntry] = []
        is_least = False
        most = max(limit, MOST_ASKED)
        for each in islice(self._shown(selection, watch, progress), most + 1):
            if len(found) == most:
                is_least = True
                break
            found.append(attempt_in(each))
        found = _oldest_first(found)
        return AttemptListing(found[-limit:], len(found), is_least, watch.said)

    def _shown(
        self, selection: AuditSelection, watch: WindowWatch, progress: Progress
    ) -> Iterator[AttemptShown]:
        read = 0
        for subscription, partner in _whose(selection.subscriptions, selection.partners):
            for page in self.api.pages(
                "/v1/attempts",
                AttemptsPage,
                AttemptsQuery,
                subscription=subscription,
                partner=partner,
                since=_time(selection.since),
                until=_time(selection.until),
                delivery=selection.delivery,
                event=selection.event,
                event_type=_words(selection.event_types),
                outcome=_words(selection.outcomes),
                disposition=_words(selection.dispositions),
            ):
                watch.note(page.window)
                yield from page.items
                read += len(page.items)
                progress(read, 0)

    def followed(
        self, selection: AuditSelection, say: Callable[[str], None]
    ) -> Iterator[AuditEntry]:
        said, seen, since = set[str](), set[AuditEntry](), selection.since
        while True:
            watch, now, fresh = WindowWatch(since), set[AuditEntry](), list[AuditEntry]()
            stretch = replace(selection, since=since)
            newest = since
            for each in islice(self._shown(stretch, watch, lambda _done, _all: None), MOST_ASKED):
                entry, at = attempt_in(each), instant_or_none(each.recorded_at)
                newest = at if newest is None or (at is not None and at > newest) else newest
                now.add(entry)
                if entry not in seen:
                    fresh.append(entry)
            sentences = [*watch.said]
            if len(now) >= MOST_ASKED:
                sentences.append(f"only the newest {MOST_ASKED:,} attempts at a time are shown")
            for sentence in sentences:
                if sentence not in said:
                    said.add(sentence)
                    say(sentence)
            yield from _oldest_first(fresh)
            seen = now
            if newest is not None:
                # Records of another partition may be indexed a little later.
                since = max(selection.since or 0, newest - _OVERLAP)
            self.api.sleep(_EVERY)

    def history(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> HistoryRead:
        del progress
        _, history, said = _shown(self.api, delivery_id, since, until)
        if history.state is DeliveryState.UNKNOWN:
            raise InputRefused(
                f"no record mentions {delivery_id} in that window; it may still wait for its first attempt"
            )
        return HistoryRead(history, said)


def _oldest_first(newest_first: list[AuditEntry]) -> list[AuditEntry]:
    """Return attempts by their time; those of one millisecond stay in the order in which they were recorded."""
    oldest_first = newest_first[::-1]
    oldest_first.sort(key=lambda entry: entry.started_at)
    return oldest_first


@dataclass(slots=True, frozen=True)
class ApiDeliveries:
    """Implements `DeliveryCommands`."""

    api: ApiClient

    def listed(
        self, selection: DeliverySelection, since: Millis, progress: Progress
    ) -> ListedDeliveries:
        watch, found, dropped = WindowWatch(since), Selected(), False
        for each in self._shown(selection, since, watch, progress):
            if len(found.states) == MOST_ASKED:
                dropped = True
                break
            state = run_in(each)
            if selection.selects(state):
                found.add(state)
        said = [*watch.said]
        if selection.since is None:
            said.insert(
                0,
                f"deliveries of events before {to_the_second(since)} were not requested (--since)",
            )
        if dropped:
            said.append(f"only the newest {MOST_ASKED:,} deliveries were requested")
        listing = DeliveryListing(found, 0, since, None)
        return ListedDeliveries(listing, _NOT_READ, said)

    def _shown(
        self, selection: DeliverySelection, since: Millis, watch: WindowWatch, progress: Progress
    ) -> Iterator[RunShown]:
        read = 0
        for subscription, partner in _whose(selection.subscriptions, selection.partners):
            for page in self.api.pages(
                "/v1/deliveries",
                DeliveriesPage,
                DeliveriesQuery,
                subscription=subscription,
                partner=partner,
                since=_time(since),
                event=selection.event,
                event_type=_words(selection.event_types),
                state=_words(selection.states),
            ):
                watch.note(page.window)
                yield from page.items
                read += len(page.items)
                progress(read, 0)

    def found(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> DeliveryRead:
        del progress
        shown, history, said = _shown(self.api, delivery_id, since, until)
        details = DeliveryDetails(
            delivery_id,
            history,
            tuple(map(pending_in, shown.pending)),
            (),
            (),
        )
        return DeliveryRead(details, self._status(shown), life_in(shown), said)

    def _status(self, shown: DeliveryShown) -> SubscriptionStatus | None:
        where = path(SUBSCRIPTION, subscription_id=shown.subscription)
        try:
            return facts_in(self.api.get(where, SubscriptionShown)).status
        except AccessRefused:
            return None
        except InputRefused:
            # A delivery's subscription exists, or existed.
            return Deleted(shown.subscription, shown.partner)

    def payload(
        self,
        delivery_id: str,
        origin: str | None,
        since: Millis | None,
        until: Millis | None,
        progress: Progress,
    ) -> PayloadRead:
        del progress
        _refuse_window(since, until)
        where = path(_DELIVERY + "/payload", delivery_id=delivery_id)
        shown = self.api.get(where, PayloadShown, PayloadQuery(origin=origin))
        return PayloadRead(
            body=shown.body.encode(),
            content_type=shown.content_type,
            event_type=shown.event_type,
            version=shown.version,
            published_at=from_rfc3339(shown.published_at),
            version_sent=shown.version_sent,
            changed_at=instant_or_none(shown.changed_at),
            at_origin=shown.source == "origin",
            found=shown.found or "",
        )

    def resend(
        self,
        wanted: WantedResend,
        allowed: Callable[[Sequence[PendingRecord]], None],
        progress: Progress,
    ) -> DoneResend:
        found = self.found(wanted.delivery_id, wanted.since, wanted.until, progress)
        allowed(found.details.pending)
        given = ResendGiven(
            origin=wanted.origin, as_granted_today=wanted.as_granted_today, reason=wanted.reason
        )
        where = path(_DELIVERY + "/resend", delivery_id=wanted.delivery_id)
        job = job_in(self.api.change("POST", where, JobShown, given)).job
        known = found.details
        partners = [each.partner_id for each in known.history.entries]
        partners += [each.delivery.partner_id for each in known.pending]
        return DoneResend(
            job=job,
            delivery_id=wanted.delivery_id,
            subscription_id=known.subscription_id,
            partner_id=partners[0] if partners else "",
            event_type=str(job.asked.get("event_type", known.event_type)),
            event_id=str(job.asked.get("event_id", "")),
            origin=str(job.asked.get("origin", "")),
            found="",
            waits="",
            pending_before=len(known.pending),
        )


_NOT_READ: JsonObject = {
    "not_read": None,
    "unmatched_events": None,
    "unreadable": None,
    "lost_partitions": None,
}
"""The parts of a listing that the API does not have."""


def _whose(
    subscriptions: frozenset[str] | None, partners: frozenset[str] | None
) -> Iterator[tuple[str | None, str | None]]:
    """Yield each pair of names to request: the API takes one name at a time."""
    some: tuple[str | None, ...] = (*sorted(subscriptions or ()),)
    yield from product(some or (None,), (*sorted(partners or ()),) or (None,))


def _words(given: frozenset[str] | None) -> tuple[str, ...]:
    return tuple(sorted(given or ()))


def _time(at: Millis | None) -> str | None:
    return None if at is None else to_rfc3339(at)


def _shown(
    api: ApiClient, delivery_id: str, since: Millis | None, until: Millis | None
) -> tuple[DeliveryShown, DeliveryHistory, Sequence[str]]:
    """Return the API's answer about a delivery, its history in a window, and the limits of both.

    Raises:
        InputRefused: No record in the window mentions it.
    """
    shown = api.get(path(_DELIVERY, delivery_id=delivery_id), DeliveryShown)
    watch = WindowWatch(since or 0)
    if since is not None or shown.window.building or not shown.window.reading:
        watch.note(shown.window)
    history = history_in(delivery_id, shown.timeline).within(since, until)
    if not (history.entries or history.deaths or shown.pending):
        raise InputRefused(
            f"nothing is known of a delivery {delivery_id!r} between --since and --until"
        )
    return shown, history, watch.said


def _refuse_window(since: Millis | None, until: Millis | None) -> None:
    if since is not None or until is not None:
        raise InputRefused("--since and --until: omit them; the API searches its whole index")
