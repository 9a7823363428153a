"""Reads the address of a port, `host:port`, before anybody resolves it."""

import ipaddress
import re

_LAST_PORT = 65_535
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-zA-Z0-9_-]{1,63}"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")


def host_and_port(text: str, *, bare: bool = False) -> tuple[str, int]:
    """Return the host, without brackets, and the port; a longer label than DNS has would fail where it is resolved.

    Args:
        text: A name, or an address (of IPv6: in brackets), a colon, and 0 to 65535.
        bare: Whether an address of IPv6 may lack its brackets.

    Raises:
        ValueError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > _LAST_PORT:
        raise ValueError("it has no port")
    if _NAME.fullmatch(host):
        return host, int(port)
    in_brackets = host.startswith("[") and host.endswith("]")
    if not in_brackets and not bare:
        raise ValueError("it has no host")
    host = host[1:-1] if in_brackets else host
    ipaddress.IPv6Address(host)
    return host, int(port)
