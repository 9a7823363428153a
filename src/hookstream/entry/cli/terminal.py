"""Escapes the control characters in everything that commands print, in one place.

Names, reasons, headers and answers come from outside. A control character in them could colour,
move or erase text on the screen, and a bidirectional one could make it read as something else.
"""

import json
import re
import unicodedata
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookstream.core.model.json import Json
from hookstream.entry.admin.json_output import encoded

_PERHAPS = re.compile(r"[^\x20-\x7e\n\t]")
_OBEYED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of Unicode: controls, formats (bidirectional ones among them), surrogates, separators."""


def shown(text: str) -> str:
    r"""Return a text with its control characters written as `\x1b` or `\u202e`; lines stay lines."""
    return _PERHAPS.sub(_escaped, text)


def json_line(document: Json) -> bytes:
    r"""Return a document as one line of JSON in UTF-8, the same characters written as `\u202e`.

    Each number is written as its text.
    """
    line = encoded(document)
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode("utf-8", "surrogatepass")
    return _PERHAPS.sub(_escaped_json, text).encode()


class Terminal(Console):
    """A console that prints texts, and tables of them, escaped by `shown`."""

    def print(self, *objects: Any, **named: Any) -> None:  # noqa: ANN401  as rich has it
        """Print as rich does, with the texts escaped."""
        super().print(*(_harmless(each) for each in objects), **named)


def table_of(*columns: str) -> Table:
    """Return an empty table that cuts no cell off: people copy names from it.

    The first and the last column hold names; the columns between them are folded first.
    """
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index in (0, len(columns) - 1))
    return table


def _harmless(printed: Any) -> Any:  # noqa: ANN401  anything that rich prints
    match printed:
        case str():
            return shown(printed)
        case Text():
            return _shown_text(printed)
        case Table():
            for column in printed.columns:
                # rich offers no other access to the cells of a table.
                column._cells = [_harmless(cell) for cell in column._cells]  # noqa: SLF001
            return printed
        case _:
            return printed


def _shown_text(text: Text) -> Text:
    plain = text.plain
    if shown(plain) == plain:
        return text
    found = text.blank_copy()
    start = 0
    for match in _PERHAPS.finditer(plain):
        escaped = _escaped(match)
        if escaped != match[0]:
            found.append_text(text[start : match.start()])
            found.append(escaped)
            start = match.end()
    return found.append_text(text[start:])


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1] if unicodedata.category(match[0]) in _OBEYED else match[0]


def _escaped_json(match: re.Match[str]) -> str:
    if unicodedata.category(match[0]) not in _OBEYED:
        return match[0]
    return json.dumps(match[0])[1:-1]
