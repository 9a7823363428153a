"""Sessions of browsers, as pages need them: a cookie that stands for a token or a portal link, without being it."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.core.access.scopes import Caller
from hookstream.core.model.instant import Millis
from hookstream.entry.api.threads import Threads
from hookstream.errors import DependencyUnavailable


@dataclass(slots=True, frozen=True)
class PageSession:
    """A session that is good now."""

    caller: Caller
    """Whom it acts as."""
    expires: Millis
    """When it ends by itself."""


class Sessions(Protocol):
    """Begins, finds and ends sessions. `find`, `may_be_late` and `link` look into memory alone; the others may block.

    What looks into memory is to be believed only while the tables are current: whoever asks looks at that right
    before.
    """

    def begin(self, token: str) -> str | None:
        """Begin a session of a token, and return the value of its cookie; None: the token is not good.

        Raises:
            RequestRefused: As many sessions began with it a moment ago as may.
            HookstreamError: It could not be written.
        """

    def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value; None: it is none, or it is over."""

    def may_be_late(self, cookie: str) -> bool:
        """Return whether another console may have begun the session just now: this one does not know the cookie."""

    def catch_up(self) -> None:
        """Wait until what was written up to now is known here.

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


class LateSessions:
    """Waits for sessions that other consoles began, on one thread at a time: once for all who ask meanwhile.

    Whoever sends cookies that are none, however many at once, so keeps no other request waiting for a thread. For
    one event loop.

    Args:
        sessions: Of browsers.
        threads: Where it waits.
    """

    def __init__(self, sessions: Sessions, threads: Threads) -> None:
        self._sessions = sessions
        self._threads = threads
        self._one = asyncio.Lock()
        self._begun = 0
        """How many waits began."""
        self._over = 0
        """The number of the latest wait that came to its end."""
        self._problem: DependencyUnavailable | None = None
        """Why that was in vain; None: it was not."""

    async def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value that another console may have begun; None: it is none, or over.

        Raises:
            DependencyUnavailable: What others wrote does not come in time.
        """
        if self._sessions.may_be_late(cookie):
            await self._wait()
        return self._sessions.find(cookie)

    async def _wait(self) -> None:
        """Return when a wait is over that began after this was called."""
        begun = self._begun
        async with self._one:
            if self._over <= begun:
                self._begun += 1
                self._problem = await self._caught_up()
                self._over = self._begun
            problem = self._problem
        if problem is not None:
            raise DependencyUnavailable(str(problem))

    async def _caught_up(self) -> DependencyUnavailable | None:
        try:
            await self._threads.run(self._sessions.catch_up)
        except DependencyUnavailable as problem:
            return problem
        return None
