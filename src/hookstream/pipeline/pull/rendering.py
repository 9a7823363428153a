"""Makes the entries of a page: each event judged by the grants of then and today, rendered and signed."""

from collections.abc import Callable, Sequence
from functools import partial

from hookstream.core.delivery import signing
from hookstream.core.delivery.bodies.formats import media_type
from hookstream.core.delivery.bodies.template import Template
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.matching.directory import Directory, NotReplayed, asks_for
from hookstream.core.matching.fanout import MOST_TESTS, Match, Question
from hookstream.core.model.event import LARGE
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.planning.fields import HIDDEN
from hookstream.core.pull.page import PulledEvent, SkippedEvent
from hookstream.core.pull.resumption import is_asked_at
from hookstream.pipeline.defects import ENDS, Step, Unexpected
from hookstream.pipeline.ports import Codec, Offload, PublicKeySigning
from hookstream.pipeline.pull.event_reading import INTERNAL_ERROR, CannotBeRead, ReadEvent
from hookstream.pipeline.request_parts import Prepared, PreparedRequests
from hookstream.pipeline.work import Bodies

Shown = PulledEvent | SkippedEvent | None
"""None: nothing of it is for this subscription."""
_Verdict = Match | NotReplayed


class PullRenderer:
    """Makes entries for one subscription at a time, with the costly parts in a thread."""

    def __init__(
        self,
        directory: Directory,
        codec: Codec,
        offload: Offload,
        public_key_signing: PublicKeySigning,
        unexpected: Unexpected,
        max_body_bytes: int,
    ) -> None:
        """Judge by `directory` as it is at each call."""
        self._directory = directory
        self._codec = codec
        self._offload = offload
        self._prepared = PreparedRequests(public_key_signing)
        self._unexpected = unexpected
        self._most = max_body_bytes

    async def shown(
        self, subscription: Subscription, events: Sequence[ReadEvent], now: Millis
    ) -> list[Shown]:
        """Return the entry of each event, or None, in their order.

        Args:
            subscription: The subscription, as the table has it.
            events: Decoded events.
            now: The present: when they are signed.
        """
        judges = [self._judge(subscription, each.bodies) for each in events]
        takes_long = self._takes_long(subscription, events)
        return await self._made(subscription, events, judges, now, takes_long=takes_long)

    async def matched(
        self, subscription: Subscription, events: Sequence[tuple[ReadEvent, Match]], now: Millis
    ) -> list[Shown]:
        """Return the entry of each event that was matched by the subscription's present row and grants.

        Args:
            subscription: The subscription, as the table has it.
            events: Decoded events, each with its match.
            now: The present: when they are signed.
        """
        read = [each for each, _ in events]
        takes_long = sum(each.event.load for each in read) > LARGE
        found = [match for _, match in events]
        return await self._made(subscription, read, found, now, takes_long=takes_long)

    async def _made(
        self,
        subscription: Subscription,
        events: Sequence[ReadEvent],
        judges: Sequence[_Verdict | Callable[[], _Verdict]],
        now: Millis,
        *,
        takes_long: bool,
    ) -> list[Shown]:
        if not events:
            return []
        render = partial(self._rendered, self._prepared.of(subscription, now), events, judges, now)
        # A round trip to a thread takes longer than a little work, and all readers share one.
        return await self._offload.run(render) if takes_long else render()

    def _takes_long(self, subscription: Subscription, events: Sequence[ReadEvent]) -> bool:
        """Return whether making the entries would block the event loop for long."""
        loads = [each.event.load for each in events]
        if sum(loads) > LARGE:
            return True
        partner = self._directory.partner_of(subscription.id)
        return sum(loads) * self._directory.pattern_tests(subscription.id) > MOST_TESTS or any(
            self._directory.grant_is_heavy(partner, sum(loads), each.event.origin.timestamp)
            for each in events
        )

    def skipped(
        self,
        subscription: Subscription,
        partner: Partner | None,
        record: Record,
        why: CannotBeRead,
    ) -> SkippedEvent | None:
        """Return the entry of a record that is no event; None: it is nothing to the subscription."""
        event_type = why.event_type
        if not is_asked_at(subscription, record.timestamp):
            return None
        if event_type is not None and not (
            asks_for(subscription.event_types, event_type)
            and self._directory.grants_type(partner, event_type, record.timestamp)
        ):
            return None
        return SkippedEvent(why.reason, record.timestamp, event_type=event_type)

    def _judge(self, subscription: Subscription, bodies: Bodies) -> Callable[[], _Verdict]:
        event = bodies.event
        if not is_asked_at(subscription, event.origin.timestamp):
            return lambda: NotReplayed.NOT_WANTED
        question = Question(
            event.event_type,
            event.environment,
            event.origin.timestamp,
            bodies.document,
            self._codec.latest(event.event_type),
        )
        return self._directory.judge_past(subscription.id, question)

    def _rendered(
        self,
        prepared: Prepared,
        events: Sequence[ReadEvent],
        judges: Sequence[_Verdict | Callable[[], _Verdict]],
        now: Millis,
    ) -> list[Shown]:
        """Judge, render and sign, in a thread."""
        found: list[Shown] = []
        for each, judge in zip(events, judges, strict=True):
            try:
                verdict = judge() if callable(judge) else judge
                found.append(self._one(prepared, each.bodies, verdict, now))
            except ENDS:
                raise
            except Exception as error:  # noqa: BLE001  this event's alone
                self._unexpected.note(error, Step.RENDER)
                found.append(_refused(prepared, each.bodies, INTERNAL_ERROR))
        return found

    def _one(self, prepared: Prepared, bodies: Bodies, verdict: _Verdict, now: Millis) -> Shown:
        if isinstance(verdict, NotReplayed):
            return None
        body = verdict.refused or self._body(prepared, bodies, verdict.version)
        if isinstance(body, Refused):
            return _refused(prepared, bodies, body.reason)
        if len(body) > self._most:
            return _refused(prepared, bodies, RefusalReason.BODY_TOO_LARGE)
        subscription, seconds = prepared.subscription, now // 1000
        webhook_id = _id_of(prepared, bodies)
        headers = prepared.headers.of(webhook_id, seconds, body, attempt=1, trigger="")
        signature = next(value for name, value in headers if name == signing.SIGNATURE)
        return PulledEvent(webhook_id, seconds, signature, media_type(subscription.format), body)

    def _body(self, prepared: Prepared, bodies: Bodies, version: int) -> bytes | Refused:
        match prepared.body:
            case None:
                return bodies.standard(version)
            case Template() as template:
                # They are credentials of the endpoint, as its headers are.
                return bodies.by_template(version, template, lambda _: HIDDEN, self._most)
            case (shared, content):
                return bodies.shared(version, shared, content)


def _refused(prepared: Prepared, bodies: Bodies, reason: str) -> SkippedEvent:
    event = bodies.event
    if reason == RefusalReason.FILTER_NOT_EVALUABLE:
        # It may be the grant's: whether the partner may know of the event is not known either.
        return SkippedEvent(reason, event.origin.timestamp)
    return SkippedEvent(reason, event.origin.timestamp, _id_of(prepared, bodies), event.event_type)


def _id_of(prepared: Prepared, bodies: Bodies) -> str:
    event = bodies.event
    return delivery_id(event.event_type, event.event_id, prepared.subscription.id)
