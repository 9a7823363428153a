"""A folder's `partners/*.yaml` and `subscriptions/*.yaml` become what they declare, or problems."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hookstream.adapters.definition_files.yaml_text import Document, YamlRefused, read_documents
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
from hookstream.core.planning.definition import Rules, read_partner, read_subscription
from hookstream.errors import InputRefused

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 20_000
MAX_SECRET_BYTES = 4_096
_ENDINGS = (".yaml", ".yml")


@dataclass(slots=True, frozen=True)
class Checks:
    """What a definition is checked by that its reader does not decide."""

    url_problem: Callable[[str], str | None]
    """Says why no delivery may go to a URL."""
    pattern_problem: Callable[[JsonObject], str | None]
    """Says why an event pattern is none, with its path."""


class Definitions:
    """What a folder of definition files declares, and where each of it stands."""

    __slots__ = ("_documents", "_places", "declared", "problems")

    def __init__(self) -> None:
        self.declared = Declared()
        self.problems: list[Problem] = []
        """In the order of the files; where there are any, `declared` is not to be used."""
        self._documents: dict[str, Document] = {}
        self._places: dict[str, str] = {}

    def located(self, problem: Problem) -> Problem:
        """Return the problem with the file and line that it is about, where there is one."""
        document = self._documents.get(problem.subject)
        if document is None:
            return problem
        line = document.line(problem.path)
        return replace(problem, where=f"{self._places[problem.subject]}:{line}")

    def enter(self, subject: str, place: str, document: Document) -> None:
        """Remember where a subject stands; a problem where it stands somewhere else, too."""
        earlier = self._places.get(subject)
        if earlier is not None:
            why = f"stands in {earlier}, too"
            where = f"{place}:{document.line('id')}"
            self.problems.append(Problem(subject, "id", why, where))
        self._documents[subject], self._places[subject] = document, place


def read_definitions(folder: Path, environ: Mapping[str, str], checks: Checks) -> Definitions:
    """Read every definition file of a folder.

    Args:
        folder: Holds `partners/` and `subscriptions/`, either of which may be missing.
        environ: Where the secrets of `{env: NAME}` are.
        checks: What definitions are checked by.

    Raises:
        InputRefused: There is no such folder, or nothing in it that could be definitions.
    """
    found = Definitions()
    partners: list[DeclaredPartner] = []
    subscriptions: list[DeclaredSubscription] = []
    if not (folder / "partners").is_dir() and not (folder / "subscriptions").is_dir():
        raise InputRefused(f"{folder} has neither a folder partners nor a folder subscriptions")
    for place, document in _documents(folder, "partners", found.problems):
        reading = _Reading(found, place, document)
        partner = read_partner(document.value, _rules(checks, environ, place), reading.report)
        if reading.entered("partner", partner.id):
            partners.append(partner)
    for place, document in _documents(folder, "subscriptions", found.problems):
        reading = _Reading(found, place, document)
        rules = _rules(checks, environ, place)
        subscription = read_subscription(document.value, rules, reading.report)
        if reading.entered("subscription", subscription.id):
            subscriptions.append(subscription)
    found.declared = Declared(tuple(partners), tuple(subscriptions))
    return found


class _Reading:
    """The reading of one definition: whose problems are these, and where."""

    def __init__(self, found: Definitions, place: Path, document: Document) -> None:
        self._found = found
        self._place = place
        self._document = document
        self._problems: list[tuple[str, str]] = []

    def report(self, path: str, why: str) -> None:
        self._problems.append((path, why))

    def entered(self, kind: str, name: str) -> bool:
        """Enter the definition under its name; tell whether there was nothing wrong with it."""
        subject = f"{kind} {name}" if name else ""
        for path, why in self._problems:
            where = f"{self._place}:{self._document.line(path)}"
            self._found.problems.append(Problem(subject, path, why, where))
        if name:
            self._found.enter(subject, str(self._place), self._document)
        return not self._problems


def _documents(
    folder: Path, kind: str, problems: list[Problem]
) -> Iterator[tuple[Path, Document]]:
    for path in _files(folder / kind):
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            if len(content) > MAX_FILE_BYTES:
                problems.append(
                    Problem("", "", f"has more than {MAX_FILE_BYTES} bytes", str(path))
                )
                continue
            for document in read_documents(content.decode()):
                yield path, document
        except OSError as failed:
            why = f"cannot be read: {failed.strerror or failed}"
            problems.append(Problem("", "", why, str(path)))
        except UnicodeDecodeError:
            problems.append(Problem("", "", "is not UTF-8", str(path)))
        except YamlRefused as refused:
            problems.append(Problem("", "", refused.why, f"{path}:{refused.line}"))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS)
    if len(files) > MAX_FILES:
        raise InputRefused(f"{folder} has {len(files)} files; {MAX_FILES} are taken")
    return files


def _rules(checks: Checks, environ: Mapping[str, str], place: Path) -> Rules:
    return Rules(
        url_problem=checks.url_problem,
        header_problem=header_problem,
        pattern_problem=checks.pattern_problem,
        secret_key=partial(_secret_key, environ, place.parent),
    )


def _secret_key(
    environ: Mapping[str, str], folder: Path, source: FromEnvironment | FromFile
) -> bytes | str:
    text, missing = _secret_text(environ, folder, source)
    if text is None:
        return missing
    try:
        return parse_secret(text.strip())
    except InputRefused as refused:
        return str(refused)


def _secret_text(
    environ: Mapping[str, str], folder: Path, source: FromEnvironment | FromFile
) -> tuple[str | None, str]:
    """Return what a source holds, or None and why it holds nothing."""
    match source:
        case FromEnvironment(name):
            return environ.get(name), f"the environment variable {name} is not set"
        case FromFile(path):
            return _first_text(folder / path)


def _first_text(path: Path) -> tuple[str | None, str]:
    """Return a file's first bytes as text, or None and why there are none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode("ascii", "replace"), ""
    except OSError as failed:
        return None, f"the file {path} cannot be read: {failed.strerror or failed}"
