"""Makes characters visible that would change the look of a text: controls, bidirectional ones, separators.

Names, reasons, headers and answers come from outside. A control character in them could colour,
move or erase text on the screen, and a bidirectional one could make it read as something else.
"""

import re
import unicodedata
from collections.abc import Iterator

PERHAPS = re.compile(r"[^\x20-\x7e\n\t]")
"""What `is_obeyed` has to be asked about: everything else is not."""
_OBEYED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of Unicode: controls, formats (bidirectional ones among them), surrogates, separators."""


def is_obeyed(character: str) -> bool:
    """Return whether a character does something instead of being shown."""
    return unicodedata.category(character) in _OBEYED


def shown(text: str) -> str:
    r"""Return a text with its control characters written as `\x1b` or `\u202e`; lines stay lines."""
    return PERHAPS.sub(_escaped, text)


def escapes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each control character starts and ends, and what `shown` writes for it."""
    for match in PERHAPS.finditer(text):
        escaped = _escaped(match)
        if escaped != match[0]:
            yield match.start(), match.end(), escaped


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1] if is_obeyed(match[0]) else match[0]
