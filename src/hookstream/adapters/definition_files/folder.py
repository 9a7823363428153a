"""Reads the definitions in a folder's `partners` and `subscriptions`, and collects problems.

No file there is ignored silently: it is read, named in a note, or reported as a problem.
"""

import codecs
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from hookstream.adapters.definition_files.documents import (
    documents_of,
    is_definition,
    problem_of,
)
from hookstream.adapters.definition_files.owner import owner_files, read_owner
from hookstream.adapters.definition_files.strays import FOLDERS, strays
from hookstream.adapters.definition_files.yaml_text import Document, FileRefused
from hookstream.adapters.file_tree import files_below, listed, shown
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Partner
from hookstream.core.planning.declared import (
    LONGEST_PLACE,
    Declared,
    DeclaredSubscription,
    Problem,
)
from hookstream.core.planning.definition import read_partner, read_subscription
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.reading import Report
from hookstream.core.planning.secret_fields import SOURCES_OF_FILES, SecretReader, SecretSource
from hookstream.errors import InputRefused

_Definition = TypeVar("_Definition", Partner, DeclaredSubscription)

MAX_FILES = 20_000
MAX_SECRET_BYTES = 64 * 1024
_TEXTS_FOR_PEOPLE = (".md",)


@dataclass(slots=True, frozen=True)
class ReadDefinition:
    """One definition as it was read."""

    kind: Literal["partner", "subscription"]
    value: Json
    secrets: Mapping[tuple[SecretSource, str], bytes] = field(repr=False)
    """The material that it names, by its source: `env` or `file`, and the name there."""
    place: str = ""
    """Its file and line within the folder, the same on every machine; empty: they are too long to store."""


@dataclass(slots=True)
class Definitions:
    """The definitions of a folder, with the place of each."""

    declared: Declared = field(default_factory=Declared)
    owner: str | None = None
    """The folder's name from its file `hookstream.yaml`."""
    problems: list[Problem] = field(default_factory=list)
    """In the order of the files; if there are any, `declared` must not be used."""
    notes: list[str] = field(default_factory=list)
    """Files that were not read, although they may have been meant as definitions."""
    documents: list[ReadDefinition] = field(default_factory=list)
    """All definitions, including those with problems: partners first, then subscriptions."""
    _places: dict[str, tuple[str, Document]] = field(default_factory=dict)
    """The file and the document of each subject."""

    def located(self, problem: Problem) -> Problem:
        """Return the problem with its file and line, if known."""
        if problem.subject not in self._places:
            return problem
        place, document = self._places[problem.subject]
        return replace(problem, where=f"{place}:{document.line(problem.path)}")

    def enter(self, subject: str, place: str, document: Document) -> None:
        """Record the place of a subject; add a problem if it is also defined elsewhere."""
        if subject in self._places:
            why = f"is also defined in {self._places[subject][0]}"
            self.problems.append(Problem(subject, "id", why, f"{place}:{document.line('id')}"))
        self._places[subject] = place, document


def read_definitions(
    folder: Path,
    environ: Mapping[str, str],
    rules: DefinitionRules,
    *,
    needs_secrets: bool = True,
    reads_secrets: bool = True,
) -> Definitions:
    """Read every definition file of a folder.

    Args:
        folder: Contains `partners/` and `subscriptions/`, either of which may be missing.
        environ: Environment variables for the secrets of `{env: NAME}`.
        rules: Checks of a definition beyond its syntax.
        needs_secrets: Whether missing secret material is a problem; if not, it is a note.
        reads_secrets: Whether secret material is read at all; if not, only its names are.

    Raises:
        InputRefused: The folder cannot be read, or has neither of the two.
    """
    found = Definitions()
    if not {*listed(folder)} & {*FOLDERS}:
        raise InputRefused(
            f"{shown(folder)} has neither a folder partners nor a folder subscriptions"
        )
    missing = None if needs_secrets else found.notes
    secrets = _Secrets(environ, missing, reads=reads_secrets)
    naming = owner_files(folder)
    found.owner = read_owner(naming, found.problems)
    secrets.seen.update(map(os.path.realpath, naming))

    def partner(document: Json, _: SecretReader, report: Report) -> Partner:
        return read_partner(document, rules, report)

    def subscription(
        document: Json, material: SecretReader, report: Report
    ) -> DeclaredSubscription:
        return read_subscription(document, rules, material, report)

    partners = tuple(_read(folder, "partner", partner, secrets, found))
    subscriptions = tuple(_read(folder, "subscription", subscription, secrets, found))
    found.problems += secrets.unnamed()
    problems, notes = strays(folder, secrets.seen)
    found.problems += problems
    found.notes += notes
    found.declared = Declared(partners, subscriptions)
    return found


class _Secrets:
    """Reads the secrets that definitions name, and records the secret files among them."""

    def __init__(
        self, environ: Mapping[str, str], missing: list[str] | None, *, reads: bool
    ) -> None:
        self._environ = environ
        self._reads = reads
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
            "is not read: definitions end in .yaml, .yml or .json. Move it elsewhere, or begin"
            " its name with a dot"
        )
        return [
            Problem("", "", why, shown(path))
            for path in self._others
            if os.path.realpath(path) not in self._named
        ]

    def material(self, folder: Path, source: SecretSource, name: str) -> bytes | str:
        """Return the material of a variable or file, or, as text, why there is none."""
        if source not in ("env", "file"):
            return SOURCES_OF_FILES
        if source == "file":
            self._named.add(os.path.realpath(folder / name))
        if not self._reads:
            return b""
        if source == "env":
            text = self._environ.get(name)
            found = None if text is None else text.encode("utf-8", "surrogateescape")
            where = f"the environment variable {name}"
            missing = f"{where} is not set"
        else:
            found, missing = _first_bytes(folder / name)
            where = f"the file {shown(folder / name)}"
        if found is None:
            if self._missing is None:
                return missing
            self._missing.append(f"{missing}: apply needs it")
            return b""
        if len(found) > MAX_SECRET_BYTES:
            return f"{where} has more than {MAX_SECRET_BYTES} bytes"
        # Editors end a file with a line break, and some begin it with a byte order mark.
        return found.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n") or f"{where} is empty"


def _read(
    folder: Path,
    kind: Literal["partner", "subscription"],
    read: Callable[[Json, SecretReader, Report], _Definition],
    secrets: _Secrets,
    into: Definitions,
) -> Iterator[_Definition]:
    """Yield the definitions of a kind that have no problems; record the places of all."""
    for path, document in _documents(folder, f"{kind}s", secrets, into):
        place = shown(path)
        problems: list[tuple[str, str]] = []
        used: dict[tuple[SecretSource, str], bytes] = {}
        material = _kept_in(used, partial(secrets.material, path.parent))
        definition = read(document.value, material, _added_to(problems))
        within = _within(folder, path, document)
        into.documents.append(ReadDefinition(kind, document.value, used, within))
        subject = f"{kind} {definition.id}" if definition.id else ""
        into.problems += [
            Problem(subject, at, why, f"{place}:{document.line(at)}") for at, why in problems
        ]
        if subject:
            into.enter(subject, place, document)
        if isinstance(definition, DeclaredSubscription):
            definition = replace(definition, place=within)
        if not problems:
            yield definition


def _within(folder: Path, path: Path, document: Document) -> str:
    """Return the place of a definition, the same on every machine; empty: it is too long to store."""
    place = f"{shown(path.relative_to(folder))}:{document.line('id')}"
    return place if len(place) <= LONGEST_PLACE else ""


def _kept_in(
    used: dict[tuple[SecretSource, str], bytes],
    material: Callable[[SecretSource, str], bytes | str],
) -> SecretReader:
    """Return a reader that keeps the material that it reads."""

    def read(source: SecretSource, name: str) -> bytes | str:
        found = material(source, name)
        if isinstance(found, bytes):
            used[source, name] = found
        return found

    return read


def _added_to(problems: list[tuple[str, str]]) -> Report:
    return lambda field, why: problems.append((field, why))


def _documents(
    folder: Path, kind: str, secrets: _Secrets, into: Definitions
) -> Iterator[tuple[Path, Document]]:
    if kind not in listed(folder):
        return
    top = folder / kind
    for found in files_below(top, most=MAX_FILES):
        path = found.path
        secrets.seen.add(found.real)
        if path == top and not found.problem:
            into.problems.append(Problem("", "", "is a file, but must be a folder", shown(path)))
        elif found.problem:
            into.problems.append(Problem("", "", found.problem, shown(path)))
        elif is_definition(path):
            try:
                documents = documents_of(path)
            except FileRefused as refused:
                into.problems.append(problem_of(path, refused))
                continue
            yield from ((path, document) for document in documents)
        elif path.suffix.lower() in _TEXTS_FOR_PEOPLE:
            into.notes.append(f"{shown(path)} is not read: it is not a definition")
        else:
            secrets.beside(path)


def _first_bytes(path: Path) -> tuple[bytes | None, str]:
    """Return a file's first bytes, one more than may be used; or None and the reason."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  they never raise
            return None, f"the file {shown(path)} is not a regular file"
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES + 1), ""
    except OSError as failed:
        return None, f"the file {shown(path)} cannot be read: {failed.strerror or failed}"
