"""Names who makes a change, for rows and operations events: the user of a command, or the caller of a request."""

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


def who() -> str:
    """Return the present actor: that of `acting_as`, or else the user who runs this process, if known."""
    return _ACTOR.get() or f"{_user()}@{socket.gethostname()}"


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Make `who` return a name while the block runs, only in this thread or task."""
    token = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user often has no name.
        return "unknown"
