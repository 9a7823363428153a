"""The signing secrets of a subscription after a plan or a rotation: declared, kept, or generated.

A generated secret has a name of its own, which never changes: `generated` on creation,
`generated-r7` if revision 7 of the subscription generated it. A file may name it (`{generate:
NAME}`). For `{generate: true}`, the number of such lines counts: one more generates a new secret,
which precedes the others and signs first; one less removes the oldest. So a file rotates by a line
that is added, and later removed.

`replaced` rotates without the file: it gives the old secrets an end. A plan counts only secrets
without one, and leaves the others as they are, so the file need not change.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from itertools import count as counted
from typing import NamedTuple, TypeAlias

from hookstream.core.model.instant import DAY, Millis, to_rfc3339
from hookstream.core.model.subscription import (
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret, SigningKey
from hookstream.errors import InputRefused

MOST_SECRETS = 4
"""The most signing secrets of a subscription that are live at once."""
LONGEST_OVERLAP: Millis = 30 * DAY
"""The longest time for which an old secret signs beside the new one."""

NewKey: TypeAlias = Callable[[SigningScheme], SigningKey]
"""Generates the key of a signing secret."""

_MADE = re.compile(r"generated(?:-r(?P<revision>[0-9]+))?(?:-(?P<number>[0-9]+))?")
_GIVEN = re.compile(r"value-[0-9a-f]{8}")
"""The name of a signing secret whose key came over HTTP: no file names it, so any rotation replaces it."""


def without_ended(subscription: Subscription, now: Millis) -> Subscription:
    """Return the subscription without the signing secrets whose overlap has ended."""
    endpoint = subscription.endpoint
    live = tuple(secret for secret in endpoint.secrets if secret.is_live(now))
    if len(live) == len(endpoint.secrets):
        return subscription
    return replace(subscription, endpoint=replace(endpoint, secrets=live))


def begun(
    secrets: Sequence[SigningSecret], before: Sequence[SigningSecret], at: Millis
) -> tuple[SigningSecret, ...]:
    """Return secrets with the instant from which each signs: `at` for those that were not there before.

    Args:
        secrets: Those of a row that is written.
        before: Those of the row that it replaces.
        at: The brokers' time at which the change takes effect.
    """
    known = {(each.id, each.key): each.since for each in before}
    return tuple(replace(each, since=known.get((each.id, each.key), at)) for each in secrets)


# By a plan.


def rotated(
    declared: Sequence[DeclaredSecret],
    present: Sequence[SigningSecret],
    revision: int,
    new_key: NewKey,
    *,
    opened: bool,
) -> tuple[tuple[SigningSecret, ...], tuple[SigningSecret, ...]]:
    """Return the secrets in signing order, and those among them that were generated now.

    Args:
        declared: The secrets that the file lists.
        present: The subscription's live secrets, in order; none if it is new.
        revision: The subscription's revision after the plan.
        new_key: Generates a key.
        opened: Whether the keys of `present` can be compared with declared ones. If not, a secret of
            the same name counts as unchanged.
    """
    by_name = {secret.id: secret for secret in present}
    named = {secret.id for secret in declared}
    ending = [each for each in present if _is_ending(each) and each.id not in named]
    lines = [_line(each) for each in declared if each.id == UNNAMED]
    kept = _kept(
        [each for each in present if _is_unnamed(each) and each.id not in named],
        v1a=lines.count(SigningScheme.V1A),
        any_scheme=lines.count(None),
    )
    missing = {line: lines.count(line) - len(found) for line, found in kept.items()}
    names = _names(sum(missing.values()), revision if present else None, named | by_name.keys())
    fresh = {
        line: [_made(name, new_key, line) for name in islice(names, count)]
        for line, count in missing.items()
    }
    made = [secret for line in fresh.values() for secret in line]
    unnamed = {line: iter((*fresh[line], *found)) for line, found in kept.items()}
    secrets: list[SigningSecret] = []
    for asked in declared:
        if asked.id == UNNAMED:
            secrets.append(next(unnamed[_line(asked)]))
        elif asked.id in by_name and (asked.key is None or not opened):
            secrets.append(by_name[asked.id])
        elif asked.key is not None:
            scheme = asked.scheme or SigningScheme.V1
            secrets.append(SigningSecret(asked.id, asked.key, scheme, public_key=asked.public_key))
        else:
            made.append(_made(asked.id, new_key, asked.scheme))
            secrets.append(made[-1])
    return (*_newest_first(declared, secrets), *ending), tuple(made)


def problems(
    declared: Sequence[DeclaredSecret],
    row: Sequence[SigningSecret],
    after: Sequence[SigningSecret],
) -> Iterator[str]:
    """Yield why a plan of signing secrets is refused.

    Args:
        declared: The secrets that the file lists.
        row: Those in the row of a live subscription, ended ones among them; none if it is new.
        after: Those that the plan would write.
    """
    by_name = {secret.id: secret for secret in row}
    named = {asked.id for asked in declared}
    others = [each.id for each in row if _MADE.fullmatch(each.id) and each.id not in named]
    for asked in declared:
        found = by_name.get(asked.id)
        if asked.key is not None or asked.id == UNNAMED:
            continue
        was_replaced = others and _MADE.fullmatch(asked.id) if found is None else _is_ending(found)
        if was_replaced:
            yield (
                f"{asked.id} was replaced, and no other secret gets its name: write"
                " {generate: true}, which keeps the generated secret that there is"
            )
        elif found is not None and asked.scheme not in (None, found.scheme):
            yield (
                f"{asked.id} is a {found.scheme} secret, and a secret keeps its scheme: choose"
                " another name for the new one"
            )
    ends = [each.expires_at for each in after if each.expires_at is not None]
    if len(after) > MOST_SECRETS and ends:
        yield (
            f"{_too_many(len(after))}: one of them ends at {to_rfc3339(min(ends))}. Apply this"
            " after that"
        )


def _is_ending(secret: SigningSecret) -> bool:
    return secret.expires_at is not None


def _is_unnamed(secret: SigningSecret) -> bool:
    """Return whether a line without a name may stand for a secret."""
    return ":" not in secret.id and not _is_ending(secret)


def _line(declared: DeclaredSecret) -> SigningScheme | None:
    """Return what scheme an unnamed line insists on: `v1a`, or any."""
    return SigningScheme.V1A if declared.scheme is SigningScheme.V1A else None


def _made(name: str, new_key: NewKey, scheme: SigningScheme | None) -> SigningSecret:
    key, scheme, public_key = new_key(scheme or SigningScheme.V1)
    return SigningSecret(name, key, scheme, public_key=public_key)


def _kept(
    present: Sequence[SigningSecret], *, v1a: int, any_scheme: int
) -> dict[SigningScheme | None, list[SigningSecret]]:
    """Return which generated secrets stay for the unnamed lines: the newest ones."""
    # Stable sort: a secret once named by a file is last, because nothing shows its age.
    pool = sorted(present, key=lambda secret: _age(secret.id), reverse=True)
    for_v1a = [each for each in pool if each.scheme is SigningScheme.V1A][:v1a]
    taken = {each.id for each in for_v1a}
    for_any = [each for each in pool if each.id not in taken][:any_scheme]
    # In the order of the row: a line keeps the scheme that it has.
    for_any.sort(key=present.index)
    return {SigningScheme.V1A: for_v1a, None: for_any}


def _newest_first(
    declared: Sequence[DeclaredSecret], secrets: Sequence[SigningSecret]
) -> list[SigningSecret]:
    """Return the secrets of a file's lines so that of each scheme the newest unnamed one signs first.

    Which line has which scheme stays as it is, so that a rotation moves nothing.
    """
    unnamed = [each.id == UNNAMED for each in declared]
    newest = {
        scheme: iter(
            sorted(
                (
                    each
                    for each, is_unnamed in zip(secrets, unnamed, strict=True)
                    if is_unnamed and each.scheme is scheme
                ),
                key=lambda secret: _age(secret.id),
                reverse=True,
            )
        )
        for scheme in SigningScheme
    }
    return [
        next(newest[each.scheme]) if is_unnamed else each
        for each, is_unnamed in zip(secrets, unnamed, strict=True)
    ]


def _age(name: str) -> tuple[int, int]:
    """Return a sort key that rises with the time at which a secret of this name was generated."""
    found = _MADE.fullmatch(name)
    if found is None:
        return (-1, 0)
    return (int(found["revision"] or 0), int(found["number"] or 1))


def _names(count: int, revision: int | None, taken: set[str]) -> Iterator[str]:
    """Yield unused names, the newest first; without a revision, those for creation."""
    stem = "generated" if revision is None else f"generated-r{revision}"
    names = chain([stem], (f"{stem}-{number}" for number in counted(2)))
    free = [*islice((name for name in names if name not in taken), count)]
    return reversed(free)


def _too_many(count: int) -> str:
    return f"{count} signing secrets would be live, and {MOST_SECRETS} are the most"


# By a rotation.


class Replaced(NamedTuple):
    """What a rotation changes."""

    subscription: Subscription
    new: SigningSecret
    ending: tuple[SigningSecret, ...]
    """Those that sign until their `expires_at`."""
    gone: tuple[SigningSecret, ...]
    """Those that are dropped at once."""


def replaced(
    subscription: Subscription,
    now: Millis,
    at: Millis,
    overlap: Millis,
    scheme: SigningScheme | None,
    new_key: NewKey,
) -> Replaced:
    """Return the subscription with a new generated secret in the place of its present one.

    The old one signs until `at` + `overlap`, and so, at the longest, does each that ends already.

    Args:
        subscription: The subscription.
        now: The brokers' time; what ended by now is dropped.
        at: The brokers' time at which the rotation takes effect.
        overlap: 0 to `LONGEST_OVERLAP`; with 0 the old ones are dropped at once.
        scheme: Where it has lasting secrets of both schemes, which of them is replaced; else the
            scheme of the new one. None: that of the present one.
        new_key: Generates a key.

    Raises:
        InputRefused: It is deleted, its secret comes from a file, it is unclear which one is
            replaced, or too many would be live.
    """
    if subscription.state is SubscriptionState.DELETED:
        raise InputRefused(f"subscription {subscription.id!r} is deleted")
    live = without_ended(subscription, now).endpoint.secrets
    lasting = [each for each in live if not _is_ending(each)]
    for each in lasting:
        _refuse_foreign(each)
    old = _old(lasting, scheme)
    revision = subscription.revision + 1
    [name] = _names(1, revision, {each.id for each in subscription.endpoint.secrets})
    new = _made(name, new_key, scheme or old.scheme)
    staying = {each.scheme for each in lasting if each is not old}
    secrets = [new if each is old else each for each in lasting]
    ending: list[SigningSecret] = []
    for each in (old, *filter(_is_ending, live)):
        if each is not old and each.scheme in staying:
            ending.append(each)
        elif overlap > 0:
            end = min(each.expires_at or at + overlap, at + overlap)
            ending.append(replace(each, expires_at=end))
    if len(secrets) + len(ending) > MOST_SECRETS:
        first = min(each.expires_at or at for each in ending)
        raise InputRefused(
            f"{_too_many(len(secrets) + len(ending))}: one of them ends at {to_rfc3339(first)}."
            " Rotate after that, or with --overlap 0s, which ends the old ones at once"
        )
    new = replace(new, since=at)
    secrets = [new if each.id == name else each for each in secrets]
    endpoint = replace(subscription.endpoint, secrets=(*secrets, *ending))
    left = {each.id for each in endpoint.secrets}
    return Replaced(
        replace(subscription, endpoint=endpoint, revision=revision),
        new,
        tuple(ending),
        tuple(each for each in live if each.id not in left),
    )


def is_of_file(secret_id: str) -> bool:
    """Return whether a definition file names a signing secret, so that only the file can replace it."""
    return _MADE.fullmatch(secret_id) is None and _GIVEN.fullmatch(secret_id) is None


def _refuse_foreign(secret: SigningSecret) -> None:
    """Refuse a secret that only its file can replace."""
    if not is_of_file(secret.id):
        return
    source, colon, name = secret.id.partition(":")
    if colon:
        raise InputRefused(
            f"the signing secret {{{source}: {name}}} comes from a definition file: list the new"
            " one before it there, apply, and remove the old one once the partner uses the new one"
        )
    raise InputRefused(
        f"a definition file names the signing secret {{generate: {secret.id}}}: list the new"
        " one before it there, apply, and remove the old one once the partner uses the new one"
    )


def _old(lasting: Sequence[SigningSecret], scheme: SigningScheme | None) -> SigningSecret:
    """Return the secret to replace."""
    if not lasting:
        raise InputRefused("the subscription has no signing secret: apply its definition file")
    if len(lasting) == 1:
        return lasting[0]
    if scheme is None and len({each.scheme for each in lasting}) > 1:
        raise InputRefused("it signs by both schemes: say with --scheme which secret is replaced")
    found = [each for each in lasting if scheme in (None, each.scheme)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.id for each in found or lasting)
    raise InputRefused(
        f"it has several lasting signing secrets ({names}): a rotation by the definition file is"
        " under way. End it there first, with one line less"
    )
