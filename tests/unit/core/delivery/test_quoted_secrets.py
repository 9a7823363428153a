"""An answer that quotes a secret of its request is not kept, in whatever form it quotes it."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.delivery.quoted_secrets import (
    LEFT_OUT,
    secret_forms,
    url_secrets,
    without_quoted,
)

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=12, max_size=60)
QUOTES: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: f"who is {secret}?",
    "in JSON": lambda secret: json.dumps({"authorization": f"Bearer {secret}"}),
    "in JSON that keeps letters": lambda secret: json.dumps([secret], ensure_ascii=False),
    "in JSON as PHP writes it": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in HTML": lambda secret: f"<p>{html.escape(secret)}</p>",
    "in a form": lambda secret: urlencode({"key": secret}),
    "in a path": lambda secret: f"/hooks/{quote(secret, safe='')}",
    "in a path with slashes": lambda secret: f"/hooks/{quote(secret)}",
    "in a query": lambda secret: f"?key={quote_plus(secret)}",
    "in a path where all that may stay is left": lambda secret: quote(
        secret, safe="!$&'()*+,;=:@/"
    ),
    "in a form with escapes in lower case": lambda secret: re.sub(
        "%..", lambda escape: escape[0].lower(), quote_plus(secret)
    ),
    "in base64": lambda secret: b64encode(f"kim:{secret}".encode()).decode(),
    "in base64 with more behind it": lambda secret: b64encode(f"x{secret}yz".encode()).decode(),
    "in base64 of URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize("form", QUOTES.values(), ids=QUOTES.keys())
@given(secret=SECRETS)
def test_what_quotes_a_secret_is_left_out(form: Callable[[str], str], secret: str) -> None:
    assert without_quoted(form(secret), secret_forms([secret])) == LEFT_OUT


@given(secret=SECRETS, kept=st.integers(8, 12))
def test_what_is_cut_within_a_secret_is_left_out(secret: str, kept: int) -> None:
    assert without_quoted(f"it is {secret[:kept]}", secret_forms([secret])) == LEFT_OUT


@given(text=st.text(st.sampled_from("abc <>&/\\"), max_size=200))
def test_what_quotes_none_is_kept_as_it_is(text: str) -> None:
    assert without_quoted(text, secret_forms(["Zm9vYmFyYmF6", "xyz-0123456789"])) == text


def test_there_may_be_no_answer_no_secret_and_too_short_a_one() -> None:
    assert without_quoted(None, secret_forms(["0123456789"])) is None
    assert without_quoted("", secret_forms(["0123456789"])) == ""
    assert secret_forms(["", "abc"]) == ()


def test_parts_of_a_url_that_are_words_are_no_secrets() -> None:
    url = "https://hooks.example/services/T0/B0aaaaaaaaaaaaa?v=1&key=0123456789ab%2F"
    assert url_secrets(url) == ["B0aaaaaaaaaaaaa", "0123456789ab%2F", "0123456789ab/"]
    assert url_secrets("https://h.example/hooks?version=1&format=json") == []
    assert url_secrets("https://[") == []


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/p?0123456789abcdef0123", "POST /p?0123456789abcdef0123"),
        ("/p?abcdefg&hijklmnop", "POST /p?abcdefg&hijklmnop"),
        ("/p?0123456789abcdef=", "no 0123456789abcdef"),
        ("/p?t=abc%2fdefghijklmnop", "POST /p?t=abc%2fdefghijklmnop"),
        ("/p?t=abc%2fdefghijklmnop", "no abc/defghijklmnop"),
        ("/p?t=abc+defghijklmnop", '{"t": "abc defghijklmnop"}'),
        ("/p?t=abc+defghijklmnop", "no abc+defghijklmnop"),
        ("/p?t=abcdefghijklmnop==", "no abcdefghijklmnop=="),
        ("/p/abc%2Bdefghij:klmnop", "no handler for /p/abc+defghij:klmnop"),
        ("/p/abc%2Bdefghij:klmnop", "no handler for /p/abc%2Bdefghij:klmnop"),
    ],
)
def test_a_part_of_a_url_is_recognised_as_it_is_written_and_as_it_is_read(
    target: str, answer: str
) -> None:
    forms = secret_forms(url_secrets(f"https://h.example{target}"))
    assert without_quoted(answer, forms) == LEFT_OUT


@given(repeats=st.integers(1, 3), kept=st.integers(8, 19))
def test_a_beginning_that_stands_there_before_the_cut_hides_no_secret(
    repeats: int, kept: int
) -> None:
    secret = "hush-0123456789-abcd"
    text = "hush-012 " * repeats + secret[:kept]

    assert without_quoted(text, secret_forms([secret])) == LEFT_OUT
