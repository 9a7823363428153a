"""Where each act's form is shown: looked for from the act's own path upwards, then on every page."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from tests.doubles.api_records import OUR_FAILURE
from tests.doubles.clock import NOON
from tests.doubles.pages import Browser, Form, PagesWorld
from tests.unit.entry.pages.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.core.failures.groups import GroupState
from hookstream.core.redrive.summary import Group, Tally
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES


def acts_of(scope: Scope) -> list[ConsolePage]:
    """Return the acts of a scope's sessions; what ends something for good comes last."""
    acts = [
        page
        for page in PAGES.pages
        if page.method == "POST" and page.scope in IMPLIED[scope] and page.scope is not None
    ]
    return sorted(acts, key=lambda act: any(word in act.name for word in ENDINGS))


ENDINGS = ("delete", "end_access", "revoke")


def something_to_do(world: PagesWorld) -> None:
    """Let previews of redrives and purges count something, and a failure group be open: else some forms are not shown."""
    tally = Tally()
    tally.add(Group("crm", "expired"), NOON)
    world.api.services.found = Survey({0: 9}, tally, {})
    world.api.put_failure_group(replace(OUR_FAILURE, state=GroupState.OPEN))


def typed(act: ConsolePage, form: Form) -> dict[str, str]:
    """Return what a person fills into an act's form: what it has unseen stays as it is."""
    given = EXPECTATIONS[act.name].form or {}
    return {
        name: value for name, value in given.items() if form.kinds.get(name, "hidden") != "hidden"
    }


async def where_its_form_is(browser: Browser, act: ConsolePage, scope: Scope) -> tuple[str, Form]:
    """Return the page that shows an act's form, and the form.

    Raises:
        AssertionError: No page shows it.
    """
    action = EXPECTATIONS[act.name].path(act.path)
    for path in _pages_with(action, scope):
        reply = await browser.get(path)
        if reply.status == 200:
            for form in reply.parsed.forms:
                if form.method == "post" and urlsplit(form.action).path == action:
                    return path, form
    raise AssertionError(f"no page that {scope} sees has a form that is sent to {action}")


async def asking_forms(browser: Browser, scope: Scope) -> dict[str, str]:
    """Return where each form that asks for a page is sent to, by the page that shows it."""
    found: dict[str, str] = {}
    for path in _shown(scope):
        reply = await browser.get(path)
        for form in reply.parsed.forms if reply.status == 200 else ():
            if form.method == "get":
                found.setdefault(form.action, path)
    return {path: action for action, path in found.items()}


def _shown(scope: Scope) -> list[str]:
    return [
        EXPECTATIONS[page.name].path(page.path)
        for page in PAGES.pages
        if page.method == "GET"
        and page.scope in IMPLIED[scope]
        and not EXPECTATIONS[page.name].is_file
    ]


def _pages_with(action: str, scope: Scope) -> Iterator[str]:
    """Yield pages that may have a form: the nearest ones first."""
    above = action.rpartition("/")[0]
    near = {action: 0, above: 1}
    yield from (action, above)
    yield from sorted(_shown(scope), key=lambda path: near.get(urlsplit(path).path, 2))
