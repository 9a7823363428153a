"""The addresses of pages that others lead to, and which addresses somebody may give."""

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


def local_path(text: str) -> str:
    """Return a path of this site that somebody gave, or that of the first page: never another site's address."""
    return text if _LOCAL.fullmatch(text) else HOME
