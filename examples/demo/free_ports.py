"""Ports for servers that start later, which no outgoing connection takes meanwhile."""

import secrets
import socket
from collections import deque

_FIRST, _LAST = 10_000, 20_000
"""Below the range of ephemeral ports (from 32,768) and below the development broker's."""


_CLAIMS = 256
"""Ports that a process keeps for itself: each takes a descriptor. The servers of earlier ones have long started."""
_claims: deque[socket.socket] = deque()
"""A UDP socket on the number of each of these ports: no process can claim it a second time."""


def free_port() -> int:
    """Return a port of the loopback that is free now, drawn among ten thousand, and given to nobody else.

    A port that the kernel gives (port 0) is an ephemeral one: until its server listens, any process
    that opens a connection may get it. Two processes that draw at the same time would get one port
    now and then: each claims what it draws.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _CLAIMS:
            _claims.popleft().close()
        with socket.socket() as probe:
            # As servers do: a connection in TIME_WAIT does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
