"""Checks the address of an API and a token before a request."""

from urllib.parse import urlsplit

from hookstream.errors import ConfigurationError, InputRefused


def require_web(url: str, option: str) -> None:
    """Refuse a text that is not a URL of a web server.

    Raises:
        InputRefused: It is not one; the text names the option.
    """
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        found = False
    if not found:
        raise InputRefused(f"{option}: it must be a URL such as http://localhost:3000/hook")


def require_token(token: str) -> None:
    """Refuse a text that cannot be sent as a token.

    Raises:
        ConfigurationError: It is empty, or has characters other than printable ASCII without spaces.
    """
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            "there is no token for the API: set HOOKSTREAM_TOKEN, or name its file by api.token_file;"
            " a token is printable ASCII without spaces"
        )
