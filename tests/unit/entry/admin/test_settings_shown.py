"""Each setting is shown as it is in effect, with its source, and no secret is."""

import json
from pathlib import Path

import pytest

from hookstream.entry.admin.settings_shown import shown_settings
from hookstream.settings import load, sources

SECRET = "hunter2-hunter2"
FILE = """
[kafka]
bootstrap_servers = "kafka-1:9092"
[kafka.client]
"sasl.username" = "hookstream"
"ssl.key.location" = "/etc/key"
[worker]
listen = "0.0.0.0:9464"
[retry]
tiers = ["0s", "5s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "6h", "12h", "24h"]
[tracing]
exporter = "otlp"
endpoint = "https://user:hunter2-hunter2@collector:4318"
[registry.main]
urls = ["http://127.0.0.1:8081"]
topics = ["printprice.*"]
username = "reader"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "hookstream.toml"
    found.write_text(FILE, encoding="utf-8")
    return found


def shown(
    file: Path | None, environ: dict[str, str], overrides: dict[str, object]
) -> dict[str, tuple[str, str]]:
    settings = shown_settings(load(file, environ, overrides), sources(file, environ, overrides))
    return {each.name: (each.value, each.source) for each in settings}


def test_the_source_that_prevails_is_named(file: Path) -> None:
    environ = {
        "HOOKSTREAM_WORKER__LISTEN": "127.0.0.1:1",
        "HOOKSTREAM_LOG__LEVEL": "debug",
        "HOOKSTREAM_REGISTRY__MAIN__PASSWORD": SECRET,
    }
    found = shown(file, environ, {"log.level": "error"})
    assert found["kafka.bootstrap_servers"] == ("kafka-1:9092", str(file))
    assert found["worker.listen"] == ("127.0.0.1:1", "HOOKSTREAM_WORKER__LISTEN")
    assert found["log.level"] == ("error", "on the command line")
    assert found["log.format"] == ("json", "default")
    assert found["retry.tiers"][0].startswith("0s 5s 30s 1m")
    assert found["registry.main.username"] == ("reader", str(file))


def test_no_secret_is_shown_wherever_it_comes_from(file: Path) -> None:
    client = {"sasl.username": "hookstream", "sasl.password": SECRET, "ssl.key.pem": SECRET}
    environ = {
        "HOOKSTREAM_KEYS__RING": SECRET,
        "HOOKSTREAM_KAFKA__CLIENT": json.dumps(client),
        "HOOKSTREAM_REGISTRY__MAIN__PASSWORD": SECRET,
    }
    found = shown(file, environ, {})
    assert SECRET not in repr(found)
    assert found["keys.ring"] == ("***", "HOOKSTREAM_KEYS__RING")
    assert found["kafka.client.sasl.password"] == ("***", "HOOKSTREAM_KAFKA__CLIENT")
    assert found["kafka.client.sasl.username"][0] == "hookstream"
    assert found["registry.main.password"][0] == "***"
    assert found["tracing.endpoint"][0] == "https://***@collector:4318"
