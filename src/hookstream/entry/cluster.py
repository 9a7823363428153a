"""How the settings say that the cluster is reached."""

from hookstream.settings import Settings


def client_of(settings: Settings) -> dict[str, str | int | float | bool]:
    """Return librdkafka's settings for every client: the address, and what was set for it."""
    return {"bootstrap.servers": settings.kafka.bootstrap_servers, **settings.kafka.client}
