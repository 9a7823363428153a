"""Reads what a browser sends: the filters of a query, and the fields of a form that this site showed to it."""

import re
from collections.abc import Collection
from math import isfinite
from urllib.parse import parse_qsl

from hookstream.core.model.instant import MINUTE, Millis, parse_duration, to_rfc3339
from hookstream.core.model.number import NotANumber, read_number
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import LONGEST_QUERY, ApiRequest, read_content
from hookstream.entry.pages.forgery import is_form_token, is_from_here

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 200
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_NAME = 100
_OF_EVERY_PAGE = ("cursor", "live")


def read_parameters(query: str, filters: Collection[str]) -> dict[str, str]:
    """Return the parameters of a query.

    Args:
        query: As it was sent.
        filters: Those that the page has, in addition to `cursor` and `live`.

    Raises:
        RequestRefused: One is unknown, or given twice, or they are too long.
    """
    if len(query) > LONGEST_QUERY:
        raise RequestRefused(
            ProblemKind.URI_TOO_LONG, f"the query has more than {LONGEST_QUERY} characters"
        )
    found = _pairs(query, "query")
    for name in found:
        if name not in filters and name not in _OF_EVERY_PAGE:
            raise RequestRefused(
                ProblemKind.INVALID, "this page has no such filter", field=name[:_LONGEST_NAME]
            )
    return found


async def read_form(request: ApiRequest, bound: str) -> dict[str, str]:
    """Return the fields of a form, including those of every form (`_form`, `_key`).

    Args:
        request: A POST.
        bound: The cookie of the browser to which the form must have been shown.

    Raises:
        RequestRefused: It is another site's or another browser's, or not a form.
    """
    if not is_from_here(request.headers):
        raise RequestRefused(
            ProblemKind.FORBIDDEN,
            "the form was not sent from a page of this address",
            remedy="open the page here, and send its form",
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RequestRefused(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE, "a page takes forms", field="content-type"
        )
    content = await read_content(request)
    try:
        fields = _pairs(content.decode("ascii"), "body")
    except UnicodeDecodeError:
        raise RequestRefused(ProblemKind.MALFORMED, "the form cannot be read") from None
    if not is_form_token(fields.get("_form", ""), bound):
        raise RequestRefused(
            ProblemKind.FORBIDDEN,
            "the form is of another session, or it is too old",
            remedy="go back, load the page again, and send its form",
        )
    if not _KEY.fullmatch(fields.get("_key", "")):
        raise RequestRefused(ProblemKind.MALFORMED, "the form's key is not valid", field="_key")
    return fields


def number_in(text: str) -> int | str:
    """Return the whole number that a field has, or its unchanged text, which the API then refuses."""
    short = len(text) <= len(str(2**63))
    return int(text) if short and text.isascii() and text.isdigit() else text


def decimal_in(text: str) -> float | str:
    """Return the finite number that a field has, or its unchanged text, which the API then refuses."""
    try:
        # Python takes more for a number than a file or the API does: `1_0`, and digits of other scripts.
        number = float(read_number(text))
    except NotANumber:
        return text
    # JSON has no infinity or NaN, and null would mean no bound.
    return number if isfinite(number) else text


def time_in(text: str, now: Millis) -> str:
    """Return a time as the API takes it: an age, such as `2h`, becomes a time before now, to the minute."""
    try:
        then = now - parse_duration(text)
    except ValueError:
        return text
    return to_rfc3339(then - then % MINUTE)


def _pairs(text: str, where: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise RequestRefused(
            ProblemKind.MALFORMED, f"the {where} cannot be read", field=where
        ) from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RequestRefused(ProblemKind.INVALID, f"the {where} has a field twice", field=where)
    return found
