"""Elements of SVG as text: everything is escaped, and control characters of texts are written out."""

import math
import re
from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

from hookstream.core.model.visible_text import shown

LONGEST_LABEL: Final = 40
"""The most characters of a label."""
LONGEST_LINK: Final = 400
"""In characters; an element with a longer one is not a link."""
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def link(href: str, said: str, pieces: Iterable[Markup]) -> Markup:
    """Return elements as a link within this site, or unchanged if its address is too long.

    Raises:
        ValueError: It leads to another site.
    """
    if not href.startswith("/") or href.startswith("//"):
        raise ValueError("a chart links within its own site")
    if len(href) > LONGEST_LINK:
        return Markup("").join(pieces)
    return element("a", element("title", said), *pieces, href=href, aria_label=said)


def words(content: str, x: float, y: float, *, kind: str, anchor: str = "start") -> Markup:
    """Return a text at a place; `anchor` is its side, or `middle`."""
    return element("text", cut(content), kind=kind, x=x, y=y, text_anchor=anchor)


def cut(text: str) -> str:
    """Return a label without control characters, at most `LONGEST_LABEL` characters."""
    return clean(text, LONGEST_LABEL)


def clean(text: str, longest: int) -> str:
    """Return a text without control characters, valid in XML, of at most `longest` characters."""
    seen = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", shown(text[: longest + 1]))
    return seen if len(seen) <= longest else f"{seen[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def element(tag: str, *content: str, kind: str = "", **attributes: str | float) -> Markup:
    """Return an element; `kind` is its class, and `_` in the name of an attribute is a dash."""
    named = [("class", kind)] if kind else []
    named += [
        (name.replace("_", "-"), value if isinstance(value, str) else coordinate(value))
        for name, value in attributes.items()
    ]
    opened = "".join(f' {name}="{escape(value)}"' for name, value in named)
    inner = "".join(map(escape, content))
    # All of it is escaped, or markup that was made here.
    return Markup(f"<{tag}{opened}>{inner}</{tag}>")  # noqa: S704


def coordinate(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0") if math.isfinite(value) else "0"
