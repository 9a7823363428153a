"""A row of the table of pages (path, scope, handler), and the arguments and results of handlers.

A handler is a coroutine function of a `PageCall`. It calls the API (`call.api`) and nothing else, so a page shows
what its caller's token may see, and no more. It returns plain values for its template (`Shown`), a file
(`Downloaded`), or a redirect (`Moved`), always after an act, so that reloading the page does not repeat it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.instant import Millis
from hookstream.entry.api.requests import BodyPieces
from hookstream.entry.pages.asking import PageApi
from hookstream.entry.pages.sessions import PageSession
from hookstream.errors import InvariantBroken


class PageDoor(Protocol):
    """Begins and ends sessions."""

    async def begin(self, token: str) -> tuple[str, ...] | None:
        """Begin a session of a token; return its cookies, or None: the token is not valid.

        An earlier session ends.
        """

    async def end(self) -> tuple[str, ...]:
        """End the session of this request; return the cookies that clear it."""

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """Return a portal link that may still be used, or why it may not; this changes nothing."""

    async def use_link(self, text: str) -> tuple[str, ...] | LinkRefusal:
        """Use up a portal link, and begin its session; return its cookies, or the reason for the refusal.

        An earlier session ends.
        """


@dataclass(slots=True, frozen=True)
class PageCall:
    """One request for a page, after the checks of its row of the table."""

    api: PageApi
    """Calls the API as the session's caller."""
    session: PageSession | None
    """None, if the page needs none."""
    now: Millis
    params: Mapping[str, str]
    """The parts of the path that the template names, decoded."""
    filters: Mapping[str, str]
    """The page's filters that the query has; none is empty."""
    form: Mapping[str, str]
    """The fields of a POST, without the two that every form has."""
    door: PageDoor
    cursor: str = ""
    """The position at which the page's list continues; empty: at its beginning."""
    key: str = ""
    """The idempotency key of a POST, made when its form was shown, so pressing twice acts once."""

    @property
    def caller(self) -> Caller:
        """The session's caller."""
        if self.session is None:
            raise InvariantBroken("a page without a session asked for its caller")
        return self.session.caller

    @property
    def by_operator(self) -> bool:
        """Whether the caller is an operator."""
        return self.caller.partner_id is None


@dataclass(slots=True, frozen=True)
class Shown:
    """A page, as its template's values."""

    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    title: str = ""
    """Instead of the page's own."""
    cookies: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Moved:
    """A redirect (303)."""

    to: str
    """A path of this site, with its query."""
    said: str = ""
    """A text that the next page shows once: the result of the act."""
    cookies: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Downloaded:
    """A file that the browser keeps; the browser stays where it is."""

    pieces: BodyPieces
    """The sender closes them, also if it sent none of them."""
    media_type: str
    name: str
    """Letters, digits, dots and hyphens."""


PageHandler: TypeAlias = Callable[[PageCall], Awaitable[Shown | Moved | Downloaded]]
PageChoices: TypeAlias = Callable[[PageCall], Mapping[str, object]]


def _no_choices(call: PageCall) -> Mapping[str, object]:
    del call
    return {}


@dataclass(slots=True, frozen=True)
class ConsolePage:
    """One row of the table of pages."""

    method: str
    """`GET`, or `POST` for what changes something."""
    path: str
    """The template of its path: `/ui/subscriptions/{subscription_id}`."""
    handler: PageHandler
    template: str = ""
    """The file in `templates/`; empty: the handler always redirects."""
    title: str = ""
    scope: Scope | None = Scope.PARTNER_READ
    """The required scope; None: not even a session is required."""
    nav: str = ""
    """Its name in the navigation; empty: it is not in it."""
    filters: tuple[str, ...] = ()
    """The parameters that its query may have."""
    choices: PageChoices = _no_choices
    """Returns the values, in addition to the filters, that the block `filter_form` of its template needs."""
    asked_on: str = ""
    """The template that has this block, if it is another page's."""

    @property
    def name(self) -> str:
        """The handler's name."""
        return str(getattr(self.handler, "__name__", self.path)).rstrip("_")
