"""Who changes something, for rows and operations events: the user of a command, or whoever a request is from."""

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


def who() -> str:
    """Return who acts now: the one of `acting_as`, or else the user who runs this process, if known."""
    return _ACTOR.get() or f"{_user()}@{socket.gethostname()}"


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Let `who` return a name while the block runs, in this thread or task alone."""
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
