"""Reads the name of a folder of definitions from its file `hookstream.yaml`."""

from pathlib import Path

from hookstream.adapters.definition_files.documents import documents_of, problem_of
from hookstream.adapters.definition_files.yaml_text import FileRefused
from hookstream.adapters.file_tree import listed, shown
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.definition import read_folder_name

_NAMES = ("hookstream.yaml", "hookstream.yml", "hookstream.json")


def owner_files(folder: Path) -> list[Path]:
    """Return the files that name the folder, in any case of their names; more than one is an error.

    Raises:
        InputRefused: The folder cannot be read.
    """
    return [folder / name for name in listed(folder) if name.lower() in _NAMES]


def read_owner(files: list[Path], problems: list[Problem]) -> str | None:
    """Return the folder's name; None if it has none, or a problem was added."""
    if not files:
        return None
    if len(files) > 1:
        why = f"names the folder, and so does {shown(files[0])}: delete one of them"
        problems.append(Problem("", "", why, shown(files[1])))
        return None
    (file,) = files
    try:
        document, *more = documents_of(file)
    except FileRefused as refused:
        problems.append(problem_of(file, refused))
        return None
    if more:
        problems.append(Problem("", "", "must contain one document", shown(file)))

    def report(path: str, why: str) -> None:
        problems.append(Problem("", path, why, f"{shown(file)}:{document.line(path)}"))

    return read_folder_name(document.value, report) or None
