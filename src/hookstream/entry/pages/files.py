"""The static files of pages: style sheets, one script, one icon."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hookstream.entry.api.requests import ApiRequest, ApiResponse

FILES = "/ui/static/"
_FOLDER = Path(__file__).parent / "static"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_NOT_MODIFIED = 304


@dataclass(slots=True, frozen=True)
class _StaticFile:
    kind: str
    content: bytes
    version: str


@cache
def _read() -> Mapping[str, _StaticFile]:
    return {
        path.name: _StaticFile(
            _KINDS[path.suffix], content, hashlib.sha256(content).hexdigest()[:16]
        )
        for path in sorted(_FOLDER.iterdir())
        if path.suffix in _KINDS
        for content in (path.read_bytes(),)
    }


class StaticFiles:
    """The files, read when a process creates its first instance."""

    def __init__(self) -> None:
        self._files = _read()

    def url(self, name: str) -> str:
        """Return the address of a file, which changes with its content.

        Raises:
            KeyError: There is no such file.
        """
        return f"{FILES}{name}?v={self._files[name].version}"

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Return a file; None: there is none with this name."""
        found = self._files.get(request.path.removeprefix(FILES))
        if found is None or request.method not in ("GET", "HEAD"):
            return None
        etag = f'"{found.version}"'
        is_this = request.query == f"v={found.version}"
        headers = {"ETag": etag, "Cache-Control": _FOR_EVER if is_this else _ASK_AGAIN}
        if request.headers.get("if-none-match") == etag:
            return ApiResponse(_NOT_MODIFIED, headers)
        return ApiResponse(200, {**headers, "Content-Type": found.kind}, found.content)
