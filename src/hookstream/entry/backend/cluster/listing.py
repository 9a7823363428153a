"""Deliveries and attempts, from the topics of tiers, attempts and dead letters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.jobs.job import jobs_of
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Disposition, Outcome
from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.admin import deliveries
from hookstream.entry.admin.audit import AuditLog, AuditSelection, history_of, newest
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.deliveries import (
    MOST_LISTED,
    DeliveryDetails,
    DeliveryListing,
    DeliveryReaders,
    DeliverySelection,
    details_of,
    readable_state,
    status_of,
)
from hookstream.entry.admin.delivery_life import job_ids, life_of
from hookstream.entry.admin.delivery_payload import payload_of
from hookstream.entry.admin.known_names import Filter, name_filters, read_names, refuse_unknown
from hookstream.entry.admin.resends import plan_resend, resend
from hookstream.entry.admin.sent_requests import last_sent
from hookstream.entry.admin.tables import read_state
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
from hookstream.errors import InputRefused
from hookstream.settings import Settings

_OUTCOMES = frozenset({"none", *(each.name for each in get_args(Outcome))})
_DISPOSITIONS = frozenset(each.name for each in get_args(Disposition))


@dataclass(slots=True, frozen=True)
class ClusterAttempts:
    """Implements `AttemptCommands`."""

    settings: Settings

    def listed(self, selection: AuditSelection, limit: int, progress: Progress) -> AttemptListing:
        self._refuse_unknown(selection, progress, follow=False)
        audit = AuditLog(self.settings, progress)
        found, count = newest(audit.entries(selection), limit)
        return AttemptListing(found, count, problems=_unreadable(audit))

    def followed(
        self, selection: AuditSelection, say: Callable[[str], None]
    ) -> Iterator[AuditEntry]:
        del say
        self._refuse_unknown(selection, lambda _done, _total: None, follow=True)
        yield from AuditLog(self.settings).entries(selection, follow=True)

    def history(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> HistoryRead:
        audit = AuditLog(self.settings, progress)
        dead_letters = DeadLetterReader(self.settings, RedriveSource.DEAD_LETTERS)
        dead_letters.progress = progress
        history = history_of(audit, dead_letters, delivery_id, since, until)
        if history.state is DeliveryState.UNKNOWN:
            raise InputRefused(
                f"neither {self.settings.topics_names.attempts} nor {dead_letters.topic} has a"
                f" record of {delivery_id} in that window; it may still wait for its first attempt"
            )
        return HistoryRead(history, _unreadable(audit))

    def _refuse_unknown(
        self, selection: AuditSelection, progress: Progress, *, follow: bool
    ) -> None:
        """Refuse a name that neither the tables nor a record of the window has."""
        filters = (
            *name_filters(
                partial(read_names, self.settings),
                subscriptions=selection.subscriptions,
                partners=selection.partners,
                event_types=selection.event_types,
                to_come=follow,
            ),
            Filter("--outcome", selection.outcomes, _OUTCOMES, "there is no such outcome"),
            Filter(
                "--disposition",
                selection.dispositions,
                _DISPOSITIONS,
                "there is no such disposition",
            ),
        )

        def seen() -> Iterator[tuple[str | None, ...]]:
            window = AuditSelection(since=selection.since, until=selection.until)
            for entry in AuditLog(self.settings, progress).entries(window):
                yield (
                    entry.subscription_id,
                    entry.partner_id,
                    entry.event_type,
                    entry.outcome,
                    entry.disposition,
                )

        refuse_unknown(filters, seen)


def _unreadable(audit: AuditLog) -> Sequence[str]:
    if not audit.unreadable:
        return ()
    count, why = audit.unreadable, audit.why_unreadable
    return [f"{counted(count, 'record')} could not be read; the first is {why}"]


@dataclass(slots=True, frozen=True)
class ClusterDeliveries:
    """Reads at most `scan` records each of the tiers, the attempts and the dead letters.

    Implements `DeliveryCommands`.
    """

    settings: Settings
    scan: int

    def listed(
        self, selection: DeliverySelection, since: Millis, progress: Progress
    ) -> ListedDeliveries:
        readers = self._readers(progress)
        listing = deliveries.listed(readers, selection, since)
        self._refuse_unknown(selection, listing)
        is_default = selection.since is None
        said = [*reservations(listing, readers, is_default=is_default)]
        return ListedDeliveries(listing, _not_read(readers, listing), said)

    def found(
        self, delivery_id: str, since: Millis | None, until: Millis | None, progress: Progress
    ) -> DeliveryRead:
        readers = self._readers(progress)
        details, limits = self._details(readers, delivery_id, since, until)
        state = readable_state(self.settings)
        status = status_of(state, details, SystemClock().now())
        jobs = {}
        if any(job_ids(details.history, details.pending)):
            jobs = {job.id: job for job in jobs_of(readers.dead_letters.jobs())[0]}
        life = life_of(
            details.history,
            details.history.entries,
            details.pending,
            jobs.get,
            status,
            state,
            self.settings.topics_names.subscriptions,
        )
        return DeliveryRead(details, status, life, limits)

    def payload(
        self,
        delivery_id: str,
        origin: str | None,
        since: Millis | None,
        until: Millis | None,
        progress: Progress,
    ) -> PayloadRead:
        details, _ = self._details(self._readers(progress), delivery_id, since, until)
        state = read_state(self.settings)
        made = payload_of(self.settings, state, details, origin)
        names = self.settings.topics_names
        sent = last_sent(details.history.entries, state, names.subscriptions)
        return PayloadRead(
            body=made.body,
            content_type=made.content_type,
            event_type=made.event.event_type,
            version=made.version,
            published_at=made.event.origin.timestamp,
            version_sent=None if sent is None else sent.version,
            changed_at=None if sent is None else sent.changed_at,
            at_origin=made.at_origin,
            found=made.found,
        )

    def resend(
        self,
        wanted: WantedResend,
        allowed: Callable[[Sequence[PendingRecord]], None],
        progress: Progress,
    ) -> DoneResend:
        readers = self._readers(progress)
        details, _ = self._details(readers, wanted.delivery_id, wanted.since, wanted.until)
        planned = plan_resend(
            self.settings,
            read_state(self.settings),
            details,
            wanted.origin,
            as_granted_today=wanted.as_granted_today,
            reason=wanted.reason,
        )
        allowed(planned.pending)
        job, event = resend(self.settings, planned), planned.found.event
        return DoneResend(
            job=job,
            delivery_id=planned.delivery_id,
            subscription_id=planned.subscription.id,
            partner_id=planned.subscription.partner_id,
            event_type=event.event_type,
            event_id=event.event_id,
            origin=event.origin.place,
            found=planned.found.place,
            waits=planned.waits,
            pending_before=len(planned.pending),
        )

    def _readers(self, progress: Progress) -> DeliveryReaders:
        readers = DeliveryReaders(self.settings, self.scan)
        for each in readers.all:
            each.progress = progress
        return readers

    def _details(
        self,
        readers: DeliveryReaders,
        delivery_id: str,
        since: Millis | None,
        until: Millis | None,
    ) -> tuple[DeliveryDetails, Sequence[str]]:
        details = details_of(readers, delivery_id, since, until)
        limits = [*scan_limits(readers), *unread(readers)]
        if not details.is_known:
            raise InputRefused(unknown_delivery(readers, delivery_id, limits))
        return details, limits

    def _refuse_unknown(self, selection: DeliverySelection, listing: DeliveryListing) -> None:
        """Refuse a name that neither the tables nor any read record has."""
        filters = name_filters(
            partial(read_names, self.settings),
            subscriptions=selection.subscriptions,
            partners=selection.partners,
            event_types=selection.event_types,
        )

        def seen() -> Iterator[tuple[str, ...]]:
            for each in listing.selected.states:
                yield each.subscription_id, each.partner_id, each.event_type

        refuse_unknown(filters, seen)


def _not_read(readers: DeliveryReaders, listing: DeliveryListing) -> JsonObject:
    """Return the numbers of records that were not read, by the keys of a listing's JSON."""
    pending, attempts = readers.pending, readers.attempts
    of_attempts, of_dead = readers.attempts_limit, readers.dead_letters_limit
    not_read: JsonObject = {
        "tiers": pending.not_read,
        "attempts": of_attempts.left_out,
        "attempts_complete_from": _moment(of_attempts.complete_from),
        "dead_letters": of_dead.left_out,
        "dead_letters_complete_from": _moment(of_dead.complete_from),
        "dropped": listing.dropped,
    }
    return {
        "not_read": not_read,
        "unmatched_events": pending.unmatched,
        "unreadable": pending.unreadable + attempts.unreadable,
        "lost_partitions": pending.lost + pending.leaderless,
    }


def _moment(instant: Millis | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)


def unknown_delivery(readers: DeliveryReaders, delivery_id: str, limits: Sequence[str]) -> str:
    """Return the sentence for a delivery that no read record mentions."""
    names = readers.settings.topics_names
    said = (
        f"no tier, and neither {names.attempts} nor {names.dead_letters}, has a record of {delivery_id}"
        " in the records that were read; its event may not be matched yet, or it waits in a worker's lane for its"
        " first attempt"
    )
    return "; ".join([said, *limits])


def reservations(
    listing: DeliveryListing, readers: DeliveryReaders, *, is_default: bool
) -> Iterator[str]:
    """Yield a sentence for each limit of a listing.

    Args:
        listing: The listing.
        readers: The readers, with what they left out.
        is_default: Whether the window is the default one.
    """
    if listing.ended_since is not None and is_default:
        yield f"deliveries that ended before {to_the_second(listing.ended_since)} were not read (--since for more)"
    yield from scan_limits(readers)
    if listing.dropped:
        dropped = counted(listing.dropped, "delivery is", "deliveries are")
        yield f"{dropped} not counted: {MOST_LISTED:,} newer ones were read"
    yield from unread(readers)
    if listing.unsettled_events:
        yield (
            f"not settled: up to {counted(listing.unsettled_events, 'record')} of event topics, whose"
            " deliveries may wait in a worker's lane, which no topic shows"
        )


def scan_limits(readers: DeliveryReaders) -> Iterator[str]:
    """Yield a sentence for each topic in which --scan left records out."""
    names = readers.settings.topics_names
    if readers.pending.not_read:
        yield (
            f"tiers: not read: {counted(readers.pending.not_read, 'unsettled record')}, the newest of each"
            " partition (--scan for more)"
        )
    for topic, limit in (
        (names.attempts, readers.attempts_limit),
        (names.dead_letters, readers.dead_letters_limit),
    ):
        if limit.left_out:
            complete_from = limit.complete_from
            since = (
                ""
                if complete_from is None
                else f"; it is complete from {to_the_second(complete_from)}"
            )
            yield (
                f"{topic}: not read: {counted(limit.left_out, 'record')} of the window, the oldest{since}"
                " (--scan for more)"
            )


def unread(readers: DeliveryReaders) -> Iterator[str]:
    """Yield a sentence for each kind of record whose delivery is not known."""
    pending, attempts = readers.pending, readers.attempts
    if pending.lost:
        yield (
            f"{counted(pending.lost, 'partition')} of tiers: the committed offset is beyond the end, so"
            " pending deliveries there are not known: hookstream partition list --open"
        )
    if pending.leaderless:
        yield (
            f"{counted(pending.leaderless, 'partition')} of tiers: no broker leads it, and what is pending"
            " there is not known: hookstream partition list --open"
        )
    if pending.unmatched:
        yield (
            f"{counted(pending.unmatched, 'event waits', 'events wait')} in the tiers to be matched:"
            " their subscriptions are not known yet"
        )
    for count, why in (
        (pending.unreadable, pending.why_unreadable),
        (attempts.unreadable, attempts.why_unreadable),
    ):
        if count:
            yield f"{counted(count, 'record')} could not be read; the first is {why}"
