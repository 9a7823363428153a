"""The client settings for the cluster that the settings name."""

import socket
from functools import cache

from hookstream.adapters.kafka.reach import require_brokers
from hookstream.settings import Settings


def client_of(settings: Settings) -> dict[str, str | int | float | bool]:
    """Return librdkafka's settings for every client: the address, a name, and the settings in `kafka.client`.

    The name is what the brokers' tools, logs and quotas call a client by: the machine's, unless
    `kafka.client` says another.
    """
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": f"hookstream-{socket.gethostname()}",
        **settings.kafka.client,
    }


def reached(settings: Settings) -> dict[str, str | int | float | bool]:
    """Return `client_of` for a command, after checking that the brokers can be reached.

    Raises:
        ConfigurationError: The client library refuses the settings, or the brokers refuse the client.
        DependencyUnavailable: No broker answered within eight seconds; the text has the reason.
    """
    client = client_of(settings)
    _require_brokers(tuple(client.items()))
    return client


@cache
def _require_brokers(client: tuple[tuple[str, str | int | float | bool], ...]) -> None:
    """Check once in a process, however many clients a command makes."""
    require_brokers(dict(client))
