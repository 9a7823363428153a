"""Looks for secrets in everything that a run left, in each form in which one could be there."""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.e2e.consoles import Answered

_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{4}|[\"\\/nrt])")
_UNESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_SHORTEST = 12
"""A part of a secret that is shorter is found by chance."""
_WORD = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % _SHORTEST)
"""Characters of base64, of hex and of most secrets' texts, as many as there are."""
_SEE_OTHER = 303
_KEY_PREFIXES = ("whsec_", "whsk_")


def forms(secret: str) -> set[bytes]:
    """Return what to look for: its text, its bytes where it is base64, and base64 and hex of both.

    Of a text of several lines, such as PEM, each long line is one secret.
    """
    lines = secret.splitlines()
    texts = {each for each in lines if len(each) >= _SHORTEST and not each.startswith("-----")}
    plain: set[bytes] = set()
    for text in texts:
        plain.add(text.encode())
        for prefix in _KEY_PREFIXES:
            if text.startswith(prefix):
                plain |= {text.removeprefix(prefix).encode(), _decoded(text.removeprefix(prefix))}
    found = set(plain)
    for each in plain:
        found |= {each.hex().encode(), each.hex().upper().encode()}
        for lead in range(3):
            # As a part of something longer: the letters that are made of its bytes alone.
            first, end = -(-lead * 8 // 6), (lead + len(each)) * 8 // 6
            inner = b64encode(bytes(lead) + each)[first:end]
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {each for each in found if len(each) >= _SHORTEST}


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4))
    except Error:
        return b""


def readings(content: bytes) -> list[bytes]:
    """Return a content as it is, and, where they differ, without JSON's escapes and without a URL's."""
    unescaped = _ESCAPE.sub(_meant, content) if b"\\" in content else content
    unquoted = unquote_to_bytes(content) if b"%" in content else content
    return list(dict.fromkeys((content, unescaped, unquoted)))


def _meant(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    if what.startswith(b"u"):
        return chr(int(what[1:], 16)).encode(errors="replace")
    return _UNESCAPED.get(what, what)


def found_in(
    secrets: Mapping[str, str], contents: Iterable[tuple[str, bytes]]
) -> set[tuple[str, str]]:
    """Return which secret is where.

    Args:
        secrets: Each by its name.
        contents: What is looked through, by its name; equal ones are looked through once.
    """
    wanted = {name: forms(secret) for name, secret in secrets.items()}
    needles = sorted({needle for each in wanted.values() for needle in each})
    words = [each for each in needles if _WORD.fullmatch(each)]
    others = [each for each in needles if not _WORD.fullmatch(each)]
    looked: dict[bytes, tuple[str, set[bytes], set[bytes]]] = {}
    for where, content in contents:
        if content not in looked:
            read = readings(content)
            plain = {each for each in others if any(each in one for one in read)}
            looked[content] = where, {*chain(*map(_WORD.findall, read))}, plain
    # What consists of a word's characters can only be within a word. Most words stand in many contents, and in each
    # many times: all of them are looked through once, and again by content only for a secret that is in one.
    together = b"\n".join({word for _, each, _ in looked.values() for word in each})
    leaked = [each for each in words if each in together]
    found = set()
    for where, within, met in looked.values():
        met |= {each for each in leaked if any(each in word for word in within)}
        if met:
            found |= {(name, where) for name, each in wanted.items() if not met.isdisjoint(each)}
    return found


def without_shown_once(answered: Answered) -> bytes:
    """Return an answer's headers and body without the secret that it shows this once."""
    body: Any = None
    if (
        answered.method == "POST"
        and answered.status in (200, 201)
        and answered.path.startswith("/v1/")
    ):
        body = answered.json
        if isinstance(body, dict):
            if answered.path == "/v1/tokens":
                body["text"] = None
            if answered.path.endswith("/portal-links"):
                body["url"] = None
            for each in body.get("generated", ()):
                each["secret"] = None
    content = answered.body if body is None else json.dumps(body).encode()
    headers = answered.headers
    if answered.path.startswith("/ui/") and answered.status == _SEE_OTHER:
        headers = {name: value for name, value in headers.items() if name != "set-cookie"}
    return json.dumps(headers).encode() + content
