"""Renders templates: all values are escaped, and a missing value is an error.

No template is compiled while a page is rendered. A fragment is a block of a page that is rendered alone:
blocks whose names begin with `live`.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hookstream.core.model import instant, visible_text
from hookstream.core.model.counted import counted
from hookstream.entry.pages import showing
from hookstream.entry.pages.asking import at, query_text
from hookstream.entry.pages.compiled import CompiledTemplates
from hookstream.entry.pages.files import StaticFiles
from hookstream.entry.pages.forgery import form_token

FILTER_FORM = "filter_form"
"""The block of a page with the form that asks for it."""
_TEMPLATES = Path(__file__).parent / "templates"
_COMPILED_BY = (
    Path(__file__),
    *(Path(inspect.getfile(each)) for each in (showing, visible_text, instant)),
)
_LIVE = re.compile(r"live[a-z_]{0,40}")
_TIME_TEXT = re.compile(r"(<time [^>]* title=[^>]*>)[^<]*(</time>)")


class Rendered(NamedTuple):
    """A rendered fragment."""

    content: bytes
    etag: str
    """It does not change while only time passes: the script of pages updates the texts of times."""


class PageRendering:
    """The templates. May be used by any thread.

    Args:
        files: The static files.
        new_key: Makes idempotency keys of forms.
    """

    def __init__(self, files: StaticFiles, new_key: Callable[[], str]) -> None:
        self.files = files
        self._given = {"file_url": files.url, "new_key": new_key}
        self._environment = templates()

    def page(self, template: str, values: Mapping[str, Any]) -> bytes:
        """Return a whole page."""
        return self._rendered(template, {**values, "layout": "layout.html"}).encode()

    def has_fragment(self, template: str, name: str) -> bool:
        """Return whether a page has a block of this name that may be rendered alone."""
        return _LIVE.fullmatch(name) is not None and self.has_block(template, name)

    def has_block(self, template: str, name: str) -> bool:
        """Return whether a page has a block of this name."""
        return bool(template) and name in self._environment.get_template(template).blocks

    def asked_again(self, template: str, values: Mapping[str, Any]) -> bytes:
        """Return a page that has a problem and its form of filters in place of its content."""
        return self._rendered(template, {**values, "layout": "asked_again.html"}).encode()

    def fragment(self, template: str, name: str, values: Mapping[str, Any]) -> Rendered:
        """Return a block of a page, for which `has_fragment` returned True."""
        text = self._rendered(template, {**values, "layout": "fragment.html", "fragment": name})
        lasting = _TIME_TEXT.sub(r"\1\2", text)
        etag = hashlib.sha256(lasting.encode()).hexdigest()[:32]
        return Rendered(text.encode(), f'"{etag}"')

    def _rendered(self, template: str, values: Mapping[str, Any]) -> str:
        return self._environment.get_template(template).render({**self._given, **values})


@cache
def templates() -> Environment:
    """Return all templates, compiled: loaded once per process, and, if possible, compiled once per installation."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        bytecode_cache=CompiledTemplates(_COMPILED_BY),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=showing.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters |= {
        "ago": showing.ago,
        "count": showing.count,
        "counted": counted,
        "json_lines": showing.json_lines,
        "json_text": showing.json_text,
        "lasting": showing.lasting,
        "machine_time": showing.machine_time,
        "seconds": showing.seconds,
        "segment": showing.segment,
        "share": showing.share,
        "tone": showing.tone,
        "utc": showing.utc,
    }
    environment.globals |= {
        "at": at,
        "form_token": form_token,
        "link": link,
        "live_url": live_url,
    }
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def link(path: str, /, **parameters: Any) -> Markup:  # noqa: ANN401  As asking.Query
    """Return a path with a query, for an attribute: without the parameters that are None or empty."""
    query = query_text(parameters)
    return Markup.escape(f"{path}?{query}" if query else path)


def live_url(path: str, parameters: Sequence[tuple[str, str]], name: str) -> Markup:
    """Return the address of a fragment of the page that a path and parameters show, for an attribute."""
    return Markup.escape(f"{path}?{urlencode([*parameters, ('live', name)])}")
