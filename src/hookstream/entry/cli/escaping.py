"""Escapes the control characters in everything that commands print, in one place.

Names, reasons, headers and answers come from outside. A control character in them could colour,
move or erase text on the screen, and a bidirectional one could make it read as something else.
"""

import json
import re
import unicodedata
from collections.abc import Iterator

from hookstream.core.model.json import Json
from hookstream.entry.admin.json_output import encoded

_PERHAPS = re.compile(r"[^\x20-\x7e\n\t]")
_OBEYED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of Unicode: controls, formats (bidirectional ones among them), surrogates, separators."""


def shown(text: str) -> str:
    r"""Return a text with its control characters written as `\x1b` or `\u202e`; lines stay lines."""
    return _PERHAPS.sub(_escaped, text)


def escapes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each control character starts and ends, and what `shown` writes for it."""
    for match in _PERHAPS.finditer(text):
        escaped = _escaped(match)
        if escaped != match[0]:
            yield match.start(), match.end(), escaped


def json_line(document: Json) -> bytes:
    r"""Return a document as one line of JSON in UTF-8, the same characters written as `\u202e`.

    Each number is written as its text.
    """
    return shown_json(encoded(document))


def json_document(document: Json) -> bytes:
    """Return a document as indented JSON in UTF-8, otherwise as `json_line`."""
    return shown_json(encoded(document, indent=True))


def shown_json(line: bytes) -> bytes:
    r"""Return JSON in UTF-8 with the same characters written as `\u202e`."""
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode("utf-8", "surrogatepass")
    return _PERHAPS.sub(_escaped_json, text).encode()


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1] if unicodedata.category(match[0]) in _OBEYED else match[0]


def _escaped_json(match: re.Match[str]) -> str:
    if unicodedata.category(match[0]) not in _OBEYED:
        return match[0]
    return json.dumps(match[0])[1:-1]
