"""Writes changes of partners and subscriptions, each with its operations event in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.rows import disabled_key, failing_key, write_partner
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.tables.subscriptions import needs_upgraded_workers, write_subscription
from hookstream.core.jobs.job import Job, first_row
from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.listing import the_first
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning.changes import Create, Delete, Update
from hookstream.core.planning.fields import Difference, Subject
from hookstream.core.planning.gap_fills import started
from hookstream.core.planning.rotation import without_ended
from hookstream.core.replay.request import KIND
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.console_changes import revoked_with_partner
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.entry.admin.job_ids import new_job_id
from hookstream.entry.admin.tables import ROWS_A_TRANSACTION, State, TablesSession

DELETED_KEPT: Millis = 90 * DAY
"""How long the row of a deleted subscription is kept: longer than any of its deliveries can wait."""

_LISTED = 10

Entry: TypeAlias = tuple[Sequence[TableChange], Sequence[OutgoingRecord]]
"""The rows of one change, and its operations events."""


@dataclass
class ChangeWriter:
    """Writes changes to the tables, as their only writer."""

    session: TablesSession
    """The tables."""
    keys: Keys
    """Encrypts the secrets."""
    by: str = field(default_factory=who)
    """The actor in the operations events: a user of the command line, or a token."""
    started: list[Job] = field(default_factory=list)
    """The replays of subscriptions that were created to start in the past."""
    _deferred: list[str] = field(default_factory=list)
    """The subscriptions that workers of earlier releases read before, and do not read now."""

    @cached_property
    def state(self) -> State:
        """The state of the tables when the session began."""
        return self.session.state()

    @property
    def warning(self) -> str | None:
        """A warning about the written rows, during a rolling upgrade; None: there is none."""
        if not self._deferred:
            return None
        names = the_first(self._deferred, _LISTED)
        return f"Workers of earlier releases defer deliveries of {names} until they are upgraded"

    def write(self, changes: Sequence[Create | Update | Delete]) -> None:
        """Write planned changes, each with its operations event in the same transaction.

        Raises:
            InputRefused: The row of a job would be too large; nothing was written.
        """
        entries = [self._entry(change) for change in changes]
        for begin in range(0, len(entries), ROWS_A_TRANSACTION):
            batch = entries[begin : begin + ROWS_A_TRANSACTION]
            self.session.write(
                [row for rows, _ in batch for row in rows],
                [event for _, events in batch for event in events],
            )

    def write_subscription(
        self,
        subscription: Subscription,
        change: str,
        effective_from: Millis,
        *,
        clear_health: bool = False,
        details: Sequence[str] = (),
        jobs: Sequence[Job] = (),
    ) -> None:
        """Write one subscription after a transition, all of it in one transaction.

        Args:
            subscription: The row.
            change: The name of the change in the operations event.
            effective_from: The instant from which it is in effect.
            clear_health: Whether its health row is cleared with it.
            details: Of the operations event.
            jobs: New jobs that belong to it: the replays that fill its gaps.

        Raises:
            InputRefused: A job's row would be too large; nothing was written.
        """
        rows = [self._subscription_row(subscription)]
        if clear_health:
            rows += self._healthy(subscription.id)
        event = self._event(subscription, change, effective_from, details)
        self.session.write(rows, [event, *map(self._job_row, jobs)])

    def forget(self) -> int:
        """Remove rows of subscriptions that were deleted long ago; return how many.

        After that, the owner of such an id is unknown.
        """
        gone = [
            TableChange(self.session.names.subscriptions, key, None)
            for key, row in self.state.rows[self.session.names.subscriptions].items()
            if _deleted(self.state, key) and row.timestamp < self.session.now - DELETED_KEPT
        ]
        for begin in range(0, len(gone), ROWS_A_TRANSACTION):
            self.session.write(gone[begin : begin + ROWS_A_TRANSACTION])
        return len(gone)

    def _entry(self, change: Create | Update | Delete) -> Entry:
        match change:
            case Create():
                return self._created(change)
            case Update(before, after, differences):
                return self._updated(before, after, _details(differences))
            case Delete(before, remains):
                return self._deleted(before.id, remains)

    def _created(self, change: Create) -> Entry:
        match change.after:
            case Partner() as after:
                return [self._partner_row(after)], ()
            case Subscription() as after:
                jobs: list[OutgoingRecord] = []
                if change.start_from is not None:
                    now = self.session.now
                    job_id = new_job_id(KIND, now)
                    after, filling = started(after, change.start_from, job_id)
                    self.started.append(job_of(after.id, filling, now))
                    jobs = [self._job_row(self.started[-1])]
                # The health of an earlier subscription of this id does not apply to the new one.
                healthy = self._healthy(after.id)
                if change.before is None:
                    # It has no deliveries, so no worker writes its health at the same time.
                    there = self.state.rows[self.session.names.health]
                    healthy = [each for each in healthy if each.key in there]
                rows = [self._subscription_row(after), *healthy]
                return rows, [self._event(after, "created", after.active_from), *jobs]

    def _updated(self, before: Subject, after: Subject, details: Sequence[str]) -> Entry:
        match after:
            case Partner():
                return [self._partner_row(after)], ()
            case Subscription():
                rows = [self._subscription_row(after)]
                if isinstance(before, Subscription) and _moved(before, after):
                    # Failures of the old endpoint do not count for the new one.
                    key = failing_key(after.id)
                    rows.append(TableChange(self.session.names.health, key, None))
                return rows, [self._event(after, "updated", self.session.now, details)]

    def _deleted(self, name: str, remains: Subscription | None) -> Entry:
        if remains is None:
            # Otherwise they would be valid again for a later partner of this id.
            revoked = revoked_with_partner(self.session, name, self.by)
            return [TableChange(self.session.names.partners, name, None), *revoked], ()
        rows = [self._subscription_row(remains), *self._healthy(remains.id)]
        return rows, [self._event(remains, "deleted", self.session.now)]

    def _partner_row(self, partner: Partner) -> TableChange:
        return TableChange(self.session.names.partners, partner.id, write_partner(partner))

    def _subscription_row(self, subscription: Subscription) -> TableChange:
        # Every writer of a row drops its expired signing secrets.
        written = without_ended(subscription, self.session.now)
        if _is_deferred(written) and not _is_deferred(self._before(written.id)):
            self._deferred.append(written.id)
        row = write_subscription(written, self.keys)
        return TableChange(self.session.names.subscriptions, written.id, row)

    def _job_row(self, job: Job) -> OutgoingRecord:
        return OutgoingRecord(
            self.session.names.jobs, job.id.encode(), first_row(replace(job, asked_by=self.by))
        )

    def _before(self, subscription_id: str) -> Subscription | None:
        found = self.state.current.subscriptions.get(subscription_id)
        return found if isinstance(found, Subscription) else None

    def _healthy(self, subscription_id: str) -> Sequence[TableChange]:
        keys = (disabled_key(subscription_id), failing_key(subscription_id))
        return [TableChange(self.session.names.health, key, None) for key in keys]

    def _event(
        self,
        subscription: Subscription,
        change: str,
        effective_from: Millis,
        details: Sequence[str] = (),
    ) -> OutgoingRecord:
        return self.session.events.subscription_changed(
            subscription,
            change,
            at=self.session.now,
            effective_from=effective_from,
            changed_by=self.by,
            details=details,
        )


def _is_deferred(subscription: Subscription | None) -> bool:
    """Return whether workers of earlier releases defer deliveries of a subscription."""
    # Those of a deleted one are cancelled by every release.
    return (
        subscription is not None
        and subscription.state != SubscriptionState.DELETED
        and needs_upgraded_workers(subscription)
    )


def _moved(before: Subscription, after: Subscription) -> bool:
    return before.endpoint.target != after.endpoint.target


def _details(differences: Sequence[Difference]) -> list[str]:
    return [f"{each.path}: {each.before or '-'} -> {each.after or '-'}" for each in differences]


def _deleted(state: State, key: str) -> bool:
    found = state.current.subscriptions.get(key)
    return isinstance(found, Subscription) and found.state == SubscriptionState.DELETED
