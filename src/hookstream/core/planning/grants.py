"""When a grant changes, additions apply to new records only, and removals apply at once."""

from collections.abc import Sequence
from dataclasses import replace

from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json, JsonObject, compared
from hookstream.core.model.subscription import Grant, Partner, covers

_OR = "$or"


def regranted(partner: Partner, grant: Grant, takes_effect: Millis) -> Partner:
    """Return the partner with another grant.

    Records up to `takes_effect` are judged by the intersection of both grants, later ones by the new
    grant alone. If the new grant adds nothing, the earlier bound, if any, stays, and the earlier
    grant is narrowed too.

    Only one earlier grant is stored: a worker that lags behind two widenings judges records from
    before the first of them by the grant between the two.
    """
    shared = common(partner.grant, grant)
    if not same(shared, grant):
        return replace(partner, grant=grant, grant_from=takes_effect, previous_grant=shared)
    earlier = partner.previous_grant
    return replace(partner, grant=grant, previous_grant=earlier and common(earlier, grant))


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
