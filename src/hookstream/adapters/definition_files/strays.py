"""Finds definitions outside the folders that are read, so that none is forgotten."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from hookstream.adapters.definition_files.documents import documents_of, is_definition
from hookstream.adapters.definition_files.yaml_text import Document, FileRefused
from hookstream.adapters.file_tree import Found, files_below, listed, shown
from hookstream.core.model.listing import the_first
from hookstream.core.planning.declared import Problem
from hookstream.errors import InputRefused

FOLDERS = ("partners", "subscriptions")

_MAX_FILES = 2_000
"""The most candidate files that are inspected: a repository may contain any number."""
_MAX_ENTRIES = 20_000
_NAMED_IN_A_NOTE = 10


def strays(folder: Path, read: AbstractSet[str]) -> tuple[list[Problem], list[str]]:
    """Return problems and notes of the files outside `partners` and `subscriptions`.

    Args:
        folder: The folder of both.
        read: The real paths of files that were read already.

    Returns:
        A problem for each file with definitions, notes about those with the extension only.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    others: list[str] = []
    for found in _first(folder, notes):
        if found.real in read:
            continue
        path = found.path
        try:
            kinds = {kind for document in documents_of(path) if (kind := _kind(document))}
        except FileRefused:
            kinds = set()
        if kinds:
            why = (
                f"declares a {' and a '.join(sorted(kinds))}, and is not read here: move it into"
                f" {shown(folder / f'{min(kinds)}s')}, or begin its name with a dot"
            )
            problems.append(Problem("", "", why, shown(path)))
        else:
            others.append(shown(path))
    if others:
        names = the_first(others, _NAMED_IN_A_NOTE)
        notes.append(f"not read, since it declares nothing of hookstream's: {names}")
    return problems, notes


def _first(folder: Path, notes: list[str]) -> Iterator[Found]:
    """Yield the candidates up to the limit, and add a note if it is reached."""
    most = f"not more than {_MAX_FILES} files outside partners and subscriptions are checked"
    try:
        beside = (
            found
            for name in listed(folder)
            if name not in FOLDERS
            for found in files_below(folder / name, most=_MAX_ENTRIES)
            if not found.problem and is_definition(found.path)
        )
        for number, found in enumerate(beside):
            if number == _MAX_FILES:
                notes.append(most)
                return
            yield found
    except InputRefused as refused:
        notes.append(f"{most}: {refused}")


def _kind(document: Document) -> str | None:
    """Return the kind that a document declares; None if it is not a known kind."""
    value = document.value
    if not isinstance(value, dict) or "id" not in value:
        return None
    if "grant" in value:
        return "partner"
    return "subscription" if "endpoint" in value and "partner" in value else None
