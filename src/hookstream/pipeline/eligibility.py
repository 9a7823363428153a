"""Decides by the current tables whether a delivery may be attempted."""

from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Disposition
from hookstream.core.model.subscription_status import Live, Paused, SubscriptionStatus
from hookstream.core.outcome import policy
from hookstream.errors import InvariantBroken
from hookstream.pipeline.defects import Step
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.ports import Permitted, Ports


class Eligibility:
    """Checks deliveries before each attempt, and again directly before the first byte."""

    def __init__(self, ports: Ports, rules: EngineRules, fence: Fence, may_act: Permitted) -> None:
        """Use `ports.directory`; `may_act` returns whether it is current enough to send anything."""
        self._directory = ports.directory
        self._clock = ports.clock
        self._rules = rules.wait_rules
        self._fence = fence
        self._may_act = may_act

    def status(self, delivery: Delivery, now: Millis) -> SubscriptionStatus:
        """Return the status of the delivery's subscription, including holds."""
        status: SubscriptionStatus = self._directory.status(delivery.subscription_id, now)
        if delivery.trigger is Trigger.TEST and isinstance(status, Paused):
            # A paused subscription may be tested before it is resumed.
            status = Live(status.subscription, status.partner)
        if self._directory.holds.any:
            return self._directory.holds.over(status, delivery.event_type)
        return status

    def allows(self, delivery: Delivery) -> bool:
        """Return whether the subscription is live, not held, and can be read."""
        return isinstance(self.status(delivery, self._clock.now()), Live)

    def judge(self, delivery: Delivery, now: Millis) -> Live | Disposition:
        """Return the live subscription, or the disposition of the delivery without an attempt."""
        status = self.status(delivery, now)
        disposition = policy.before_attempt(status, delivery, self._rules, now=now)
        if disposition is not None:
            return disposition
        if not isinstance(status, Live):
            raise InvariantBroken(f"{delivery.delivery_id} would be attempted though {status}")
        return status

    def still(self, delivery: Delivery, live: Live) -> bool:
        """Return whether the tables are current and the subscription is unchanged."""
        try:
            if not self._may_act():
                return False
            status = self.status(delivery, self._clock.now())
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent, and nothing will be
            self._fence.note(error, Step.PREPARE)
            return False
        return (
            isinstance(status, Live)
            and status.subscription is live.subscription
            and status.partner is live.partner
        )
