"""A broker with SASL and one without: who may not in is told why, with address and remedy."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import orjson
import pytest
from tests.conftest import ROOT, Broker

from hookstream.adapters.dev_broker import BrokerProcess
from hookstream.adapters.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.kafka_reach import Kind, Reach, require_brokers
from hookstream.errors import ConfigurationError

RING = '{"active": "k", "keys": {"k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'
SASL = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "hookstream",
    "sasl.password": "hush-hush",
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A broker whose second listener lets in `hookstream` with the password `right`."""
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    port = 39_871
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port},"
        "CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,"
        "CONTROLLER:PLAINTEXT",
        "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f'{login} required user_hookstream="right";',
    }
    libs = fetch_kafka(ROOT / ".cache" / "kafka", print)
    with BrokerProcess(libs, find_java(), settings=settings):
        yield f"127.0.0.1:{port}"


def worker(servers: str, client: dict[str, str], seconds: float) -> tuple[int, list[str]]:
    """Run a worker for so long at most and return its exit code and what it wrote."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hookstream", "worker"],
        env={
            "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS": servers,
            "HOOKSTREAM_KAFKA__CLIENT": orjson.dumps(client).decode(),
            "HOOKSTREAM_KEYS__RING": RING,
            "HOOKSTREAM_WORKER__LISTEN": "127.0.0.1:0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    return process.returncode, said.splitlines()


def test_a_wrong_password_is_told_at_once_and_ends_a_worker(guarded: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_brokers({"bootstrap.servers": guarded, **SASL})
    code, lines = worker(guarded, SASL, 20)
    for said in (str(refused.value), lines[-1]):
        assert f"the brokers at {guarded} cannot be reached: authentication refused (" in said
        assert "hush-hush" not in said
        assert "check sasl.mechanism, sasl.username and sasl.password" in said
    assert code == 2


def test_the_right_password_lets_in(guarded: str) -> None:
    require_brokers({"bootstrap.servers": guarded, **SASL, "sasl.password": "right"})


def test_no_sasl_on_a_port_with_it(guarded: str) -> None:
    obstacle = Reach({"bootstrap.servers": guarded}).ask(1.0)
    assert obstacle is not None
    assert obstacle.kind is Kind.PROTOCOL


def test_sasl_on_a_port_without_it(broker: Broker) -> None:
    with pytest.raises(ConfigurationError, match="authentication refused"):
        require_brokers({"bootstrap.servers": broker.bootstrap_servers, **SASL})


def test_tls_on_a_port_without_it_keeps_a_worker_waiting_and_it_says_so(broker: Broker) -> None:
    servers = broker.bootstrap_servers
    code, lines = worker(servers, {"security.protocol": "SSL"}, 12)
    assert code == -signal.SIGKILL
    said = [orjson.loads(line) for line in lines]
    (first,) = [line for line in said if line["event"] == "brokers_unreachable"]
    assert (first["servers"], first["obstacle"]) == (servers, "TLS handshake failed")
    assert "SSL_HANDSHAKE" in first["detail"]
