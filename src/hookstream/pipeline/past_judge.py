"""Decides which past records one subscription receives.

A record is judged by its own time, by the subscription's present filter and versions, and by the grants of its
time and of today (`Directory.judge_past`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from hookstream.core.delivery.identity import DeliveryIds
from hookstream.core.matching.directory import Directory, NotReplayed, asks_for
from hookstream.core.matching.fanout import Match, Question
from hookstream.core.model.event import Event, Identified, Undecodable, UndecodableReason
from hookstream.core.model.mapping import position_id
from hookstream.core.model.operations import OWN_PREFIXES
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import Subscription
from hookstream.core.replay.request import ReplayRequest
from hookstream.pipeline.defects import BLAMED, ENDS, Step, described
from hookstream.pipeline.ports import Codec, Offload
from hookstream.pipeline.work import Bodies


class Fate(StrEnum):
    """What a replay does with a record of its interval."""

    REPLAYED = "replayed"
    LEFT_TO_WORKERS = "unidentified"
    """It is written as an event that is still to be identified, decoded and matched, for this subscription."""
    NOT_GRANTED = "not_granted"
    NOT_WANTED = "not_wanted"
    UNDECODABLE = "undecodable"
    """It names no schema, or only claims to be an operations event: a worker wrote it to the undecodable topic when
    it came, whatever the subscriptions."""
    OUTSIDE = "outside"
    """Its time is not in the interval."""


@dataclass(slots=True)
class JudgedRecord:
    """A record and what a replay does with it."""

    record: Record
    fate: Fate
    event_type: str = ""
    """Empty if it is not known."""
    event: Event | None = None
    delivery_id: str = ""
    filter_asked: bool = True
    """False: the filter could not be evaluated, and is left to a worker."""
    problem: str = ""
    """Why it is left to workers."""


class PastJudge:
    """Judges records for one replay, with the costly parts in a thread."""

    def __init__(
        self, codec: Codec, directory: Directory, offload: Offload, request: ReplayRequest
    ) -> None:
        """Judge by `directory` as it is at each call."""
        self._codec = codec
        self._directory = directory
        self._offload = offload
        self._request = request

    async def judge(self, records: Sequence[Record], ids: Mapping[str, str]) -> list[JudgedRecord]:
        """Return the fate of each record, in their order.

        A record that raises an unexpected exception is left to workers, whose fence confines it.

        Args:
            records: Records of event topics.
            ids: The ids of their topics.
        """
        judged = [self._identified(record) for record in records]
        asked = [(each, found) for each, found in judged if isinstance(found, Identified)]
        if asked:
            await self._offload.run(partial(self._decode, asked, ids))
            await self._match([each for each, _ in asked if each.event is not None])
        return [each for each, _ in judged]

    def _identified(self, record: Record) -> tuple[JudgedRecord, Identified | None]:
        if not self._request.interval.contains(record.timestamp):
            return JudgedRecord(record, Fate.OUTSIDE), None
        try:
            identified = self._codec.identify(record, record.topic)
        except BLAMED[Step.IDENTIFY]:
            return JudgedRecord(record, Fate.UNDECODABLE), None
        match identified:
            case Undecodable():
                return JudgedRecord(record, Fate.UNDECODABLE), None
            case Identified(revision):
                event_type = revision.event_type
                if record.headers_problem is not None and event_type.startswith(OWN_PREFIXES):
                    # Not written by us: workers set it aside for everybody.
                    return JudgedRecord(record, Fate.UNDECODABLE, event_type), None
                if self._may_want(event_type):
                    return JudgedRecord(record, Fate.NOT_WANTED, event_type), identified
                return JudgedRecord(record, Fate.NOT_WANTED, event_type), None
            case _:
                why = f"{identified}"
                return JudgedRecord(record, Fate.LEFT_TO_WORKERS, problem=why), None

    def _may_want(self, event_type: str) -> bool:
        subscription = self._directory.subscriptions.get(self._request.subscription_id)
        if not isinstance(subscription, Subscription) or not self._request.wants(event_type):
            return False
        return asks_for(subscription.event_types, event_type)

    def _decode(
        self, asked: Sequence[tuple[JudgedRecord, Identified]], ids: Mapping[str, str]
    ) -> None:
        """Decode records, in a thread.

        Workers do not decode an event whose type had no subscription when it came, so only the log has it if it is
        malformed. So each malformed one is left to workers, for this subscription alone.
        """
        for judged, identified in asked:
            try:
                event = self._decoded(judged.record, identified, ids)
            except BLAMED[Step.DECODE] as error:
                _left(judged, error)
            except ENDS:
                raise
            except Exception as error:  # noqa: BLE001  the fence of workers confines it
                _left(judged, error)
            else:
                if isinstance(event, Undecodable):
                    judged.fate = Fate.LEFT_TO_WORKERS
                    judged.problem = f"{event.reason}: {event.detail}"
                else:
                    judged.event = event

    def _decoded(
        self, record: Record, identified: Identified, ids: Mapping[str, str]
    ) -> Event | Undecodable:
        event_id = ""
        if identified.by_position:
            topic_id = bytes.fromhex(ids.get(record.topic, ""))
            if not topic_id:
                return Undecodable(UndecodableReason.BAD_ENVELOPE, "its topic has no id")
            event_id = position_id(topic_id, record.partition, record.offset)
        return self._codec.decode(identified, record, record.origin, event_id)

    async def _match(self, decoded: Sequence[JudgedRecord]) -> None:
        asked = [(each, self._asked(each.event)) for each in decoded if each.event is not None]

        def compute() -> list[Match | NotReplayed | Exception]:
            return [_caught(judge) for _, judge in asked]

        for (each, _), found in zip(asked, await self._offload.run(compute), strict=True):
            self._conclude(each, found)

    def _asked(self, event: Event) -> Callable[[], Match | NotReplayed]:
        question = Question(
            event.event_type,
            event.environment,
            event.origin.timestamp,
            Bodies(self._codec, event).document,
            self._codec.latest(event.event_type),
        )
        request = self._request
        return self._directory.judge_past(
            request.subscription_id, question, as_granted_today=request.as_granted_today
        )

    def _conclude(self, judged: JudgedRecord, found: Match | NotReplayed | Exception) -> None:
        match found:
            case NotReplayed.NOT_GRANTED:
                judged.fate = Fate.NOT_GRANTED
            case NotReplayed.NOT_WANTED:
                judged.fate = Fate.NOT_WANTED
            case Match(refused=refused):
                event = judged.event
                judged.fate = Fate.REPLAYED
                judged.filter_asked = refused is None
                if event is not None:
                    ids = DeliveryIds(event.event_type, event.event_id)
                    judged.delivery_id = ids.of(self._request.subscription_id)
            case Exception():
                _left(judged, found)


def _caught(judge: Callable[[], Match | NotReplayed]) -> Match | NotReplayed | Exception:
    try:
        return judge()
    except ENDS:
        raise
    except Exception as error:  # noqa: BLE001  the fence of workers confines it
        return error


def _left(judged: JudgedRecord, error: Exception) -> None:
    judged.fate, judged.problem = Fate.LEFT_TO_WORKERS, described(error)
