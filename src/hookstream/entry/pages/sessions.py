"""Sessions of browsers, as pages need them: a cookie that stands for a token or a portal link, without being it."""

from dataclasses import dataclass
from typing import Protocol

from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.core.access.scopes import Caller
from hookstream.core.model.instant import Millis


@dataclass(slots=True, frozen=True)
class PageSession:
    """A session that is good now."""

    caller: Caller
    """Whom it acts as."""
    expires: Millis
    """When it ends by itself."""


class Sessions(Protocol):
    """Begins, finds and ends sessions. `find` and `link` look into memory alone; the others write, and may block.

    `find` and `link` are to be believed only while the tables are current: whoever asks looks at that right before.
    """

    def begin(self, token: str) -> str | None:
        """Begin a session of a token, and return the value of its cookie; None: the token is not good.

        Raises:
            RequestRefused: As many sessions began with it a moment ago as may.
            HookstreamError: It could not be written.
        """

    def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value; None: it is none, or it is over."""

    def find_late(self, cookie: str) -> PageSession | None:
        """Return as `find`, of a cookie that it does not know: another console may have begun the session just now.

        It waits until what was written up to now is known here, so it may block.

        Raises:
            DependencyUnavailable: That takes too long.
        """

    def end(self, cookie: str) -> None:
        """End a session; nothing happens if there is none.

        Raises:
            HookstreamError: It could not be written.
        """

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """Return a portal link that may still be used, or why it may not; this changes nothing."""

    def use_link(self, text: str) -> str | LinkRefusal:
        """Use up a portal link, and return the value of the cookie of the session that it began.

        Raises:
            HookstreamError: It could not be written, and the link is what it was.
        """
