"""Answers requests for pages: checks the session, its scope and the form's token, calls the handler, and renders.

It is in front of the API's dispatcher, in the same server: other requests are passed on.

How to add a page, say `Holds`:

1. `screens/holds.py` has its handlers: coroutine functions of a `PageCall` that ask `call.api` and return `Shown`
   with plain values, or `Moved` after an act. It ends with `PAGES`, one `ConsolePage` for each path and method.
2. `templates/holds.html` is its template: it begins with `{% extends layout %}`, imports the macros it uses
   (`{% import "macros/show.html" as show with context %}`), and fills the block `content`. A live part is a block
   whose name begins with `live`, inside of `{% call show.live("live") %}`: every few seconds the handler runs again
   for the whole page, so it must not read what is audited. Its form of filters is in a block `filter_form`: if the
   page is refused, that block is shown alone, with what was entered. It has `ConsolePage.choices`, not the handler's values.
3. `table.py` names `holds.PAGES` in the order of an incident; `nav` puts it into the navigation.
4. `tests/unit/entry/pages/expectations.py` has one row for it: without one, the tests do not pass.

Every template has, besides the handler's values: `page` (its title and its path), `site` (name, navigation),
`who` (the session's caller, or None), `filters`, `wrong` (what is wrong with them), `now`, `said`, `cookie_bound` (for the forms' token) and `here`.
An act that is confirmed with a count gets the count from the API's preview in the GET, and acts in the POST.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from msgspec import structs

from hookstream.adapters.keyring import KeyRing
from hookstream.core.access.scopes import Caller
from hookstream.core.model.instant import Millis
from hookstream.entry.api.cursors import cursor_text, read_cursor
from hookstream.entry.api.defects import DefectLog
from hookstream.entry.api.dispatch import RequestReport
from hookstream.entry.api.paths import PathMatch, PathTable
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import (
    ApiRequest,
    ApiResponse,
    request_id,
    segments,
)
from hookstream.entry.api.threads import Threads
from hookstream.entry.pages.asking import DispatchesApi, PageApi, query_text
from hookstream.entry.pages.cookies import (
    BEFORE_LOGIN,
    SAID,
    SESSION,
    clear_cookie,
    read_cookie,
    set_cookie,
)
from hookstream.entry.pages.door import SessionDoor
from hookstream.entry.pages.files import FILES
from hookstream.entry.pages.forgery import form_token
from hookstream.entry.pages.inputs import read_form, read_parameters
from hookstream.entry.pages.page import ConsolePage, Downloaded, Moved, PageCall, Shown
from hookstream.entry.pages.places import HOME, LOGIN
from hookstream.entry.pages.refusals import PageRefusal, page_refusal
from hookstream.entry.pages.rendering import FILTER_FORM, PageRendering
from hookstream.entry.pages.sessions import LateSessions, PageSession, Sessions
from hookstream.errors import HookstreamError
from hookstream.pipeline.ports import Logger

_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "hookstream",
}
_HTML = "text/html; charset=utf-8"
_LONGEST_SAID = 500
_NOT_CURRENT = 1
_SEE_OTHER, _NOT_MODIFIED = 303, 304
_UNAUTHENTICATED = 401


@dataclass(slots=True, frozen=True)
class NavigationItem:
    """One item of the navigation."""

    label: str
    path: str
    is_here: bool


class PageTable:
    """All pages, found by method and path.

    Args:
        pages: In the order in which the navigation names them.

    Raises:
        ValueError: Two pages have the same method and path, or one is not below `/ui/`.
    """

    def __init__(self, pages: tuple[ConsolePage, ...]) -> None:
        self.pages = pages
        self._paths: PathTable[ConsolePage] = PathTable()
        for page in pages:
            if not page.path.startswith("/ui/"):
                raise ValueError(f"{page.path} is not below /ui/")
            self._paths.put(page.method, page.path, page)

    def methods(self, parts: tuple[str, ...]) -> Mapping[str, PathMatch[ConsolePage]]:
        """Return the pages of a path by their methods; none: there is no such path."""
        return self._paths.methods(parts)

    def navigation(self, caller: Caller, path: str) -> list[NavigationItem]:
        """Return the navigation of a caller at a path."""
        return [
            NavigationItem(
                page.nav, page.path, is_here=path == page.path or path.startswith(f"{page.path}/")
            )
            for page in self.pages
            if page.nav and (page.scope is None or caller.may(page.scope))
        ]


@dataclass(slots=True, frozen=True)
class _Visit:
    """One request, with its session once that is known."""

    request: ApiRequest
    report: RequestReport
    cookie: str
    """The session's."""
    session: PageSession | None
    before: str
    """The cookie of a browser that has no session."""


@dataclass(slots=True, frozen=True)
class Surroundings:
    """The settings and functions that a site is given."""

    name: str
    """The name of this installation on pages; empty: none."""
    current: Callable[[], bool]
    """Returns whether the tables are current; while they are not, no session is accepted."""
    now: Callable[[], Millis]
    monotonic: Callable[[], float]
    """Seconds."""
    new_id: Callable[[], str]
    """Makes ids of requests, and texts that nobody can guess."""
    trace_url: str = ""
    """Where a trace is shown, with `{trace_id}` in it; empty: nowhere."""


class Site:
    """The pages.

    Args:
        table: The pages.
        dispatcher: The API.
        sessions: Of browsers.
        keys: Encrypt the texts that are shown once.
        threads: Where templates are rendered, and sessions begin.
        rendering: The templates.
        around: Settings and functions.
        logger: The log.
        reported: Called with each answered request.
    """

    def __init__(
        self,
        table: PageTable,
        dispatcher: DispatchesApi,
        sessions: Sessions,
        keys: KeyRing,
        threads: Threads,
        rendering: PageRendering,
        around: Surroundings,
        logger: Logger,
        reported: Callable[[RequestReport], None] = lambda _: None,
    ) -> None:
        self._table = table
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._late = LateSessions(sessions, threads)
        self._keys = keys.derived(b"pages/said")
        self._threads = threads
        self._rendering = rendering
        self._around = around
        self._logger = logger
        self._defects = DefectLog(logger, "page.defect")
        self._reported = reported

    async def answer(self, request: ApiRequest) -> ApiResponse:
        """Return the answer to a request. Never raises, unless it is cancelled."""
        if request.path == "/":
            return ApiResponse(_SEE_OTHER, {**_SAFE, "Location": HOME})
        if not request.path.startswith("/ui"):
            return await self._dispatcher.answer(request)
        if (
            request.path.startswith(FILES)
            and (found := self._rendering.files.answer(request)) is not None
        ):
            return replace(found, headers={**_SAFE, **found.headers})
        return await self._answered(request)

    async def _answered(self, request: ApiRequest) -> ApiResponse:
        visit = self._visit(request)
        report = visit.report
        try:
            visit = await self._known(visit)
            response = await self._page(visit)
        except HookstreamError as error:
            refusal = page_refusal(error)
            if refusal is None:
                response = await self._defect(visit, error)
            else:
                response = await self._problem(visit, refusal)
        except Exception as defect:  # noqa: BLE001  a defect of one page must not end the others
            response = await self._defect(visit, defect)
        report.status = response.status
        report.seconds = self._around.monotonic() - report.began
        self._log(report, len(response.body))
        self._reported(report)
        headers = {**_SAFE, "Cache-Control": "no-store", **report.answer_headers}
        headers |= response.headers
        headers["X-Request-Id"] = report.request_id
        return replace(response, headers=headers)

    def _visit(self, request: ApiRequest) -> _Visit:
        report = RequestReport(
            request_id(request, self._around.new_id),
            request.method,
            request.address,
            began=self._around.monotonic(),
        )
        header = request.headers.get("cookie", "")
        cookie = read_cookie(header, SESSION)
        # A session that has ended could still be valid in tables that are not current.
        session = self._sessions.find(cookie) if cookie and self._around.current() else None
        return _Visit(request, report, cookie, session, read_cookie(header, BEFORE_LOGIN))

    async def _known(self, visit: _Visit) -> _Visit:
        """Return a visit with its session, also if another console began the session a moment ago."""
        if visit.session is None and visit.cookie and self._around.current():
            session = await self._late.find(visit.cookie)
            visit = replace(visit, session=session)
        if visit.session is not None:
            caller = visit.session.caller
            visit.report.token_id = caller.token_id
            visit.report.partner_id = caller.partner_id or ""
        return visit

    async def _page(self, visit: _Visit) -> ApiResponse:
        request = visit.request
        match = self._matched(visit)
        page = match.found
        if not self._around.current():
            raise RequestRefused(ProblemKind.UNAVAILABLE, retry_after=_NOT_CURRENT)
        if page.scope is None:
            # A page without a scope ignores the session.
            visit = replace(visit, session=None, before=visit.before or self._around.new_id())
        elif visit.session is None:
            raise RequestRefused(ProblemKind.UNAUTHENTICATED, "the session is over")
        elif not visit.session.caller.may(page.scope):
            raise RequestRefused(
                ProblemKind.FORBIDDEN, f"this needs a token of scope {page.scope}"
            )
        parameters = read_parameters(request.query, page.filters)
        bound = visit.before if visit.session is None else visit.cookie
        form = await read_form(request, bound) if request.method == "POST" else {}
        call = PageCall(
            api=PageApi(
                self._dispatcher,
                lambda: self._caller(visit.cookie),
                visit.report.request_id,
                request.address,
            ),
            session=visit.session,
            now=self._around.now(),
            params=match.params,
            filters={name: parameters[name] for name in page.filters if parameters.get(name)},
            form={name: value for name, value in form.items() if not name.startswith("_")},
            door=SessionDoor(self._sessions, self._threads, visit.cookie),
            cursor=parameters.get("cursor", ""),
            key=form.get("_key", ""),
        )
        return await self._answer_of(visit, page, call, parameters.get("live", ""))

    async def _answer_of(
        self, visit: _Visit, page: ConsolePage, call: PageCall, live: str
    ) -> ApiResponse:
        try:
            found = await page.handler(call)
        except HookstreamError as error:
            refusal = page_refusal(error)
            if refusal is None or not self._is_asked_again(visit, page, refusal):
                raise
            return await self._asked_again(visit, page, call, refusal)
        match found:
            case Moved():
                return self._moved(visit, found)
            case Downloaded():
                return await _downloaded(visit.request, found)
            case Shown():
                return await self._shown(visit, page, call, found, live)

    def _caller(self, cookie: str) -> Caller | None:
        found = self._sessions.find(cookie) if cookie else None
        return None if found is None else found.caller

    def _matched(self, visit: _Visit) -> PathMatch[ConsolePage]:
        request, report, session = visit.request, visit.report, visit.session
        methods = {
            method: match
            for method, match in self._table.methods(segments(request.path)).items()
            if session is None or _is_there(match.found, session.caller)
        }
        if not methods:
            raise RequestRefused(ProblemKind.NOT_FOUND)
        method = "GET" if request.method == "HEAD" else request.method
        found = methods.get(method)
        if found is None:
            report.route = next(iter(methods.values())).found.path
            allowed = {*methods, "HEAD"} if "GET" in methods else {*methods}
            report.answer_headers["Allow"] = ", ".join(sorted(allowed))
            raise RequestRefused(ProblemKind.METHOD_NOT_ALLOWED)
        report.route = found.found.path
        return found

    def _moved(self, visit: _Visit, moved: Moved) -> ApiResponse:
        cookies = moved.cookies
        if moved.said:
            said = cursor_text(self._keys, {"said": moved.said[:_LONGEST_SAID]}, _of(visit))
            cookies = (*cookies, set_cookie(SAID, said))
        return ApiResponse(_SEE_OTHER, {"Location": moved.to}, cookies=cookies)

    async def _shown(
        self, visit: _Visit, page: ConsolePage, call: PageCall, shown: Shown, live: str
    ) -> ApiResponse:
        values = self._values(
            visit, shown.title or page.title, {**page.choices(call), **shown.values}
        )
        values["filters"] = call.filters
        if live:
            if not self._rendering.has_fragment(page.template, live):
                raise RequestRefused(ProblemKind.NOT_FOUND)
            fragment = await self._threads.run(
                lambda: self._rendering.fragment(page.template, live, values)
            )
            headers = {"ETag": fragment.etag, "Content-Type": _HTML}
            if visit.request.headers.get("if-none-match") == fragment.etag:
                return ApiResponse(_NOT_MODIFIED, headers)
            return ApiResponse(200, headers, fragment.content)
        cookies = shown.cookies
        if page.scope is None:
            cookies = (*cookies, set_cookie(BEFORE_LOGIN, visit.before))
        if values["said"]:
            cookies = (*cookies, clear_cookie(SAID))
        content = await self._threads.run(lambda: self._rendering.page(page.template, values))
        return ApiResponse(shown.status, {"Content-Type": _HTML}, content, cookies=cookies)

    def _is_asked_again(self, visit: _Visit, page: ConsolePage, refusal: PageRefusal) -> bool:
        """Return whether a refusal is shown with the form that asked for the page."""
        return (
            visit.request.method in ("GET", "HEAD")
            and "live=" not in visit.request.query
            and refusal.document.status != _UNAUTHENTICATED
            and self._rendering.has_block(page.asked_on or page.template, FILTER_FORM)
        )

    async def _asked_again(
        self, visit: _Visit, page: ConsolePage, call: PageCall, refusal: PageRefusal
    ) -> ApiResponse:
        wrong = refusal.wrong_among(page.filters)
        more = {**page.choices(call), "wrong": wrong, "filters": call.filters}
        return await self._problem(visit, refusal, page, more)

    def _values(self, visit: _Visit, title: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of a template, with those that every template has."""
        request, session = visit.request, visit.session
        caller = None if session is None else session.caller
        parameters = [
            (name, value)
            for name, value in parse_qsl(request.query, keep_blank_values=True)
            if name != "live"
        ]
        return {
            "now": self._around.now(),
            "filters": {},
            "wrong": {},
            **values,
            "page": {"title": title, "path": request.path},
            "site": {
                "name": self._around.name,
                "trace_url": self._around.trace_url,
                "navigation": ()
                if caller is None
                else self._table.navigation(caller, request.path),
            },
            "who": caller,
            "said": self._said(visit),
            "cookie_bound": visit.before if session is None else visit.cookie,
            "here": parameters,
        }

    def _said(self, visit: _Visit) -> str:
        text = read_cookie(visit.request.headers.get("cookie", ""), SAID)
        if not text or visit.session is None:
            return ""
        try:
            return str(read_cursor(self._keys, text, _of(visit)).get("said", ""))
        except RequestRefused:
            return ""

    async def _problem(
        self,
        visit: _Visit,
        refusal: PageRefusal,
        asked: ConsolePage | None = None,
        more: Mapping[str, object] | None = None,
    ) -> ApiResponse:
        """Return the page of a problem; with the form that asked for a page, if that is given."""
        document = refusal.document
        visit.report.reason = document.reason
        request = visit.request
        is_page = request.method in ("GET", "HEAD") and "live=" not in request.query
        if document.status == _UNAUTHENTICATED and is_page:
            to = f"{request.path}?{request.query}" if request.query else request.path
            cookies = (clear_cookie(SESSION),) if visit.cookie else ()
            location = f"{LOGIN}?{query_text({'to': to})}"
            return ApiResponse(_SEE_OTHER, {"Location": location}, cookies=cookies)
        if document.status != ProblemKind.NOT_FOUND.status:
            document = structs.replace(document, request_id=visit.report.request_id)
        headers = {"Content-Type": _HTML}
        if refusal.retry_after:
            headers["Retry-After"] = refusal.retry_after
        title = document.title if asked is None else asked.title
        said = {"problem": document, "retry_after": refusal.retry_after}
        values = self._values(visit, title, {**(more or {}), **said})
        content = await self._threads.run(lambda: self._problem_page(asked, values))
        return ApiResponse(document.status, headers, content)

    def _problem_page(self, asked: ConsolePage | None, values: Mapping[str, Any]) -> bytes:
        if asked is None:
            return self._rendering.page("problem.html", values)
        return self._rendering.asked_again(asked.asked_on or asked.template, values)

    async def _defect(self, visit: _Visit, defect: Exception) -> ApiResponse:
        report = visit.report
        document = self._defects.log(defect, report.request_id, report.route)
        try:
            return await self._problem(visit, PageRefusal(document))
        except Exception as another:  # noqa: BLE001  It may be the layout that has the defect
            self._defects.log(another, report.request_id, report.route)
            text = f"{document.title}: request {report.request_id}\n"
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            return ApiResponse(document.status, headers, text.encode())

    def _log(self, report: RequestReport, size: int) -> None:
        self._logger.info(
            "page.request",
            request_id=report.request_id,
            method=report.method,
            route=report.route,
            status=report.status,
            reason=report.reason or None,
            token_id=report.token_id or None,
            partner_id=report.partner_id or None,
            address=report.address,
            ms=round(report.seconds * 1_000, 1),
            bytes=size,
        )


async def _downloaded(request: ApiRequest, found: Downloaded) -> ApiResponse:
    headers = {
        "Content-Type": found.media_type,
        "Content-Disposition": f'attachment; filename="{found.name}"',
    }
    if request.method == "HEAD":
        await found.pieces.aclose()
        return ApiResponse(200, headers)
    return ApiResponse(200, headers, pieces=found.pieces)


def _is_there(page: ConsolePage, caller: Caller) -> bool:
    """Return whether a page exists for a caller: for partners, the pages of operators do not exist."""
    return caller.partner_id is None or page.scope is None or page.scope.is_of_partner


def _of(visit: _Visit) -> bytes:
    """Return the purpose for which a session's texts are encrypted: no other session can read them."""
    return f"said/{form_token(visit.cookie)}".encode()
