"""The parameters of every list: the size of an answer, and the cursor."""

from typing import Annotated

from msgspec import Meta

from hookstream.entry.api.cursors import LONGEST_CURSOR
from hookstream.entry.api.fields import ApiInput

MOST_IN_PAGE = 200
USUAL_IN_PAGE = 50


class CursorQuery(ApiInput, frozen=True):
    """The parameter of answers in pages."""

    cursor: Annotated[str, Meta(max_length=LONGEST_CURSOR)] | None = None
    """Where the list continues: `next` of the previous answer."""


class PageQuery(CursorQuery, frozen=True):
    """The parameters of every list."""

    limit: Annotated[int, Meta(ge=1, le=MOST_IN_PAGE)] = USUAL_IN_PAGE
    """The most entries of an answer."""
