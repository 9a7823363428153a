"""Offers a matched event to the lanes, one delivery for each subscription, as fast as the budget allows.

Offers rarely have to wait, so they are plain calls that return what must be awaited, or None: the caller
continues at once, without a coroutine for each event.
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
"""Offers after which other tasks run: before the next event, and within one that has many subscriptions."""
_AT_ONCE = 16
"""The first deliveries of an event are offered without yielding to other tasks, while there is credit.

A worker that is stopped between two offers leaves the event's record unsettled, and the next worker repeats the
deliveries that were begun.
"""


@dataclass(slots=True, eq=False)
class _FanOut:
    """One event that is offered to its subscriptions."""

    receipt: Receipt
    event: Event
    state: UnmatchedEvent
    bodies: Bodies
    ids: DeliveryIds
    offered: set[str]
    """The subscriptions that it was offered to, including by a failed try."""
    left: int = _AT_ONCE
    """How many more deliveries are offered before other tasks run."""


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
        """Use `attempts` to end deliveries that need no attempt."""
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
        """Offers since other tasks last ran."""

    def begin(
        self, receipt: Receipt, event: Event, state: UnmatchedEvent, offered: set[str]
    ) -> Awaitable[None] | None:
        """Fan an event out, and release its receipt; return what must be awaited, if anything.

        Args:
            receipt: The record's receipt; it is not released if its partition is being revoked.
            event: The decoded event.
            state: The event's state from its headers, or a new one.
            offered: The subscriptions that it was offered to already; new ones are added.
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
        """Offer matches until something must be awaited; return a coroutine that offers the others."""
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
                # The receipt is not released: subscriptions that were not offered the event count as unsettled.
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
        """Offer matches, each when there is credit for it; False: the partition is being revoked."""
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
        """Offer a delivery to its lane, or end a refused one."""
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
            # A held delivery is deferred to a tier at once, without queueing in its lane.
            return self.readmit_fenced(work)
        else:
            try:
                # The match has just shown that its subscription is live.
                self.credit(work)
                self._lanes.offer(work)
            except Exception as error:  # noqa: BLE001  the fence: of this delivery alone
                self._attempts.stop(work, error, Step.MATCH)
        return None

    def _yield_to_others(self) -> Awaitable[None]:
        """Return an awaitable that lets other tasks run.

        Attempts begin then: otherwise a lane whose attempts have not begun yet would look full.
        """
        self._offers = 0
        return asyncio.sleep(0)

    def _delivery(self, out: _FanOut, match: Match) -> Delivery:
        now, event, state = self._clock.now(), out.event, out.state
        subscription = match.subscription
        # Made for each match: with keywords, the constructor takes three times as long.
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

    # Deliveries that are offered again.

    def credit(self, work: Work) -> None:
        """Take the credit of work, once."""
        if not work.credited:
            work.credited = True
            self._budget.take(work.receipt.size)

    async def readmit_fenced(self, work: Work) -> None:
        """Offer work again; a failure stops its partition."""
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
        """Evaluate a filter that was unreadable when the event was matched; settle work that it refuses."""
        work.delivery.filter_asked = True
        try:
            return await self._is_asked_for(work)
        except BaseException:
            # Otherwise a retry would treat it as evaluated.
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
            why = f"{delivery.subscription_id} is readable again and does not match the event"
            if delivery.job is not None:
                why = f"{delivery.subscription_id} does not match the event"
            self._attempts.end(work, Cancel(f"subscription {why}"))
        elif match.refused is not None:
            self._attempts.refuse(work, match.refused)
        else:
            return True
        return False


def _arrival(receipt: Receipt, state: UnmatchedEvent) -> Arrival:
    """Return how an event arrived: live, or by a tier."""
    if receipt.record.topic == state.origin.topic:
        return Arrival.LIVE
    return arrival_of(in_tier=True, undecodable_as=state.undecodable_as)
