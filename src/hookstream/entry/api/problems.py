"""Maps errors to problem documents (RFC 9457); each family of errors has one status."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from hookstream.core.access.limits import LimitProblem, LimitReason
from hookstream.entry.admin.ownership import OwnedByFiles
from hookstream.entry.admin.subscription_writing import DefinitionRefused, LimitExceeded
from hookstream.errors import (
    AccessRefused,
    ConfigurationError,
    Conflict,
    Contended,
    DependencyUnavailable,
    HookstreamError,
    InputRefused,
)

_URN = "urn:hookstream:problem:"
_LONGEST_DETAIL = 2_000


class _Kind(NamedTuple):
    status: int
    title: str


class ProblemKind(Enum):
    """The kinds of problems; a kind's name in lower case is the `reason` that clients branch on."""

    MALFORMED = _Kind(400, "The request cannot be read")
    INVALID_CURSOR = _Kind(400, "The cursor is not one of this list")
    UNAUTHENTICATED = _Kind(401, "A token is required")
    FORBIDDEN = _Kind(403, "The token does not allow this")
    NOT_FOUND = _Kind(404, "Not found")
    METHOD_NOT_ALLOWED = _Kind(405, "The path does not support this method")
    TIMEOUT = _Kind(408, "The request did not arrive in time")
    CONFLICT = _Kind(409, "It has changed, or is being changed")
    OWNED_BY_FILES = _Kind(409, "Definition files own it")
    GONE = _Kind(410, "It is gone permanently")
    TOO_LARGE = _Kind(413, "The body is too large")
    URI_TOO_LONG = _Kind(414, "The address is too long")
    UNSUPPORTED_MEDIA_TYPE = _Kind(415, "The body's media type is not supported")
    LIMIT_EXCEEDED = _Kind(422, "The partner's limits do not allow it")
    INVALID = _Kind(422, "The request cannot be carried out")
    KEY_REUSED = _Kind(422, "The idempotency key belongs to another request")
    REVISION_REQUIRED = _Kind(428, "A revision is required")
    TOO_MANY_REQUESTS = _Kind(429, "Too many requests")
    INTERNAL = _Kind(500, "An internal error of hookstream")
    MISCONFIGURED = _Kind(503, "The installation must be changed by its operator")
    UNAVAILABLE = _Kind(503, "A dependency is unavailable")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value.status

    @property
    def reason(self) -> str:
        """The word that clients branch on."""
        return self.name.lower()


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A problem document (RFC 9457)."""

    type: str
    """`urn:hookstream:problem:` and the reason."""
    title: str
    """The kind of problem in words, always the same ones."""
    status: int
    """The HTTP status."""
    reason: str
    """The kind of problem as one word."""
    detail: str = ""
    """What is wrong with this request."""
    field: str = ""
    """The path of the field of the body, the parameter or the header that it is about."""
    remedy: str = ""
    """What to do."""
    problems: tuple["FieldProblem", ...] = ()
    """Every problem of the body, if there are several."""
    request_id: str = ""
    """The request, as the log and operators' audit log name it; empty in a 404, whose header has it."""


class FieldProblem(msgspec.Struct, frozen=True):
    """One problem of a body."""

    field: str
    detail: str


class RequestRefused(InputRefused):
    """Raised for a request that is answered with a problem.

    Args:
        kind: Its kind.
        detail: What is wrong.
        field: The field, parameter or header that it is about.
        remedy: What to do.
        retry_after: Seconds after which it may be retried; None: a retry alone does not help.
        problems: Every problem of the body, if there are several.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str = "",
        *,
        field: str = "",
        remedy: str = "",
        retry_after: int | None = None,
        problems: tuple[FieldProblem, ...] = (),
    ) -> None:
        super().__init__(detail or kind.value.title)
        self.kind = kind
        self.detail = detail
        self.field = field
        self.remedy = remedy
        self.retry_after = retry_after
        self.problems = problems

    def document(self) -> ProblemDocument:
        """Return the document of the answer."""
        return ProblemDocument(
            type=_URN + self.kind.reason.replace("_", "-"),
            title=self.kind.value.title,
            status=self.kind.status,
            reason=self.kind.reason,
            detail=_sendable(self.detail),
            field=_sendable(self.field),
            remedy=self.remedy,
            problems=tuple(
                FieldProblem(_sendable(each.field), _sendable(each.detail))
                for each in self.problems
            ),
        )


def _sendable(text: str) -> str:
    """Return a text that JSON can have: cut, and lone surrogates of records or names written out."""
    return text[:_LONGEST_DETAIL].encode("utf-8", "backslashreplace").decode()


_REPLAYED_AGAIN = 3_600
"""Seconds after which part of a partner's events per day is available again."""
_RETRY_AFTER = 5
"""Seconds after which a dependency may be back."""
_CONTENDED = 1
"""Seconds after which other writers may be done."""


def not_found() -> RequestRefused:
    """Return the answer to a partner for an absent object and for another partner's: always the same bytes."""
    return RequestRefused(ProblemKind.NOT_FOUND)


def invalid(detail: str, field: str = "", remedy: str = "") -> RequestRefused:
    """Return the refusal of a readable request that cannot be carried out."""
    return RequestRefused(ProblemKind.INVALID, detail, field=field, remedy=remedy)


def refusal_of(error: HookstreamError, *, by_operator: bool) -> RequestRefused | None:
    """Return the answer to an error that was expected; None: it is a defect.

    Args:
        error: The error of a service.
        by_operator: Whether the caller is an operator: only operators see details of the installation.
    """
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, InputRefused):
        return _of_input(error, by_operator=by_operator)
    detail = str(error) if by_operator else ""
    if isinstance(error, ConfigurationError):
        return RequestRefused(ProblemKind.MISCONFIGURED, detail)
    if isinstance(error, DependencyUnavailable):
        return RequestRefused(ProblemKind.UNAVAILABLE, detail, retry_after=_RETRY_AFTER)
    return None


def _of_input(error: InputRefused, *, by_operator: bool) -> RequestRefused:
    match error:
        case DefinitionRefused(problems=problems):
            return _of_definition([FieldProblem(each.path, each.why) for each in problems])
        case LimitExceeded(problems=problems):
            return _of_limits(problems)
        case AccessRefused():
            return RequestRefused(ProblemKind.FORBIDDEN, str(error))
        case OwnedByFiles(subject=subject) if not by_operator:
            # Only operators see whose files they are, and where.
            return RequestRefused(
                ProblemKind.OWNED_BY_FILES,
                f"{subject} belongs to definition files of operators",
                remedy="ask an operator to change it there, or to release it",
            )
        case OwnedByFiles():
            return RequestRefused(
                ProblemKind.OWNED_BY_FILES,
                str(error),
                remedy="change the file, or let an operator release the subscription",
            )
        case Contended():
            # Nothing was written, and the request itself is valid.
            return RequestRefused(ProblemKind.CONFLICT, str(error), retry_after=_CONTENDED)
        case Conflict():
            return RequestRefused(ProblemKind.CONFLICT, str(error), remedy="read it again")
        case _:
            return RequestRefused(ProblemKind.INVALID, str(error))


_MOST_PROBLEMS = 50


def _of_definition(problems: list[FieldProblem]) -> RequestRefused:
    first = problems[0]
    several = tuple(problems[:_MOST_PROBLEMS]) if len(problems) > 1 else ()
    return RequestRefused(ProblemKind.INVALID, first.detail, field=first.field, problems=several)


def _of_limits(problems: Sequence[LimitProblem]) -> RequestRefused:
    first = problems[0]
    if first.reason is LimitReason.REPLAYED_EVENTS:
        return RequestRefused(
            ProblemKind.TOO_MANY_REQUESTS,
            f"{first.text} ({first.reason})",
            field=first.field,
            remedy="wait, ask for fewer with `most_events`, or let an operator raise the limit",
            retry_after=_REPLAYED_AGAIN,
        )
    several = tuple(FieldProblem(each.field, each.text) for each in problems)
    return RequestRefused(
        ProblemKind.LIMIT_EXCEEDED,
        f"{first.text} ({first.reason})",
        field=first.field,
        remedy="an operator can raise the limit",
        problems=several if len(several) > 1 else (),
    )
