"""Calls the API within the process as a session's caller, the only source of data for pages.

Scope, field masks, ownership, rate, idempotency and audit apply as to any request.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from hookstream.core.access.scopes import Caller
from hookstream.entry.api.problems import ProblemDocument
from hookstream.entry.api.requests import ApiRequest, ApiResponse, BodyPieces
from hookstream.errors import InputRefused, InvariantBroken

Query: TypeAlias = str | int | bool | tuple[str, ...] | None
"""The value of a parameter; None or empty: it is left out."""
_FIRST_REFUSAL = 400
_NOT_FOUND = 404


class DispatchesApi(Protocol):
    """The API's dispatcher."""

    async def answer(
        self, request: ApiRequest, identify: Callable[[], Caller | None] | None = None
    ) -> ApiResponse:
        """Return the answer to a request of the caller that `identify` returns."""


class PageProblem(InputRefused):
    """Raised if the API refuses a page's request; the page then shows the problem.

    Args:
        document: The answer.
        retry_after: Seconds after which a retry may succeed; empty: the API gives none.
    """

    def __init__(self, document: ProblemDocument, retry_after: str = "") -> None:
        super().__init__(document.detail or document.title)
        self.document = document
        self.retry_after = retry_after


class Answer(NamedTuple):
    """An answer of the API."""

    status: int
    body: Any
    """The JSON; None: there is no content."""
    revision: str
    """Its `ETag`, for `If-Match`; empty: it has none."""
    location: str


def at(template: str, *names: str) -> str:
    """Return a path: each `{}` of a template becomes one segment, whatever characters its name has."""
    return template.format(*(quote(name, safe="") for name in names))


def query_text(parameters: Mapping[str, Query]) -> str:
    """Return the text of a query, without parameters that are None or empty."""
    found = {
        name: ("true" if value else "false") if isinstance(value, bool) else value
        for name, value in parameters.items()
        if value not in (None, "", ())
    }
    return urlencode(found, doseq=True, quote_via=quote)


@dataclass(slots=True, frozen=True)
class PageApi:
    """The API, as a page calls it."""

    dispatcher: DispatchesApi
    identify: Callable[[], Caller | None]
    """Returns the session's caller, as of now."""
    request_id: str
    address: str

    async def get(self, path: str, **query: Query) -> Any:  # noqa: ANN401  JSON
        """Return the body of a GET.

        Raises:
            PageProblem: The API refuses it.
        """
        return (await self.asked(path, **query)).body

    async def asked(self, path: str, **query: Query) -> Answer:
        """Return the whole answer to a GET.

        Raises:
            PageProblem: The API refuses it.
        """
        return await self._send("GET", path, query_text(query), b"", {})

    async def find(self, path: str, **query: Query) -> Any | None:  # noqa: ANN401  JSON
        """Return the body of a GET; None: the object does not exist.

        Raises:
            PageProblem: The API refuses it for another reason.
        """
        try:
            return await self.get(path, **query)
        except PageProblem as problem:
            if problem.document.status != _NOT_FOUND:
                raise
            return None

    async def each(self, *asked: tuple[str, Mapping[str, Query]]) -> list[Any]:
        """Return the bodies of several GETs that are answered at once, in their order.

        Args:
            asked: The path and the parameters of each.

        Raises:
            PageProblem: The API refuses one of them: the first that is refused.
        """

        async def one(path: str, query: Mapping[str, Query]) -> Any:  # noqa: ANN401  JSON
            try:
                return await self.get(path, **query)
            except PageProblem as problem:
                return problem

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(path, query)) for path, query in asked]
        found = [task.result() for task in tasks]
        for each in found:
            if isinstance(each, PageProblem):
                raise each
        return found

    async def act(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        key: str = "",
        revision: str = "",
        merges: bool = False,
    ) -> Answer:
        """Return the answer to a request that changes something.

        Args:
            method: Its method.
            path: Its path.
            body: Its body; None: it has none.
            key: Its idempotency key; empty: the route takes none.
            revision: The `ETag` of the changed object when the form was made; empty: the route takes none.
            merges: Whether the body is a merge patch (RFC 7396).

        Raises:
            PageProblem: The API refuses it.
        """
        headers = {"if-match": revision, "idempotency-key": key}
        content = b"" if body is None else msgspec.json.encode(body)
        if body is not None:
            kind = "application/merge-patch+json" if merges else "application/json"
            headers["content-type"] = kind
        given = {name: value for name, value in headers.items() if value}
        return await self._send(method, path, "", content, given)

    async def pieces(self, path: str, **query: Query) -> tuple[BodyPieces, str]:
        """Return the body of a GET in pieces, to be closed, and its media type.

        Raises:
            PageProblem: The API refuses it.
        """
        response = await self._answered("GET", path, query_text(query), b"", {})
        if response.pieces is None:
            raise InvariantBroken(f"a page sends {path} on, whose answer is not in pieces")
        return response.pieces, response.headers["Content-Type"]

    async def _send(
        self, method: str, path: str, query: str, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        response = await self._answered(method, path, query, content, headers)
        if response.pieces is not None:
            await response.pieces.aclose()
            raise InvariantBroken(f"a page asked for {path}, whose answer comes in pieces")
        return Answer(
            response.status,
            msgspec.json.decode(response.body) if response.body else None,
            response.headers.get("ETag", ""),
            response.headers.get("Location", ""),
        )

    async def _answered(
        self, method: str, path: str, query: str, content: bytes, headers: Mapping[str, str]
    ) -> ApiResponse:
        async def read(most: int) -> bytes:
            return content[: most + 1]

        headers = {**headers, "x-request-id": self.request_id}
        response = await self.dispatcher.answer(
            ApiRequest(method, path, query, headers, read, self.address), self.identify
        )
        if response.status >= _FIRST_REFUSAL:
            document = msgspec.json.decode(response.body, type=ProblemDocument)
            raise PageProblem(document, response.headers.get("Retry-After", ""))
        return response
