"""The list of subscriptions has what became of the last hour, where that is known."""

from tests.doubles.pages import PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.errors import DependencyUnavailable

NONE = "\N{EN DASH}"


async def test_each_subscription_has_its_success_rate_and_events_of_the_last_hour(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = (await browser.get("/ui/subscriptions")).text
    assert "Success in 1 h Events in 1 h" in shown
    assert "crm active 100 % 1 https://partner.example" in shown
    assert f"filed active {NONE} 0 https://partner.example" in shown


async def test_the_list_is_shown_also_while_the_index_has_nothing(world: PagesWorld) -> None:
    def not_yet() -> None:
        raise DependencyUnavailable("the index has read nothing yet")

    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    world.api.services.index = not_yet  # type: ignore[assignment, method-assign]
    found = await browser.get("/ui/subscriptions")
    assert (found.status, f"theirs rival held {NONE} {NONE} https://" in found.text) == (200, True)
    assert "The numbers of the last hour are not available now" in found.text
