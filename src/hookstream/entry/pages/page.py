"""The row of the table of pages: its path, who may see it, its handler, and what a handler is given and returns.

A handler is a coroutine function of a `PageCall`. It asks the API (`call.api`) and nothing else, so a page shows
what its caller's token may see, and no more. It returns plain values for its template (`Shown`), a file
(`Downloaded`), or where to go on (`Moved`): always after an act that was carried out, so that loading the page
again does not repeat it.
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
    """Where sessions begin and end."""

    async def begin(self, token: str) -> tuple[str, ...] | None:
        """Begin a session of a token; return the cookies that make it so, or None: the token is not good.

        The session before, if there is one, ends.
        """

    async def end(self) -> tuple[str, ...]:
        """End the session of this request; return the cookies that make it so."""

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """Return a portal link that may still be used, or why it may not; this changes nothing."""

    async def use_link(self, text: str) -> tuple[str, ...] | LinkRefusal:
        """Use up a portal link, and begin its session; return the cookies that make it so, or why it may not be.

        The session before, if there is one, ends.
        """


@dataclass(slots=True, frozen=True)
class PageCall:
    """One request for a page, checked as far as the table says."""

    api: PageApi
    """Asks the API as whoever the session is of."""
    session: PageSession | None
    """None: the page needs none."""
    now: Millis
    params: Mapping[str, str]
    """The parts of the path that the template names, decoded."""
    filters: Mapping[str, str]
    """What the query has of the page's filters; none is empty."""
    form: Mapping[str, str]
    """What a POST has, without the two fields that every form has."""
    door: PageDoor
    cursor: str = ""
    """Where the page's list goes on; empty: at its beginning."""
    key: str = ""
    """The idempotency key of a POST: that of its form as it was shown, so pressing twice acts once."""

    @property
    def caller(self) -> Caller:
        """Whose session it is."""
        if self.session is None:
            raise InvariantBroken("a page without a session asked for its caller")
        return self.session.caller

    @property
    def by_operator(self) -> bool:
        """Whether an operator looks."""
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
    """Where the browser goes on (303)."""

    to: str
    """A path of this site, with its query."""
    said: str = ""
    """What is said there, once: what was done."""
    cookies: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Downloaded:
    """A file that the browser keeps; the browser stays where it is."""

    pieces: BodyPieces
    """Closed by whoever sends them, also where nothing of them was sent."""
    media_type: str
    name: str
    """Letters, digits, dots and hyphens."""


PageHandler: TypeAlias = Callable[[PageCall], Awaitable[Shown | Moved | Downloaded]]


@dataclass(slots=True, frozen=True)
class ConsolePage:
    """One row of the table of pages."""

    method: str
    """`GET`, or `POST` for what changes something."""
    path: str
    """The template of its path: `/ui/subscriptions/{subscription_id}`."""
    handler: PageHandler
    template: str = ""
    """The file in `templates/`; empty: the handler always moves on."""
    title: str = ""
    scope: Scope | None = Scope.PARTNER_READ
    """The scope that is needed; None: not even a session."""
    nav: str = ""
    """Its name in the navigation; empty: it is not there."""
    filters: tuple[str, ...] = ()
    """The parameters that its query may have."""

    @property
    def name(self) -> str:
        """The handler's name."""
        return str(getattr(self.handler, "__name__", self.path)).rstrip("_")
