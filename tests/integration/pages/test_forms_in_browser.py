"""Every form of every page is sent once by a real browser: as operator and as partner, with scripts and without."""

import asyncio
from urllib.parse import unquote

import pytest
from playwright.async_api import Browser, Locator
from tests.browsers import Look, a_kept_look
from tests.doubles.pages import Browser as Reader
from tests.doubles.pages import Form, PagesWorld
from tests.integration.pages.conftest import ServedPages
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

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(400)]

SCOPES = [Scope.ADMIN, Scope.PARTNER_MANAGE]
SEE_OTHER = 303


class Places:
    """Where each form is: looked for once for both browsers, which are sent the same pages."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Scope], tuple[str, Form]] = {}
        self._asking: dict[Scope, dict[str, str]] = {}

    async def of(self, act: ConsolePage, person: Reader, scope: Scope) -> tuple[str, Form]:
        """Return the page that shows an act's form to people of a scope, and the form."""
        if (act.name, scope) not in self._found:
            self._found[act.name, scope] = await where_its_form_is(person, act, scope)
        return self._found[act.name, scope]

    async def asking(self, person: Reader, scope: Scope) -> dict[str, str]:
        """Return where each form that asks for a page is sent to, by the page that shows it to people of a scope."""
        if scope not in self._asking:
            self._asking[scope] = await asking_forms(person, scope)
        return self._asking[scope]


@pytest.fixture(scope="module")
def places() -> Places:
    return Places()


async def fill(shown: Locator, form: Form, name: str, value: str) -> None:
    """Fill in one field as a person does."""
    field = shown.locator(f'[name="{name}"]')
    match form.kinds[name]:
        case "select":
            await field.select_option(value)
        case "checkbox":
            await field.set_checked(bool(value))
        case _:
            await field.fill(value)


async def press(look: Look, shown: Locator) -> int:
    """Press the button of a form; return the status of the page that comes."""
    async with look.page.expect_navigation() as coming:
        await shown.locator("button").first.click()
    answer = await coming.value
    assert answer is not None
    return answer.status


async def log_in(look: Look, served: ServedPages, world: PagesWorld, scope: Scope) -> Reader:
    """Let a browser have a session of another world, which is served from then on; return who has it too."""
    # No script of the page before asks the new world with the old cookie.
    await look.still()
    served.world = world
    return await served.let_in(look, scope)


async def acted(look: Look, act: ConsolePage, path: str, form: Form) -> None:
    """Send an act's form, and check that what it leads to is what was expected."""
    expected = EXPECTATIONS[act.name]
    assert await look.open(path) == 200
    shown = look.page.locator(f'form[method="post"][action="{form.action}"]')
    for name, value in typed(act, form).items():
        await fill(shown, form, name, value)
    status = await press(look, shown)
    said = await look.says()
    if expected.status == SEE_OTHER:
        # Whoever ended the own session logs in on the way.
        led = unquote(look.path)
        assert (status, expected.says in led) == (200, True), (act.name, led, said)
    else:
        assert (status, expected.says in said) == (expected.status, True), (act.name, said)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_each_act_is_done_by_the_button_of_its_form(
    served: ServedPages, chromium: Browser, places: Places, scope: Scope, *, scripts: bool
) -> None:
    """Each in a world of its own: none finds what another one left."""
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        for act in acts_of(scope):
            world = await asyncio.to_thread(PagesWorld)
            something_to_do(world)
            person = await log_in(look, served, world, scope)
            await acted(look, act, *await places.of(act, person, scope))
        assert look.complaints == []


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_each_form_that_asks_for_a_page_is_answered(
    served: ServedPages, chromium: Browser, places: Places, scope: Scope, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        person = await log_in(look, served, await asyncio.to_thread(PagesWorld), scope)
        for path, action in (await places.asking(person, scope)).items():
            await look.open(path)
            shown = look.page.locator(f'form[method="get"][action="{action}"]')
            # A browser sends none whose fields must be filled in.
            for field in await shown.locator("[required]").all():
                await field.fill(await field.input_value() or "crm")
            assert await press(look, shown) == 200, path
        assert look.complaints == []


async def test_filters_that_are_refused_stay_in_their_form(
    served: ServedPages, chromium: Browser
) -> None:
    async with a_kept_look(chromium, served.url) as look:
        await log_in(look, served, await asyncio.to_thread(PagesWorld), Scope.ADMIN)
        await look.open("/ui/deliveries")
        shown = look.page.locator('form[action="/ui/deliveries"]')
        await shown.locator('[name="subscription"]').fill("crm")
        await shown.locator('[name="since"]').fill("yesterday")
        assert await press(look, shown) == 422
        assert await shown.locator('[name="subscription"]').input_value() == "crm"
        assert await look.barriers() == []
        # A browser reports an answer of 422 as an error of the page.
        look.complaints.clear()
        await shown.locator('[name="since"]').fill("2h")
        assert await press(look, shown) == 200
        assert look.complaints == []
