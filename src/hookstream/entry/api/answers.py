"""Converts answers to responses, and to the row that is kept for the request's idempotency key."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hookstream.adapters.json_bytes import json_bytes
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.console_rows import answer_key, write_answer
from hookstream.core.access.idempotency import KeptAnswer, answer_of
from hookstream.core.access.scopes import Caller
from hookstream.entry.api.fields import masked, masks
from hookstream.entry.api.requests import ApiResponse, as_json
from hookstream.entry.api.routes import ApiAnswer, Call, Route


class RequestKey(NamedTuple):
    """The idempotency key of a request."""

    token_id: str
    key: str
    """The hash of the key."""
    request: str
    """The hash of the request."""


def response_of(route: Route, caller: Caller, answer: ApiAnswer) -> ApiResponse:
    """Return an answer as it is sent to a caller: without the fields that the caller may not see."""
    headers: dict[str, str] = {}
    if answer.revision is not None:
        headers["ETag"] = f'"{answer.revision}"'
    if answer.location:
        headers["Location"] = answer.location
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    status = answer.status or route.status
    if answer.body is None:
        return ApiResponse(status, headers)
    document: object = as_json(answer.body)
    if masks(type(answer.body)):
        document = masked(document, type(answer.body), caller)
    headers["Content-Type"] = route.media_type
    return ApiResponse(status, headers, json_bytes(document))


def kept_rows(
    console: str, key: RequestKey, route: Route, call: Call[Any, Any], answer: ApiAnswer
) -> Sequence[TableChange]:
    """Return the row that keeps an answer for its request's key, without secrets that are shown once."""
    sent = response_of(route, call.caller, answer.without_secrets())
    row = answer_of(
        key.request,
        sent.status,
        sent.body,
        location=sent.headers.get("Location"),
        etag=sent.headers.get("ETag"),
    )
    return [TableChange(console, answer_key(key.token_id, key.key), write_answer(row))]


def repeated(kept: KeptAnswer) -> ApiResponse:
    """Return the answer to a request that was carried out before.

    An answer that was too large to be kept has no body: `Location` says where to read it.
    """
    headers = {"Idempotency-Replayed": "true"}
    if kept.body:
        headers["Content-Type"] = "application/json"
    if kept.location is not None:
        headers["Location"] = kept.location
    if kept.etag is not None:
        headers["ETag"] = kept.etag
    return ApiResponse(kept.status, headers, kept.body or b"")
