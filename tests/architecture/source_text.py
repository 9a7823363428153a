"""What the text of a module rules out, so that only modules which may have it are parsed.

Parsing all modules takes seconds, searching their texts a tenth of one. What is found in a text may also stand in
a comment: a test parses the modules in question and judges their trees.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_CLASS = re.compile(r"^[ \t]*class[ \t]+(\w+)", re.MULTILINE)
"""Python has no other place for a class than the start of a line."""
_NAME = re.compile(r"[^\W\d]\w*")


@cache
def text_of(file: Path) -> str:
    """Return a module's text."""
    return file.read_text("utf-8")


def names_in(file: Path) -> set[str]:
    """Return the names of a module, and more: the words of its texts and comments."""
    return set(_NAME.findall(text_of(file)))


def classes_named_twice(files: Iterable[Path]) -> dict[str, list[tuple[Path, int]]]:
    """Return the file and line of each class whose name another class has, too."""
    named = {file: _CLASS.findall(text_of(file)) for file in files}
    times = Counter(name for names in named.values() for name in names)
    places: dict[str, list[tuple[Path, int]]] = {}
    for file, names in named.items():
        if any(times[name] > 1 for name in names):
            for node in ast.walk(ast.parse(text_of(file))):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append((file, node.lineno))
    return {name: found for name, found in places.items() if len(found) > 1}
