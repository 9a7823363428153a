"""Notes of a plan: what is valid but may not be intended."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject, compared
from hookstream.core.model.listing import the_first
from hookstream.core.model.number import EXACT, Number, exact, key_of_number, number_text
from hookstream.core.model.operations import OPERATIONS_ENVIRONMENT, OPERATIONS_EVENTS
from hookstream.core.model.subscription import (
    Disabled,
    Grant,
    Partner,
    Subscription,
    SubscriptionState,
    covers,
)
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.planning.declared import Declared
from hookstream.core.planning.fields import Subject, named
from hookstream.core.planning.ownership import OWNED_BY_NOBODY, folder_of

AsksFor: TypeAlias = Callable[[tuple[str, ...], str], bool]

_LISTED = 10
_DIGITS_OF_DOUBLES = 16
"""A double that was rounded from a longer number has a shortest text of at least this many digits."""


def ungranted(
    subscription: Subscription, grant: Grant, asked: Sequence[str], asks_for: AsksFor
) -> list[str]:
    """Return notes on what a subscription requests and its partner is not granted.

    Args:
        subscription: The subscription.
        grant: Its partner's grant.
        asked: The event types that it requests by name or prefix.
        asks_for: Returns whether globs include an event type.
    """
    subject, partner_id = named(subscription), subscription.partner_id
    withheld = [each for each in asked if not asks_for(grant.event_types, each)]
    unseen = [
        environment
        for environment in subscription.environments or ()
        if not covers(grant.environments, environment)
    ]
    own = [each for each in asked if each in OPERATIONS_EVENTS and each not in withheld]
    notes = []
    if withheld:
        by_name = [each for each in withheld if covers(grant.event_types, each)]
        only = f" (by name, as {by_name[0]} must be)" if by_name else ""
        notes.append(
            f"{subject}: asks for {', '.join(withheld)}, which partner {partner_id} "
            f"is not granted{only}: none will be sent"
        )
    if unseen:
        notes.append(
            f"{subject}: asks for environment {', '.join(unseen)}, which partner {partner_id} "
            "is not granted: none of its events will be sent"
            f"{did_you_mean(unseen[0], grant.environments)}"
        )
    if own and OPERATIONS_ENVIRONMENT not in unseen:
        notes += _elsewhere(subscription, grant, own)
    return notes


def _elsewhere(subscription: Subscription, grant: Grant, own: Sequence[str]) -> list[str]:
    """Return a note if hookstream's own events that are requested are in an environment that is not sent."""
    environments, asked = subscription.environments, f"asks for {', '.join(own)}"
    if not covers(grant.environments, OPERATIONS_ENVIRONMENT):
        why = f"which partner {subscription.partner_id} is not granted"
    elif environments is not None and OPERATIONS_ENVIRONMENT not in environments:
        why = "for which it does not ask"
    else:
        return []
    return [
        f"{named(subscription)}: {asked} of environment {OPERATIONS_ENVIRONMENT}, {why}: none will be sent"
    ]


def environments(declared: Declared, live: Sequence[Subject]) -> Mapping[str, frozenset[str]]:
    """Return by environment which partners name it, in their grant or a subscription."""
    named_by: dict[str, set[str]] = {}
    for subject in (*declared.subjects, *live):
        partner_id, names = _environments_of(subject)
        for name in names:
            named_by.setdefault(name, set()).add(partner_id)
    return {name: frozenset(partners) for name, partners in named_by.items() if name != "*"}


def _environments_of(subject: Subject) -> tuple[str, Sequence[str]]:
    """Return the partner's id and the environments that the subject names."""
    match subject:
        case Partner():
            return subject.id, subject.grant.environments
        case Subscription():
            return subject.partner_id, subject.environments or ()


def unknown_environments(
    subject: Subject, grant: Grant, named_by: Mapping[str, frozenset[str]]
) -> list[str]:
    """Return notes on environments that no other partner names: they may be misspelt.

    Environments that the partner is not granted are left to another note.
    """
    partner_id, asked = _environments_of(subject)
    if isinstance(subject, Subscription) and "*" not in grant.environments:
        return []

    def is_known(name: str) -> bool:
        return not named_by.get(name, frozenset()) <= {partner_id}

    unknown = [
        name for name in asked if name not in ("*", OPERATIONS_ENVIRONMENT) and not is_known(name)
    ]
    # There may be as many names as partners: they are gone through only where there is a note.
    others = {name for name in named_by if is_known(name)} if unknown else set()
    if not others:
        return []
    known = others | {OPERATIONS_ENVIRONMENT}
    return [
        f"{named(subject)}: no other partner names environment {name}"
        f"{did_you_mean(name, known)}: nothing is sent unless events have it"
        for name in unknown
    ]


def all_secrets_change(before: Subscription, after: Subscription) -> list[str]:
    """Return a note if no signing secret is kept: the partner then has no time to switch."""
    earlier, kept = _lasting(before), _lasting(after)
    if not earlier or earlier & kept:
        return []
    return [
        (
            f"{named(after)}: no signing secret is kept, so the partner rejects deliveries until it has"
            " the new one; to rotate without a gap, list the old one after it for a while"
        )
    ]


def _lasting(subscription: Subscription) -> set[tuple[str, bytes]]:
    """Return the signing secrets that a partner may rely on: those without an end."""
    secrets = subscription.endpoint.secrets
    return {(each.id, each.key) for each in secrets if each.expires_at is None}


def expired(
    subscription: Subscription, certificate_end: Callable[[bytes], Millis | None], now: Millis
) -> list[str]:
    """Return a note if the validity of the client certificate has ended: endpoints refuse it."""
    mtls = subscription.endpoint.mtls
    ended = None if mtls is None else certificate_end(mtls.certificate.value)
    if mtls is None or ended is None or ended > now:
        return []
    return [
        (
            f"{named(subscription)}: the client certificate {mtls.certificate.id} is valid only until"
            f" {to_rfc3339(ended)}, so the endpoint refuses it"
        )
    ]


def left_alone(subscription: Subscription, disabled: Disabled | None) -> list[str]:
    """Return notes on the state of a live subscription, which files never change."""
    subject = named(subscription)
    notes = []
    if subscription.state == SubscriptionState.PAUSED:
        notes.append(f"{subject}: is paused and stays paused")
    if disabled is not None:
        notes.append(
            f"{subject}: is disabled since {to_rfc3339(disabled.since)} ({disabled.reason}) and "
            "stays disabled until `hookstream subscriptions enable`"
        )
    return notes


def starts_before_grant(
    subscription: Subscription, partner: Partner, start_from: Millis
) -> list[str]:
    """Return a note on a subscription that starts before its partner was granted anything."""
    first = partner.grants[0].since
    if first is None or start_from >= first:
        return []
    note = (
        f"{named(subscription)}: starts in the past, and partner {partner.id} was granted nothing before"
        f" {to_rfc3339(first)}: older events are not sent (hookstream replay start --as-granted-today"
        " sends them)"
    )
    return [note]


def start_is_ignored(subscription: Subscription) -> str:
    """Return the note on a file that has a start for a subscription that exists."""
    return (
        f"{named(subscription)}: start_from is read when a subscription is created, and ignored now"
        f" (hookstream replay start {subscription.id} sends events of the past)"
    )


def rounded(live: Sequence[Subject], declared: Declared) -> list[str]:
    """Return notes on patterns with a number that an earlier release may have rounded.

    A pattern that is declared exactly as stored was not rounded.
    """
    meant = {named(each): _pattern_of(each) for each in declared.subjects}
    found = []
    for subject in live:
        name, pattern = named(subject), _pattern_of(subject)
        if name in meant and compared(meant[name]) == compared(pattern):
            continue
        longer = {float(exact(each)) for each in _numbers(meant.get(name)) if _is_rounded(each)}
        numbers = {
            number_text(each)
            for each in _numbers(pattern)
            if isinstance(each, float) and (each in longer or _as_long_as_a_double(each))
        }
        if numbers:
            found.append(
                f"{name}: its pattern has {the_first(sorted(numbers), _LISTED)}, which an earlier release may"
                " have rounded from a longer number. Compare it with the intended number, and apply the"
                " definition"
            )
    return found


def _pattern_of(subject: Subject) -> JsonObject | None:
    return subject.grant.pattern if isinstance(subject, Partner) else subject.pattern


def _is_rounded(value: Number) -> bool:
    """Return whether a conversion to double changes the number."""
    return key_of_number(value) != key_of_number(float(exact(value)))


def _as_long_as_a_double(value: float) -> bool:
    digits = number_text(value).partition("e")[0].strip("-").replace(".", "").strip("0")
    return abs(value) >= EXACT or len(digits) >= _DIGITS_OF_DOUBLES


def _numbers(value: Json) -> Iterator[Number]:
    match value:
        case bool():
            return
        case int() | float() | Decimal():
            yield value
        case list():
            for each in value:
                yield from _numbers(each)
        case dict():
            for each in value.values():
                yield from _numbers(each)
        case _:
            return


def adopted(live: Sequence[Subject], declared: Declared, folder: str) -> list[str]:
    """Return a note on rows that this folder takes from no folder or another one."""
    declares = set(map(named, declared.subjects))
    taken = [
        named(each) for each in live if folder_of(each.owner) != folder and named(each) in declares
    ]
    if not taken:
        return []
    return [
        (
            f"{folder} owns {the_first(taken, _LISTED)} from now on: --prune deletes what {folder} owns and"
            " no longer declares"
        )
    ]


def without_owner(live: Sequence[Subject], declared: Declared) -> list[str]:
    """Return a note on rows that --prune never deletes because no named folder ever declared them."""
    declares = set(map(named, declared.subjects))
    left = [
        named(each)
        for each in live
        if each.owner == OWNED_BY_NOBODY and named(each) not in declares
    ]
    if not left:
        return []
    return [
        (
            f"{the_first(left, _LISTED)}: declared by files once and not owned by a folder, so --prune does not"
            " delete it. Apply a named folder that declares it, or delete it"
        )
    ]
