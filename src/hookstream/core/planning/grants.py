"""When a grant changes, additions apply to new records only, and removals apply at once.

A partner keeps the grants that it held, so that a record of the past is judged by the one of its time.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json, JsonObject, compared, json_text
from hookstream.core.model.subscription import Grant, HeldGrant, Partner, covers

_OR = "$or"

MOST_GRANTS: Final = 50
"""The most grants that a partner keeps, the latest ones, today's included."""
MOST_EARLIER_CHARACTERS: Final = 200_000
"""The most text of different earlier grants that a partner keeps, so that its row can be written."""


def first_granted(partner: Partner, since: Millis) -> Partner:
    """Return a new partner, to whom nothing was granted before an instant."""
    return replace(partner, history=(HeldGrant(partner.grant, since),))


def regranted(partner: Partner, grant: Grant, now: Millis, takes_effect: Millis) -> Partner:
    """Return the partner with another grant; the same object if it is the one that it has.

    What is taken away is so for all records, and was not granted after `now`; what is added is so for
    records after `takes_effect`. If the broker's clock went back behind the latest change, both count
    from that change on: no record is ever judged by a grant that came later.

    Workers of the release before `history` read `grant_from` and `previous_grant`: of all earlier grants
    the part of one that is still granted. Where those workers lag behind two widenings, they judge
    records from before the first of them by the grant between the two.
    """
    if same(partner.grant, grant):
        return partner
    shared = common(partner.grant, grant)
    latest = partner.grants[-1].since
    if latest is not None:
        now, takes_effect = max(now, latest), max(takes_effect, latest)
    history = _extended(partner.grants, shared, now)
    history = _extended(history, grant, takes_effect)
    granted = replace(partner, grant=grant, history=_bounded(history))
    if not same(shared, grant):
        since = history[-1].since or takes_effect
        return replace(granted, grant_from=since, previous_grant=shared)
    earlier = partner.previous_grant
    return replace(granted, previous_grant=earlier and common(earlier, grant))


def _extended(
    history: tuple[HeldGrant, ...], grant: Grant, instant: Millis
) -> tuple[HeldGrant, ...]:
    """Return the history with a grant that holds from an instant on."""
    *_, last = history
    if same(last.grant, grant):
        return history
    since = instant if last.since is None else max(instant, last.since)
    # A grant that held for no record at all is not kept.
    kept = history[:-1] if last.since == since else history
    return kept if kept and same(kept[-1].grant, grant) else (*kept, HeldGrant(grant, since))


def _bounded(history: tuple[HeldGrant, ...]) -> tuple[HeldGrant, ...]:
    """Return the latest grants that may be kept; each different earlier one counts once."""
    kept: list[HeldGrant] = [history[-1]]
    counted = [history[-1].grant]
    left = MOST_EARLIER_CHARACTERS
    for held in reversed(history[-MOST_GRANTS:-1]):
        if not any(same(held.grant, each) for each in counted):
            left -= _size(held.grant)
            counted.append(held.grant)
        if left < 0:
            break
        kept.append(held)
    return tuple(reversed(kept))


def _size(grant: Grant) -> int:
    names = sum(map(len, (*grant.event_types, *grant.environments)))
    return names + (0 if grant.pattern is None else len(json_text(grant.pattern)))


def same(one: Grant, other: Grant) -> bool:
    """Return whether two grants are equal, including the exact notation of numbers and `true`."""
    return one == other and compared(one.pattern) == compared(other.pattern)


def common(one: Grant, other: Grant) -> Grant:
    """Return the intersection of two grants; `other` itself if it is the narrower."""
    event_types = _common_globs(one.event_types, other.event_types)
    environments = _common_globs(one.environments, other.environments)
    pattern = _common_pattern(one.pattern, other.pattern)
    return Grant(event_types, environments, pattern, one.operator and other.operator)


def _common_globs(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """Intersect two lists of globs. Of two prefix globs one contains the other, or they are disjoint."""
    # As a name, `pricing.*` begins with `pricing.`: a glob that covers this name covers all it matches.
    inner = [glob for glob in other if covers(one, glob)]
    if len(inner) == len(other):
        return tuple(other)
    inner += [glob for glob in one if covers(other, glob) and glob not in inner]
    return tuple(inner)


def _common_pattern(one: JsonObject | None, other: JsonObject | None) -> JsonObject | None:
    if one is None or compared(one) == compared(other):
        return other
    if other is None:
        return one
    return both(one, other)


def both(one: JsonObject, other: JsonObject) -> JsonObject:
    """Return an event pattern that matches exactly what two patterns both match.

    The fields of a pattern are joined by AND, so `one` is added to `other` as an `$or` with equal
    alternatives; if `other` has an `$or`, it is added to each alternative.
    """
    alternatives = other.get(_OR)
    rest: JsonObject = {name: clause for name, clause in other.items() if name != _OR}
    if not isinstance(alternatives, list):
        same: list[Json] = [one, one]
        return {**rest, _OR: same}
    joined: list[Json] = [
        both(one, each) if isinstance(each, dict) else each for each in alternatives
    ]
    return {**rest, _OR: joined}
