"""Requests and answers as plain values, and the bounded parsing of requests."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from hookstream.adapters.exact_json import parse_exact
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.planning.request_secrets import OF_FILES_ONLY
from hookstream.entry.api.exact import plain
from hookstream.entry.api.fields import ApiInput
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.errors import InputRefused

LARGEST_BODY = 1 << 20
"""The most bytes of a request's body, unless its route has another bound."""
LONGEST_PATH = 2_048
LONGEST_QUERY = 8_192
"""Characters, as they are sent."""
_MOST_PARAMETERS = 100

BodyReader: TypeAlias = Callable[[int], Awaitable[bytes]]
"""Returns the body, or its first bytes, one more than the number given."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REVISION = re.compile(r'(?:W/)?"(0|[1-9][0-9]{0,15})"')
_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,200})", re.IGNORECASE)
_AT = re.compile(r"^(?P<why>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_LONGEST_NAME = 100


@dataclass(slots=True, frozen=True)
class ApiRequest:
    """One request as it was sent."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: str
    headers: Mapping[str, str]
    """By lower-case name."""
    read: BodyReader
    address: str = ""
    """The client's."""


@dataclass(slots=True, frozen=True)
class ApiResponse:
    """One answer as it is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: "BodyPieces | None" = None
    """The body in pieces, instead of `body`."""
    cookies: tuple[str, ...] = ()
    """A `Set-Cookie` header each."""


class CutOff(Exception):
    """Raised if an answer in pieces cannot be finished: it must not look complete. The reason is logged."""


class BodyPieces(Protocol):
    """A body in pieces. The sender closes it, also if it sent nothing of it."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself."""

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            CutOff: It cannot be made.
        """

    async def aclose(self) -> None:
        """Close the source of the pieces."""


def request_id(request: ApiRequest, make: Callable[[], str]) -> str:
    """Return the id that the client gave the request, if it is a plain one, or else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else make()


def bearer(request: ApiRequest) -> str:
    """Return the token of a request.

    Raises:
        RequestRefused: It has none.
    """
    found = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise RequestRefused(
            ProblemKind.UNAUTHENTICATED,
            "the request has no token",
            field="authorization",
            remedy="send `Authorization: Bearer hs_…`",
        )
    return found[1]


def segments(path: str) -> tuple[str, ...]:
    """Return the decoded parts of a path.

    Raises:
        RequestRefused: It is too long, or not UTF-8.
    """
    if len(path) > LONGEST_PATH:
        raise RequestRefused(
            ProblemKind.URI_TOO_LONG, f"the path has more than {LONGEST_PATH} characters"
        )
    try:
        parts = [unquote_to_bytes(part).decode() for part in path.removeprefix("/").split("/")]
    except UnicodeDecodeError:
        raise RequestRefused(ProblemKind.MALFORMED, "the path is not UTF-8") from None
    return tuple(parts)


def revision(request: ApiRequest) -> int | None:
    """Return the revision that a change applies to; None: any.

    Raises:
        RequestRefused: The request does not name one.
    """
    given = request.headers.get("if-match")
    remedy = "send `If-Match` with the ETag that you read, or `*` for any revision"
    if given is None:
        raise RequestRefused(
            ProblemKind.REVISION_REQUIRED,
            "a change must name the revision that it applies to",
            field="if-match",
            remedy=remedy,
        )
    if given.strip() == "*":
        return None
    found = _REVISION.fullmatch(given.strip())
    if found is None:
        raise invalid("it is not a revision", "if-match", remedy)
    return int(found[1])


def read_query(text: str, into: type[ApiInput]) -> ApiInput:
    """Return the parameters of a query.

    Raises:
        RequestRefused: It is too long, or a parameter is unknown, wrong, or given twice.
    """
    if len(text) > LONGEST_QUERY:
        raise RequestRefused(
            ProblemKind.URI_TOO_LONG, f"the query has more than {LONGEST_QUERY} characters"
        )
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            max_num_fields=_MOST_PARAMETERS,
            errors="strict",
        )
    except ValueError:
        raise RequestRefused(
            ProblemKind.MALFORMED, "the query cannot be read", field="query"
        ) from None
    lists = _lists(into)
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise invalid("it is given twice", name[:_LONGEST_NAME])
        else:
            found[name] = value
    return _converted(found, into)


def given(query: ApiInput) -> JsonObject:
    """Return the parameters of a query that have a value."""
    found = as_json(query)
    items = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in items if value not in (None, [], ())}


def _converted(found: Mapping[str, Any], into: type[ApiInput]) -> ApiInput:
    try:
        return msgspec.convert(found, into, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(error) from None


def _lists(into: type) -> frozenset[str]:
    """Return the parameters that may be given several times."""
    hints = get_type_hints(into)
    return frozenset(
        name
        for name, kind in hints.items()
        if get_origin(kind) is tuple or any(get_origin(each) is tuple for each in get_args(kind))
    )


async def read_content(request: ApiRequest, most: int = LARGEST_BODY) -> bytes:
    """Return the bytes of a request's body, at most `most`.

    Raises:
        RequestRefused: It is too large, or compressed.
    """
    content = await request.read(most)
    if len(content) > most:
        raise RequestRefused(ProblemKind.TOO_LARGE, f"the body has more than {most:,} bytes")
    coding = request.headers.get("content-encoding", "").strip().lower()
    if content and coding not in ("", "identity"):
        raise RequestRefused(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE,
            "a compressed body is not supported",
            field="content-encoding",
            remedy="send the body uncompressed, without `Content-Encoding`",
        )
    return content


def read_body(
    request: ApiRequest, content: bytes, into: type[msgspec.Struct] | None
) -> tuple[Any, JsonObject]:
    """Return the body of a request, as a value of a type and as JSON.

    Args:
        request: The request.
        content: Its body's bytes.
        into: The type; None: the route takes no body.

    Raises:
        RequestRefused: It is not JSON, or not of this type.
    """
    if into is None:
        if content and request.method != "GET":
            raise invalid("this route takes no body")
        return None, {}
    _check_type(request, content)
    try:
        exact = parse_exact(content)
    except InputRefused as refused:
        raise RequestRefused(ProblemKind.MALFORMED, f"the body is {refused}") from None
    if not isinstance(exact, dict):
        raise invalid("the body must be an object")
    document = plain(exact)
    try:
        return msgspec.convert(document, into, strict=True), document
    except msgspec.ValidationError as error:
        raise _refused(error) from None


def _check_type(request: ApiRequest, content: bytes) -> None:
    if not content:
        raise invalid("a body is required", remedy="send a JSON object; `{}` if it is empty")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in ("application/json", "application/merge-patch+json"):
        raise RequestRefused(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON",
            field="content-type",
            remedy="send `Content-Type: application/json`",
        )


def _refused(error: msgspec.ValidationError) -> RequestRefused:
    """Return the refusal of a value: msgspec's reason and path, never the value itself."""
    found = _AT.match(str(error))
    why, path = (str(error), "") if found is None else (found["why"], found["path"] or "")
    path = path.removeprefix("$").removeprefix(".")
    for pattern, said in ((_UNKNOWN, "there is no such field"), (_MISSING, "is missing")):
        named = pattern.match(why)
        if named is not None:
            name = named["name"][:_LONGEST_NAME]
            detail = OF_FILES_ONLY if name in ("env", "file") else said
            return invalid(detail, f"{path}.{name}" if path else name)
    # A value may be a secret in the wrong field.
    why = re.sub(
        r" '[^']*'$",
        "",
        re.sub(r"Invalid enum value .*", "it is not one of the values", why, flags=re.DOTALL),
    )
    return invalid(why.replace("`", ""), path)


def as_json(value: object) -> Json:
    """Return a struct as plain JSON values."""
    found: Json = msgspec.to_builtins(value, str_keys=True)
    return found
