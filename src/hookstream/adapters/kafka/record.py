"""Converts a client's message into a Record, and a Record's headers into the client's.

The client mishandles a header name that is not UTF-8. `Message.headers()` sets an exception but still returns
a list. A call through the interpreter's quick path does not notice the exception, which
then surfaces at some later line; a call through C raises it as SystemError. Every later call returns the
list, in which a pair with such a name has a null pointer: to index, iterate or print that pair ends
the process. Only its referents can be read.
Source: measured with confluent-kafka 2.16.1 and CPython 3.11; tests/integration/test_header_names.py
checks each of these claims.
"""

import gc
from collections.abc import Sequence
from operator import methodcaller
from typing import Final, TypeAlias, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from hookstream.core.model.record import Header, Headers, Record

LOST_NAME: Final = r"\x??"
"""Replaces names that are not UTF-8 and whose bytes the client does not return: all but a record's first."""

ClientHeaders: TypeAlias = list[tuple[str, str | bytes | None]]
"""As in the client's type stubs."""

_SHOWN = 64
"""The most characters of a name in a message."""

# Called through C, which also checks for an exception.
_headers = methodcaller("headers")


def record_of(message: Message) -> Record:
    r"""Return the record of a message without an error, with every header that can be recovered.

    Bytes of a header name that are not UTF-8 text become `\xNN`, in ASCII, and so does a backslash
    next to them. A name that is such text already is passed on unchanged and cannot be distinguished.
    The client drops all headers of a record that has more than 100,000 of them, and whatever follows a
    NUL in a header's name.
    """
    kind, timestamp = message.timestamp()
    headers: Headers
    problem: str | None = None
    try:
        headers = _headers(message) or ()
    except SystemError as raised:
        headers, problem = _recovered(message, raised)
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        timestamp,
        message.key(),
        message.value(),
        headers,
        kind == TIMESTAMP_LOG_APPEND_TIME,
        problem,
    )


def client_headers(headers: Headers) -> ClientHeaders:
    r"""Return headers that the client can take: a lone surrogate in a name would end the process.

    Such a name is not text. It is written as `\udNNN`, in ASCII.
    """
    checked: ClientHeaders = list(headers)
    if not "".join([name for name, _ in checked]).isascii():
        for position, (name, value) in enumerate(checked):
            try:
                name.encode()
            except UnicodeEncodeError:
                checked[position] = (name.encode("ascii", "backslashreplace").decode(), value)
    return checked


def _recovered(message: Message, raised: SystemError) -> tuple[list[Header], str]:
    """Return the headers of a message with names that are not UTF-8, and a text about it.

    Raises:
        SystemError: It is something else.
    """
    # Each further bad name wraps the error once more; the innermost is about the first of them.
    cause: BaseException | None = raised
    while cause is not None and not isinstance(cause, UnicodeDecodeError):
        cause = cause.__cause__
    if cause is None:
        raise raised
    first = _escaped(cause.object)
    headers: list[Header] = []
    bad = 0
    for pair in cast("Sequence[object]", _headers(message)):
        found = gc.get_referents(pair)
        if len(found) == len(("name", "value")):
            headers.append(cast("Header", pair))
            continue
        headers.append((LOST_NAME if bad else first, cast("bytes | None", found[0])))
        bad += 1
    others = f", nor are {bad - 1} more" if bad > 1 else ""
    return headers, f"the header name {first[:_SHOWN]} is not UTF-8{others}"


def _escaped(name: bytes) -> str:
    return name.replace(b"\\", rb"\x5c").decode("ascii", "backslashreplace")
