"""Checks an endpoint's URL when it is written, and every address when a connection is made.

The check at connect time is the one that protects: the name may resolve differently by then. The
check at writing gives an early, clear error. The lists follow the IANA special-purpose registries,
plus the metadata addresses of cloud providers; IPv6 is refused unless it is global unicast.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2048
"""The longest endpoint URL, in characters."""

HTTPS_PORTS = frozenset({443, 8443})
"""The ports allowed when only https is, outside the operator's networks."""

_USUAL_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_MAX_HOST = 253

_DENIED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform address: a public address for internal use
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_ALLOWED_V6 = ipaddress.IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
)

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z")
_NUMBER_LIKE = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".localdomain", ".home.arpa", ".onion")


def address_problem(ip_text: str, allow: Sequence[Network] = ()) -> str | None:
    """Return why a connection to an address is refused; None if it is allowed.

    Args:
        ip_text: The address as passed to the socket; a trailing `%zone` is ignored.
        allow: The operator's networks: their addresses are allowed, whatever the lists say.
    """
    try:
        address = _unwrapped(ipaddress.ip_address(ip_text.partition("%")[0]))
    except ValueError:
        return f"{ascii(ip_text)[:80]} is not an IP address"
    if _within(address, allow):
        return None
    if isinstance(address, ipaddress.IPv4Address):
        denied = any(address in network for network in _DENIED_V4)
    else:
        denied = address not in _ALLOWED_V6 or any(address in network for network in _DENIED_V6)
    return f"{address} is not a public address" if denied else None


def url_problem(url: str, *, https_only: bool, allow: Sequence[Network] = ()) -> str | None:
    """Return why a URL cannot be an endpoint's; None if it can.

    With `https_only`, the scheme must be https and the port 443 or 8443. An address in the operator's
    networks may use http and any port; without `https_only`, so may every name. The result never
    quotes parts of a URL that may be secret: user information, path, query or fragment.
    """
    if len(url) > MAX_URL:
        return f"the URL has {len(url)} characters; {MAX_URL} are allowed"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "the URL has characters that must be percent-encoded"
    parts = _split(url)
    if parts is None:
        return "the URL cannot be read"
    return _shape_problem(parts) or _host_problem(parts, https_only=https_only, allow=allow)


def scrub(url: str) -> str:
    """Return the part of a URL that may be shown: scheme, host and port, and `/…` if more follows."""
    parts = _split(url)
    shown = origin(url)
    if parts is None or not shown:
        return "…"
    return f"{shown}…" if parts.path not in ("", "/") or parts.query or parts.fragment else shown


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, followed by `/`; empty if it has none."""
    parts = _split(url)
    if parts is None or not parts.scheme or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{host}{port}/"


def host_header(url: str) -> str:
    """Return the `host` header of requests to a URL: its host, and its port unless that is the scheme's own.

    Empty if it has no host.
    """
    parts = _split(url)
    if parts is None or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = parts.port in (None, _USUAL_PORTS.get(parts.scheme))
    return host if is_usual else f"{host}:{parts.port}"


def host_of(url: str) -> str:
    """Return the host of a URL, without port, in lower case; empty if it has none."""
    parts = _split(url)
    return (parts.hostname or "") if parts is not None else ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # accessing it validates it
    except ValueError:
        return None
    return parts


def _shape_problem(parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "the URL must begin with https:// or http://"
    if not parts.hostname:
        return "the URL has no host"
    if "@" in parts.netloc:
        return "the URL has user information; send credentials as a header"
    if parts.fragment:
        return "the URL has a fragment, which is never sent"
    if parts.port == 0:
        return f"the port must be 1 to {_HIGHEST_PORT}"
    return None


def _host_problem(parts: SplitResult, *, https_only: bool, allow: Sequence[Network]) -> str | None:
    host = parts.hostname or ""
    address = _literal(host)
    if address is not None:
        if _within(_unwrapped(address), allow):
            return None
        problem = address_problem(host)
    else:
        problem = _name_problem(host, bare=not https_only)
    if problem is not None:
        return problem
    if not https_only:
        return None
    if parts.scheme != "https":
        return "the URL must begin with https://"
    if parts.port is not None and parts.port not in HTTPS_PORTS:
        return f"port {parts.port} is not open to endpoints (443 and 8443 are)"
    return None


def _name_problem(host: str, *, bare: bool) -> str | None:
    """Return why a host name is refused. `bare`: a single label, such as `localhost`, is allowed.

    This is for development only: the check at connect time still decides on its address.
    """
    if len(host) > _MAX_HOST or not _HOST.match(host) or ".." in host:
        return f"{host[:80]} is not a host name"
    # Resolvers parse 2130706433, 0x7f000001 and 127.1 as addresses, each in its own way.
    if _NUMBER_LIKE.match(host.rpartition(".")[2]):
        return f"{host[:80]} is a number that some resolvers take for an address"
    if bare:
        return None
    if "." not in host:
        return f"{host[:80]} has no domain"
    if host.endswith(_PRIVATE_SUFFIXES):
        return f"{host[:80]} is a private name"
    return None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address of an IPv4-mapped IPv6 address, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
