"""Ports for servers that start later, which no outgoing connection takes meanwhile."""

import secrets
import socket

_FIRST, _LAST = 10_000, 20_000
"""Below the range of ephemeral ports (from 32,768) and below the development broker's."""


def free_port() -> int:
    """Return a port of the loopback that is free now, drawn among ten thousand.

    A port that the kernel gives (port 0) is an ephemeral one: until its server listens, any process
    that opens a connection may get it.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        with socket.socket() as probe:
            # As servers do: a connection in TIME_WAIT does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
