"""Escapes the control characters in all JSON that commands print.

Texts are made visible by `core/model/visible_text.py`, which gives the reasons.
"""

import json
import re

from hookstream.core.model.json import Json
from hookstream.core.model.visible_text import PERHAPS, is_obeyed
from hookstream.entry.admin.json_output import encoded


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
    return PERHAPS.sub(_escaped_json, text).encode()


def _escaped_json(match: re.Match[str]) -> str:
    if not is_obeyed(match[0]):
        return match[0]
    return json.dumps(match[0])[1:-1]
