"""How the settings say that the cluster is reached."""

import socket

from hookstream.settings import Settings


def client_of(settings: Settings) -> dict[str, str | int | float | bool]:
    """Return librdkafka's settings for every client: the address, a name, and what was set for it.

    The name is what the brokers' tools, logs and quotas call a client by: the machine's, unless
    `kafka.client` says another.
    """
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": f"hookstream-{socket.gethostname()}",
        **settings.kafka.client,
    }
