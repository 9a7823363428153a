"""Begins and ends the session of one request, for the pages that log in and out."""

from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.entry.api.threads import Threads
from hookstream.entry.pages.cookies import BEFORE_LOGIN, SAID, SESSION, clear_cookie, set_cookie
from hookstream.entry.pages.sessions import Sessions


class SessionDoor:
    """Begins and ends the session of one request.

    Args:
        sessions: Of browsers.
        threads: Where sessions begin and end.
        cookie: The request's, of its session; empty: it has none.
    """

    def __init__(self, sessions: Sessions, threads: Threads, cookie: str) -> None:
        self._sessions = sessions
        self._threads = threads
        self._cookie = cookie

    async def begin(self, token: str) -> tuple[str, ...] | None:
        """As PageDoor says."""
        cookie = await self._threads.run(lambda: self._sessions.begin(token))
        if cookie is None:
            return None
        await self._end()
        return _begun(cookie)

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """As PageDoor says."""
        return self._sessions.link(text)

    async def use_link(self, text: str) -> tuple[str, ...] | LinkRefusal:
        """As PageDoor says."""
        looked = self._sessions.link(text)
        if isinstance(looked, LinkRefusal):
            return looked
        # First: a link opens one session, so a failure to end the old one must not use the link up.
        await self._end()
        found = await self._threads.run(lambda: self._sessions.use_link(text))
        return found if isinstance(found, LinkRefusal) else _begun(found)

    async def end(self) -> tuple[str, ...]:
        """As PageDoor says."""
        await self._end()
        return clear_cookie(SESSION), clear_cookie(SAID)

    async def _end(self) -> None:
        if self._cookie:
            await self._threads.run(lambda: self._sessions.end(self._cookie))


def _begun(cookie: str) -> tuple[str, ...]:
    """Return the cookies of a browser whose session began."""
    return set_cookie(SESSION, cookie), clear_cookie(BEFORE_LOGIN)
