"""Sessions of pages: what begins, finds and ends them, over the console's services."""

from dataclasses import dataclass

from hookstream.core.access.portal_links import LinkRefusal, PortalLink, is_link, link_refusal
from hookstream.core.access.scopes import Caller
from hookstream.core.access.sessions import Session, SessionRefusal, is_cookie
from hookstream.core.access.tokens import TokenRefused, is_token
from hookstream.entry.admin.actor import acting_as
from hookstream.entry.admin.sessions import (
    BegunSession,
    begin_session,
    end_own_session,
    use_link,
)
from hookstream.entry.api.services import ConsoleServices
from hookstream.errors import DependencyUnavailable


@dataclass(slots=True, frozen=True)
class OpenSession:
    """A session whose cookie was presented, and who its bearer is."""

    session: Session
    caller: Caller


class ConsoleSessions:
    """The sessions of one console. Each function may be called from any thread.

    `found` and `link` look into memory alone; the others write, and block meanwhile. While the tables are not
    current all of them raise: a session that was ended could still be good in them. So what ends a session holds in
    every console within two seconds.

    Args:
        services: The console's.
    """

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def found(self, cookie: str) -> OpenSession | SessionRefusal:
        """Return the session of a cookie's value, or why there is none that is good now.

        To be asked for each request: the answer changes when the session, its token or its partner ends.

        Raises:
            DependencyUnavailable: The tables are not current.
        """
        self._check_current()
        if not is_cookie(cookie):
            return SessionRefusal.UNKNOWN
        caller = self._services.session_caller(cookie)
        if isinstance(caller, SessionRefusal):
            return caller
        session = None if caller.session_id is None else self._services.session(caller.session_id)
        # It may have gone between the two looks.
        return SessionRefusal.UNKNOWN if session is None else OpenSession(session, caller)

    def begin(self, token: str) -> BegunSession | None:
        """Begin a session by a token's text; None: no token is good that has this text.

        Whoever calls this has counted the request against the rate of the token's caller.

        Raises:
            HookstreamError: The session was not begun, as `ConsoleServices.change` says.
        """
        self._check_current()
        # First by what is known here: a text that admits nobody takes over no writer.
        caller = self._services.caller(token) if is_token(token) else None
        if caller is None:
            return None
        with acting_as(caller.called):
            begun = self._services.change(
                lambda writer: begin_session(writer, token), lambda _result, _writer: ()
            )
        if isinstance(begun, TokenRefused):
            return None
        self._note("session.began", begun, caller)
        return begun

    def link(self, text: str) -> PortalLink | LinkRefusal:
        """Return a link that may still be used, or why it may not; this changes nothing.

        Raises:
            DependencyUnavailable: The tables are not current.
        """
        self._check_current()
        found = self._services.link_with(text) if is_link(text) else None
        refused = link_refusal(found, self._services.now())
        return found if found is not None and refused is None else refused or LinkRefusal.UNKNOWN

    def use_link(self, text: str) -> BegunSession | LinkRefusal:
        """Begin a session by a link, which no console lets anybody use afterwards.

        Raises:
            HookstreamError: The session was not begun, as `ConsoleServices.change` says.
        """
        # First by what is known here: a text that opens nothing takes over no writer.
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
        self._note("session.began", begun, caller)
        return begun

    def end(self, cookie: str) -> bool:
        """End the session of a cookie's value; return whether there was one that was not over.

        Raises:
            HookstreamError: It was not ended, as `ConsoleServices.change` says.
        """
        found = self.found(cookie)
        if isinstance(found, SessionRefusal):
            return False
        with acting_as(found.caller.called):
            ended = self._services.change(
                lambda writer: end_own_session(writer, cookie), lambda _result, _writer: ()
            )
        if ended is not None:
            self._services.note_use("session.ended", found.caller, ended.id)
        return ended is not None

    def _note(self, act: str, begun: BegunSession, caller: Caller) -> None:
        self._services.note_use(act, caller, begun.session.id)
        for each in begun.displaced:
            self._services.note_use("session.ended", caller, each)

    def _check_current(self) -> None:
        if not self._services.current():
            raise DependencyUnavailable("the tables are not current")
