"""The replays of a story, by an independent model: what each must write, and what it wrote.

A run of a delivery is a delivery of its own, to which the same checks apply: its `Pair` names the job
behind the subscription.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.simulation.expectation import Event, Expectation, Owed, Pair, SubscriptionStatus, of_run
from tests.simulation.story import LATE, NEVER, Wish

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition


@dataclass(eq=False)
class Replay:
    """One replay: what it was asked for, and what it did."""

    job: str
    status: SubscriptionStatus
    since: Millis
    until: Millis
    """Record times: `since` and later, before `until`."""
    begun: Millis
    settles: Millis
    """How long after its interval records of it may be appended, by clocks that are behind."""
    fills: bool = False
    today: bool = False
    """Whether only the grant of today is asked."""
    written: dict[str, bool] = field(default_factory=dict)
    """Events of which it wrote a tier record, and whether they were identified."""
    ended: set[str] = field(default_factory=set)
    """Events whose delivery was completed, dead-lettered or cancelled once."""
    lows: dict[TopicPartition, int] | None = None
    """The starts of the logs when its ends were fixed; None: they are not."""

    @property
    def wish(self) -> Wish:
        return self.status.wish

    @property
    def name(self) -> str:
        return of_run("", self.wish.id, self.job)[1]

    @property
    def out(self) -> int:
        """How many deliveries are written and have not ended."""
        return sum(known and event not in self.ended for event, known in self.written.items())

    def contains(self, event: Event) -> bool:
        return self.since <= event.timestamp < self.until

    def owed(self, event: Event) -> Owed:
        """Return whether it has to deliver an event, if it reads everything."""
        wish = self.wish
        if event.garbage or event.type not in wish.types or not self.contains(event):
            return Owed.NEVER
        if wish.colour is not None and wish.colour != event.colour:
            return Owed.NEVER
        grants = self.status.grants
        asked = grants.today if self.today else grants.owed
        granted = asked(event, self.begun)
        if granted is Owed.NEVER:
            return Owed.NEVER
        return granted if event.appended < self.until + self.settles else Owed.MAY

    def must_write(self, event: Event) -> bool:
        """Return whether a replay that is done has written an event: one of no known schema, too."""
        if self.status.deleted_at is not None:
            return False
        if event.type == NEVER and self.contains(event):
            return event.appended < self.until + self.settles
        return self.owed(event) is Owed.MUST

    def may_write(self, event: Event, *, identified: bool) -> bool:
        if identified:
            over = self.status.deleted_at is not None
            return self.owed(event) is not Owed.NEVER or (over and self.contains(event))
        return event.type in (LATE, NEVER) and self.contains(event)


class Replays:
    """Every replay of a story."""

    def __init__(self, expected: Expectation, blame: Callable[[str, str], None]) -> None:
        self.by_job: dict[str, Replay] = {}
        self._expected = expected
        self._blame = blame

    def add(self, replay: Replay) -> None:
        self.by_job[replay.job] = replay
        self._expected.runs[replay.name] = replay

    def pairs(self) -> Iterable[Pair]:
        """Return the deliveries that replays wrote."""
        for replay in self.by_job.values():
            for event in replay.written:
                yield event, replay.name

    def ended(self, pair: Pair) -> None:
        """Note that a delivery ended."""
        replay = self._of(pair)
        if replay is not None:
            replay.ended.add(pair[0])

    def is_unasked(self, pair: Pair) -> bool:
        """Return whether nobody has asked yet whether the subscription gets an event that was not identified."""
        replay = self._of(pair)
        return replay is not None and not replay.written.get(pair[0], True)

    def _of(self, pair: Pair) -> Replay | None:
        found = self._expected.runs.get(pair[1])
        return found if isinstance(found, Replay) else None
