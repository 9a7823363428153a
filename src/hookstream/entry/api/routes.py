"""The rows of the route table: the input, scope, answer and handler of each route.

The table is the single source of dispatch, validation, authorisation, errors and OpenAPI. A handler is a plain
function of a `Call`: it may block, since it runs on a thread of its own. A handler that waits for long, such as a
long poll, is a coroutine function.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.turns import Turn
from hookstream.entry.api.fields import ApiInput
from hookstream.entry.api.paths import PathTable
from hookstream.entry.api.problems import ProblemKind
from hookstream.entry.api.requests import LARGEST_BODY
from hookstream.entry.api.services import ConsoleServices, HeavyWork

T = TypeVar("T")
Q = TypeVar("Q", bound=ApiInput)
B = TypeVar("B")


class NoQuery(ApiInput, frozen=True):
    """No parameters."""


@dataclass(slots=True, frozen=True)
class Call(Generic[Q, B]):
    """One request to a route, after the checks of the route's row."""

    route: str
    """The name of the route."""
    caller: Caller
    params: Mapping[str, str]
    """The parts of the path that the template names, decoded."""
    query: Q
    body: B
    """A value of the route's body type; None: the route takes none."""
    document: JsonObject
    """The body as JSON, each number exact: for definitions, patterns and templates."""
    revision: int | None
    """The revision of `If-Match`; None: any."""
    cursor: JsonObject | None
    """The position at which the list continues, from the previous answer; None: at its beginning."""
    services: ConsoleServices
    request_id: str
    keep: Callable[["ApiAnswer"], Sequence[TableChange]] = lambda _: ()
    """Returns the rows that keep an answer for the request's idempotency key: they commit with its changes."""
    key: str | None = None
    """The hash of the idempotency key; None: it has none."""
    check_key: Callable[[], None] = lambda: None
    """Raises AnsweredMeanwhile if the key has an answer in this console's tables."""

    def change(
        self,
        act: Callable[[ChangeWriter], T],
        answer: Callable[[T, ChangeWriter], "ApiAnswer"],
    ) -> "ApiAnswer":
        """Change the tables, and return the answer, which is kept with the change.

        Args:
            act: Checks and stages the change; it may be called several times.
            answer: Returns the answer to what the act returned.
        """
        answers: list[ApiAnswer] = []

        def also(result: T, writer: ChangeWriter) -> Sequence[TableChange]:
            answers.append(answer(result, writer))
            return self.keep(answers[-1])

        self.services.change(act, also)
        return answers[-1]

    def turn(self, check: Callable[[], None] | None = None) -> Turn | None:
        """Return the turn in which the request writes outside of the tables; None: it needs none.

        A partner's requests take turns across all consoles: those with an idempotency key, and those with
        another check.

        Args:
            check: Raises if what all consoles wrote up to now does not allow the request.
        """
        if self.key is None and (check is None or self.by_operator):
            return None

        def checked() -> None:
            self.services.caught_up()
            self.check_key()
            if check is not None:
                check()

        def has_job(job_id: str) -> bool:
            self.services.caught_up()
            return self.services.job(job_id) is not None

        partner_id = self.caller.partner_id
        name = f"key.{self.key}" if partner_id is None else f"partner.{partner_id}"
        return Turn(name, checked, has_job)

    def records(self, answer: "ApiAnswer") -> Sequence[OutgoingRecord]:
        """Return the rows of `keep` as records, for writes that the tables' writer does not make."""
        return [
            OutgoingRecord(change.topic, change.key.encode(), change.value)
            for change in self.keep(answer)
        ]

    @property
    def by_operator(self) -> bool:
        """Whether the caller is an operator."""
        return self.caller.partner_id is None

    @property
    def name(self) -> str:
        """The caller and the request, for rows and events: the token's id, never the token."""
        return f"{self.caller.called}, request {self.request_id}"


class BodyPiece(NamedTuple):
    """A piece of a body that is too large to be created at once."""

    content: bytes
    pause: float = 0.0
    """Seconds to wait before the next piece is made."""


@dataclass(slots=True, frozen=True)
class ApiAnswer:
    """The answer of a handler."""

    body: msgspec.Struct | None = None
    """None: no content, or `pieces`."""
    pieces: Iterator[BodyPiece] | None = None
    """A body in pieces; each is made on a request's thread once the previous one is sent. Closed at the end."""
    subject: str | None = None
    """The subject for operators' audit log; None: the created object, or the one that the path names."""
    status: int | None = None
    """None: that of the route."""
    revision: int | None = None
    """The revision of the object that was read or written, for the `ETag`; None: it has none."""
    location: str = ""
    """The path of the created object."""
    retry_after: int | None = None
    """Seconds after which another request may return more."""
    kept: msgspec.Struct | None = None
    """The body without the secrets that are shown once, as it is kept for an idempotency key; None: it has
    none."""

    def without_secrets(self) -> "ApiAnswer":
        """Return the answer as it may be kept."""
        return self if self.kept is None else replace(self, body=self.kept, kept=None)


Handler: TypeAlias = Callable[[Call[Any, Any]], ApiAnswer | Awaitable[ApiAnswer]]


@dataclass(slots=True, frozen=True)
class Route:
    """One row of the route table."""

    method: str
    path: str
    """The template: `/v1/subscriptions/{subscription_id}`."""
    scope: Scope
    """The required scope."""
    summary: str
    """One sentence, for OpenAPI."""
    handler: Handler
    answer: type[msgspec.Struct] | None
    """The type of the answer's body; None: no content."""
    query: type[ApiInput] = NoQuery
    body: type[msgspec.Struct] | None = None
    largest_body: int = LARGEST_BODY
    """Bytes of a request's body."""
    status: int = 200
    takes_revision: bool = False
    """Whether `If-Match` is required."""
    is_idempotent: bool = False
    """Whether `Idempotency-Key` is taken: by every route that changes something."""
    needs_no_key: str = ""
    """Why a route whose method is not `GET` takes no `Idempotency-Key`."""
    refusals: tuple[ProblemKind, ...] = ()
    """Its own kinds of problems, in addition to those of every route."""
    tag: str = ""
    """The resource, for OpenAPI."""
    act: str = ""
    """The act that operators' audit log records for each use, such as `payload.read`; empty: none."""
    media_type: str = "application/json"
    is_in_pieces: bool = False
    """Whether its body is sent in pieces, whose lines are each of the answer's type."""
    scans: bool = False
    """Whether it reads records of the log for its caller: partners have a rate limit for them."""
    work: HeavyWork | None = None
    """The work of which few requests run at a time, one of each partner; None: it is not limited."""

    @property
    def name(self) -> str:
        """The name in logs, metrics and OpenAPI: the handler's."""
        return str(getattr(self.handler, "__name__", self.path)).rstrip("_")

    @property
    def parameters(self) -> list[str]:
        """The names of the parts of the path."""
        return [each[1:-1] for each in self.path.split("/") if each.startswith("{")]


@dataclass(slots=True, frozen=True)
class RouteMatch:
    """A route that was found for a path."""

    route: Route
    params: Mapping[str, str]


@dataclass(slots=True)
class RouteTable:
    """All routes, found by method and path.

    Raises:
        ValueError: Two routes have the same method and path, or one that may change something neither takes
            an `Idempotency-Key` nor says why it needs none.
    """

    routes: tuple[Route, ...]
    _paths: PathTable[Route] = field(default_factory=PathTable)

    def __post_init__(self) -> None:
        """File each route by its path."""
        for route in self.routes:
            self._paths.put(route.method, route.path, route)
            is_safe = route.method == "GET" or bool(route.needs_no_key)
            if is_safe == route.is_idempotent:
                raise ValueError(f"{route.method} {route.path}: an Idempotency-Key, or why not")

    def methods(self, segments: tuple[str, ...]) -> Mapping[str, RouteMatch]:
        """Return the routes of a path by their methods; none: there is no such path.

        A literal segment precedes a parameter.

        Args:
            segments: The decoded parts of the path.
        """
        return {
            method: RouteMatch(match.found, match.params)
            for method, match in self._paths.methods(segments).items()
        }
