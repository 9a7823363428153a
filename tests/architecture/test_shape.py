"""The shape of the code: every file has one promise and a bounded length, and none is a catch-all."""

import ast
import re
from pathlib import Path

from tests.architecture.source_text import classes_named_twice, text_of
from tests.conftest import ROOT

CODE = ("src", "tests", "examples", "benchmarks", "chaos", "tools")
LONGEST = 500
LONGEST_OF_TESTS = 600
"""The claims about one subject stay together a little longer than code does."""
PLAIN_DOCSTRING = re.compile(r'"""[^\s"\\](?:[^"\\]|"(?!""))*"""\n')
"""A text without escapes that is a whole statement."""
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib", "core_utils"}


def files(*folders: str) -> list[Path]:
    """Return every Python file of the folders."""
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def named(found: list[Path]) -> list[str]:
    """Return files by their paths from the root."""
    return [str(file.relative_to(ROOT)) for file in found]


def test_every_module_starts_with_its_promise() -> None:
    """A test's file may omit it: there the name is enough."""
    shipped = files("src", "examples", "benchmarks", "chaos", "tools")
    assert named([file for file in shipped if not has_promise(text_of(file))]) == []


def has_promise(text: str) -> bool:
    """Return whether a module has a docstring; parsing all of it takes a hundred times as long as looking."""
    return PLAIN_DOCSTRING.match(text) is not None or bool(ast.get_docstring(ast.parse(text)))


def test_no_file_is_longer_than_its_bound() -> None:
    code = tuple(folder for folder in CODE if folder != "tests")
    long = [file for file in files(*code) if lines(file) > LONGEST]
    long += [file for file in files("tests") if lines(file) > LONGEST_OF_TESTS]
    assert named(long) == []


def lines(file: Path) -> int:
    return len(text_of(file).splitlines())


def test_no_file_or_folder_has_a_catch_all_name() -> None:
    """A module with such a name has no single promise."""
    drawers = [
        file for file in files(*CODE) if DRAWERS & {file.stem, *file.relative_to(ROOT).parts}
    ]
    assert named(drawers) == []


def test_the_root_of_the_package_imports_nothing() -> None:
    """`import hookstream` costs nothing, and its kits do not load the worker."""
    tree = ast.parse((ROOT / "src" / "hookstream" / "__init__.py").read_text("utf-8"))
    assert [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == []


def test_no_class_name_is_used_twice() -> None:
    """A name identifies one class; private ones are read in their file."""
    twice = classes_named_twice(files("src"))
    public = {name: found for name, found in twice.items() if not name.startswith("_")}
    assert {name: named([file for file, _ in found]) for name, found in public.items()} == {}
