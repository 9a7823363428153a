"""Encodes hookstream's own records as Avro events: audit records, operations events, health rows.

Their schemas are part of the package and are published with `hookstream schemas apply`. The ids of
operations events are derived from their contents, so that a repeated write is recognised as one
event.
"""

from collections.abc import Callable, Sequence

from hookstream.adapters.avro.published import prepared_earlier_schemas, prepared_own_schemas
from hookstream.core.access.uses import ApiUse
from hookstream.core.audit.binary import attempt_body
from hookstream.core.failures.groups import Actor, FailureGroup, GroupState
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import Millis
from hookstream.core.model.operations import OPERATIONS_ENVIRONMENT
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Origin, OutgoingRecord, TopicPartition
from hookstream.core.model.subscription import Disabled, Failing, Subscription
from hookstream.core.model.topics import Topics


class AvroOwnRecords:
    """The `OwnRecords` in Avro."""

    def __init__(
        self,
        topics: Topics,
        worker: str,
        disabled_row: Callable[[Disabled], tuple[str, bytes]],
        failing_row: Callable[[Failing], tuple[str, bytes]],
    ) -> None:
        """Write as `worker` into `topics`.

        Args:
            topics: The names of our topics.
            worker: The writer's name in the audit log.
            disabled_row: Returns key and value of the health row that disables.
            failing_row: Returns key and value of the health row with the time of first failure.
        """
        self._topics = topics
        self._worker = worker
        self._disabled_row = disabled_row
        self._failing_row = failing_row
        self._schemas = {schema.revision.event_type: schema for schema in prepared_own_schemas()}
        self._run_prefix = self._schemas["hookstream.attempt"].prefix
        [before] = prepared_earlier_schemas()
        self._attempt_prefix = before.prefix

    def attempt(self, record: AttemptRecord) -> bytes:
        """Encode an audit record, in the revision of its body."""
        prefix = self._attempt_prefix if record.delivery.job is None else self._run_prefix
        return prefix + attempt_body(record, worker=self._worker)

    def endpoint_disabled(self, disabled: Disabled, partner_id: str, at: Millis) -> OutgoingRecord:
        """Return the operations event `endpoint.disabled`."""
        return self._operation(
            "endpoint.disabled",
            f"{disabled.subscription_id}/{disabled.since}",
            disabled.subscription_id,
            at,
            subscription_id=disabled.subscription_id,
            partner_id=partner_id,
            reason=disabled.reason,
            evidence=disabled.evidence,
            since=disabled.since,
        )

    def endpoint_recovered(
        self, delivery: Delivery, failing_since: Millis, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `endpoint.recovered`, for the delivery that succeeded."""
        return self._operation(
            "endpoint.recovered",
            f"{delivery.subscription_id}/{failing_since}",
            delivery.subscription_id,
            at,
            subscription_id=delivery.subscription_id,
            partner_id=delivery.partner_id,
            failing_since=failing_since,
        )

    def dead_lettered(self, delivery: Delivery, reason: DeadReason, at: Millis) -> OutgoingRecord:
        """Return the operations event `delivery.dead_lettered`.

        It has no detail, which may contain internals such as one of our addresses.
        """
        hidden = reason is DeadReason.NOT_GRANTED
        # Attempts are numbered within a run.
        run = "" if delivery.job is None else f"/{delivery.job}"
        return self._operation(
            "delivery.dead_lettered",
            f"{delivery.delivery_id}/{delivery.attempt}/{reason}{run}",
            delivery.subscription_id,
            at,
            delivery_id=delivery.delivery_id,
            subscription_id=delivery.subscription_id,
            partner_id=delivery.partner_id,
            event_type=delivery.event_type,
            event_id=None if hidden else delivery.event_id,
            reason=reason.value,
            attempts=delivery.attempt,
            last_status=delivery.last_status,
            first_at=delivery.first_at,
        )

    def log_gap(
        self, partition: TopicPartition, first: int, next_offset: int, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `log.gap`: records in [first, next_offset) are gone."""
        place = f"{partition.topic}/{partition.partition}"
        return self._operation(
            "log.gap",
            f"{place}/{first}-{next_offset}",
            place,
            at,
            topic=partition.topic,
            partition=partition.partition,
            first_offset=first,
            next_offset=next_offset,
            records=next_offset - first,
        )

    def partition_skipped(
        self, partition: TopicPartition, offset: int, at: Millis, *, reason: str, changed_by: str
    ) -> OutgoingRecord:
        """Return the operations event `partition.skipped`: an operator skipped a record."""
        place = f"{partition.topic}/{partition.partition}"
        return self._operation(
            "partition.skipped",
            f"{place}/{offset}/{at}",
            place,
            at,
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            reason=reason,
            changed_by=changed_by,
        )

    def event_id_conflict(
        self, event_type: str, event_id: str, first: Origin, second: Origin, at: Millis
    ) -> OutgoingRecord:
        """Return the operations event `log.event_id_conflict`: two events carry one id."""
        places = [f"{each.topic}/{each.partition}/{each.offset}" for each in (first, second)]
        return self._operation(
            "log.event_id_conflict",
            "|".join(places),
            places[1],
            at,
            event_type=event_type,
            event_id=event_id,
            first_topic=first.topic,
            first_partition=first.partition,
            first_offset=first.offset,
            second_topic=second.topic,
            second_partition=second.partition,
            second_offset=second.offset,
        )

    def disabled(self, disabled: Disabled) -> OutgoingRecord:
        """Return the health table's record that disables a subscription."""
        key, value = self._disabled_row(disabled)
        return OutgoingRecord(self._topics.health, key.encode(), value)

    def failing(self, failing: Failing) -> OutgoingRecord:
        """Return the health table's record with the time since which an endpoint has been failing."""
        key, value = self._failing_row(failing)
        return OutgoingRecord(self._topics.health, key.encode(), value)

    def healthy(self, subscription_id: str) -> OutgoingRecord:
        """Return the health table's record that clears `failing`."""
        key, _ = self._failing_row(Failing(subscription_id, 0))
        return OutgoingRecord(self._topics.health, key.encode(), None)

    def subscription_changed(
        self,
        subscription: Subscription,
        change: str,
        *,
        at: Millis,
        effective_from: Millis,
        changed_by: str,
        details: Sequence[str] = (),
    ) -> OutgoingRecord:
        """Return the operations event `subscription.changed`.

        Args:
            subscription: The subscription after the change.
            change: `created`, `updated`, `paused`, `resumed`, `enabled`, `secret_rotated` or
                `deleted`.
            at: When it was written.
            effective_from: It applies to records after this instant.
            changed_by: Who changed it, if known.
            details: The differences, one sentence per field; never a secret.
        """
        return self._operation(
            "subscription.changed",
            f"{subscription.id}/{subscription.revision}/{change}",
            subscription.id,
            at,
            subscription_id=subscription.id,
            partner_id=subscription.partner_id,
            change=change,
            revision=subscription.revision,
            changed_by=changed_by,
            effective_from=effective_from,
            details=list(details),
        )

    def hold_changed(
        self, hold: Hold, change: str, *, at: Millis, changed_by: str, reason: str
    ) -> OutgoingRecord:
        """Return the operations event `hold.changed`; `change` is `set`, `changed` or `cleared`."""
        name = f"{hold.kind}/{hold.name}"
        return self._operation(
            "hold.changed",
            f"{name}/{at}/{change}",
            name,
            at,
            kind=hold.kind.value,
            name=hold.name,
            change=change,
            reason=reason,
            changed_by=changed_by,
            since=hold.since,
        )

    def failures_changed(self, group: FailureGroup) -> OutgoingRecord:
        """Return the operations event `subscription.failures_changed`.

        It may be sent to the group's partner: the operator who acted, and the operator's note, are only in
        the group's row.

        Args:
            group: The group after the change.
        """
        is_partners = group.actor is Actor.PARTNER
        change = "opened" if group.state is GroupState.OPEN else group.state.value
        return self._operation(
            "subscription.failures_changed",
            f"{group.id}/{group.opened}/{group.revision}",
            group.subscription_id,
            group.changed,
            group_id=group.id,
            subscription_id=group.subscription_id,
            partner_id=group.partner_id,
            change=change,
            revision=group.revision,
            outcome=group.outcome,
            status=group.status,
            error=group.text,
            actor=group.actor.value,
            changed_by=group.by if is_partners else "",
            note=group.note if is_partners else "",
            first_seen=group.first_seen,
            last_seen=group.last_seen,
        )

    def accessed(self, use: ApiUse, console: str, at: Millis) -> OutgoingRecord:
        """Return the operations event `hookstream.access`.

        It has no `partner_id`, so that it is an event for operators only.

        Args:
            use: The recorded accesses, joined over a minute.
            console: The console that counted it.
            at: When it is written.
        """
        return self._operation(
            "hookstream.access",
            f"{use.act}/{use.by}/{use.subject}/{use.since}/{console}",
            use.subject,
            at,
            act=use.act,
            by=use.by,
            subject=use.subject,
            concerns=use.partner_id,
            count=use.count,
            since=use.since,
            until=use.until,
        )

    def _operation(
        self, event_type: str, event_id: str, entity_id: str, at: Millis, /, **data: object
    ) -> OutgoingRecord:
        value = self._schemas[event_type].encode(
            {
                "event_id": event_id,
                "occurred_at": at * 1_000,
                "entity_id": entity_id,
                "environment": OPERATIONS_ENVIRONMENT,
                "data": data,
            }
        )
        return OutgoingRecord(self._topics.operations, entity_id.encode(), value)
