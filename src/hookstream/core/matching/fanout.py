"""Matches a single event with the subscriptions to its type."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from hookstream.core.matching.clauses import Exactly
from hookstream.core.matching.granted import EarlierAccess, GrantedType, not_evaluable, open_to
from hookstream.core.matching.index import Filed, PatternIndex, id_of
from hookstream.core.matching.pattern import Filing, Pattern
from hookstream.core.model.active_interval import Arrival, left_by_replays
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject, Paths
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import Subscription, UnreadableSubscription, VersionPin

MOST_TESTS: Final = 50_000
"""Comparisons that one pattern may make of one event on the event loop: up to 18 ms (wildcards)."""
MOST_LOOKUPS: Final = 100_000
"""Values of one event that an index may look up on the event loop: 13 ms."""
_NEVER: Final[Millis] = 1 << 63
"""Later than every record."""
_ASKED_AT_ONCE: Final = 16
"""Requests evaluated per step."""

DocumentAt: TypeAlias = Callable[[int], JsonObject | Refused]
"""Returns the `standard` body of the event at a version."""
ExcerptAt: TypeAlias = Callable[[int, Paths], JsonObject | Refused]
"""Returns as much of it as patterns need that ask for no other paths."""


@dataclass(slots=True)
class Match:
    """A subscription that an event is delivered to. Treated as immutable; one per delivery."""

    subscription: Subscription | UnreadableSubscription
    version: int
    """The version of the data that it receives; 0 if the subscription cannot be read."""
    refused: Refused | None = None
    """Why the filter could not be evaluated; the delivery is given up for this reason."""


@dataclass(slots=True, frozen=True, eq=False)
class Request:
    """One subscription's request for one event type, prepared for cheap evaluation."""

    subscription: Subscription | UnreadableSubscription
    pin: VersionPin
    """0 if the subscription cannot be read."""
    pattern: Pattern | None
    active_from: Millis
    gaps: tuple[tuple[Millis, Millis | None], ...]
    """Start (excluded) and end (included; None: open)."""
    access: GrantedType
    """What its grant of today gives access to, limited to its own environments."""
    granted_from: Millis
    """Records up to this instant fall under an earlier grant as well."""
    earlier: EarlierAccess
    """What the grants before gave access to."""

    @property
    def begins(self) -> Millis:
        """The instant after which a record may match: earlier than `active_from` if it started in the past."""
        started = (gap.start for gap in self.subscription.gaps if gap.reason == "started")
        return min((self.active_from, *started))

    @property
    def open_gap(self) -> Millis | None:
        """Start of its first open gap, or None."""
        return min((start for start, end in self.gaps if end is None), default=None)

    def access_at(
        self, environment: str, timestamp: Millis, arrival: Arrival = Arrival.LIVE
    ) -> GrantedType | None:
        """Return today's access if it admits a record of this time and environment, or None."""
        for start, end in self.gaps:
            if timestamp > start and (end is None or timestamp <= end):
                if left_by_replays(self.subscription.gaps, timestamp, arrival):
                    break
                return None
        else:
            if timestamp <= self.active_from:
                return None
        access = self.access
        if access.environments is not None and environment not in access.environments:
            return None
        return access


@dataclass(slots=True)
class Question:
    """Asks which subscriptions one event matches. It renders each body once, on demand."""

    event_type: str
    environment: str
    timestamp: Millis
    """The record's in its first topic."""
    document: DocumentAt
    """If it refuses, the subscriptions that needed the body match with FILTER_NOT_EVALUABLE."""
    latest: int
    """The newest version of the type."""
    arrival: Arrival = Arrival.LIVE
    """How the event reached the worker (see `core.model.active_interval`)."""
    excerpt: ExcerptAt | None = None
    """None: patterns are evaluated on whole bodies."""
    _bodies: dict[int, JsonObject | Refused] = field(default_factory=dict, init=False)
    _parts: dict[int, JsonObject | Refused] = field(default_factory=dict, init=False)
    _paths: Paths | None = field(default=None, init=False)

    def version(self, pin: VersionPin) -> int:
        """Return the version that a subscription receives."""
        return self.latest if pin == "latest" else pin

    def body(self, version: int) -> JsonObject | Refused:
        """Return the body at a version."""
        made = self._bodies.get(version)
        if made is None:
            made = self._bodies[version] = self.document(version)
        return made

    def ask_only(self, paths: Paths) -> None:
        """Say which paths the patterns ask for that are evaluated on `part` from now on."""
        if paths != self._paths:
            self._paths = paths
            self._parts.clear()

    def part(self, version: int) -> JsonObject | Refused:
        """Return the body at a version, as far as those patterns need it."""
        if self.excerpt is None or self._paths is None:
            return self.body(version)
        made = self._bodies.get(version) or self._parts.get(version)
        if made is None:
            made = self._parts[version] = self.excerpt(version, self._paths)
        return made


class Fanout:
    """The requests for one event type. Changed and evaluated by one owner."""

    __slots__ = (
        "_asked",
        "_by_pin",
        "_earlier_tests",
        "_intervals",
        "_lookups",
        "_paths",
        "_plain",
        "_requests",
        "_tests",
        "changes",
    )

    def __init__(self) -> None:
        """Start with no request."""
        self._requests: dict[str, Request] = {}
        self._plain: dict[str | None, list[Filed[Request]]] = {}
        """Requests without a pattern, by environment; None: those for any environment."""
        self._by_pin: dict[VersionPin, PatternIndex[Request]] = {}
        self._asked: dict[tuple[str, ...], int] = {}
        """How many patterns ask for each path."""
        self._paths: Paths | None = None
        """A cache: the paths that any pattern asks for."""
        self._intervals: tuple[Millis, Millis, Millis] | None = None
        """A cache: see `wants`."""
        self._tests: tuple[Millis, int] | None = None
        """A cache: the latest change of a grant, and the comparisons for a value of later records."""
        self._earlier_tests: int | None = None
        """A cache: the most comparisons that an earlier grant makes for one value."""
        self._lookups: int | None = None
        """A cache: how many fields of a body all indexes look up."""
        self.changes = 0
        """How many times a request was put or dropped."""

    def put(self, request: Request) -> None:
        """Add a subscription's request, replacing an earlier one."""
        try:
            self._remove(request.subscription.id)
            self._add(request)
        finally:
            self._changed()

    def drop(self, subscription_id: str) -> None:
        """Remove a subscription's request, if it has one."""
        if subscription_id not in self._requests:
            # A row is filed for every type: most have nothing of it, and their caches stay.
            return
        try:
            self._remove(subscription_id)
        finally:
            self._changed()

    def _add(self, request: Request) -> None:
        item_id, environments = request.subscription.id, request.access.environments
        self._requests[item_id] = request
        if request.pattern is None:
            filed = Filed(item_id, request, None)
            for environment in (None,) if environments is None else environments:
                insort(self._plain.setdefault(environment, []), filed, key=id_of)
            return
        index = self._by_pin.setdefault(request.pin, PatternIndex())
        index.add(item_id, request, request.pattern, _by_environment(environments))
        for path in request.pattern.paths:
            self._asked[path] = self._asked.get(path, 0) + 1

    def _remove(self, subscription_id: str) -> None:
        request = self._requests.pop(subscription_id, None)
        if request is None:
            return
        if request.pattern is not None:
            for path in request.pattern.paths:
                self._asked[path] -= 1
                if not self._asked[path]:
                    del self._asked[path]
            index = self._by_pin[request.pin]
            index.discard(subscription_id)
            if not len(index):
                del self._by_pin[request.pin]
            return
        environments = request.access.environments
        for environment in (None,) if environments is None else environments:
            bucket = self._plain[environment]
            del bucket[bisect_left(bucket, subscription_id, key=id_of)]

    def _changed(self) -> None:
        # Counted when the index is whole again: a thread that read half a change must notice it.
        self._intervals = self._tests = self._earlier_tests = self._paths = self._lookups = None
        self.changes += 1

    def is_heavy(self, load: int, timestamp: Millis) -> bool:
        """Return whether matching an event of this load would block the event loop for long."""
        if load * self._most_tests(timestamp) > MOST_TESTS:
            return True
        if self._lookups is None:
            self._lookups = sum(index.paths for index in self._by_pin.values())
        return load * self._lookups > MOST_LOOKUPS

    def _most_tests(self, timestamp: Millis) -> int:
        if self._tests is None:
            requests = self._requests.values()
            newest = max((request.granted_from for request in requests), default=0)
            self._tests = newest, max(map(_tests_of, requests), default=0)
        newest, tests = self._tests
        if timestamp > newest:
            return tests
        # Records from before a change of a grant: rare, and only then are earlier grants parsed.
        if self._earlier_tests is None:
            self._earlier_tests = max(
                (request.earlier.tests for request in self._requests.values()), default=0
            )
        return max(tests, self._earlier_tests)

    def has_subscribers(self, timestamp: Millis) -> bool:
        """Return whether any request may be active at a time. Closed gaps are ignored."""
        if self._intervals is None:
            self._intervals = _intervals(self._requests.values())
        endless, ended, last = self._intervals
        return timestamp > endless or ended < timestamp <= last

    def match(self, question: Question, load: int) -> Iterator[Match | None]:
        """Yield matches ordered by subscription id, and None between every few requests evaluated.

        The candidates are fixed at the first step; each is evaluated when its turn comes.
        """
        tests = self._most_tests(question.timestamp)
        at_once = max(1, min(_ASKED_AT_ONCE, MOST_TESTS // (load * tests or 1)))
        for number, filed in enumerate(self.candidates(question)):
            # Not after the last one, when no other match follows.
            if number and number % at_once == 0:
                yield None
            match = _judged(filed, question)
            if match is not None:
                yield match

    def judge(self, subscription_id: str, question: Question) -> "Callable[[], Match | None]":
        """Return a function, callable in a thread, that matches one subscription as it is now."""
        request = self._requests.get(subscription_id)
        if request is None:
            return lambda: None
        matches = None if request.pattern is None else request.pattern.matches
        if request.pattern is not None:
            question.ask_only(request.pattern.paths)
        return partial(_judged, Filed(subscription_id, request, matches), question)

    def candidates(self, question: Question) -> list[Filed[Request]]:
        """Return every request that an event may match, ordered by subscription id."""
        found = [*self._plain.get(None, ()), *self._plain.get(question.environment, ())]
        if self._paths is None:
            self._paths = frozenset(self._asked)
        question.ask_only(self._paths)
        for pin, index in self._by_pin.items():
            body = question.part(question.version(pin))
            found += index.all() if isinstance(body, Refused) else index.candidates(body)
        found.sort(key=id_of)
        return found


class Matching:
    """Matches one event in steps that may run in a thread while the owner changes the requests.

    Call `find` first, and again if `has_changed`; then `step` until `is_done`. One call at a time.
    """

    def __init__(self, fanout: Fanout, question: Question) -> None:
        """Take the requests for the event's type, and the question."""
        self._fanout = fanout
        self._question = question
        self._changes = fanout.changes
        self._left: list[Filed[Request]] = []

    def find(self) -> None:
        """Find the candidates. If requests change meanwhile, it may raise or find too few."""
        self._changes = self._fanout.changes
        self._left = self._fanout.candidates(self._question)[::-1]

    @property
    def has_changed(self) -> bool:
        """Return whether requests changed since `find` began, so that it must be called again."""
        return self._changes != self._fanout.changes

    @property
    def is_done(self) -> bool:
        """Return whether every candidate was evaluated."""
        return not self._left

    def step(self) -> list[Match]:
        """Evaluate the next few candidates and return the matches among them."""
        turn = min(_ASKED_AT_ONCE, len(self._left))
        judged = [_judged(self._left.pop(), self._question) for _ in range(turn)]
        return [match for match in judged if match is not None]


def _tests_of(request: Request) -> int:
    """Return how many comparisons a request's own pattern and its grant's make for one value."""
    return max(0 if request.pattern is None else request.pattern.tests, request.access.tests)


def _judged(filed: Filed[Request], question: Question) -> Match | None:
    """Return the match of a candidate, or None if it does not match the event."""
    request = filed.item
    access = request.access_at(question.environment, question.timestamp, question.arrival)
    if access is None:
        return None
    then: GrantedType | None = None
    if question.timestamp <= request.granted_from:
        then = request.earlier.at(question.environment, question.timestamp)
        if then is None:
            return None
    version = question.version(request.pin)
    verdict: bool | Refused = True
    if request.pattern is not None:
        verdict = _ask(filed, question.part(version))
    # To one that cannot be read nothing is delivered until it can: the grant is evaluated then.
    if (
        verdict is True
        and (access.is_filtered or (then is not None and then.is_filtered))
        and not isinstance(request.subscription, UnreadableSubscription)
    ):
        both = (access,) if then is None else (access, then)
        verdict = open_to(both, partial(question.body, version))
    if verdict is False:
        return None
    return Match(request.subscription, version, None if verdict is True else verdict)


def _ask(filed: Filed[Request], body: JsonObject | Refused) -> bool | Refused:
    """Evaluate the request's own pattern."""
    if isinstance(body, Refused):
        return not_evaluable("its filter", body)
    return filed.matches is None or filed.matches(body)


def _by_environment(environments: frozenset[str] | None) -> tuple[Filing, ...]:
    if environments is None:
        return ()
    return (tuple((("environment",), Exactly(name)) for name in sorted(environments)),)


def _intervals(requests: Iterable[Request]) -> tuple[Millis, Millis, Millis]:
    """Return the earliest start without an open gap; the earliest with one, and the latest end."""
    spans = [(request.begins, request.open_gap) for request in requests]
    return (
        min((start for start, gap in spans if gap is None), default=_NEVER),
        min((start for start, gap in spans if gap is not None), default=_NEVER),
        max((gap for _, gap in spans if gap is not None), default=0),
    )
