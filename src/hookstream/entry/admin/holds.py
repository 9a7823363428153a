"""Holds for operators: setting and clearing them, each with its operations event."""

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.holds_and_skips import hold_key, write_hold
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.listing import the_first
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.known_names import names_of
from hookstream.entry.admin.tables import State, found_partner, no_subscription
from hookstream.errors import InputRefused

_LONGEST_SHOWN = 60


def set_hold(
    writer: ChangeWriter, kind: HoldKind, name: str, reason: str
) -> tuple[Hold, Hold | None]:
    """Set a hold, or change the reason of one in force; return it, and the previous one.

    Raises:
        InputRefused: There is no such subscription, partner or event type.
    """
    now = writer.session.now
    _refuse_unknown(writer.state, kind, name)
    before = _in_force(writer.state, kind, name)
    hold = Hold(kind, name, now, reason, writer.by)
    if before is not None:
        # An unreadable row has no time: the hold then starts now.
        hold = Hold(kind, name, before.since or now, reason, writer.by, before.revision + 1)
    change = "set" if before is None else "changed"
    _write(writer, hold, write_hold(hold), change, reason)
    return hold, before


def clear_hold(writer: ChangeWriter, kind: HoldKind, name: str, reason: str) -> list[Hold]:
    """Clear a hold, and return those that remain in force.

    Raises:
        InputRefused: There is no such hold.
    """
    state = writer.state
    before = _in_force(state, kind, name)
    if before is None:
        hint = did_you_mean(name, [hold.name for hold in state.holds if hold.kind is kind])
        held = f"held: {listed(state.holds)}" if state.holds else "nothing is held"
        raise InputRefused(f"{subject(kind, name)} is not held{hint}; {held}")
    _write(writer, before, None, "cleared", reason)
    return [hold for hold in state.holds if hold is not before]


def subject(kind: HoldKind, name: str) -> str:
    """Return a hold's subject in the command line's form: `endpoint crm`, or `everything`."""
    return kind.value if kind is HoldKind.EVERYTHING else f"{kind.value} {name}"


def subject_in(kind: HoldKind, name: str | None) -> tuple[HoldKind, str]:
    """Return a hold's kind and name as its row has them.

    Raises:
        InputRefused: The kind needs a name, or takes none.
    """
    if kind is HoldKind.EVERYTHING:
        if name not in (None, ALL):
            raise InputRefused(f"`everything` takes no name, and {name!r} was given")
        return kind, ALL
    if not name:
        raise InputRefused(f"name the {kind}: hookstream hold ... {kind} NAME")
    return kind, name


def listed(holds: list[Hold] | tuple[Hold, ...]) -> str:
    """Return the subjects of holds in one line of bounded length."""
    return the_first([subject(hold.kind, hold.name) for hold in holds], _LONGEST_SHOWN)


def _refuse_unknown(state: State, kind: HoldKind, name: str) -> None:
    """Refuse an unknown name: a misspelt hold stops nothing."""
    match kind:
        case HoldKind.ENDPOINT:
            found = state.current.subscriptions.get(name)
            if found is None:
                raise no_subscription(state, name)
            if isinstance(found, Subscription) and found.state is SubscriptionState.DELETED:
                raise InputRefused(f"subscription {name!r} is deleted")
        case HoldKind.PARTNER:
            found_partner(state, name)
        case HoldKind.EVENT_TYPE:
            known = names_of(state).event_types
            if name not in known:
                hint = did_you_mean(name, known)
                raise InputRefused(f"no schema of an event type {name!r} is published{hint}")
        case HoldKind.EVERYTHING:
            return


def _in_force(state: State, kind: HoldKind, name: str) -> Hold | None:
    return next((hold for hold in state.holds if (hold.kind, hold.name) == (kind, name)), None)


def _write(writer: ChangeWriter, hold: Hold, row: bytes | None, change: str, reason: str) -> None:
    session = writer.session
    event = session.events.hold_changed(
        hold, change, at=session.now, changed_by=writer.by, reason=reason
    )
    key = hold_key(hold.kind, hold.name)
    session.write([TableChange(session.names.subscriptions, key, row)], [event])
