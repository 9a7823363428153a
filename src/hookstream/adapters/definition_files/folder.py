"""Reads the definitions below a folder's `partners` and `subscriptions`, and collects problems.

No file there is ignored silently: it is read, named in a note, or reported as a problem.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hookstream.adapters.definition_files.documents import (
    FileRefused,
    documents_of,
    is_definition,
)
from hookstream.adapters.definition_files.owner import owner_files, read_owner
from hookstream.adapters.definition_files.strays import FOLDERS, strays
from hookstream.adapters.definition_files.yaml_text import Document
from hookstream.adapters.file_tree import files_below, listed, shown
from hookstream.core.delivery.signing import header_problem, parse_secret
from hookstream.core.model.json import JsonObject
from hookstream.core.planning.declared import (
    Declared,
    DeclaredPartner,
    DeclaredSubscription,
    FromEnvironment,
    FromFile,
    Problem,
)
from hookstream.core.planning.definition import DefinitionRules, read_partner, read_subscription
from hookstream.errors import InputRefused

MAX_FILES = 20_000
MAX_SECRET_BYTES = 4_096
_TEXTS_FOR_PEOPLE = (".md",)


@dataclass(slots=True, frozen=True)
class Checks:
    """Checks of a definition beyond its syntax."""

    url_problem: Callable[[str], str | None]
    """Returns why no delivery may be sent to a URL, or None."""
    pattern_problem: Callable[[JsonObject], str | None]
    """Returns why an event pattern is invalid, with its path, or None."""
    secrets: bool = True
    """Whether a missing signing secret is a problem; if not, it is a note."""


class Definitions:
    """The definitions of a folder, with the place of each."""

    __slots__ = ("_documents", "_places", "declared", "notes", "owner", "problems")

    def __init__(self) -> None:
        self.declared = Declared()
        self.owner: str | None = None
        """The folder's name from its file `hookstream.yaml`."""
        self.problems: list[Problem] = []
        """In the order of the files; if there are any, `declared` must not be used."""
        self.notes: list[str] = []
        """Files that were not read, although they may have been meant as definitions."""
        self._documents: dict[str, Document] = {}
        self._places: dict[str, str] = {}

    def located(self, problem: Problem) -> Problem:
        """Return the problem with its file and line, if known."""
        document = self._documents.get(problem.subject)
        if document is None:
            return problem
        line = document.line(problem.path)
        return replace(problem, where=f"{self._places[problem.subject]}:{line}")

    def enter(self, subject: str, place: str, document: Document) -> None:
        """Record the place of a subject; add a problem if it is also defined elsewhere."""
        earlier = self._places.get(subject)
        if earlier is not None:
            why = f"is also defined in {earlier}"
            where = f"{place}:{document.line('id')}"
            self.problems.append(Problem(subject, "id", why, where))
        self._documents[subject], self._places[subject] = document, place


def read_definitions(folder: Path, environ: Mapping[str, str], checks: Checks) -> Definitions:
    """Read every definition file of a folder.

    Args:
        folder: Contains `partners/` and `subscriptions/`, either of which may be missing.
        environ: Environment variables for the secrets of `{env: NAME}`.
        checks: Further checks of definitions.

    Raises:
        InputRefused: The folder cannot be read, or has neither of the two.
    """
    found = Definitions()
    partners: list[DeclaredPartner] = []
    subscriptions: list[DeclaredSubscription] = []
    if not {*listed(folder)} & {*FOLDERS}:
        raise InputRefused(
            f"{shown(folder)} has neither a folder partners nor a folder subscriptions"
        )
    secrets = _Secrets(environ, None if checks.secrets else found.notes)
    naming = owner_files(folder)
    found.owner = read_owner(naming, found.problems)
    secrets.seen.update(map(os.path.realpath, naming))
    for place, document in _documents(folder, "partners", secrets, found):
        reading = _Reading(found, place, document)
        rules = _rules(checks, secrets, place)
        partner = read_partner(document.value, rules, reading.report)
        if reading.entered("partner", partner.id):
            partners.append(partner)
    for place, document in _documents(folder, "subscriptions", secrets, found):
        reading = _Reading(found, place, document)
        rules = _rules(checks, secrets, place)
        subscription = read_subscription(document.value, rules, reading.report)
        if reading.entered("subscription", subscription.id):
            subscriptions.append(subscription)
    found.problems += secrets.unnamed()
    beside = strays(folder, secrets.seen)
    found.problems += beside.problems
    found.notes += beside.notes
    found.declared = Declared(tuple(partners), tuple(subscriptions))
    return found


class _Reading:
    """Reads one definition and adds its place to its problems."""

    def __init__(self, found: Definitions, place: Path, document: Document) -> None:
        self._found = found
        self._place = place
        self._document = document
        self._problems: list[tuple[str, str]] = []

    def report(self, path: str, why: str) -> None:
        self._problems.append((path, why))

    def entered(self, kind: str, name: str) -> bool:
        """Record the definition under its name; return whether it has no problems."""
        subject = f"{kind} {name}" if name else ""
        for path, why in self._problems:
            where = f"{shown(self._place)}:{self._document.line(path)}"
            self._found.problems.append(Problem(subject, path, why, where))
        if name:
            self._found.enter(subject, shown(self._place), self._document)
        return not self._problems


class _Secrets:
    """Reads the secrets that definitions name, and records the secret files among them."""

    def __init__(self, environ: Mapping[str, str], missing: list[str] | None) -> None:
        self._environ = environ
        self._missing = missing
        """The notes to which missing secrets are added; None: a missing secret is a problem."""
        self._named: set[str] = set()
        self._others: list[Path] = []
        self.seen: set[str] = set()
        """The real paths of all files in the folders of definitions."""

    def beside(self, path: Path) -> None:
        """Add a file that is not a definition: some definition must name it as a secret."""
        self._others.append(path)

    def unnamed(self) -> list[Problem]:
        """Return a problem for each file that no definition names."""
        why = (
            "is not read: definitions end in .yaml, .yml or .json. Move it out of here, or begin"
            " its name with a dot"
        )
        return [
            Problem("", "", why, shown(path))
            for path in self._others
            if os.path.realpath(path) not in self._named
        ]

    def key(self, folder: Path, source: FromEnvironment | FromFile) -> bytes | str:
        """Return the key of a source, or, as text, why there is none."""
        text, missing = self._text(folder, source)
        if text is None:
            if self._missing is None:
                return missing
            self._missing.append(f"{missing}: apply needs it")
            return b""
        try:
            return parse_secret(text.strip())
        except InputRefused as refused:
            return str(refused)

    def _text(self, folder: Path, source: FromEnvironment | FromFile) -> tuple[str | None, str]:
        """Return the text of a source, or None and why there is none."""
        match source:
            case FromEnvironment(name):
                return self._environ.get(name), f"the environment variable {name} is not set"
            case FromFile(path):
                self._named.add(os.path.realpath(folder / path))
                return _first_text(folder / path)


def _documents(
    folder: Path, kind: str, secrets: _Secrets, into: Definitions
) -> Iterator[tuple[Path, Document]]:
    if kind not in listed(folder):
        return
    for found in files_below(folder / kind, most=MAX_FILES):
        path = found.path
        secrets.seen.add(os.path.realpath(path))
        if path == folder / kind and not found.problem:
            into.problems.append(Problem("", "", "is a file, and must be a folder", shown(path)))
        elif found.problem:
            into.problems.append(Problem("", "", found.problem, shown(path)))
        elif is_definition(path):
            try:
                documents = documents_of(path)
            except FileRefused as refused:
                where = f"{shown(path)}:{refused.line}" if refused.line else shown(path)
                into.problems.append(Problem("", "", refused.why, where))
                continue
            yield from ((path, document) for document in documents)
        elif path.suffix.lower() in _TEXTS_FOR_PEOPLE:
            into.notes.append(f"{shown(path)} is not read: it is no definition")
        else:
            secrets.beside(path)


def _rules(checks: Checks, secrets: _Secrets, place: Path) -> DefinitionRules:
    return DefinitionRules(
        url_problem=checks.url_problem,
        header_problem=header_problem,
        pattern_problem=checks.pattern_problem,
        secret_key=partial(secrets.key, place.parent),
    )


def _first_text(path: Path) -> tuple[str | None, str]:
    """Return a file's first bytes as text, or None and why there are none."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  they never raise
            return None, f"the file {shown(path)} is no regular file"
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode("utf-8-sig", "replace"), ""
    except OSError as failed:
        return None, f"the file {shown(path)} cannot be read: {failed.strerror or failed}"
