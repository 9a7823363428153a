"""Cuts lists into pages, each with the cursor of the next one."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from hookstream.core.model.json import JsonObject
from hookstream.entry.api.cursors import cursor_text, purpose_of
from hookstream.entry.api.routes import Call

T = TypeVar("T")


def page_of(
    call: Call[Any, Any], things: Iterable[T], key: Callable[[T], str]
) -> tuple[tuple[T, ...], str | None]:
    """Return the next objects of a list that is ordered by a key, and the cursor of the following page.

    Args:
        call: The request.
        things: All objects, in ascending order of their keys; keys are unique.
        key: Returns an object's key.
    """
    after = None if call.cursor is None else call.cursor.get("after")
    rest = (each for each in things if not isinstance(after, str) or key(each) > after)
    limit = int(call.query.limit)
    found = list(islice(rest, limit + 1))
    if len(found) <= limit:
        return tuple(found), None
    return tuple(found[:limit]), next_cursor(call, {"after": key(found[limit - 1])})


def next_cursor(call: Call[Any, Any], position: JsonObject) -> str:
    """Return the cursor of a position in the list that a request asks for."""
    purpose = purpose_of(call.route, call.caller, call.query)
    return cursor_text(call.services.keys, position, purpose)
