"""A part of a list that has nothing says whether the next one may have more."""

from typing import Any

import pytest
from tests.doubles.index import WINDOW, MemoryIndex
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.adapters.index.answers import Page
from hookstream.core.access.scopes import Scope

LISTS = [
    "/ui/deliveries",
    "/ui/dead-letters",
    "/ui/undecodable",
    "/ui/retries/waiting",
    "/ui/audit",
]
NOT_YET = "No match so far"


class Sparse(MemoryIndex):
    """An index that found nothing among what it looked at, of which there is more."""

    def deliveries(self, *_: object, **__: object) -> Page[Any]:
        return Page((), (1,), WINDOW)

    pending = dead_letters = undecodable = operations = deliveries


@pytest.mark.parametrize("path", LISTS)
async def test_an_empty_part_of_a_list_does_not_say_that_there_is_nothing(
    world: PagesWorld, path: str
) -> None:
    world.api.services.memory_index = Sparse()
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = await browser.get(path)
    assert (shown.status, NOT_YET in shown.text, 'rel="next"' in shown.html) == (200, True, True)
    world.api.services.memory_index = MemoryIndex()
    assert NOT_YET not in (await browser.get(path)).text
