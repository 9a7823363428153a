"""Every act has a form on a page of whoever may do it, and does what it says when that form is sent as it is shown."""

import pytest
from tests.doubles.pages import HERE, PagesWorld, logged_in
from tests.unit.entry.pages.expectations import EXPECTATIONS
from tests.unit.entry.pages.forms import (
    acts_of,
    asking_forms,
    something_to_do,
    typed,
    where_its_form_is,
)

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.page import ConsolePage

ACTS = [
    pytest.param(act, scope, id=f"{act.name}, {scope}")
    for scope in (Scope.ADMIN, Scope.PARTNER_MANAGE)
    for act in acts_of(scope)
]


@pytest.mark.parametrize(("act", "scope"), ACTS)
async def test_an_act_is_done_by_the_form_that_a_page_shows(
    world: PagesWorld, act: ConsolePage, scope: Scope
) -> None:
    something_to_do(world)
    browser = await logged_in(world, world.api.tokens[scope])
    _, form = await where_its_form_is(browser, act, scope)
    expected = EXPECTATIONS[act.name]
    done = await browser.submit(form, HERE, **typed(act, form))
    assert done.status == expected.status, done.text
    said = done.headers["Location"] if done.status == 303 else done.text
    assert expected.says in said


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.PARTNER_MANAGE])
async def test_each_form_that_asks_for_a_page_is_answered_as_it_is_shown(
    world: PagesWorld, scope: Scope
) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    found = await asking_forms(browser, scope)
    assert len(found) > 8
    for path, action in found.items():
        shown = await browser.get(path)
        form = next(each for each in shown.parsed.forms if each.action == action)
        answered = await browser.submit(form)
        # One that nothing was filled into may lead back.
        assert answered.status in (200, 303), (path, answered.text)
