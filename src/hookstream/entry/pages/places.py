"""The addresses of pages that others link to, and the check of addresses from outside."""

import re

HOME = "/ui/overview"
LOGIN = "/ui/login"
RETRIES = "/ui/retries"
WAITING = "/ui/retries/waiting"
DEAD_LETTERS = "/ui/dead-letters"
UNDECODABLE = "/ui/undecodable"
FAILURES = "/ui/failures"
REPLAYS = "/ui/replays"
_LOCAL = re.compile(r"/ui/[A-Za-z0-9/_.~%?&=+,:@-]{0,2000}")


_SHORTENED = re.compile(r"//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
"""Parts that a browser or a proxy may remove from a path: the rest could be another site's address."""


def local_path(text: str) -> str:
    """Return a path of this site that somebody gave, or that of the first page: never another site's address."""
    path = text.partition("?")[0]
    return text if _LOCAL.fullmatch(text) and not _SHORTENED.search(path) else HOME
