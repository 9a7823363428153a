"""Recognises answers that quote a secret of the request, as debugging endpoints and error pages do.

The start of an answer is kept in the audit log, where a secret must not be. Nothing of an answer that quotes
one is kept: a replacement within its text would miss the forms that nobody thought of.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

LEFT_OUT = "(left out: it quotes a secret of the request)"
"""What is kept instead of such an answer."""
SHORTEST = 4
"""Characters. A shorter secret is not looked for: it would be in half of all texts."""
_SHORTEST_IN_URL = 12
"""Characters. Shorter parts of a URL are words: an error page that names its path stays readable."""
_SHORTEST_ENCODED = 8
"""Bytes of a secret that is looked for in base64."""
_CUT = 8
"""Characters. A beginning of a secret that is at least as long is recognised at the end of an answer that was
cut there."""
_LEGAL = "!$&'()*+,;=:@/"
"""What a path may have unescaped besides letters, digits and `-._~`."""
_ESCAPE = re.compile("%[0-9A-F]{2}")

SecretForms = tuple[str, ...]
"""Texts that quote a secret, from `secret_forms`."""


def secret_forms(secrets: Iterable[str]) -> SecretForms:
    """Return each text in which one of some secrets may be quoted.

    As it is, within JSON, HTML and a URL, and in base64, alone or as a part of something longer.

    Args:
        secrets: Those shorter than `SHORTEST` are passed over.
    """
    found: dict[str, None] = {}
    for secret in secrets:
        if len(secret) < SHORTEST:
            continue
        within = json.dumps(secret)[1:-1]
        readable = json.dumps(secret, ensure_ascii=False)[1:-1]
        for form in (
            secret,
            within,
            readable,
            within.replace("/", "\\/"),
            html.escape(secret),
            *_in_url(secret),
            *_in_base64(secret.encode()),
        ):
            found[form] = None
    return tuple(found)


def url_secrets(url: str) -> list[str]:
    """Return the parts of a URL's path and query that are too long for words: any of them may be a secret.

    Each is there as it is written, and without its escapes, since an endpoint may quote either.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    fields = [field.partition("=") for field in parts.query.split("&")]
    texts = parts.path.split("/")
    texts += [text for name, _, value in fields for text in (name, value)]
    if any(not equals for _, equals, _ in fields):
        # It need not be made of fields: the secret may have an `&`.
        texts.append(parts.query)
    found = dict.fromkeys([*texts, *map(unquote, texts), *map(unquote_plus, texts)])
    return [text for text in found if len(text) >= _SHORTEST_IN_URL]


def without_quoted(excerpt: str | None, forms: SecretForms) -> str | None:
    """Return the start of an answer as it may be kept: as it is, or `LEFT_OUT`."""
    if not excerpt or not forms:
        return excerpt
    for form in forms:
        if form in excerpt or _ends_with_beginning(excerpt, form):
            return LEFT_OUT
    return excerpt


def _ends_with_beginning(excerpt: str, form: str) -> bool:
    """Return whether an answer was cut within a form."""
    if len(form) <= _CUT:
        return False
    at = excerpt.find(form[:_CUT], max(0, len(excerpt) - len(form) + 1))
    while at >= 0 and not form.startswith(excerpt[at:]):
        # The beginning may stand there more than once: only the last of it need be cut.
        at = excerpt.find(form[:_CUT], at + 1)
    return at >= 0


def _in_url(secret: str) -> Iterable[str]:
    """Return a secret with the escapes of a URL: libraries differ in what they escape, and in its case."""
    for form in (
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=_LEGAL),
        quote_plus(secret),
    ):
        yield form
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), form)


def _in_base64(secret: bytes) -> Sequence[str]:
    """Return the base64 of a secret behind nothing, one or two bytes: the letters made of its bytes alone."""
    if len(secret) < _SHORTEST_ENCODED:
        return ()
    found = []
    for before in range(3):
        # A letter has six bits.
        first, end = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        text = base64.b64encode(bytes(before) + secret).decode()[first:end]
        found += [text, text.replace("+", "-").replace("/", "_")]
    return found
