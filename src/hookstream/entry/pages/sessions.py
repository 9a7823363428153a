"""The port for sessions of browsers: a cookie represents a token or a portal link, but does not contain it."""

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
    """A valid session."""

    caller: Caller
    """Its caller."""
    expires: Millis
    """When it expires."""


class Sessions(Protocol):
    """Begins, finds and ends sessions. `find`, `may_be_late` and `link` only read memory; the others may block.

    The results of those three are valid only while the tables are current, which the caller checks right before.
    """

    def begin(self, token: str) -> str | None:
        """Begin a session of a token, and return the value of its cookie; None: the token is not valid.

        Raises:
            RequestRefused: Too many sessions began with it a moment ago.
            HookstreamError: It could not be written.
        """

    def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value; None: there is none, or it has ended."""

    def may_be_late(self, cookie: str) -> bool:
        """Return whether another console may have just begun the session: this one does not know the cookie."""

    def catch_up(self) -> None:
        """Wait until this console has read everything that was written so far.

        Raises:
            DependencyUnavailable: It takes too long.
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
            HookstreamError: It could not be written, and the link is unchanged.
        """


class LateSessions:
    """Waits for sessions that other consoles began, on one thread at a time: once for all concurrent requests.

    So invalid cookies, however many at once, do not keep other requests waiting for a thread. For one event loop.

    Args:
        sessions: Of browsers.
        threads: Where it waits.
    """

    def __init__(self, sessions: Sessions, threads: Threads) -> None:
        self._sessions = sessions
        self._threads = threads
        self._one = asyncio.Lock()
        self._begun = 0
        """The number of waits that began."""
        self._over = 0
        """The number of the latest wait that ended."""
        self._problem: DependencyUnavailable | None = None
        """Why that wait failed; None: it did not."""

    async def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value that another console may have begun; None: there is none, or it has ended.

        Raises:
            DependencyUnavailable: The rows of other consoles did not arrive in time.
        """
        if self._sessions.may_be_late(cookie):
            await self._wait()
        return self._sessions.find(cookie)

    async def _wait(self) -> None:
        """Return when a wait that began after this call has ended."""
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
