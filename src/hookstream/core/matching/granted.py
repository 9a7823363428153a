"""Decides whether a partner is granted a record, by the grant in force at its time and by today's.

Both must cover it. So a wider grant applies to later records only, and a narrower one at once, to the
past too. Patterns of earlier grants are parsed when a record of their time is first judged.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from hookstream.core.matching.pattern import Pattern, PatternRefused, parse
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.operations import OPERATIONS_EVENTS, OWN_PREFIXES
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import Grant, Partner, covers

_EVER: Final[Millis] = -(1 << 64)
"""Earlier than every record."""
_NEVER: Final[Millis] = 1 << 63
"""Later than every record."""
_MOST_REMEMBERED: Final = 1_000
"""Event types of which a grant remembers what it gives access to."""


@dataclass(slots=True, frozen=True)
class GrantedType:
    """The part of one event type that a grant gives access to."""

    environments: frozenset[str] | None
    """None: all."""
    pattern: Pattern | None = None
    problem: str | None = None
    """Why the grant's pattern cannot be read and so not evaluated."""
    about: str | None = None
    """The partner that the event must be about (`data.partner_id`); None: any."""

    @property
    def is_filtered(self) -> bool:
        """Return whether the decision needs the body."""
        return self.pattern is not None or self.problem is not None or self.about is not None

    @property
    def tests(self) -> int:
        """How many comparisons its pattern makes for one value."""
        return 0 if self.pattern is None else self.pattern.tests

    def has(self, environment: str) -> bool:
        """Return whether events of an environment may be seen."""
        return self.environments is None or environment in self.environments


class ReadGrant:
    """A grant whose pattern is parsed when it is first asked for."""

    __slots__ = ("_parsed", "_partner_id", "_remembered", "_tests", "grant")

    def __init__(self, grant: Grant, partner_id: str) -> None:
        """Take the grant of a partner."""
        self.grant = grant
        self._partner_id = partner_id
        self._parsed: tuple[Pattern | None, str | None] | None = None
        self._tests: int | None = None
        self._remembered: dict[str, GrantedType | None] = {}
        """What it gives access to in all environments, by event type: each attempt asks for that."""

    @property
    def tests(self) -> int:
        """How many comparisons its pattern makes for one value."""
        if self._tests is None:
            pattern, _ = self._read()
            self._tests = 0 if pattern is None else pattern.tests
        return self._tests

    def opens(self, event_type: str, own: frozenset[str] | None) -> GrantedType | None:
        """Return what it grants of a type to a subscription to `own` environments (None: all)."""
        if own is not None:
            return self._opens(event_type, own)
        # A thread may do the same at the same time: both come to the same.
        try:
            return self._remembered[event_type]
        except KeyError:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[event_type] = self._opens(event_type, None)
            return found

    def _opens(self, event_type: str, own: frozenset[str] | None) -> GrantedType | None:
        if not asks_for(self.grant.event_types, event_type):
            return None
        granted = frozenset(self.grant.environments)
        environments = own if "*" in granted else granted if own is None else granted & own
        if environments is not None and not environments:
            return None
        all_partners = self.grant.operator or event_type not in OPERATIONS_EVENTS
        return GrantedType(environments, *self._read(), None if all_partners else self._partner_id)

    def _read(self) -> tuple[Pattern | None, str | None]:
        # A thread may do the same at the same time: both come to the same.
        if self._parsed is None:
            self._parsed = _parsed(self.grant.pattern)
        return self._parsed


class GrantTimeline:
    """The grants of one partner, by the time of records."""

    __slots__ = ("_grants", "_since", "changed", "now", "partner")

    def __init__(self, partner: Partner) -> None:
        """Prepare the grants of a partner's row."""
        self.partner = partner
        held = partner.grants
        self._grants = [ReadGrant(each.grant, partner.id) for each in held]
        self._since = [_EVER if each.since is None else each.since for each in held]
        self.now = self._grants[-1]
        """The grant of today."""
        self.changed = self._since[-1]
        """Records after this instant fall under the grant of today alone."""

    def is_known(self, timestamp: Millis) -> bool:
        """Return whether it is known what was granted at an instant: nothing, or a certain grant."""
        return self._since[0] != _EVER or timestamp > min(self._since[1:], default=_NEVER)

    def at(self, timestamp: Millis) -> ReadGrant | None:
        """Return the grant that held at the time of a record, or None if nothing was granted."""
        number = bisect_left(self._since, timestamp)
        return self._grants[number - 1] if number else None

    def tests(self, timestamp: Millis) -> int:
        """Return how many comparisons the grants of a record of this time make for one value."""
        if timestamp > self.changed:
            return self.now.tests
        then = self.at(timestamp)
        return max(self.now.tests, 0 if then is None else then.tests)

    def most_tests(self) -> int:
        """Return how many comparisons any of its grants makes for one value."""
        return max(grant.tests for grant in self._grants)

    def opens(
        self,
        event_type: str,
        environment: str,
        timestamp: Millis,
        own: frozenset[str] | None = None,
        *,
        as_granted_today: bool = False,
    ) -> tuple[GrantedType, ...]:
        """Return the accesses that must all admit a record; none: it is not granted.

        Args:
            event_type: The type of the record's event.
            environment: Its environment.
            timestamp: The record's time.
            own: The environments that are wanted; None: all.
            as_granted_today: Leave the grant of the record's time out.
        """
        then = self.now if as_granted_today else self.at(timestamp)
        opened: list[GrantedType] = []
        for grant in (self.now,) if then is self.now else (self.now, then):
            access = None if grant is None else grant.opens(event_type, own)
            if access is None or not access.has(environment):
                return ()
            opened.append(access)
        return tuple(opened)


class EarlierAccess:
    """What the earlier grants of a partner give one subscription of one type; found when asked for."""

    __slots__ = ("_event_type", "_found", "_own", "_timeline")

    def __init__(
        self, timeline: GrantTimeline, event_type: str, own: frozenset[str] | None
    ) -> None:
        """Ask the timeline of the subscription's partner, for its own environments (None: all)."""
        self._timeline = timeline
        self._event_type = event_type
        self._own = own
        self._found: dict[ReadGrant, GrantedType | None] = {}

    @property
    def tests(self) -> int:
        """How many comparisons any of the grants makes for one value."""
        return self._timeline.most_tests()

    def at(self, environment: str, timestamp: Millis) -> GrantedType | None:
        """Return the access at a record's time if it admits its environment, or None."""
        grant = self._timeline.at(timestamp)
        if grant is None:
            return None
        if grant not in self._found:
            self._found[grant] = grant.opens(self._event_type, self._own)
        access = self._found[grant]
        return access if access is not None and access.has(environment) else None


def asks_for(globs: tuple[str, ...], event_type: str) -> bool:
    """Return whether names and globs include a type; hookstream's own types match by name only."""
    if event_type.startswith(OWN_PREFIXES):
        return event_type in globs
    return covers(globs, event_type)


def open_to(
    accesses: Iterable[GrantedType], document: Callable[[], JsonObject | Refused]
) -> bool | Refused:
    """Return whether the patterns of grants all admit the event, or why that cannot be evaluated.

    An event that one of them does not admit is not granted, whatever becomes of the others.

    Args:
        accesses: At least one.
        document: Returns the event's body; called only if a grant needs it.
    """
    verdict: bool | Refused = True
    for access in accesses:
        if access.is_filtered:
            found = _open_to(access, document)
            if found is False:
                return False
            verdict = found if verdict is True else verdict
    return verdict


def _open_to(access: GrantedType, document: Callable[[], JsonObject | Refused]) -> bool | Refused:
    if access.problem is not None:
        return Refused(RefusalReason.FILTER_NOT_EVALUABLE, f"the grant's {access.problem}")
    body = document()
    if isinstance(body, Refused):
        return not_evaluable("the grant's filter", body)
    if access.about is not None and not _is_about(body, access.about):
        return False
    return access.pattern is None or access.pattern.matches(body)


def not_evaluable(what: str, body: Refused) -> Refused:
    """Return the refusal of a filter whose body could not be rendered."""
    return Refused(
        RefusalReason.FILTER_NOT_EVALUABLE,
        f"{what} needs a body, and {body.reason}: {body.detail}",
    )


def _is_about(body: JsonObject, partner_id: str) -> bool:
    """Return whether an operations event is about a partner; one without a partner is internal."""
    data = body.get("data")
    return isinstance(data, dict) and data.get("partner_id") == partner_id


def _parsed(document: JsonObject | None) -> tuple[Pattern | None, str | None]:
    """Return a pattern, or the reason why it cannot be parsed."""
    if document is None:
        return None, None
    try:
        return parse(document), None
    except PatternRefused as refused:
        return None, str(refused)
