"""Refuses a filter by an unknown name: an empty result would look like an answer.

A name is known if a table has it, deleted entries included, or if a record of the window has it.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from hookstream.adapters.avro.published import own_schemas
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.tables import State, read_state
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.settings import Settings

_MOST_SEEN = 10_000
"""Names of a window that are kept as suggestions."""

NO_TOPIC = "no topic has that name"
_IN_NO_TABLE = "no table holds that name"
_UNREAD = "the tables cannot be read"


@dataclass(slots=True, frozen=True)
class Names:
    """The names in the tables."""

    subscriptions: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    event_types: frozenset[str] = frozenset()


@dataclass(slots=True, frozen=True)
class Filter:
    """One option that filters by name."""

    option: str
    given: AbstractSet[str] | None
    known: AbstractSet[str]
    where: str = _IN_NO_TABLE
    """Where an unknown name was looked for, as the refusal says it."""

    @property
    def unknown(self) -> set[str]:
        """The given names that are not known."""
        return set(self.given or ()) - self.known


def names_of(state: State) -> Names:
    """Return the names in a state of the tables, those of deleted subscriptions too."""
    subscriptions = state.current.subscriptions
    partners = {each.partner_id for each in subscriptions.values()} | {*state.current.partners}
    own = {str(tree["eventType"]) for tree in own_schemas()}
    types = frozenset(own | {*state.book.event_types()})
    return Names(frozenset(subscriptions), frozenset(partners), types)


def read_names(settings: Settings) -> Names | None:
    """Return the names in the tables; None if the tables cannot be read.

    Raises:
        DependencyUnavailable: The brokers do not answer.
    """
    try:
        return names_of(read_state(settings))
    except ConfigurationError:
        # An operator who may only read the audit log still gets answers from it.
        return None


def name_filters(
    read: Callable[[], Names | None],
    *,
    subscriptions: AbstractSet[str] | None = None,
    partners: AbstractSet[str] | None = None,
    event_types: AbstractSet[str] | None = None,
    to_come: bool = False,
) -> tuple[Filter, Filter, Filter]:
    """Return the filters by subscription, by partner and by event type, in this order.

    Args:
        read: Returns the names in the tables, None where they cannot be read. Called only where a name
            was given.
        subscriptions: The names that were given; None: any.
        partners: Likewise.
        event_types: Likewise.
        to_come: Whether records that are yet to be written are read as well. Where the tables cannot
            be read, no name is refused then: such a record may have it.
    """
    names = read() if subscriptions or partners or event_types else Names()
    known = Names() if names is None else names
    where = _UNREAD if names is None else _IN_NO_TABLE

    def by(option: str, given: AbstractSet[str] | None, in_tables: AbstractSet[str]) -> Filter:
        taken = names is None and to_come
        return Filter(option, None if taken else given, in_tables, where)

    return (
        by("--subscription", subscriptions, known.subscriptions),
        by("--partner", partners, known.partners),
        by("--event-type", event_types, known.event_types),
    )


def refuse_unknown(
    filters: Sequence[Filter],
    seen: Callable[[], Iterable[Sequence[str | None]]] | None = None,
) -> None:
    """Refuse the first unknown name.

    Args:
        filters: The options.
        seen: Reads the window; of each record the value that each filter is about, in their order.
            Called only where a name is not known. None: no window is read.

    Raises:
        InputRefused: A name is not known, and no record of the window has it.
    """
    missing = [each.unknown for each in filters]
    if not any(missing):
        return
    met: list[set[str]] = [set() for _ in filters]
    for values in () if seen is None else seen():
        for value, left, found in zip(values, missing, met, strict=True):
            if value is not None and len(found) < _MOST_SEEN:
                found.add(value)
            left.discard(value or "")
        if not any(missing):
            return
    for each, left, found in zip(filters, missing, met, strict=True):
        for name in sorted(left):
            hint = did_you_mean(name, each.known | found)
            nor = "" if seen is None else ", and nothing in the window has it"
            raise InputRefused(f"{each.option} {name!r}: {each.where}{nor}{hint}")
