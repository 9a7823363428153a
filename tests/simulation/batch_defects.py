"""Defects that a worker might have in what it does with batches: the simulator must find them too."""

from collections.abc import Sequence
from dataclasses import replace

from tests.simulation.defects import Defect, built_with
from tests.simulation.invariants import (
    AUDIT,
    BATCH,
    EXACT,
    HELD,
    ISOLATION,
    JUSTIFIED,
    PROMISE,
    SILENT,
    WAITS,
)
from tests.simulation.world import Parts

from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Answer, Disposition, Outcome, Withheld
from hookstream.core.model.subscription_status import Live
from hookstream.pipeline import batches
from hookstream.pipeline.batch_composer import BatchComposer, BatchMember, Composed, LongBody
from hookstream.pipeline.batches import BatchAttempts
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.engine import Engine, EngineRules, Ports
from hookstream.pipeline.ports import (
    Answered,
    Continuation,
    Exchange,
    Permitted,
    Post,
    Sender,
    always_permitted,
)
from hookstream.pipeline.work import Work


class Lumping(BatchAttempts):
    """Takes the whole batch for settled once its first member is."""

    async def _end(
        self,
        request: batches._Answered,
        members: Sequence[batches._Sent],
    ) -> list[Work]:
        back = await super()._end(request, members[:1])
        for each in members[1:]:
            self._settler.skip(each.work)
        return back


class Finding(BatchAttempts):
    """Takes what a search found for settled."""

    def _end_found(self, found: Sequence[Work]) -> list[Work]:
        for work in found:
            self._settler.skip(work)
        return []


class Overcharging(BatchAttempts):
    """Counts an attempt of each member of a batch that was not sent."""

    async def _send(
        self, members: Sequence[BatchMember]
    ) -> batches._Answered | Outcome | Withheld | None:
        answered = await super()._send(members)
        if isinstance(answered, Withheld):
            for member in members:
                member.work.delivery.attempt += 1
        return answered


class Condemning(BatchAttempts):
    """Gives up every member of a refused batch whose schedule is at its end."""

    def _may_be_about_another(self, outcome: Outcome, disposition: Disposition) -> bool:
        del outcome, disposition
        return False


class Numbering:
    """A Sender that gives batches numbers for ids."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._sent = 0

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Exchange | Withheld | Continuation[Answer | Withheld]:
        return self._sender.begin(post, permitted, answered)

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        if post.batch_id is not None:
            self._sent += 1
            others = [each for each in post.headers if each[0] != "webhook-id"]
            named = ("webhook-id", f"msgb_{self._sent}")
            post = replace(post, headers=[named, *others])
        return await self._sender.send(post, permitted)


def _numbering(outside: Ports, rules: EngineRules) -> Engine:
    return Engine(replace(outside, sender=Numbering(outside.sender)), rules)


class Patient(Engine):
    """Lets a batch wait ten times as long as it may."""

    def _lane_policy(self, subscription_id: str) -> LanePolicy:
        found = super()._lane_policy(subscription_id)
        return replace(found, batch_wait=10 * found.batch_wait)


class Composing(BatchComposer):
    """Asks of the first delivery of a batch alone whether it may be attempted."""

    first: Live | None = None

    async def composed(self, works: Sequence[Work]) -> Composed:
        self.first = None
        return await super().composed(works)

    def _member(self, work: Work, now: Millis) -> BatchMember | LongBody | None:
        if self.first is None:
            made = super()._member(work, now)
            self.first = made.live if isinstance(made, BatchMember) else None
            return made
        attempts, live = self._attempts, self.first
        version = attempts.rendering.version(work, live.subscription)
        prepared = attempts.prepared.of(live.subscription, now)
        body = attempts.rendering.at_hand(work, prepared, live.partner, version)
        if not isinstance(body, bytes):
            return super()._member(work, now)
        return BatchMember(work, prepared, live, version, body)


class Sweeping(BatchAttempts):
    """Asks whatever it asks of the first delivery of a batch."""

    def __init__(
        self, ports: Ports, rules: EngineRules, eligibility: Eligibility, *others: object
    ) -> None:
        super().__init__(ports, rules, eligibility, *others)  # type: ignore[arg-type]
        self._composer = Composing(ports, eligibility, self._attempts)

    def _still(self, deliveries: Sequence[Delivery], live: Live) -> bool:
        return super()._still(deliveries[:1], live)


BATCH_DEFECTS: Sequence[Defect] = (
    Defect(
        "takes a batch for settled once its first delivery is",
        Parts(engine=built_with(BatchAttempts=Lumping)),
        frozenset({PROMISE, SILENT, AUDIT}),
        within=50,
    ),
    Defect(
        "loses what the search in a refused batch found",
        Parts(engine=built_with(BatchAttempts=Finding)),
        frozenset({PROMISE, SILENT}),
        within=400,
        shown_by=72,
    ),
    Defect(
        "counts an attempt of every delivery in a batch that was not sent",
        Parts(engine=built_with(BatchAttempts=Overcharging)),
        frozenset({AUDIT, EXACT}),
        within=400,
    ),
    Defect(
        "gives up a delivery for the refusal of a batch",
        Parts(engine=built_with(BatchAttempts=Condemning)),
        frozenset({JUSTIFIED}),
        within=400,
        shown_by=213,
    ),
    Defect(
        "gives equal batches different ids",
        Parts(engine=_numbering),
        frozenset({BATCH, AUDIT}),
        within=50,
    ),
    Defect(
        "lets deliveries wait for a batch to fill",
        Parts(engine=Patient),
        frozenset({WAITS, ISOLATION}),
        within=400,
        shown_by=31,
    ),
    Defect(
        "asks one delivery of a batch what it must ask of each",
        Parts(engine=built_with(BatchAttempts=Sweeping)),
        frozenset({HELD}),
        within=2_000,
        shown_by=1_764,
    ),
)
