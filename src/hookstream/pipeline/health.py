"""Turns changes of an endpoint's health into rows of the health table and operations events.

The records are written with the attempt that caused them, whose offset waits for all of them: if the process
dies before they are durable, the delivery is still pending, and its next attempt writes them.
"""

from collections.abc import Sequence
from typing import TypeAlias

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import MINUTE, SECOND, Millis
from hookstream.core.model.operations import OPERATIONS_EVENTS
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    Refused,
    Throttled,
    is_defect,
)
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import Disabled, Subscription, SubscriptionState
from hookstream.core.outcome.health import (
    ClearFailing,
    Finding,
    GiveUp,
    HealthRules,
    NoteFailing,
    forget_older,
)
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.ports import Ports

SHORTEST_REPORTED_OUTAGE: Millis = 5 * MINUTE
"""Only outages longer than this emit `endpoint.recovered`, so that a flapping endpoint is not noisy."""

_TABLE_LAG: Millis = 10 * SECOND
"""Within this time a disabling is read back from the table: attempts in flight meanwhile write no other one."""

FAILING = "failing"
"""The reason of a disabling after only failures; the others are `gone` and `asked`."""


Checkup: TypeAlias = tuple[Disposition, Sequence[OutgoingRecord]]
"""An attempt's disposition after the check of health, and the records that must be durable with it."""


class EndpointHealth:
    """Checks attempts, and makes the records for changes of health."""

    def __init__(self, ports: Ports, rules: EngineRules) -> None:
        """Update `ports.health`; `ports.directory` has the subscriptions that are disabled already."""
        self._book = ports.health
        self._rules = HealthRules(rules.disable_after, rules.disable_attempts)
        self._directory = ports.directory
        self._own_records = ports.own_records
        self._logger = ports.logger
        self._disabled_at: dict[str, Millis] = {}
        """When this worker disabled a subscription, oldest first, for as long as the table may lag."""
        self.failing = ports.health.failing
        """By subscription id; while it is empty, delivered attempts need no check."""

    def after(
        self,
        delivery: Delivery,
        asked: Subscription,
        outcome: Outcome,
        disposition: Disposition,
        now: Millis,
    ) -> Checkup:
        """Return the disposition of an attempt, and the records for a change of its endpoint's health.

        Args:
            delivery: What was attempted.
            asked: Its subscription when the request was made.
            outcome: The attempt's.
            disposition: What follows from that alone.
            now: When the outcome was known.
        """
        if self._has_other_endpoint(asked):
            return disposition, ()
        match disposition:
            case DeadLetter(reason=reason, detail=detail, disable=True):
                return self._disable(delivery, disposition, reason, detail, now)
            case Complete(asked=str(detail)):
                return self._disable(delivery, disposition, DeadReason.ASKED, detail, now)
            case _:
                return self._found(delivery, outcome, disposition, now)

    def _found(
        self, delivery: Delivery, outcome: Outcome, disposition: Disposition, now: Millis
    ) -> Checkup:
        match self._finding(delivery.subscription_id, outcome, now):
            case None:
                return disposition, ()
            case NoteFailing(failing=failing):
                return disposition, [self._own_records.failing(failing)]
            case ClearFailing(since=since):
                return disposition, self._recovered(delivery, since, now)
            case GiveUp(evidence=evidence):
                dead = disposition
                if not isinstance(dead, DeadLetter):
                    dead = DeadLetter(DeadReason.DISABLED, evidence)
                return self._disable(delivery, dead, FAILING, evidence, now)

    def _has_other_endpoint(self, asked: Subscription) -> bool:
        """Return whether the answer to a request says nothing about the endpoint that the subscription has now.

        It was deleted, or created again, or moved, while the request was under way.
        """
        present = self._directory.subscriptions.get(asked.id)
        return isinstance(present, Subscription) and (
            present.state is SubscriptionState.DELETED
            or present.endpoint.target != asked.endpoint.target
        )

    def _finding(self, subscription_id: str, outcome: Outcome, now: Millis) -> Finding | None:
        match outcome:
            case Delivered():
                return self._book.succeeded(subscription_id)
            case Refused():
                # No request was made, which says nothing about the endpoint.
                return None
            case Failed(kind=kind) if is_defect(outcome) or kind is FailureKind.TOKEN:
                # The endpoint got no request, or the failure is ours.
                return None
            case Gone() | Throttled() | Failed() | FailedForGood():
                return self._book.failed(subscription_id, now, self._rules)

    def _disable(
        self, delivery: Delivery, ends: Disposition, reason: str, evidence: str, now: Millis
    ) -> Checkup:
        """Return how the delivery ends, and the records of a disabling.

        There are none if the subscription is disabled already: a second disabling would move the start of the
        gap past records that were no longer matched.
        """
        subscription_id = delivery.subscription_id
        if self._directory.is_disabled(subscription_id) or self._is_pending(subscription_id, now):
            return ends, ()
        self._disabled_at[subscription_id] = now
        disabled = Disabled(subscription_id, now, reason, evidence)
        self._logger.warning(
            "endpoint.disabled",
            subscription_id=subscription_id,
            partner_id=delivery.partner_id,
            reason=reason,
            evidence=evidence,
        )
        records = [self._own_records.disabled(disabled)]
        if delivery.event_type not in OPERATIONS_EVENTS:
            records.append(self._own_records.endpoint_disabled(disabled, delivery.partner_id, now))
        return ends, records

    def _is_pending(self, subscription_id: str, now: Millis) -> bool:
        """Return whether this worker disabled a subscription so recently that the table may not show it yet.

        An enabling since then ends that.
        """
        forget_older(self._disabled_at, now, _TABLE_LAG)
        disabled_at = self._disabled_at.get(subscription_id)
        if disabled_at is None:
            return False
        if self._directory.enabled_since(subscription_id, disabled_at):
            del self._disabled_at[subscription_id]
            return False
        return True

    def _recovered(
        self, delivery: Delivery, since: Millis, now: Millis
    ) -> Sequence[OutgoingRecord]:
        records = [self._own_records.healthy(delivery.subscription_id)]
        if now - since >= SHORTEST_REPORTED_OUTAGE:
            self._logger.info(
                "endpoint.recovered",
                subscription_id=delivery.subscription_id,
                partner_id=delivery.partner_id,
                failing_seconds=round((now - since) / 1000),
            )
            if delivery.event_type not in OPERATIONS_EVENTS:
                records.append(self._own_records.endpoint_recovered(delivery, since, now))
        return records
