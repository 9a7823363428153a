"""Finds the subscriptions that an event matches, in a thread if that would block the event loop."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from hookstream.core.matching.directory import NotReplayed
from hookstream.core.matching.fanout import Match, Matching, Question
from hookstream.core.model.active_interval import Arrival
from hookstream.core.model.event import LARGE, Event
from hookstream.pipeline.defects import ENDS, Step
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.ports import Ports
from hookstream.pipeline.work import Bodies, Work

_FIND_ASIDE = 3
"""Attempts to find candidates in a thread while subscriptions change; after them, the event loop does it."""


class EventMatching:
    """Matches events with the directory, providing the bodies that filters need."""

    def __init__(self, ports: Ports, fence: Fence) -> None:
        """Use `fence` to log failures in a thread that are repeated."""
        self._codec = ports.codec
        self._directory = ports.directory
        self._offload = ports.offload
        self._fence = fence

    def at_once(self, bodies: Bodies, arrival: Arrival) -> Iterator[Match | None] | None:
        """Return an iterator over an event's matches; None: they need a thread, use `in_steps`.

        The iterator yields None where other tasks should run first.
        """
        event = bodies.event
        if self._is_heavy(event):
            return None
        return self._directory.match(self._question(bodies, arrival), event.load)

    async def in_steps(self, bodies: Bodies, arrival: Arrival) -> AsyncIterator[Iterable[Match]]:
        """Yield the matches in steps that a thread computes."""
        question = self._question(bodies, arrival)
        matching = await self._found(self._directory.matching(question))
        while not matching.is_done:
            yield await self._offload.run(matching.step)

    async def judged(self, work: Work) -> Match | NotReplayed | None:
        """Return whether the present subscription of a delivery matches its event.

        The active interval is not checked for a job's run. The partition may be revoked meanwhile.
        """
        # The event has matched, however it arrived.
        delivery, question = work.delivery, self._question(work.bodies, Arrival.UNDECODABLE)
        judge: Callable[[], Match | NotReplayed | None]
        if delivery.job is None:
            judge = self._directory.judge(delivery.subscription_id, question)
        else:
            judge = self._directory.judge_past(
                delivery.subscription_id, question, as_granted_today=delivery.as_granted_today
            )
        return await self._offload.run(judge) if self._is_heavy(work.event) else judge()

    def _question(self, bodies: Bodies, arrival: Arrival) -> Question:
        event = bodies.event
        event_type = event.event_type
        return Question(
            event_type,
            event.environment,
            event.origin.timestamp,
            bodies.document,
            self._codec.latest(event_type),
            arrival,
            bodies.excerpt,
        )

    def _is_heavy(self, event: Event) -> bool:
        """Return whether matching the event would block the event loop for long."""
        if event.load > LARGE:
            return True
        timestamp = event.origin.timestamp
        if not self._directory.is_heavy(event.event_type, event.load, timestamp):
            return False
        # The load is still an upper bound by the record's size.
        event.load = self._codec.counted(event)
        return self._directory.is_heavy(event.event_type, event.load, timestamp)

    async def _found(self, matching: Matching) -> Matching:
        """Find the candidates in a thread, or on the event loop if subscriptions change all the time."""
        for _ in range(_FIND_ASIDE):
            try:
                await self._offload.run(matching.find)
            except ENDS:
                raise
            except Exception as error:
                if not matching.has_changed:
                    raise
                if not isinstance(error, RuntimeError):
                    # A dictionary that changed meanwhile raises RuntimeError; other exceptions are logged.
                    self._fence.note(error, Step.MATCH)
            else:
                if not matching.has_changed:
                    return matching
        matching.find()
        return matching
