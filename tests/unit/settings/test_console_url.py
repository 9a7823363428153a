"""The console's public address is scheme and host alone, and what is none is refused without being repeated."""

import pytest

from hookstream.errors import ConfigurationError
from hookstream.settings import load


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", ""),
        ("https://hookstream.example", "https://hookstream.example"),
        ("https://hookstream.example/", "https://hookstream.example"),
        ("http://127.0.0.1:8480", "http://127.0.0.1:8480"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_address_is_an_origin(given: str, found: str) -> None:
    assert load(None, {"HOOKSTREAM_CONSOLE__URL": given}, {}).console.url == found


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("hookstream.example", "a URL such as"),
        ("ftp://hush.example", "a URL such as"),
        ("https://", "a URL such as"),
        ("https://hush.example:99999", "a URL such as"),
        ("https://hush.example:port", "a URL such as"),
        ("https://[::1", "a URL such as"),
        ("https://hush.example\n", "a URL such as"),
        ("https://hüsh.example", "a URL such as"),
        ("javascript:hush", "a URL such as"),
        ("https://kim:hush@hookstream.example", "must not have credentials"),
        ("https://hush.example/pages", "only scheme and host"),
        ("https://hush.example?a=b", "only scheme and host"),
        ("https://hush.example#a", "only scheme and host"),
    ],
)
def test_what_is_no_origin_is_refused_and_not_repeated(given: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"console\.url") as refused:
        load(None, {"HOOKSTREAM_CONSOLE__URL": given}, {})
    assert why in str(refused.value)
    assert "hush" not in str(refused.value)
