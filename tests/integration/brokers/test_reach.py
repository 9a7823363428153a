"""A broker with SASL and one without: a rejected client reports why, with address and remedy."""

import subprocess
import sys
from collections.abc import Iterator

import orjson
import pytest
from tests.conftest import Broker
from tests.real_broker import a_broker

from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.adapters.kafka.reach import ObstacleKind, Reach, require_brokers
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
    with a_broker(settings):
        yield f"127.0.0.1:{port}"


def started(servers: str, client: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a worker."""
    return subprocess.Popen(
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


def test_a_wrong_password_is_reported_at_once_and_ends_a_worker(guarded: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_brokers({"bootstrap.servers": guarded, **SASL})
    with started(guarded, SASL) as worker:
        _, log = worker.communicate(timeout=60)
    lines = log.splitlines()
    for said in (str(refused.value), lines[-1]):
        assert f"the brokers at {guarded} cannot be reached: authentication refused (" in said
        assert "hush-hush" not in said
        assert "check sasl.mechanism, sasl.username and sasl.password" in said
    assert worker.returncode == 2


def test_brokers_are_reached_with_the_right_password(guarded: str) -> None:
    # Raises otherwise.
    require_brokers({"bootstrap.servers": guarded, **SASL, "sasl.password": "right"})


def test_the_client_of_look_ups_that_finds_the_brokers_is_kept(broker: Broker) -> None:
    client = {"bootstrap.servers": broker.bootstrap_servers}
    kept = LOOKUPS.client(client)
    require_brokers(client)
    assert LOOKUPS.client(client) is kept


def test_no_sasl_on_a_port_with_it(guarded: str) -> None:
    obstacle = Reach({"bootstrap.servers": guarded}).ask(1.0)
    assert obstacle is not None
    assert obstacle.kind is ObstacleKind.PROTOCOL


def test_sasl_on_a_port_without_it(broker: Broker) -> None:
    with pytest.raises(ConfigurationError, match="authentication refused"):
        require_brokers({"bootstrap.servers": broker.bootstrap_servers, **SASL})


def test_tls_on_a_port_without_it_keeps_a_worker_waiting_and_is_logged(broker: Broker) -> None:
    servers = broker.bootstrap_servers
    with started(servers, {"security.protocol": "SSL"}) as worker:
        try:
            assert worker.stderr is not None
            first: dict[str, str] = {}
            while first.get("event") != "brokers.unreachable":
                first = orjson.loads(worker.stderr.readline())
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(3)
        finally:
            worker.kill()
        log = worker.stderr.read()
    assert "brokers.unreachable" not in log
    assert (first["servers"], first["obstacle"]) == (servers, "TLS handshake failed")
    assert "SSL_HANDSHAKE" in first["detail"]
