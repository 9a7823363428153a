"""A matched event is offered to the lanes: one delivery for each subscription, as fast as the budget allows.

Nearly always nothing has to wait, so the offers are plain calls. Each returns what is to be awaited, None
where nothing is: whoever calls goes on at once, without a coroutine for every event.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from itertools import chain

from hookstream.core.delivery.identity import DeliveryIds
from hookstream.core.matching.directory import NotReplayed
from hookstream.core.matching.fanout import Match
from hookstream.core.model.active_interval import Arrival, arrival_of
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.event import Event
from hookstream.core.model.outcome import NOT_GRANTED, Cancel, Refused
from hookstream.core.model.subscription import Subscription, expiry_of
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.defects import Step
from hookstream.pipeline.event_matching import EventMatching
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.settler import Settler
from hookstream.pipeline.work import Bodies, Work

_OFFERS_BETWEEN_YIELDS = 8
"""After so many offers, other tasks have a turn: before the next event, and within one that has many subscriptions."""
_AT_ONCE = 16
"""So many deliveries of one event are offered first without a turn in between, while there is room for them.

A worker that is stopped between two offers leaves the event's record unsettled: the next worker makes again what was
begun of it.
"""


@dataclass(slots=True, eq=False)
class _FanOut:
    """One event on its way to its subscriptions."""

    receipt: Receipt
    event: Event
    state: UnmatchedEvent
    bodies: Bodies
    ids: DeliveryIds
    offered: set[str]
    """The subscriptions that were offered it, by a try that failed among them."""
    left: int = _AT_ONCE
    """How many more deliveries are offered before other tasks have a turn."""


class FanOut:
    """Matches events, and offers their deliveries to lanes."""

    def __init__(
        self,
        ports: Ports,
        attempts: Attempts,
        lanes: Lanes,
        settler: Settler,
        gate: Gate,
        fence: Fence,
    ) -> None:
        """End through `attempts` the deliveries that need no attempt."""
        self._codec = ports.codec
        self._holds = ports.directory.holds
        self._clock = ports.clock
        self._metrics = ports.metrics
        self._attempts = attempts
        self._lanes = lanes
        self._settler = settler
        self._budget = settler.budget
        self._gate = gate
        self._matching = EventMatching(ports, fence)
        self._offers = 0
        """Since other tasks had a turn last."""

    def begin(
        self, receipt: Receipt, event: Event, state: UnmatchedEvent, offered: set[str]
    ) -> Awaitable[None] | None:
        """Fan an event out, and release its receipt; return the rest where something must be awaited.

        Args:
            receipt: The record's; it is not released where its partition is being revoked.
            event: The decoded event.
            state: How it came.
            offered: The subscriptions that were offered it already; those that are now are added.
        """
        bodies = Bodies(self._codec, event)
        ids = DeliveryIds(event.event_type, event.event_id)
        out = _FanOut(receipt, event, state, bodies, ids, offered)
        matches = self._matching.at_once(bodies, _arrival(receipt, state))
        if matches is None:
            return self._in_steps(out)
        if self._offers >= _OFFERS_BETWEEN_YIELDS:
            return self._continue(out, matches, self._yield_to_others())
        return self._at_once(out, matches)

    def _at_once(self, out: _FanOut, matches: Iterable[Match | None]) -> Awaitable[None] | None:
        """Offer matches until something must be awaited; return the rest."""
        matches = iter(matches)
        for match in matches:
            if (
                match is None
                or out.left <= 0
                or self._budget.room <= 0
                or not self._gate.was_open()
            ):
                return self._continue(out, chain((match,), matches))
            if not out.receipt.may_start:
                # The receipt is not released: what was not offered yet must not count as settled.
                return None
            wait = self._offer_match(out, match)
            if wait is not None:
                return self._continue(out, matches, wait)
        self._end(out)
        return None

    async def _continue(
        self, out: _FanOut, matches: Iterable[Match | None], wait: Awaitable[None] | None = None
    ) -> None:
        if wait is not None:
            await wait
        if await self._offered(out, matches):
            self._end(out)

    async def _in_steps(self, out: _FanOut) -> None:
        """Fan out an event whose matches a thread computes."""
        arrival = _arrival(out.receipt, out.state)
        async for matches in self._matching.in_steps(out.bodies, arrival):
            if not await self._offered(out, matches):
                return
        self._end(out)

    async def _offered(self, out: _FanOut, matches: Iterable[Match | None]) -> bool:
        """Offer matches, each when there is room for it; False: the partition is being revoked."""
        for match in matches:
            if match is None:
                await self._yield_to_others()
                continue
            if out.left <= 0:
                out.left = _OFFERS_BETWEEN_YIELDS
                await self._yield_to_others()
            if self._budget.room <= 0:
                await self._budget.wait()
            if not self._gate.was_open():
                await self._gate.wait()
            if not out.receipt.may_start:
                return False
            wait = self._offer_match(out, match)
            if wait is not None:
                await wait
        return True

    def _end(self, out: _FanOut) -> None:
        """Release the receipt; count an event that no subscription was offered."""
        if not out.offered:
            self._metrics.unmatched(out.event.event_type)
        out.receipt.release()

    def _offer_match(self, out: _FanOut, match: Match) -> Awaitable[None] | None:
        """Hand a delivery out, or end a refused one."""
        subscription, receipt = match.subscription, out.receipt
        if subscription.id in out.offered:
            return None
        work = Work(self._delivery(out, match), out.bodies, receipt)
        out.offered.add(subscription.id)
        out.left -= 1
        self._offers += 1
        receipt.retain()
        refused = match.refused
        if refused is not None:
            self._refuse_fenced(work, refused)
        elif not work.delivery.filter_asked or self._holds.any:
            # What an operator holds waits in a tier at once, without queueing in its lane.
            return self.readmit_fenced(work)
        else:
            try:
                # Its subscription was live a moment ago.
                self.credit(work)
                self._lanes.offer(work)
            except Exception as error:  # noqa: BLE001  the fence: of this delivery alone
                self._attempts.stop(work, error, Step.MATCH)
        return None

    def _yield_to_others(self) -> Awaitable[None]:
        """Return what lets other tasks have a turn.

        Attempts begin then: otherwise a lane whose attempts could not begin yet would look full.
        """
        self._offers = 0
        return asyncio.sleep(0)

    def _delivery(self, out: _FanOut, match: Match) -> Delivery:
        now, event, state = self._clock.now(), out.event, out.state
        subscription = match.subscription
        # One is made for each match: by names, the constructor takes three times as long.
        delivery = Delivery(
            out.ids.of(subscription.id),
            subscription.id,
            subscription.partner_id,
            event.event_type,
            event.event_id,
            state.origin,
            now,
            now + expiry_of(subscription),
        )
        delivery.trigger = state.trigger
        delivery.traceparent = state.traceparent
        delivery.tracestate = state.tracestate
        delivery.filter_asked = isinstance(subscription, Subscription)
        return delivery

    def _refuse_fenced(self, work: Work, refused: Refused) -> None:
        try:
            self._refuse(work, refused)
        except Exception as error:  # noqa: BLE001  the fence: of this delivery alone

            async def again() -> None:
                self._refuse(work, refused)

            self._settler.stop(work, error, Step.MATCH, again)

    def _refuse(self, work: Work, refused: Refused) -> None:
        self.credit(work)
        self._attempts.refuse(work, refused)

    # Whatever comes a second time.

    def credit(self, work: Work) -> None:
        """Take the credit of work, once."""
        if not work.credited:
            work.credited = True
            self._budget.take(work.receipt.size)

    async def readmit_fenced(self, work: Work) -> None:
        """Offer work again; what fails stops its partition."""
        try:
            await self.readmit(work)
        except Exception as error:  # noqa: BLE001  the fence
            self._attempts.stop(work, error, Step.MATCH)

    async def readmit(self, work: Work) -> None:
        """Offer work again, unless its subscription allows no attempt now."""
        if not work.receipt.may_start:
            # Its partition was revoked meanwhile; the next owner reads the record again.
            self._settler.give_back(work)
            return
        self.credit(work)
        if self._attempts.settle_if_ineligible(work):
            return
        if work.delivery.filter_asked or await self._evaluate_filter(work):
            self._lanes.offer(work)

    async def _evaluate_filter(self, work: Work) -> bool:
        """Evaluate a filter that was unreadable when the event was matched; settle what it refuses."""
        work.delivery.filter_asked = True
        try:
            return await self._is_asked_for(work)
        except BaseException:
            # Otherwise a retry would take it for evaluated.
            work.delivery.filter_asked = False
            raise

    async def _is_asked_for(self, work: Work) -> bool:
        delivery = work.delivery
        match = await self._matching.judged(work)
        if not work.receipt.may_start:
            delivery.filter_asked = False
            self._settler.give_back(work)
        elif match is NotReplayed.NOT_GRANTED:
            self._attempts.refuse(work, NOT_GRANTED)
        elif not isinstance(match, Match):
            why = f"{delivery.subscription_id} can be read again and does not ask for it"
            if delivery.job is not None:
                why = f"{delivery.subscription_id} does not ask for it"
            self._attempts.end(work, Cancel(f"subscription {why}"))
        elif match.refused is not None:
            self._attempts.refuse(work, match.refused)
        else:
            return True
        return False


def _arrival(receipt: Receipt, state: UnmatchedEvent) -> Arrival:
    """Return how an event came here."""
    if receipt.record.topic == state.origin.topic:
        return Arrival.LIVE
    return arrival_of(in_tier=True, undecodable_as=state.undecodable_as)
