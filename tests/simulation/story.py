"""A story is everything that happens to the workers, as plain values: it can be played, cut and played again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hookstream.core.model.instant import DAY, Millis, format_duration
from hookstream.core.model.subscription import Batch

TIERS: tuple[Millis, ...] = (0, 1_000, 2_000, 5_000, 20_000)
"""A ladder short enough that a story ends within a minute or two of virtual time."""

HOSTS = ("east", "west")
"""Where workers run: each has its own clock and its own view of the tables."""

PLAIN, LATE, NEVER = "order.placed", "order.packed", "order.lost"
"""Event types: one whose schema is there, one whose schema arrives late, one whose never does."""


@dataclass(frozen=True, slots=True)
class Mood:
    """How an endpoint behaves until an instant of the story."""

    until: float
    manner: str
    """A key of `behaviours.MANNERS`."""
    amount: float = 0.0

    def __str__(self) -> str:
        amount = f" {self.amount:g}" if self.amount else ""
        return f"{self.manner}{amount} until {self.until:g}s"


@dataclass(frozen=True, slots=True)
class Wish:
    """A subscription and its endpoint."""

    id: str
    types: tuple[str, ...] = (PLAIN,)
    colour: str | None = None
    """None: it takes events of any colour."""
    schedule: tuple[Millis, ...] = (1_000,)
    max_in_flight: int = 4
    rate: float | None = None
    """Attempts a second that it allows, or None."""
    timeout: Millis = 2_000
    final_statuses: frozenset[int] = frozenset()
    born: float = -10.0
    """When its row is written; it is active two seconds later."""
    starts: float | None = None
    """Seconds into the story from which a replay gives it what came before it; None: none does."""
    moods: tuple[Mood, ...] = ()
    """In order; after the last one it succeeds at once."""
    for_ever: Mood | None = None
    """How it behaves after all others, until the faults are over; 410 even then."""
    batch: Batch | None = None
    """None: each delivery has a request of its own."""
    cloudevents: bool = False
    """Whether it takes its deliveries as CloudEvents."""
    refuses: tuple[str, ...] = ()
    """Events for which it refuses every request that has one of them, where it would accept it."""
    refuses_with: int = 400
    refuses_until: float = float("inf")
    """Seconds into the story."""
    again: "Wish | None" = None
    """What is created if its id is used again; None: one with an endpoint that is fine."""

    def __str__(self) -> str:
        parts = [f"subscription {self.id}", f"of {', '.join(self.types)}"]
        if self.colour:
            parts.append(f"that are {self.colour}")
        parts.append(
            f"retries after {', '.join(map(format_duration, self.schedule)) or 'nothing'}"
        )
        parts.append(f"{self.max_in_flight} in flight, {format_duration(self.timeout)} timeout")
        if self.rate is not None:
            parts.append(f"{self.rate:g} a second")
        if self.born > 0:
            since = "" if self.starts is None else f", from {self.starts:g}s on"
            parts.append(f"written at {self.born:g}s{since}")
        if self.cloudevents:
            parts.append("CloudEvents")
        if self.batch is not None:
            wait = format_duration(self.batch.max_wait)
            parts.append(f"batches of {self.batch.max_events} within {wait}")
        if self.refuses:
            until = "" if self.refuses_until == float("inf") else f" until {self.refuses_until:g}s"
            parts.append(f"{self.refuses_with} for {', '.join(self.refuses)}{until}")
        parts.append(f"endpoint: {self._endpoint()}")
        return "; ".join(parts) + (f"\n    again {self.again}" if self.again else "")

    def _endpoint(self) -> str:
        moods = [str(mood) for mood in self.moods]
        if self.for_ever is not None:
            moods.append(f"then {self.for_ever.manner} for ever")
        return "; ".join(moods) if moods else "fine"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a worker may keep and do at once."""

    max_in_flight: int = 16
    max_deliveries: int = 200
    max_bytes: int = 1 << 20
    room_bytes: int = 1 << 20
    room_floor: int = 1 << 10
    paused_for: Millis = 600_000
    disable_after: Millis = 5 * DAY
    """How long an endpoint must have failed to be disabled."""
    body_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens, `at` so many seconds into the story."""

    at: float
    does: str
    """The name of a method of `playing.Player`, without its `do_`."""
    who: str = ""
    amount: float = 0.0
    more: tuple[str | int | float, ...] = ()

    def __str__(self) -> str:
        parts = [self.does.replace("_", " "), self.who]
        if self.amount:
            parts.append(f"{self.amount:g}")
        parts += [str(value) for value in self.more]
        return f"{self.at:6.2f}s  {' '.join(part for part in parts if part)}"


@dataclass(frozen=True, slots=True)
class Story:
    """What a seed decides."""

    seed: int
    partitions: int = 1
    bounds: Bounds = Bounds()
    wishes: tuple[Wish, ...] = ()
    acts: tuple[Act, ...] = field(default=())
    """In order of time."""
    quiet: bool = False
    """True: only endpoints fail, so healthy ones must not be affected."""

    def lines(self) -> Sequence[str]:
        """Return the story as text."""
        lines = [f"{self.partitions} partition(s); {self.bounds}"]
        lines += [f"  {wish}" for wish in self.wishes]
        lines += [f"  {act}" for act in self.acts]
        return lines


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that was violated."""

    invariant: str
    at: float
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant} (at {self.at:.3f}s): {self.detail}"
