"""Begins, finds and ends sessions of pages, over the console's services."""

from collections.abc import Callable
from threading import Lock

from hookstream.core.access.portal_links import LinkRefusal, PortalLink, is_link, link_refusal
from hookstream.core.access.scopes import Caller
from hookstream.core.access.sessions import SessionRefusal, is_cookie
from hookstream.core.access.tokens import TokenRefused, is_token
from hookstream.entry.admin.actor import acting_as
from hookstream.entry.admin.sessions import (
    BegunSession,
    begin_session,
    end_own_session,
    use_link,
)
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.rates import TokenRates
from hookstream.entry.api.services import ConsoleServices
from hookstream.entry.pages.sessions import PageSession
from hookstream.errors import DependencyUnavailable

LOGINS_A_SECOND = 5.0
"""How many sessions a second may begin with an operator's token, or with one partner's; fifty at once. Each is a
transaction of the tables' writer."""


class ConsoleSessions:
    """The sessions of a console. Implements `Sessions`; each function may be called from any thread.

    Functions that write raise while the tables are not current, and decide by the rows at the time of the write. So
    the end of a token, a link or a session holds in every console within two seconds.

    Args:
        services: The console's.
        monotonic: Seconds.
    """

    def __init__(self, services: ConsoleServices, monotonic: Callable[[], float]) -> None:
        self._services = services
        self._rates = TokenRates(lambda _: LOGINS_A_SECOND, monotonic, operators=LOGINS_A_SECOND)
        self._rates_lock = Lock()

    def find(self, cookie: str) -> PageSession | None:
        """As Sessions says."""
        caller = self._services.session_caller(cookie) if is_cookie(cookie) else None
        if not isinstance(caller, Caller) or caller.session_id is None:
            return None
        session = self._services.session(caller.session_id)
        # It may have been removed between the two reads.
        return None if session is None else PageSession(caller, session.expires)

    def may_be_late(self, cookie: str) -> bool:
        """As Sessions says."""
        return (
            is_cookie(cookie) and self._services.session_caller(cookie) is SessionRefusal.UNKNOWN
        )

    def catch_up(self) -> None:
        """As Sessions says."""
        self._services.caught_up()

    def begin(self, token: str) -> str | None:
        """As Sessions says."""
        self._check_current()
        # Checked here first, so that an invalid text does not take over the writer.
        caller = self._services.caller(token) if is_token(token) else None
        if caller is None:
            return None
        with self._rates_lock:
            _, wait = self._rates.take(caller)
        if wait is not None:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS,
                "too many sessions were started with this token",
                retry_after=wait,
            )
        with acting_as(caller.called):
            begun = self._services.change(
                lambda writer: begin_session(writer, token), lambda _result, _writer: ()
            )
        if isinstance(begun, TokenRefused):
            return None
        self._note(begun, caller)
        return begun.cookie

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """As Sessions says."""
        found = self._services.link_with(text) if is_link(text) else None
        refused = link_refusal(found, self._services.now())
        return found if found is not None and refused is None else refused or LinkRefusal.UNKNOWN

    def use_link(self, text: str) -> str | LinkRefusal:
        """As Sessions says."""
        self._check_current()
        # Checked here first, so that an invalid text does not take over the writer.
        found = self.link(text)
        if isinstance(found, LinkRefusal):
            return found
        with acting_as(f"link {found.id}"):
            begun = self._services.change(
                lambda writer: use_link(writer, text), lambda _result, _writer: ()
            )
        if isinstance(begun, LinkRefusal):
            return begun
        session = begun.session
        caller = Caller(session.id, session.scope, session.partner_id, session.id)
        self._services.note_use("link.used", caller, found.id)
        self._note(begun, caller)
        return begun.cookie

    def end(self, cookie: str) -> None:
        """As Sessions says."""
        caller = self._services.session_caller(cookie) if is_cookie(cookie) else None
        if caller is None or isinstance(caller, SessionRefusal):
            return
        with acting_as(caller.called):
            ended = self._services.change(
                lambda writer: end_own_session(writer, cookie), lambda _result, _writer: ()
            )
        if ended is not None:
            self._services.note_use("session.ended", caller, ended.id)

    def _note(self, begun: BegunSession, caller: Caller) -> None:
        self._services.note_use("session.began", caller, begun.session.id)
        for each in begun.displaced:
            self._services.note_use("session.ended", caller, each)

    def _check_current(self) -> None:
        if not self._services.current():
            # A revoked token, or a used link, could still be valid in tables that are not current.
            raise DependencyUnavailable("the tables are not current")
