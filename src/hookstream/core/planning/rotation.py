"""Which signing secrets a subscription has after a plan: given, held, or made now.

A secret that is made gets a name of its own, which it keeps for its life: `generated` on creation,
`generated-r7` where revision 7 of the subscription made it. A file may name it (`{generate: NAME}`).
Where it says `{generate: true}`, the number of such lines counts: one more makes a new secret, which
stands before the others and signs first; one less lets go of the oldest. So a rotation is a line
more, and later a line less.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from hookstream.core.model.subscription import SigningSecret
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret

_MADE = re.compile(r"generated(?:-r(?P<revision>[0-9]+))?(?:-(?P<number>[0-9]+))?")


def rotated(
    declared: Sequence[DeclaredSecret],
    held: Sequence[SigningSecret],
    revision: int,
    new_key: Callable[[], bytes],
    *,
    opened: bool,
) -> tuple[tuple[SigningSecret, ...], tuple[SigningSecret, ...]]:
    """Return the secrets in the order in which they sign, and those among them that are made now.

    Args:
        declared: What the file lists.
        held: What the subscription has, in its order; nothing where it is new.
        revision: The subscription's after the plan.
        new_key: Makes a key.
        opened: Whether the keys of `held` can be compared with declared ones. Where they cannot, one
            of the same name counts as unchanged.
    """
    by_name = {secret.id: secret for secret in held}
    named = {secret.id for secret in declared}
    unnamed = sum(secret.id == UNNAMED for secret in declared)
    pool = [each for each in held if ":" not in each.id and each.id not in named]
    # Stable: what a file named once comes last, as nothing tells its age.
    pool.sort(key=lambda secret: _age(secret.id), reverse=True)
    kept = pool[:unnamed]
    names = _names(unnamed - len(kept), revision if held else None, named | by_name.keys())
    made = [SigningSecret(name, new_key()) for name in names]
    slots = iter((*made, *kept))
    secrets: list[SigningSecret] = []
    for asked in declared:
        if asked.id == UNNAMED:
            secrets.append(next(slots))
        elif asked.id in by_name and (asked.key is None or not opened):
            secrets.append(by_name[asked.id])
        elif asked.key is not None:
            secrets.append(SigningSecret(asked.id, asked.key))
        else:
            made.append(SigningSecret(asked.id, new_key()))
            secrets.append(made[-1])
    return tuple(secrets), tuple(made)


def _age(name: str) -> tuple[int, int]:
    """Return what rises with the time at which a secret of this name was made."""
    found = _MADE.fullmatch(name)
    if found is None:
        return (-1, 0)
    return (int(found["revision"] or 0), int(found["number"] or 1))


def _names(count: int, revision: int | None, taken: set[str]) -> Iterator[str]:
    """Yield names that nothing has, the newest first; no revision: on creation."""
    stem = "generated" if revision is None else f"generated-r{revision}"
    free: list[str] = []
    number = 1
    while len(free) < count:
        name = stem if number == 1 else f"{stem}-{number}"
        if name not in taken:
            free.append(name)
        number += 1
    return reversed(free)
