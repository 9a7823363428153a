"""The signing secrets of a subscription after a plan: declared, kept, or generated.

A generated secret has a name of its own, which never changes: `generated` on creation,
`generated-r7` if revision 7 of the subscription generated it. A file may name it (`{generate:
NAME}`). For `{generate: true}`, the number of such lines counts: one more generates a new secret,
which precedes the others and signs first; one less removes the oldest. So a rotation adds a line,
and later removes one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from itertools import count as counted

from hookstream.core.model.subscription import SigningSecret
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret

_MADE = re.compile(r"generated(?:-r(?P<revision>[0-9]+))?(?:-(?P<number>[0-9]+))?")


def rotated(
    declared: Sequence[DeclaredSecret],
    present: Sequence[SigningSecret],
    revision: int,
    new_key: Callable[[], bytes],
    *,
    opened: bool,
) -> tuple[tuple[SigningSecret, ...], tuple[SigningSecret, ...]]:
    """Return the secrets in signing order, and those among them that were generated now.

    Args:
        declared: The secrets that the file lists.
        present: The subscription's present secrets, in order; none if it is new.
        revision: The subscription's revision after the plan.
        new_key: Generates a key.
        opened: Whether the keys of `present` can be compared with declared ones. If not, a secret of
            the same name counts as unchanged.
    """
    by_name = {secret.id: secret for secret in present}
    named = {secret.id for secret in declared}
    unnamed = sum(secret.id == UNNAMED for secret in declared)
    pool = [each for each in present if ":" not in each.id and each.id not in named]
    # Stable sort: a secret once named by a file is last, because nothing shows its age.
    pool.sort(key=lambda secret: _age(secret.id), reverse=True)
    kept = pool[:unnamed]
    names = _names(unnamed - len(kept), revision if present else None, named | by_name.keys())
    made = [SigningSecret(name, new_key()) for name in names]
    unnamed_secrets = iter((*made, *kept))
    secrets: list[SigningSecret] = []
    for asked in declared:
        if asked.id == UNNAMED:
            secrets.append(next(unnamed_secrets))
        elif asked.id in by_name and (asked.key is None or not opened):
            secrets.append(by_name[asked.id])
        elif asked.key is not None:
            secrets.append(SigningSecret(asked.id, asked.key))
        else:
            made.append(SigningSecret(asked.id, new_key()))
            secrets.append(made[-1])
    return tuple(secrets), tuple(made)


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
