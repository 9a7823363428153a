"""A broker and a key ring for development."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from hookstream.adapters.dev.broker import BrokerProcess, archive_classes
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.keyring import KEY_BYTES
from hookstream.adapters.system import new_id, random_bytes


def download_kafka(cache: Path, report: Callable[[str], None]) -> None:
    """Download Apache Kafka and archive its classes, unless the cache has them.

    Raises:
        ConfigurationError: There is no Java that can run it.
        DependencyUnavailable: It cannot be downloaded, or does not start.
    """
    java = find_java()
    archive_classes(fetch_kafka(cache, report), java)


def development_broker(
    cache: Path, report: Callable[[str], None], *, port: int, data: Path | None
) -> BrokerProcess:
    """Return a broker of this machine, Kafka downloaded where need be; entering it starts it.

    Args:
        cache: Where Kafka's jars are kept.
        report: Called with sentences about the download.
        port: The port; 0 takes a free one.
        data: The folder of the log; None: a temporary one.

    Raises:
        ConfigurationError: There is no Java that can run it.
        DependencyUnavailable: Kafka cannot be downloaded.
    """
    java = find_java()
    return BrokerProcess(fetch_kafka(cache, report), java, port=port, data=data)


def new_key_ring() -> tuple[str, str]:
    """Return the text of a key ring with one new key, and the key's id."""
    key_id = f"dev-{new_id()[:8]}"
    key = base64.b64encode(random_bytes(KEY_BYTES)).decode()
    return json.dumps({"active": key_id, "keys": {key_id: key}}, indent=2) + "\n", key_id
