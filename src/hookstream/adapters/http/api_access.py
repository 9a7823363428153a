"""Checks what an API is asked by: its address, and a token."""

from urllib.parse import urlsplit

from hookstream.errors import ConfigurationError, InputRefused


def require_web(url: str, option: str) -> None:
    """Refuse what is no URL of a web server.

    Raises:
        InputRefused: It is none; the text names the option.
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
    """Refuse what cannot be sent as a token.

    Raises:
        ConfigurationError: It is empty, or has other characters than printable ASCII without spaces.
    """
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            "there is no token for the API: set HOOKSTREAM_TOKEN, or name its file by api.token_file;"
            " a token is printable ASCII without spaces"
        )
