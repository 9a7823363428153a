"""The client of a console's API: typed requests and answers, with problems as errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from hookstream.adapters.http.api_connection import ApiLines, ApiReply
from hookstream.adapters.system import new_id
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.api.fields import ApiInput
from hookstream.entry.api.page_query import MOST_IN_PAGE
from hookstream.entry.api.problems import ProblemDocument, ProblemKind
from hookstream.entry.backend.api.answers import read_answer
from hookstream.errors import (
    AccessRefused,
    ConfigurationError,
    Conflict,
    Contended,
    DependencyUnavailable,
    HookstreamError,
    InputRefused,
)

T = TypeVar("T", bound=msgspec.Struct)

PATIENCE: Final = 60.0
"""Seconds for which a request is repeated if the API asks for that."""
_LONGEST_PAUSE: Final = 30.0
_USUAL_PAUSE: Final = 2.0
_OK: Final = range(200, 300)
_LATER: Final = (429, 503)
_LONGEST_SHOWN: Final = 2_000
_ANY: Final = "*"
"""`If-Match` of a change of any revision."""
NO_REVISION: Final = ""


class ListPage(Protocol):
    """One page of a list."""

    @property
    def items(self) -> tuple[Any, ...]:
        """The entries of the page."""

    @property
    def next(self) -> str | None:
        """The cursor of the next page; None: this is the last page."""


P = TypeVar("P", bound=ListPage)


class ApiSender(Protocol):
    """The connection to an API."""

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        """Send a request, and return its answer.

        Raises:
            DependencyUnavailable: The API does not answer.
        """

    def in_lines(self, target: str) -> AbstractContextManager[ApiLines]:
        """Send a GET, and yield its answer while it is read; raises as `send`."""


@dataclass(slots=True)
class ApiClient:
    """Sends requests to an API.

    A request that the API asks to repeat (429, 503 with `Retry-After`) is repeated for `PATIENCE`, unless
    that might do it twice.
    """

    connection: ApiSender
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    new_key: Callable[[], str] = new_id
    """Makes idempotency keys: one for each request, the same for all its repetitions."""
    date: Millis | None = field(default=None, init=False)
    """The time of the last answer, by the API's clock, to the second; None: it had no time."""

    def get(self, path: str, answer: type[T], query: ApiInput | None = None) -> T:
        """Return the answer of a GET.

        Args:
            path: The path, as `path` makes it.
            answer: The type of the answer.
            query: The parameters.

        Raises:
            InputRefused: The API refuses it; the text has the field, the reason and the remedy.
            ConfigurationError: The API reports that its installation must be changed.
            DependencyUnavailable: The API does not answer, or answers something unexpected.
        """
        return read_answer(self._asked("GET", path + _query(query), {}, None).body, answer)

    def pages(
        self, path: str, page: type[P], query: type[ApiInput], **given: object
    ) -> Iterator[P]:
        """Yield the pages of a list, one request for each.

        Args:
            path: The path.
            page: The type of a page.
            query: The type of the parameters.
            given: Those that are given, without `limit` and `cursor`.

        Raises:
            As `get`.
        """
        most = given.pop("limit", MOST_IN_PAGE)
        cursor: str | None = None
        while True:
            asked = msgspec.convert(
                {**_without_none(given), "limit": most, "cursor": cursor},
                query,
                from_attributes=True,
            )
            reply = self._asked("GET", path + _query(asked), {}, None)
            found = read_answer(reply.body, page)
            yield found
            cursor = found.next
            if cursor is None:
                return

    def lines(self, path: str, query: ApiInput) -> Iterator[bytes]:
        """Yield the lines of an answer in JSON Lines as they come.

        Raises:
            As `get`; DependencyUnavailable also if the answer is cut off.
        """
        target, began = path + _query(query), self.monotonic()
        while True:
            with self.connection.in_lines(target) as answer:
                if answer.reply.status in _OK:
                    yield from answer.lines
                    return
            self._wait(answer.reply, began)

    def change(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: ApiInput | JsonObject | None = None,
        *,
        query: ApiInput | None = None,
        revision: int | str | None = NO_REVISION,
        repeatable: bool = True,
    ) -> T:
        """Return the answer of a request that changes something.

        Args:
            method: `POST`, `PATCH` or `DELETE`.
            path: The path.
            answer: The type of the answer.
            body: The body; None: the route takes none.
            query: The parameters.
            revision: The expected revision, as `If-Match`; None: any; omitted: the route takes none.
            repeatable: Whether it may be repeated after a 503, which may follow a completed change.

        Raises:
            As `get`; Conflict: It is at another revision; Contended: other writers took over each time.
        """
        target = path + _query(query)
        reply = self._changed(method, target, body, revision, repeatable=repeatable)
        return read_answer(reply.body, answer)

    def delete(self, path: str, revision: int | None) -> None:
        """Delete something; the API's answer is empty.

        Raises:
            As `change`.
        """
        self._changed("DELETE", path, None, revision, repeatable=False)

    def _changed(
        self,
        method: str,
        path: str,
        body: ApiInput | JsonObject | None,
        revision: int | str | None,
        *,
        repeatable: bool,
    ) -> ApiReply:
        headers = {"Idempotency-Key": self.new_key()}
        if revision != NO_REVISION:
            headers["If-Match"] = _ANY if revision is None else f'"{revision}"'
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            # Numbers of definitions are exact.
            content = encoded(_document(body))
        return self._asked(method, path, headers, content, repeatable=repeatable)

    def _asked(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        repeatable: bool = True,
    ) -> ApiReply:
        began = self.monotonic()
        while True:
            reply = self.connection.send(method, target, headers, content)
            self.date = _date(reply)
            if reply.status in _OK:
                return reply
            self._wait(reply, began, repeatable=repeatable)

    def _wait(self, reply: ApiReply, began: float, *, repeatable: bool = True) -> None:
        """Wait before a request is repeated, or raise the error of its answer."""
        pause = _pause(reply)
        again = reply.status == _LATER[0] or repeatable
        if pause is None or not again or self.monotonic() + pause - began > PATIENCE:
            raise error_of(reply)
        self.sleep(pause)


def path(template: str, **names: str) -> str:
    """Return a path that contains names, each percent-encoded."""
    return template.format(**{each: quote(name, safe="") for each, name in names.items()})


def error_of(reply: ApiReply) -> HookstreamError:
    """Return the error of an unsuccessful answer."""
    try:
        problem = msgspec.json.decode(reply.body, type=ProblemDocument)
    except msgspec.DecodeError:
        return DependencyUnavailable(f"the API answered {reply.status}, and no problem document")
    text = problem_text(problem)
    match problem.reason:
        case ProblemKind.UNAUTHENTICATED.reason | ProblemKind.FORBIDDEN.reason:
            return AccessRefused(text)
        case ProblemKind.CONFLICT.reason if "retry-after" in reply.headers:
            return Contended(text)
        case ProblemKind.CONFLICT.reason | ProblemKind.OWNED_BY_FILES.reason:
            return Conflict(text)
        case ProblemKind.MISCONFIGURED.reason:
            return ConfigurationError(text)
        case _ if reply.status in _LATER or reply.status >= 500:  # noqa: PLR2004  errors of servers
            return DependencyUnavailable(text)
        case _:
            return InputRefused(text)


def problem_text(problem: ProblemDocument) -> str:
    """Return a problem as text: the field, the reason, every further problem, and the remedy."""
    said = problem.detail or problem.title
    if problem.problems:
        said = "; ".join(_at(each.field, each.detail) for each in problem.problems)
    else:
        said = _at(problem.field, said)
    if problem.remedy:
        said = f"{said}: {problem.remedy}"
    if problem.request_id and problem.status >= 500:  # noqa: PLR2004  errors of servers
        said = f"{said} (the console's log has it as request {problem.request_id})"
    return said[:_LONGEST_SHOWN]


def _at(where: str, said: str) -> str:
    return f"{where}: {said}" if where else said


def _pause(reply: ApiReply) -> float | None:
    """Return how long to wait before the request may be repeated; None: it may not be repeated."""
    after = reply.headers.get("retry-after")
    if reply.status not in _LATER or after is None:
        return None
    return min(float(after), _LONGEST_PAUSE) if after.isdigit() else _USUAL_PAUSE


def _date(reply: ApiReply) -> Millis | None:
    try:
        return int(parsedate_to_datetime(reply.headers["date"]).timestamp()) * 1_000
    except (KeyError, ValueError, TypeError):
        return None


def _query(query: ApiInput | None) -> str:
    if query is None:
        return ""
    pairs = [
        (name, str(each).lower() if isinstance(each, bool) else str(each))
        for name, value in _document(query).items()
        for each in (value if isinstance(value, list | tuple) else [value])
    ]
    return f"?{urlencode(pairs)}" if pairs else ""


def _document(given: ApiInput | JsonObject) -> JsonObject:
    """Return the fields to send: of a route's own type, those that differ from their defaults."""
    return given if isinstance(given, dict) else _given(given)


def _given(struct: msgspec.Struct) -> JsonObject:
    found: JsonObject = {}
    for each in msgspec.structs.fields(struct):
        value = getattr(struct, each.name)
        # Fields of operators are refused to partners, whatever their value.
        if each.required or value != each.default:
            nested = isinstance(value, msgspec.Struct)
            found[each.encode_name] = _given(value) if nested else msgspec.to_builtins(value)
    return found


def _without_none(given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}
