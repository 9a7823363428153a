"""Composes a batch of the deliveries that may be attempted now and whose bodies fit into one request.

Each delivery is checked and rendered when the batch is made, never before.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hookstream.core.lanes.halving import REFUSES_BODY
from hookstream.core.model.event import LARGE
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import Partner
from hookstream.core.model.subscription_status import Live
from hookstream.core.outcome import policy
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.defects import Step
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.request_parts import Prepared
from hookstream.pipeline.work import Work

MEMBERS_BETWEEN_YIELDS = 10
"""Members that are settled in one iteration of the event loop: more would delay other lanes."""

_LOAD_BETWEEN_YIELDS = LARGE // 4
"""Load of the events whose bodies are made in one iteration."""


@dataclass(slots=True, frozen=True)
class BatchMember:
    """One delivery of a batch."""

    work: Work
    prepared: Prepared
    live: Live
    """The subscription as it was when the delivery was checked."""
    version: int
    body: bytes


@dataclass(slots=True, frozen=True)
class LongBody:
    """A delivery whose body takes long to make."""

    work: Work
    prepared: Prepared
    partner: Partner | None
    version: int


@dataclass(slots=True)
class Composed:
    """A composed batch and the deliveries that it leaves out. All others are settled."""

    members: list[BatchMember] = field(default_factory=list)
    later: list[Work] = field(default_factory=list)
    """Those for another request: they do not fit, are copies of a member, or come after a long body."""
    long: LongBody | None = None
    """A body that must be made first. Then there are no members."""
    full: bool = False
    """Whether the body has no room for the next one."""
    _ids: set[str] = field(default_factory=set)
    _size: int = 0

    def add(self, member: BatchMember, most: int) -> bool:
        """Add a member; False: the bodies would have more than `most` bytes in all."""
        size = self._size + len(member.body) + (len(self.members) > 0)
        if size > most:
            return False
        if member.work.delivery.delivery_id in self._ids:
            self.later.append(member.work)
            return True
        self._ids.add(member.work.delivery.delivery_id)
        self._size = size
        self.members.append(member)
        return True


class BatchComposer:
    """Composes batches."""

    def __init__(self, ports: Ports, eligibility: Eligibility, attempts: Attempts) -> None:
        """Check and render as `attempts` does."""
        self._clock = ports.clock
        self._eligibility = eligibility
        self._attempts = attempts

    async def composed(self, works: Sequence[Work]) -> Composed:
        """Compose a batch of deliveries of one subscription, the oldest first.

        A delivery that may not be attempted is settled; if a defect of ours prevents that, its partition stops.
        """
        composed, load, turns = Composed(), 0, 1
        for place, work in enumerate(works):
            load += work.event.load
            if load > turns * _LOAD_BETWEEN_YIELDS:
                turns += 1
                await asyncio.sleep(0)
            try:
                member = self._member(work, self._clock.now())
            except Exception as error:  # noqa: BLE001  the fence: nothing was sent
                self._attempts.stop(work, error, Step.PREPARE)
                continue
            if isinstance(member, LongBody):
                # Members that are ready do not wait for it.
                composed.long = None if composed.members else member
                composed.later += works[place + (composed.long is not None) :]
                break
            if member is not None:
                most = self._attempts.rendering.most_bytes(member.prepared)
                if not composed.add(member, most):
                    composed.full = True
                    composed.later += works[place:]
                    break
        if turns > 1:
            self._leave_out_changed(composed)
        return composed

    def _member(self, work: Work, now: Millis) -> BatchMember | LongBody | None:
        """Return a delivery with its body; None: it ended without an attempt."""
        attempts, rendering = self._attempts, self._attempts.rendering
        live = attempts.live_or_settled(work, now)
        if live is None:
            return None
        version = rendering.version(work, live.subscription)
        prepared = attempts.prepared.of(live.subscription, now)
        body = rendering.at_hand(work, prepared, live.partner, version)
        if body is None:
            return LongBody(work, prepared, live.partner, version)
        if isinstance(body, Refused):
            policy.wait_ended(work.delivery, now)
            attempts.refuse(work, body)
            return None
        return BatchMember(work, prepared, live, version, body)

    def _leave_out_changed(self, composed: Composed) -> None:
        """Leave out members that were checked in an earlier iteration of the loop and may not be sent now."""
        members, composed.members = composed.members, []
        changed: list[Work] = []
        for member in members:
            still = self._eligibility.still(member.work.delivery, member.live)
            if still and member.work.receipt.may_start:
                composed.members.append(member)
            else:
                changed.append(member.work)
        composed.later = changed + composed.later

    async def make_body(self, long: LongBody) -> bool:
        """Make a body that takes long; False: a defect of ours stopped its partition."""
        try:
            await self._attempts.rendering.make(
                long.work, long.prepared, long.partner, long.version
            )
        except Exception as error:  # noqa: BLE001  the fence: nothing was sent
            self._attempts.stop(long.work, error, Step.PREPARE)
            return False
        return True


def mark_alone(works: Iterable[Work], steps: int) -> None:
    """Mark deliveries at the end of their schedules whose last attempt was refused: they are sent alone."""
    for work in works:
        delivery = work.delivery
        work.alone |= delivery.step >= steps and delivery.last_status in REFUSES_BODY


def one_or_together(works: Sequence[Work]) -> list[Work]:
    """Return the members of the next request: the first if it must be sent alone, or all that need not be."""
    return [works[0]] if works[0].alone else [work for work in works if not work.alone]
