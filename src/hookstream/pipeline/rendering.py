"""Makes the body of one delivery: checked against the grant, at its version, within the size limit.

Bodies that take long are made in a thread.
"""

from functools import partial

from hookstream.core.delivery.bodies.template import Template
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.event import LARGE
from hookstream.core.model.outcome import NOT_GRANTED, RefusalReason, Refused
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.redrive.runs import TEST_ENVIRONMENT
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.request_parts import Prepared, Shared
from hookstream.pipeline.work import MadeBody, Work


class BodyRenderer:
    """Makes bodies; the partner's grant is checked again for each."""

    def __init__(self, ports: Ports, max_body_bytes: int) -> None:
        """Refuse bodies of more than `max_body_bytes`."""
        self._directory = ports.directory
        self._codec = ports.codec
        self._offload = ports.offload
        self._max_body_bytes = max_body_bytes

    def version(self, work: Work, subscription: Subscription) -> int:
        """Return the version of the event that a subscription gets now."""
        pin = subscription.pin(work.delivery.event_type)
        return self._codec.latest(work.delivery.event_type) if pin == "latest" else pin

    def most_bytes(self, prepared: Prepared) -> int:
        """Return the largest total size of the bodies of one request, in bytes."""
        batch = prepared.batch
        return self._max_body_bytes if batch is None else self._max_body_bytes - batch.overhead

    def at_hand(
        self, work: Work, prepared: Prepared, partner: Partner | None, version: int
    ) -> bytes | Refused | None:
        """Return the bytes to send, or why no attempt may be made; None: that takes long."""
        made = work.made
        if (
            made is not None
            and made.subscription is prepared.subscription
            and made.partner is partner
            and made.version == version
        ):
            return made.body
        if self._takes_long(work, prepared, partner, version):
            return None
        return self._made(work, prepared, partner, version)

    async def make(
        self, work: Work, prepared: Prepared, partner: Partner | None, version: int
    ) -> bytes | Refused:
        """Return the same, however long it takes; the work keeps it for the next attempt."""
        body = self.at_hand(work, prepared, partner, version)
        if body is None:
            body = await self._offload.run(partial(self._made, work, prepared, partner, version))
            work.made = MadeBody(prepared.subscription, partner, version, body)
        return body

    def _takes_long(
        self, work: Work, prepared: Prepared, partner: Partner | None, version: int
    ) -> bool:
        event, timestamp = work.bodies.event, work.delivery.origin.timestamp
        if self._directory.grant_is_heavy(partner, event.load, timestamp):
            if event.load <= LARGE:
                # The load may still be an upper bound by the record's size.
                event.load = self._codec.counted(event)
            if self._directory.grant_is_heavy(partner, event.load, timestamp):
                return True
        if work.bodies.has(version) and not isinstance(prepared.body, Template):
            return False
        if event.load > LARGE:
            return True
        is_its_own = version == event.revision.event_version
        if is_its_own or self._codec.load_at(event, version) <= LARGE:
            return False
        # Another version multiplies an upper bound, so the event's values are counted before a thread is used.
        event.load = self._codec.counted(event)
        return self._codec.load_at(event, version) > LARGE

    def _made(
        self, work: Work, prepared: Prepared, partner: Partner | None, version: int
    ) -> bytes | Refused:
        granted = self._granted(work, partner, version)
        if isinstance(granted, Refused):
            return granted
        if not granted:
            return NOT_GRANTED
        if prepared.body is None:
            body = work.bodies.standard(version)
        else:
            body = self._of_another_format(work, prepared.body, prepared, version)
        most = self.most_bytes(prepared)
        if isinstance(body, Refused) or len(body) <= most:
            return body
        detail = f"{len(body)} bytes; at most {most} are sent"
        return Refused(RefusalReason.BODY_TOO_LARGE, detail)

    def _granted(self, work: Work, partner: Partner | None, version: int) -> bool | Refused:
        event, delivery = work.bodies.event, work.delivery
        if delivery.trigger is Trigger.TEST and event.environment == TEST_ENVIRONMENT:
            # It is no event of the platform, and no partner is granted its environment.
            return self._directory.grants_type(partner, event.event_type)
        return self._directory.granted(
            partner,
            event.event_type,
            event.environment,
            delivery.origin.timestamp,
            lambda: work.bodies.document(version),
            as_granted_today=delivery.as_granted_today,
            past=delivery.job is not None,
        )

    def _of_another_format(
        self, work: Work, by: Template | Shared, prepared: Prepared, version: int
    ) -> bytes | Refused:
        if isinstance(by, Template):
            most, reveal = self._max_body_bytes, prepared.template_secrets.get
            return work.bodies.by_template(version, by, reveal, most)
        return work.bodies.shared(version, *by)
