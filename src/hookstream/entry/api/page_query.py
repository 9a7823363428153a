"""The parameters of every list: how much an answer has, and where it goes on."""

from typing import Annotated

from msgspec import Meta

from hookstream.entry.api.cursors import LONGEST_CURSOR
from hookstream.entry.api.fields import ApiInput

MOST_IN_PAGE = 200
USUAL_IN_PAGE = 50


class CursorQuery(ApiInput, frozen=True):
    """The parameter of whatever is answered in parts."""

    cursor: Annotated[str, Meta(max_length=LONGEST_CURSOR)] | None = None
    """Where the list goes on: `next` of the answer before."""


class PageQuery(CursorQuery, frozen=True):
    """The parameters of every list."""

    limit: Annotated[int, Meta(ge=1, le=MOST_IN_PAGE)] = USUAL_IN_PAGE
    """How many things an answer has at most."""
