"""Reads definitions that a client read from files and sent, each with the secrets that it names.

The names of variables and files stay those of secrets, so that a plan is the same wherever it is made. Nothing is
opened by them here: what was not sent with a definition is not there.
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Partner
from hookstream.core.planning.declared import Declared, DeclaredSubscription, Problem
from hookstream.core.planning.definition import read_partner, read_subscription
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.secret_fields import SOURCES_OF_FILES, SecretSource

MOST_PROBLEMS: Final = 1_000
"""As many are found at most: a body of a few megabytes could have a million, and take a thread for minutes."""
SentMaterial: TypeAlias = Mapping[tuple[SecretSource, str], bytes]
"""Material by its source, `env` or `file`, and its name there."""


class _TooMany(Exception):
    """Raised where there are as many problems as are found at most."""


@dataclass(slots=True, frozen=True)
class SentDefinition:
    """One definition."""

    kind: Literal["partner", "subscription"]
    document: Json
    secrets: SentMaterial = field(default_factory=dict, repr=False)
    place: str = ""
    """Where a subscription is declared, as `DeclaredSubscription.place`, by the word of whoever read it."""


def read_sent(
    sent: Sequence[SentDefinition], rules: DefinitionRules
) -> tuple[Declared, Sequence[Problem]]:
    """Return what definitions declare, and their problems; with any, it must not be used.

    After `MOST_PROBLEMS` nothing further is read, and the last problem says so.

    Args:
        sent: The definitions; the same partner or subscription twice is a problem.
        rules: Checks of a definition beyond its syntax.
    """
    partners: list[Partner] = []
    subscriptions: list[DeclaredSubscription] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, each in enumerate(sent):
        found: list[tuple[str, str]] = []
        subject = f"definitions[{number}]"
        try:
            name = _read(
                each, rules, found, MOST_PROBLEMS - len(problems), partners, subscriptions
            )
        except _TooMany:
            problems += [Problem(subject, path, why) for path, why in found]
            problems.append(
                Problem(
                    subject, "", f"has more problems: only the first {MOST_PROBLEMS:,} are listed"
                )
            )
            break
        subject = f"{each.kind} {name}" if name else subject
        if name and subject in seen:
            found.append(("id", "is also defined by another definition"))
        seen.add(subject)
        problems += [Problem(subject, path, why) for path, why in found]
    return Declared(tuple(partners), tuple(subscriptions)), problems


def _read(
    sent: SentDefinition,
    rules: DefinitionRules,
    problems: list[tuple[str, str]],
    most: int,
    partners: list[Partner],
    subscriptions: list[DeclaredSubscription],
) -> str:
    """Read one definition, add it to its kind, and return its id; empty: it has none.

    Raises:
        _TooMany: It has more problems than `most`.
    """

    def report(path: str, why: str) -> None:
        if len(problems) >= most:
            raise _TooMany
        problems.append((path, why))

    if sent.kind == "partner":
        partners.append(read_partner(sent.document, rules, report))
        return partners[-1].id
    reader = _SentSecrets(sent.secrets)
    declared = read_subscription(sent.document, rules, reader, report)
    if not sent.place.isprintable():
        report("declared_at", "has a character that is not shown, such as a line break")
    subscriptions.append(replace(declared, place=sent.place))
    return subscriptions[-1].id


@dataclass(slots=True, frozen=True)
class _SentSecrets:
    """The `SecretReader` of sent definitions."""

    secrets: SentMaterial = field(repr=False)

    def __call__(self, source: SecretSource, name: str) -> bytes | str:
        """Return the material that was sent under a name, or why there is none."""
        if source not in ("env", "file"):
            return SOURCES_OF_FILES
        what = f"the environment variable {name}" if source == "env" else f"the file {name}"
        found = self.secrets.get((source, name))
        if found is None:
            return f"{what} was not sent with the definition"
        # As of files: an editor ends one with a line break, and some begin it with a mark.
        return found.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n") or f"{what} is empty"
