"""Answers requests by the route table: identifies the caller, checks the request, and runs its handler.

The order of the checks is the same for every route, so that an answer never depends on more than its caller may
know: the path, the token, the rate, the scope, the object that the path names, then the request's content.
"""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from hookstream.core.access.idempotency import (
    InProgress,
    OtherRequest,
    Repeat,
    checked_key,
    judged,
    key_hash,
    request_hash,
)
from hookstream.core.access.scopes import Caller
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.actor import acting_as
from hookstream.entry.admin.console_changes import AnsweredMeanwhile
from hookstream.entry.api.answers import RequestKey, kept_rows, repeated, response_of
from hookstream.entry.api.cursors import purpose_of, read_cursor
from hookstream.entry.api.defects import DefectLog
from hookstream.entry.api.fields import ApiInput, refused_field
from hookstream.entry.api.page_query import CursorQuery
from hookstream.entry.api.pieces import CUT_OFF, PieceSlots, SentPieces
from hookstream.entry.api.problems import (
    ProblemKind,
    RequestRefused,
    invalid,
    not_found,
    refusal_of,
)
from hookstream.entry.api.requests import (
    ApiRequest,
    ApiResponse,
    bearer,
    given,
    read_body,
    read_content,
    read_query,
    request_id,
    revision,
    segments,
)
from hookstream.entry.api.routes import ApiAnswer, Call, Route, RouteMatch, RouteTable
from hookstream.entry.api.services import ConsoleServices
from hookstream.entry.api.thread_shares import ThreadShares, shares_of
from hookstream.entry.api.threads import Threads
from hookstream.errors import HookstreamError, InputRefused
from hookstream.pipeline.ports import Logger

LARGEST_READ_AT_ONCE = 8 << 10
"""Bytes of the largest body that is read on the event loop: up to 5 ms."""
_READ_OF_PARTNERS = 2
"""How many larger bodies of partners are read at a time, one of each: it takes the processor, not only a thread."""
_LONGEST_DETAIL = 500
_SERVER_ERROR = 500
_NOT_CURRENT = 1
"""Seconds after which the tables may be current again."""
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "hookstream",
}


class RequestSpan(Protocol):
    """The span of a sampled request."""

    @property
    def trace_id(self) -> str:
        """32 hex digits."""

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """End the span; `error` names the reason of a failure."""


class RequestTracer(Protocol):
    """Makes spans of sampled requests."""

    def request(
        self, method: str, route: str, traceparent: str | None, request_id: str
    ) -> RequestSpan | None:
        """Start `<method> <route>` (SERVER), a child of the client's span or a root; None: not sampled."""


class RequestRates(Protocol):
    """Bounds the request rate of each token."""

    def take(self, caller: Caller) -> tuple[dict[str, str], int | None]:
        """Return the rate limit headers, and after how many seconds a refused request may be repeated."""


@dataclass(slots=True)
class RequestReport:
    """The facts of an answered request, for its log line and for metrics."""

    request_id: str
    method: str
    address: str
    route: str = ""
    """The template of its path; empty: there is none."""
    token_id: str = ""
    partner_id: str = ""
    status: int = 0
    reason: str = ""
    began: float = 0.0
    seconds: float = 0.0
    span: RequestSpan | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)


class Dispatcher:
    """Answers requests.

    Args:
        table: The routes.
        services: The handlers' services.
        threads: Where they run.
        rates: Bounds requests.
        logger: The log.
        monotonic: Seconds.
        new_id: Makes ids of requests.
        reported: Called with each answered request.
        pause: Waits for a number of seconds.
        tracer: Makes spans; None: there is no tracing.
    """

    def __init__(
        self,
        table: RouteTable,
        services: ConsoleServices,
        threads: Threads,
        rates: RequestRates,
        logger: Logger,
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
        reported: Callable[[RequestReport], None] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        tracer: RequestTracer | None = None,
    ) -> None:
        self._table = table
        self._services = services
        self._threads = threads
        self._rates = rates
        self._logger = logger
        self._monotonic = monotonic
        self._new_id = new_id
        self._reported = reported
        self._pause = pause
        self._tracer = tracer
        self._slots = PieceSlots()
        self._reading = ThreadShares(1, _READ_OF_PARTNERS)
        self._shares = shares_of(threads.most)
        self._defects = DefectLog(logger, "api.defect")
        self._in_progress: dict[tuple[str, str], str] = {}
        """The hashes of requests with an idempotency key that are carried out now, by token and key."""

    async def answer(
        self, request: ApiRequest, identify: Callable[[], Caller | None] | None = None
    ) -> ApiResponse:
        """Return the answer to a request. Never raises, unless it is cancelled.

        Args:
            request: The request.
            identify: Returns its caller now; None: its token identifies the caller. It is called again after
                each wait. All other checks are those of any request.
        """
        report = RequestReport(
            request_id(request, self._new_id),
            request.method,
            request.address,
            began=self._monotonic(),
        )
        try:
            response = await self._answered(request, identify, report)
        except RequestRefused as refused:
            response = self._problem(refused, report)
        except Exception as defect:  # noqa: BLE001  a defect in one handler must not end the others
            response = self._defect(defect, report)
        report.status = response.status
        headers = {**_HEADERS, **report.answer_headers, **response.headers}
        headers["X-Request-Id"] = report.request_id
        if response.pieces is None:
            self._over(report, len(response.body))
        return replace(response, headers=headers)

    def _over(self, report: RequestReport, size: int) -> None:
        report.seconds = self._monotonic() - report.began
        if report.span is not None:
            failed = report.status >= _SERVER_ERROR or report.reason == CUT_OFF
            error = (report.reason or str(report.status)) if failed else None
            report.span.end(error=error, **{"http.response.status_code": report.status})
        self._log(report, size)
        self._reported(report)

    async def _answered(
        self,
        request: ApiRequest,
        identify: Callable[[], Caller | None] | None,
        report: RequestReport,
    ) -> ApiResponse:
        found = self._matched(request, report)
        if identify is None:
            token = bearer(request)

            def identify() -> Caller | None:
                return self._services.caller(token)

        caller = self._caller(identify, report)
        self._admit(request, found, caller, report)
        try:
            response = await self._handled(request, found, caller, report, identify)
        except HookstreamError as error:
            refusal = refusal_of(error, by_operator=caller.partner_id is None)
            if refusal is None:
                raise
            if refusal.kind is ProblemKind.NOT_FOUND and caller.partner_id is not None:
                refusal = not_found()
            if refusal.kind.status >= _SERVER_ERROR:
                detail = str(error)[:_LONGEST_DETAIL]
                self._logger.warning("api.unable", request_id=report.request_id, detail=detail)
            raise refusal from None
        if inspect.iscoroutinefunction(found.route.handler):
            # The request may have waited: a token that was revoked meanwhile gets no answer.
            self._caller(identify, report)
        return response

    def _admit(
        self, request: ApiRequest, found: RouteMatch, caller: Caller, report: RequestReport
    ) -> None:
        """Begin the request's span, and refuse it if the token's rate or scope does not suffice."""
        if self._tracer is not None:
            # Only now: a client without a token must not create spans, whatever trace it claims to continue.
            report.span = self._tracer.request(
                request.method,
                report.route,
                request.headers.get("traceparent"),
                report.request_id,
            )
        report.answer_headers, wait = self._rates.take(caller)
        if wait is not None:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS, "the token's rate is used up", retry_after=wait
            )
        if not caller.may(found.route.scope):
            raise RequestRefused(
                ProblemKind.FORBIDDEN, f"this needs a token of scope {found.route.scope}"
            )

    def _matched(self, request: ApiRequest, report: RequestReport) -> RouteMatch:
        methods = self._table.methods(segments(request.path))
        if not methods:
            raise RequestRefused(
                ProblemKind.NOT_FOUND, remedy="GET /openapi.json lists every path"
            )
        found = methods.get(request.method)
        if found is None:
            report.route = next(iter(methods.values())).route.path
            report.answer_headers["Allow"] = ", ".join(sorted(methods))
            raise RequestRefused(ProblemKind.METHOD_NOT_ALLOWED)
        report.route = found.route.path
        return found

    def _caller(self, identify: Callable[[], Caller | None], report: RequestReport) -> Caller:
        if not self._services.current():
            # A revoked token could still be valid in tables that are not current.
            raise RequestRefused(ProblemKind.UNAVAILABLE, retry_after=_NOT_CURRENT)
        caller = identify()
        if caller is None:
            raise RequestRefused(
                ProblemKind.UNAUTHENTICATED,
                "the token is unknown, expired or revoked",
                field="authorization",
            )
        report.token_id, report.partner_id = caller.token_id, caller.partner_id or ""
        return caller

    async def _handled(
        self,
        request: ApiRequest,
        found: RouteMatch,
        caller: Caller,
        report: RequestReport,
        identify: Callable[[], Caller | None],
    ) -> ApiResponse:
        content = await read_content(request, found.route.largest_body)
        # What waits for long does so on the loop, and has no thread meanwhile.
        is_on_loop = inspect.iscoroutinefunction(found.route.handler)
        async with self._shares.one(None if is_on_loop else caller.partner_id) as waited:
            if waited:
                # Nothing is done for a token that was revoked meanwhile.
                caller = self._caller(identify, report)
            return await self._read_and_done(request, found, caller, content, report)

    async def _read_and_done(
        self,
        request: ApiRequest,
        found: RouteMatch,
        caller: Caller,
        content: bytes,
        report: RequestReport,
    ) -> ApiResponse:
        route = found.route
        if len(content) <= LARGEST_READ_AT_ONCE:
            body, document = read_body(request, content, route.body)
        else:
            # Parsing it takes so long that other requests would wait.
            async with self._reading.one(caller.partner_id):
                body, document = await self._threads.run(
                    lambda: read_body(request, content, route.body)
                )
        if route.body is not None and (wrong := refused_field(route.body, document, caller)):
            raise RequestRefused(ProblemKind.FORBIDDEN, "this field is for operators", field=wrong)
        query = read_query(request.query, route.query)
        if wrong := refused_field(route.query, given(query), caller):
            raise RequestRefused(
                ProblemKind.FORBIDDEN, "this parameter is for operators", field=wrong
            )
        call: Call[Any, Any] = Call(
            route=route.name,
            caller=caller,
            params=found.params,
            query=query,
            body=body,
            document=document,
            revision=revision(request) if route.takes_revision else None,
            cursor=self._cursor(route, caller, query),
            services=self._services,
            request_id=report.request_id,
        )
        key = self._key(request, route, caller, content)
        if key is None:
            return await self._carried_out(route, call, report)
        return await self._once(key, route, call, report)

    async def _carried_out(
        self, route: Route, call: Call[Any, Any], report: RequestReport
    ) -> ApiResponse:
        if route.scans and (wait := self._services.scan_wait(call.caller)) > 0:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS,
                "this partner's limit of records read per second is used up",
                remedy="wait; an operator can raise `limits.scanned_records_a_second`",
                retry_after=math.ceil(wait),
            )
        give_back = self._slots.take(call.caller) if route.is_in_pieces else None
        try:
            answer = await self._called(route, call)
        except BaseException:
            if give_back is not None:
                give_back()
            raise
        if route.act:
            subject = answer.location or "/".join(call.params.values())
            subject = subject.rpartition("/")[2] if answer.subject is None else answer.subject
            self._services.note_use(route.act, call.caller, subject)
        if answer.pieces is not None and give_back is not None:

            def closed(size: int, reason: str) -> None:
                give_back()
                report.reason = reason
                self._over(report, size)

            pieces = SentPieces(
                answer.pieces, self._threads, self._logger, call.request_id, self._pause, closed
            )
            headers = {"Content-Type": route.media_type}
            return ApiResponse(answer.status or route.status, headers, pieces=pieces)
        return await self._threads.run(lambda: response_of(route, call.caller, answer))

    def _key(
        self, request: ApiRequest, route: Route, caller: Caller, content: bytes
    ) -> RequestKey | None:
        text = request.headers.get("idempotency-key")
        if text is None or not route.is_idempotent:
            return None
        try:
            checked_key(text)
        except InputRefused as refused:
            raise invalid(str(refused), "idempotency-key") from None
        target = f"{request.path}?{request.query}"
        wanted = request_hash(request.method, target, request.headers.get("if-match"), content)
        return RequestKey(caller.token_id, key_hash(text), wanted)

    async def _once(
        self, key: RequestKey, route: Route, call: Call[Any, Any], report: RequestReport
    ) -> ApiResponse:
        """Carry a request out, or answer it like the first request with its key."""
        place, now = (key.token_id, key.key), self._services.now()
        kept = self._services.kept_answer(key.token_id, key.key)
        match judged(kept, key.request, now, in_progress=self._in_progress.get(place)):
            case Repeat(answer):
                return repeated(answer)
            case OtherRequest():
                raise RequestRefused(ProblemKind.KEY_REUSED, field="idempotency-key")
            case InProgress():
                raise RequestRefused(
                    ProblemKind.CONFLICT,
                    "the first request with this idempotency key is still in progress",
                    field="idempotency-key",
                    retry_after=_NOT_CURRENT,
                )
            case _:
                pass
        console = self._services.settings.topics_names.console
        self._in_progress[place] = key.request

        def check() -> None:
            if self._services.kept_answer(key.token_id, key.key) is not None:
                raise AnsweredMeanwhile(
                    "a request with this idempotency key was answered meanwhile"
                )

        keyed = replace(
            call,
            keep=lambda answer: kept_rows(console, key, route, call, answer),
            key=key_hash(f"{key.token_id}/{key.key}"),
            check_key=check,
        )
        try:
            return await self._carried_out(route, keyed, report)
        except InputRefused:
            # Another console may have carried it out meanwhile: the refusal is then about that result.
            await self._threads.run(self._services.caught_up)
            kept = self._services.kept_answer(key.token_id, key.key)
            if kept is None or kept.request != key.request:
                raise
            return repeated(kept)
        finally:
            del self._in_progress[place]

    async def _called(self, route: Route, call: Call[Any, Any]) -> ApiAnswer:
        if route.work is None:
            return await self._handler_run(route, call)
        with self._services.one(route.work, call.caller):
            return await self._handler_run(route, call)

    async def _handler_run(self, route: Route, call: Call[Any, Any]) -> ApiAnswer:
        handler: Any = route.handler
        if inspect.iscoroutinefunction(handler):
            waited: Awaitable[ApiAnswer] = handler(call)
            return await waited

        def acting() -> ApiAnswer:
            with acting_as(call.name):
                done: ApiAnswer = handler(call)
                return done

        return await self._threads.run(acting)

    def _cursor(self, route: Route, caller: Caller, query: ApiInput) -> JsonObject | None:
        if not isinstance(query, CursorQuery) or query.cursor is None:
            return None
        text = query.cursor
        return read_cursor(self._services.keys, text, purpose_of(route.name, caller, query))

    def _problem(self, refused: RequestRefused, report: RequestReport) -> ApiResponse:
        report.reason = refused.kind.reason
        headers = {"Content-Type": "application/problem+json"}
        if refused.retry_after is not None:
            headers["Retry-After"] = str(refused.retry_after)
        if refused.kind is ProblemKind.UNAUTHENTICATED:
            headers["WWW-Authenticate"] = "Bearer"
        document = refused.document()
        if refused.kind is not ProblemKind.NOT_FOUND:
            # A 404 is the same to the byte for absent objects and another partner's: only the header has the id.
            document = msgspec.structs.replace(document, request_id=report.request_id)
        return ApiResponse(refused.kind.status, headers, msgspec.json.encode(document))

    def _defect(self, defect: Exception, report: RequestReport) -> ApiResponse:
        document = self._defects.log(defect, report.request_id, report.route)
        report.reason = document.reason
        headers = {"Content-Type": "application/problem+json"}
        return ApiResponse(document.status, headers, msgspec.json.encode(document))

    def _log(self, report: RequestReport, size: int) -> None:
        self._logger.info(
            "api.request",
            request_id=report.request_id,
            trace_id=None if report.span is None else report.span.trace_id,
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
